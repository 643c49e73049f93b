"""What the stand-in remembers: users, projects, merge requests and what hangs on them.

Times are aware UTC datetimes, ids are unique across all kinds, so that mixing up two of
them is always noticed.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.sandbox.repository import Person, Repository

if TYPE_CHECKING:
    from tests.sandbox.hooks import Message

Json = dict[str, Any]


class Role(IntEnum):
    """GitLab's access levels, with their numbers."""

    NONE = 0
    GUEST = 10
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40


class Refused(Exception):
    """The request cannot be served: an HTTP status and the body GitLab sends with it."""

    def __init__(self, status: int, message: Any = None, *, error: str | None = None) -> None:
        super().__init__(status, message or error)
        self.status = status
        self.body: Json = {"error": error} if error else {"message": message}


def not_found(what: str = "") -> Refused:
    return Refused(404, f"404 {what} Not Found" if what else "404 Not found")


def forbidden() -> Refused:
    return Refused(403, "403 Forbidden")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class User:
    """`token` works as private token, as bearer and as git password."""

    id: int
    username: str
    token: str

    @property
    def person(self) -> Person:
        return Person(self.username, f"{self.username}@sandbox.invalid")


@dataclass(frozen=True)
class Version:
    """One state of a merge request's diff; `start` is the target's tip when it was made."""

    id: int
    base: str
    start: str
    head: str
    created_at: datetime

    @property
    def refs(self) -> Json:
        return {"base_sha": self.base, "start_sha": self.start, "head_sha": self.head}


@dataclass
class Award:
    id: int
    user: User
    name: str
    created_at: datetime


@dataclass
class Suggestion:
    """`from_line`..`to_line` of `path` at `head` would become `to_content`."""

    id: int
    from_line: int
    to_line: int
    from_content: str
    to_content: str
    applied: bool = False


@dataclass
class Note:
    """`position` is where the note is now, `original_position` where it was written and
    `change_position` where its line was last seen, once the line is gone."""

    id: int
    author: User
    body: str
    created_at: datetime
    updated_at: datetime
    type: str | None = None
    position: Json | None = None
    original_position: Json | None = None
    change_position: Json | None = None
    line_code: str | None = None
    resolvable: bool = False
    internal: bool = False
    commands_changes: Json = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)

    @property
    def outdated(self) -> bool:
        return self.change_position is not None


@dataclass
class Discussion:
    id: str
    individual: bool
    notes: list[Note] = field(default_factory=list)
    resolved_by: User | None = None
    resolved_at: datetime | None = None

    @property
    def resolvable(self) -> bool:
        return any(note.resolvable for note in self.notes)

    @property
    def resolved(self) -> bool:
        return self.resolved_by is not None


@dataclass
class DraftNote:
    id: int
    author: User
    note: str
    position: Json | None
    line_code: str | None
    in_reply_to: str | None
    resolve: bool


@dataclass
class MergeRequest:
    """`reads_until_prepared` counts down with each read; the diff is there at zero."""

    id: int
    iid: int
    project: Project
    author: User
    title: str
    description: str
    source_branch: str
    target_branch: str
    created_at: datetime
    updated_at: datetime
    reads_until_prepared: int
    prepared_at: datetime | None = None
    state: str = "opened"
    labels: list[str] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    approvals: list[User] = field(default_factory=list)
    locked: bool = False
    seconds_spent: int = 0
    merge_commit: str | None = None
    versions: list[Version] = field(default_factory=list)
    discussions: list[Discussion] = field(default_factory=list)
    drafts: list[DraftNote] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)

    @property
    def draft(self) -> bool:
        return self.title.startswith("Draft: ")

    @property
    def version(self) -> Version:
        return self.versions[-1]

    @property
    def prepared(self) -> bool:
        return self.prepared_at is not None

    @property
    def notes(self) -> list[Note]:
        return [note for discussion in self.discussions for note in discussion.notes]


@dataclass
class CommitComment:
    author: User
    note: str
    path: str | None
    line: int | None
    line_type: str | None
    created_at: datetime


@dataclass
class Status:
    id: int
    sha: str
    ref: str | None
    state: str
    name: str
    description: str | None
    target_url: str | None
    author: User
    created_at: datetime


@dataclass
class Hook:
    """A webhook. `events` are the names of the switched-on `*_events` flags. `failures`
    counts attempts that failed since the last one that worked; four disable the hook."""

    id: int
    url: str
    uuid: str
    events: frozenset[str]
    created_at: datetime
    token: str | None = None
    signing_token: str | None = None
    tls: bool = True
    failures: int = 0

    @property
    def disabled(self) -> bool:
        return self.failures >= 4


@dataclass
class Project:
    """`branches` are the tips that hooks and merge requests were last told of; `comments`
    are keyed by commit."""

    id: int
    path: str
    default_branch: str
    repository: Repository
    created_at: datetime
    members: dict[int, Role] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    merge_requests: list[MergeRequest] = field(default_factory=list)
    comments: dict[str, list[CommitComment]] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)

    def role(self, user: User) -> Role:
        return self.members.get(user.id, Role.NONE)


@dataclass
class World:
    """Everything there is. Whoever reads or changes it holds `lock`."""

    directory: Path
    url: str = ""
    preparing_reads: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    users: list[User] = field(default_factory=list)
    projects: list[Project] = field(default_factory=list)
    executed: list[tuple[str, str]] = field(default_factory=list)
    outbox: queue.Queue[Message | None] = field(default_factory=queue.Queue)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self) -> int:
        return next(self.ids)

    def user_of_token(self, token: str) -> User | None:
        return next((user for user in self.users if user.token == token), None)

    def project(self, key: int | str) -> Project | None:
        """A project by number (also as digits) or by full path."""
        return next((p for p in self.projects if str(key) in (str(p.id), p.path)), None)
