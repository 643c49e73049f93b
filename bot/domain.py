"""What travels through Strop: frozen values, with identity as a computed property.

Nothing here does I/O and nothing here knows a forge, an engine or a database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# --- a change, as git and the forge describe it ------------------------------------------


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


# --- what a forge said, and what we will do about it -------------------------------------


class EventKind(StrEnum):
    """The events that cause work."""

    MERGE_REQUEST = "merge_request"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Event:
    """One event, whatever brought it (webhook, poll).

    `delivery` identifies the delivery and is the same when it is sent again. For a merge
    request `iid` is set and `head_sha` is its head; for a push `branch` is set and
    `head_sha` is the new tip.
    """

    delivery: str
    kind: EventKind
    action: str
    project_id: int
    project_path: str
    actor_id: int | None
    head_sha: str | None
    iid: int | None = None
    branch: str | None = None


class JobKind(StrEnum):
    """The work a job does."""

    REVIEW = "review"
    FAN_OUT = "fan_out"


@dataclass(frozen=True, slots=True)
class Job:
    """Work with a name: REVIEW one merge request at one head, or FAN_OUT a push to the open
    merge requests of its branch."""

    kind: JobKind
    project_id: int
    head_sha: str
    delivery: str
    iid: int | None = None
    branch: str | None = None

    @property
    def subject(self) -> str:
        """What jobs that must not run at the same time have in common; ends in a colon, so
        that merge request 1 is no prefix of merge request 10."""
        what = f"mr:{self.iid}" if self.kind is JobKind.REVIEW else f"branch:{self.branch}"
        return f"{self.kind}:{self.project_id}:{what}:"

    @property
    def id(self) -> str:
        """Unique and repeatable: the same delivery makes the same job only once."""
        return f"{self.subject}{self.head_sha}:{self.delivery}"


# --- what a model is shown ----------------------------------------------------------------


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


# --- asking a model ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; tasks adapt to it.

    `batch` is how many prompts it works on at once; `exact_tokens` says whether
    `count_tokens` is the model's own count (else it never counts too few).
    """

    grammar: bool
    logprobs: bool
    lora: bool
    batch: int
    exact_tokens: bool


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights answered: a name for people, and a digest (SHA-256 of the file, or what
    a server says it serves)."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a model.

    `system` holds the fixed instructions that all prompts of a task share (evaluated once);
    `user` holds what differs. `schema` is canonical JSON text of a JSON schema for the
    answer, or None for free text. `template` is the content hash of the template that
    rendered it. `max_tokens` limits the answer.
    """

    task: str
    template: str
    system: str
    user: str
    max_tokens: int
    schema: str | None = None
    temperature: float = 0.0
    seed: int = 0

    def key(self, model: ModelIdentity) -> str:
        """Content hash under which an answer of `model` to this prompt is remembered."""
        parts = [
            model.digest, self.task, self.template, self.system, self.user,
            str(self.max_tokens), self.schema, str(self.temperature), str(self.seed),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Finish(StrEnum):
    """Why an answer ended; only STOP is a whole answer."""

    STOP = "stop"
    LENGTH = "length"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer. `prompt_tokens` counts the whole prompt, of which `cached_tokens`
    were not evaluated again; times are seconds."""

    text: str
    finish: Finish
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: float


# --- what a review says ------------------------------------------------------------------


class Severity(StrEnum):
    """How bad it is if the finding is true, mildest first."""

    INFO = "info"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Position in the order from mildest (0) to worst."""
        return list(Severity).index(self)


class Category(StrEnum):
    """What kind of trouble a finding is about."""

    CORRECTNESS = "correctness"
    SECURITY = "security"
    PERFORMANCE = "performance"
    MAINTAINABILITY = "maintainability"


@dataclass(frozen=True, slots=True)
class RawFinding:
    """One remark as a model put it: well formed, but not yet placed or believed.

    `first` and `last` are line labels (`DiffLine.label`) as the model wrote them;
    `replacement` are lines that would replace that range, or None.
    """

    first: str
    last: str
    claim: str
    why: str
    category: Category
    severity: Severity
    replacement: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LinePoint:
    """A line of a diff, named the way forges name it: its kind and both counters."""

    kind: LineKind
    old: int
    new: int

    @property
    def side(self) -> Side:
        """Removed lines live on the old side, all others on the new one."""
        return Side.OLD if self.kind is LineKind.REMOVED else Side.NEW

    @property
    def number(self) -> int:
        """The line number on its own side, from 1."""
        return self.old if self.side is Side.OLD else self.new


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a finding points: a range of diff lines of one hunk, both ends on one side."""

    old_path: str
    new_path: str
    first: LinePoint
    last: LinePoint

    @property
    def side(self) -> Side:
        """The side both ends are on."""
        return self.last.side

    @property
    def path(self) -> str:
        """The path on that side."""
        return self.old_path if self.side is Side.OLD else self.new_path


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about a change.

    `claim` is one sentence that says what is wrong, `why` what follows from it.
    `replacement` are the lines (no terminators) that would replace the anchored range, or
    None. `fingerprint` identifies the remark by what it is about, not by line numbers
    (see `findings.duplicates`). `code` quotes the anchored lines.
    """

    anchor: Anchor
    severity: Severity
    category: Category
    claim: str
    why: str
    fingerprint: str
    code: tuple[str, ...]
    replacement: tuple[str, ...] | None = None


class HoldReason(StrEnum):
    """Why a finding is kept but not shown."""

    UNANCHORED = "unanchored"
    DUPLICATE = "duplicate"
    QUOTA = "quota"
    EMPTY = "empty"
    ECHO = "echo"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A finding that was not shown, and why. `finding` is None where it never had a place."""

    path: str
    claim: str
    reason: HoldReason
    finding: Finding | None = None


class FileState(StrEnum):
    """How the review of one file ended."""

    REVIEWED = "reviewed"
    SKIPPED = "skipped"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """Every file of a diff ends as one of these; `reason` is a short phrase unless reviewed."""

    path: str
    state: FileState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a review cost: model calls, tokens, and seconds of waiting for them. `remembered`
    counts answers that came from the store and cost nothing."""

    calls: int = 0
    remembered: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    def plus(self, completions: Sequence[Completion], seconds: float) -> Usage:
        """This usage and one more batch of calls, which took `seconds` by the clock."""
        return Usage(
            self.calls + len(completions),
            self.remembered,
            self.prompt_tokens + sum(one.prompt_tokens for one in completions),
            self.cached_tokens + sum(one.cached_tokens for one in completions),
            self.output_tokens + sum(one.output_tokens for one in completions),
            self.seconds + seconds,
        )


@dataclass(frozen=True, slots=True)
class Review:
    """The result of reading one diff: an outcome for every file, findings best first, and
    what was held back."""

    diff: Diff
    model: ModelIdentity
    files: tuple[FileOutcome, ...]
    findings: tuple[Finding, ...]
    held_back: tuple[HeldBack, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def complete(self) -> bool:
        """Whether every file was either read to its end or skipped for a stated reason. A
        review that is not complete is never called clean."""
        return all(f.state is not FileState.INCOMPLETE for f in self.files)
