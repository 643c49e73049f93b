"""A change, as git and the forge describe it, and what a model is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LineKind(StrEnum):
    """What a diff says of a line; the values are the characters of a unified diff."""

    ADDED = "+"
    REMOVED = "-"
    CONTEXT = " "


class Side(StrEnum):
    """Which version of a file a line number counts in."""

    OLD = "old"
    NEW = "new"


class FileStatus(StrEnum):
    """What happened to a file (the letters of `git diff --raw`, in words)."""

    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    TYPE_CHANGED = "type_changed"


class FileKind(StrEnum):
    """What a file is, as far as reviewing it goes."""

    TEXT = "text"
    BINARY = "binary"
    SUBMODULE = "submodule"
    SYMLINK = "symlink"
    OVERSIZED = "oversized"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a hunk.

    `old` and `new` are the counters of both sides *before* this line is consumed, so every
    line has both: for an added line `old` is the number the next old line has (0 in a new
    file). Forges need that pair to name a line. `text` has no line terminator, but keeps a
    trailing CR; `newline` is False where git says "No newline at end of file".
    """

    kind: LineKind
    text: str
    old: int
    new: int
    newline: bool = True

    @property
    def label(self) -> str:
        """How the model is shown this line and names it: `12`, or `-14` if it is removed."""
        return f"-{self.old}" if self.kind is LineKind.REMOVED else str(self.new)


@dataclass(frozen=True, slots=True)
class Hunk:
    """A run of changed lines with their context; counts are in lines."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    heading: str
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """Everything a diff says about one file.

    `old_path` and `new_path` are always set and equal unless the file was renamed or
    copied (the rule of GitLab's positions). `encoding` is the codec its bytes were read
    with. Blob ids are full hex object names, or None where git had none (staged work).
    """

    old_path: str
    new_path: str
    status: FileStatus
    kind: FileKind
    old_mode: str
    new_mode: str
    hunks: tuple[Hunk, ...] = ()
    encoding: str = "utf-8"
    old_blob: str | None = None
    new_blob: str | None = None

    @property
    def path(self) -> str:
        """The name people know the file by after the change (before it, if deleted)."""
        return self.old_path if self.status is FileStatus.DELETED else self.new_path


@dataclass(frozen=True, slots=True)
class Diff:
    """A change between two commits, or between a commit and the index (`head` is None)."""

    base: str
    head: str | None
    files: tuple[FileDiff, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a forge. `path` is the full name (group/name)."""

    id: int
    path: str
    default_branch: str
    clone_url: str


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A merge request as the forge describes it now.

    The SHAs are GitLab's `diff_refs`: base and start are None until the forge has made the
    diff; `head_sha` is known before that, and in lists.
    """

    project_id: int
    iid: int
    title: str
    description: str
    source_branch: str
    target_branch: str
    state: str
    draft: bool
    web_url: str
    base_sha: str | None
    start_sha: str | None
    head_sha: str | None
    prepared: bool

    @property
    def ready(self) -> bool:
        """Whether the forge has finished making the diff, so that positions are valid."""
        return self.prepared and None not in (self.base_sha, self.start_sha, self.head_sha)


@dataclass(frozen=True, slots=True)
class Context:
    """What the model is shown about a part of one file, within its budget.

    `hunks` are the lines it sees (a part of a hunk if the whole one is too long), `text`
    is those lines as shown, each behind its label and secrets redacted; `rules` are the
    repository's own words for this path. `tokens` is the cost of `text` and `rules`.
    """

    file: FileDiff
    hunks: tuple[Hunk, ...]
    text: str
    rules: tuple[str, ...]
    tokens: int

    @property
    def lines(self) -> dict[str, DiffLine]:
        """The shown lines by label."""
        return {line.label: line for hunk in self.hunks for line in hunk.lines}

    @property
    def changed(self) -> tuple[str, ...]:
        """The labels of the added and removed lines, in the order shown."""
        return tuple(
            label for label, line in self.lines.items() if line.kind is not LineKind.CONTEXT
        )
