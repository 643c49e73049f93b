"""Pure: what git said about a change → `Diff`.

Git says it twice. The raw part (`--raw -z`) has names, modes and object ids that cannot be
misread; the patch has the lines, under names that are quoted, cut or forged at will. So the
patch is only ever split and counted, and never asked what a file is called.
See git-diff(1), "RAW OUTPUT FORMAT" and "GENERATING PATCH TEXT WITH -P".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from unidiff.constants import LINE_TYPE_NO_NEWLINE
from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk as PatchHunk
from unidiff.patch import PatchSet

from bot.domain import Diff, DiffLine, FileDiff, FileKind, FileStatus, Hunk, LineKind
from bot.errors import Malformed

STATUSES = {
    "A": FileStatus.ADDED,
    "D": FileStatus.DELETED,
    "M": FileStatus.MODIFIED,
    "R": FileStatus.RENAMED,
    "C": FileStatus.COPIED,
    "T": FileStatus.TYPE_CHANGED,
}
TWO_PATHS = (FileStatus.RENAMED, FileStatus.COPIED)
SUBMODULE_MODE = "160000"
SYMLINK_MODE = "120000"
FALLBACK_ENCODING = "latin-1"  # every byte is a character, so it never fails

_KINDS = frozenset(LineKind)
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)
_HUNK = re.compile(rb"^@@ -", re.MULTILINE)
_BINARY = re.compile(rb"^(?:Binary files .* differ|GIT binary patch)$", re.MULTILINE)


def parse(raw: bytes, patch: bytes, *, base: str, head: str | None, cut: bool = False) -> Diff:
    r"""The `Diff` that `git diff-tree -r --raw -z --no-abbrev --patch` described in two parts.

    A path that is not UTF-8 keeps its odd bytes as `\xNN`, so that it can be stored and
    sent; a file whose lines are not UTF-8 is read as latin-1 as a whole. `cut` says that
    `patch` ends too early: files whose part is not whole are then of kind OVERSIZED.

    Raises Malformed if the two parts do not fit together or git's format is not kept.
    """
    listed = list(_listed(raw))
    sections = _sections(patch)
    if cut:
        sections = sections[:-1]
    files = []
    for file in listed:
        # A file that becomes a link, or the other way round, is deleted and made anew.
        count = 2 if file.status is FileStatus.TYPE_CHANGED else 1
        mine, sections = sections[:count], sections[count:]
        if len(mine) == count:
            files.append(_filled(file, mine))
        elif cut:
            files.append(replace(file, kind=FileKind.OVERSIZED))
        else:
            raise Malformed("Git listed a file that its patch does not hold")
    if sections:
        raise Malformed("Git's patch holds a file that is not in its list")
    return Diff(base, head, tuple(files))


def _sections(patch: bytes) -> list[bytes]:
    # Inside a hunk every line starts with one of " +-\", so this finds files and nothing else.
    starts = [match.start() for match in _SECTION.finditer(patch)]
    if patch and starts[:1] != [0]:
        raise Malformed("Git's patch does not start with a file")
    return [patch[start:end] for start, end in pairwise([*starts, len(patch)])]


def _listed(raw: bytes) -> Iterator[FileDiff]:
    fields = iter(raw.split(b"\0"))
    for fact in fields:
        if fact:
            try:
                yield _named(fact, fields)
            except (ValueError, LookupError, StopIteration):
                raise Malformed(_explain(fact)) from None


def _named(fact: bytes, paths: Iterator[bytes]) -> FileDiff:
    old_mode, new_mode, old_blob, new_blob, letter = fact.decode().split(" ")
    status = STATUSES[letter[0]]
    old_path = _path(next(paths))
    return FileDiff(
        old_path=old_path,
        new_path=_path(next(paths)) if status in TWO_PATHS else old_path,
        status=status,
        kind=_kind((old_mode.removeprefix(":"), new_mode)),
        old_mode=old_mode.removeprefix(":"),
        new_mode=new_mode,
        old_blob=_blob(old_blob),
        new_blob=_blob(new_blob),
    )


def _explain(fact: bytes) -> str:
    if fact.endswith(b" U"):
        return "The index holds a merge conflict: resolve it and stage the files first"
    return "Git described a change in a way that is not known here"


def _path(name: bytes) -> str:
    if not name:
        raise ValueError
    return name.decode("utf-8", "backslashreplace")


def _blob(name: str) -> str | None:
    return name if name.strip("0") else None


def _kind(modes: tuple[str, str]) -> FileKind:
    if SUBMODULE_MODE in modes:
        return FileKind.SUBMODULE
    return FileKind.SYMLINK if SYMLINK_MODE in modes else FileKind.TEXT


def _filled(file: FileDiff, sections: list[bytes]) -> FileDiff:
    found = [hunk for section in sections for hunk in _hunks(section)]
    encoding = _encoding(found)
    binary = file.kind is FileKind.TEXT and not found and _BINARY.search(sections[0])
    return replace(
        file,
        kind=FileKind.BINARY if binary else file.kind,
        hunks=tuple(_hunk(hunk, encoding) for hunk in found),
        encoding=encoding,
    )


def _hunks(section: bytes) -> list[PatchHunk]:
    r"""Hunks whose text is still bytes: each character of a line stands for one byte.

    The names above the hunks are ours. unidiff ends a line at \n alone when it is given a
    string, so CR, form feed, NEL and the Unicode separators stay in their line.
    """
    start = _HUNK.search(section)
    if start is None:
        return []
    body = section[start.start() :].decode("latin-1").removesuffix("\n")
    try:
        hunks = list(PatchSet(f"--- a\n+++ b\n{body}\n")[0])
    except (UnidiffParseError, ValueError):  # int() refuses very long numbers
        raise Malformed("Git's patch has a hunk that does not keep its own counts") from None
    if sum(1 + len(hunk) for hunk in hunks) != body.count("\n") + 1:
        raise Malformed("Git's patch has lines that belong to no hunk")
    return hunks


def _encoding(hunks: list[PatchHunk]) -> str:
    text = "".join(line.value for hunk in hunks for line in hunk)
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return FALLBACK_ENCODING
    return "utf-8"


def _hunk(hunk: PatchHunk, encoding: str) -> Hunk:
    # Git cuts a long heading after a number of bytes, which can be inside a character.
    heading = hunk.section_header.encode("latin-1").decode(encoding, "ignore")
    return Hunk(
        hunk.source_start,
        hunk.source_length,
        hunk.target_start,
        hunk.target_length,
        heading,
        tuple(_lines(hunk, encoding)),
    )


def _lines(hunk: PatchHunk, encoding: str) -> Iterator[DiffLine]:
    old = _first(hunk.source_start, hunk.source_length)
    new = _first(hunk.target_start, hunk.target_length)
    for line, after in zip(hunk, [*hunk[1:], None], strict=True):
        if line.line_type not in _KINDS:
            continue
        kind = LineKind(line.line_type)
        text = line.value.removesuffix("\n").encode("latin-1").decode(encoding)
        newline = after is None or after.line_type != LINE_TYPE_NO_NEWLINE
        yield DiffLine(kind, text, old, new, newline)
        old += kind is not LineKind.ADDED
        new += kind is not LineKind.REMOVED


def _first(start: int, count: int) -> int:
    """The number of a hunk's first line on one side: where that side is empty, `start` names
    the line before it (0: there is none, as in a new file)."""
    return start + 1 if start and not count else start
