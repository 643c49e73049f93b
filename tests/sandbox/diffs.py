"""What git says changed between two commits, line by line, with GitLab's line codes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from tests.sandbox.repository import Commit, Repository
from tests.sandbox.state import Json

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
RENAMES = "--find-renames=30%"  # what Gitaly's CommitDiff asks of git
HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
RAW = re.compile(r":(\d{6}) (\d{6}) \S+ \S+ ([A-Z])\d*")


@dataclass(frozen=True)
class Line:
    """A line of a hunk: its sign (`+`, `-` or a space) and both counters before it is
    consumed (GitLab's `old_pos` and `new_pos`)."""

    sign: str
    text: str
    old: int
    new: int

    @property
    def type(self) -> str:
        """What GitLab wants as `type` of an end of a `line_range`."""
        return "new" if self.sign == "+" else "old"

    @property
    def numbers(self) -> tuple[int | None, int | None]:
        """(old_line, new_line) as a position names this line."""
        return (
            None if self.sign == "+" else self.old,
            None if self.sign == "-" else self.new,
        )


@dataclass(frozen=True)
class FilePatch:
    """One file of a diff; `patch` starts at the first `@@` and is empty for binary files."""

    old_path: str
    new_path: str
    old_mode: str
    new_mode: str
    status: str
    patch: str
    lines: tuple[Line, ...]

    @property
    def path(self) -> str:
        return self.old_path if self.status == "D" else self.new_path

    def line_code(self, line: Line) -> str:
        """lib/gitlab/git.rb: SHA-1 of the path, old position, new position."""
        digest = hashlib.sha1(self.path.encode()).hexdigest()
        return f"{digest}_{line.old}_{line.new}"

    def entity(self) -> Json:
        return {
            "old_path": self.old_path,
            "new_path": self.new_path,
            "a_mode": self.old_mode.lstrip("0") or "0",
            "b_mode": self.new_mode.lstrip("0") or "0",
            "diff": self.patch,
            "collapsed": False,
            "too_large": False,
            "new_file": self.status == "A",
            "renamed_file": self.status == "R",
            "deleted_file": self.status == "D",
            "generated_file": False,
        }


def between(repository: Repository, base: str, head: str) -> list[FilePatch]:
    """The files that differ, in git's order, renames found."""
    raw = repository.git("diff", "--raw", "-z", RENAMES, base, head).decode("utf-8", "replace")
    patch = repository.git("diff", "--no-ext-diff", "--no-textconv", RENAMES, base, head)
    chunks = iter(re.split(r"(?m)^(?=diff --git )", patch.decode("utf-8", "replace"))[1:])
    files = []
    for old_mode, new_mode, status, old_path, new_path in _entries(raw):
        text = _hunks(next(chunks))
        if status == "T":  # git prints a change of type as a removal and an addition
            text += _hunks(next(chunks))
        files.append(
            FilePatch(old_path, new_path, old_mode, new_mode, status, text, tuple(_lines(text)))
        )
    return files


def of_commit(repository: Repository, commit: Commit) -> list[FilePatch]:
    """What a commit changed against its first parent."""
    return between(repository, commit.parents[0] if commit.parents else EMPTY_TREE, commit.sha)


def _entries(raw: str) -> list[tuple[str, str, str, str, str]]:
    parts = iter(raw.split("\0"))
    entries = []
    for head in parts:
        found = RAW.fullmatch(head)
        if found:
            old_path = next(parts)
            new_path = next(parts) if found[3] in "RC" else old_path
            entries.append((found[1], found[2], found[3], old_path, new_path))
    return entries


def _hunks(chunk: str) -> str:
    start = re.search(r"(?m)^@@ ", chunk)
    return chunk[start.start() :] if start else ""


def _lines(patch: str) -> list[Line]:
    lines = []
    old = new = 0
    for row in patch.split("\n"):
        header = HUNK.match(row)
        if header:
            old, new = int(header[1]), int(header[2])
        elif row[:1] in ("+", "-", " ") and row:
            lines.append(Line(row[0], row[1:], old, new))
            old += row[0] != "+"
            new += row[0] != "-"
    return lines
