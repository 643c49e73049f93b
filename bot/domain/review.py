"""What a review says, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.asking import Completion, ModelIdentity
from bot.domain.change import Diff, LineKind, Side


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
