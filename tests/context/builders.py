"""Diffs for tests, made by git's own rules from the text of a patch."""

from bot.context.diff import parse
from bot.domain import Diff, FileDiff, FileKind, FileStatus

OLD, NEW, NONE = "1" * 40, "2" * 40, "0" * 40
HEADER = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n"


def raw(path: str = "x.py", letter: str = "M", modes: str = "100644 100644") -> bytes:
    """One record of `git diff --raw -z`."""
    old = NONE if letter == "A" else OLD
    new = NONE if letter == "D" else NEW
    return f":{modes} {old} {new} {letter}\0{path}\0".encode()


def diff_of(hunks: bytes | str, path: str = "x.py", letter: str = "M") -> Diff:
    """The diff of one file with these hunks."""
    text = hunks.encode() if isinstance(hunks, str) else hunks
    return parse(raw(path, letter), HEADER + text, base="base", head="head")


def file_of(hunks: bytes | str, path: str = "x.py", letter: str = "M") -> FileDiff:
    """The only file of `diff_of`."""
    return diff_of(hunks, path, letter).files[0]


def added(*lines: str, path: str = "x.py") -> FileDiff:
    """A new file with these lines."""
    body = "".join(f"+{line}\n" for line in lines)
    return file_of(f"@@ -0,0 +1,{len(lines)} @@\n{body}", path, "A")


def bare(
    kind: FileKind = FileKind.TEXT,
    status: FileStatus = FileStatus.MODIFIED,
    path: str = "x.py",
    modes: tuple[str, str] = ("100644", "100644"),
) -> FileDiff:
    """A file of which git showed no line."""
    return FileDiff(path, path, status, kind, *modes)
