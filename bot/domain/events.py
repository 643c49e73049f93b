"""What a forge said, and what we will do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
