"""What travels through Strop: frozen values, with identity as a computed property.

Nothing here does I/O and nothing here knows a forge, an engine or a database.
"""

from bot.domain.asking import (
    Capabilities,
    Completion,
    Finish,
    ModelIdentity,
    Prompt,
)
from bot.domain.change import (
    Context,
    Diff,
    DiffLine,
    FileDiff,
    FileKind,
    FileStatus,
    Hunk,
    LineKind,
    MergeRequest,
    Project,
    Side,
)
from bot.domain.events import (
    Event,
    EventKind,
    Job,
    JobKind,
)
from bot.domain.review import (
    Anchor,
    Category,
    FileOutcome,
    FileState,
    Finding,
    HeldBack,
    HoldReason,
    LinePoint,
    RawFinding,
    Review,
    Severity,
    Usage,
)

__all__ = [
    "Anchor",
    "Capabilities",
    "Category",
    "Completion",
    "Context",
    "Diff",
    "DiffLine",
    "Event",
    "EventKind",
    "FileDiff",
    "FileKind",
    "FileOutcome",
    "FileState",
    "FileStatus",
    "Finding",
    "Finish",
    "HeldBack",
    "HoldReason",
    "Hunk",
    "Job",
    "JobKind",
    "LineKind",
    "LinePoint",
    "MergeRequest",
    "ModelIdentity",
    "Project",
    "Prompt",
    "RawFinding",
    "Review",
    "Severity",
    "Side",
    "Usage",
]
