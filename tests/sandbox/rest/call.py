"""One authenticated call of the REST API, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from tests.sandbox import threads
from tests.sandbox.hooks import Message
from tests.sandbox.state import (
    Json,
    MergeRequest,
    Note,
    Project,
    Refused,
    Role,
    User,
    World,
    forbidden,
    not_found,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """Bytes are sent as they are, everything else as JSON. `deliver` is sent to its hook
    first, and if that fails the answer is 422."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deliver: Message | None = None


@dataclass(frozen=True)
class Call:
    """`path` holds the decoded path parameters; a handler asks for what it needs, and each
    verb raises Refused as GitLab would."""

    world: World
    user: User
    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Json

    def project(self, least: Role = Role.REPORTER) -> Project:
        """The project in the path: 404 for strangers, 403 below the `least` role."""
        project = self.world.project(self.path["id"])
        if project is None or project.role(self.user) == Role.NONE:
            raise not_found("Project")
        if project.role(self.user) < least:
            raise forbidden()
        return project

    def merge_request(self, least: Role = Role.REPORTER) -> MergeRequest:
        for which in self.project(least).merge_requests:
            if str(which.iid) == self.path["iid"]:
                return which
        raise not_found()

    def note(self) -> Note:
        return threads.find(self.merge_request(), self.number("note_id"))[1]

    def given(self, name: str) -> Any:
        """A required parameter of the body."""
        if self.body.get(name) is None:
            raise Refused(400, error=f"{name} is missing")
        return self.body[name]

    def number(self, name: str) -> int:
        """A path parameter that is an id."""
        if not self.path[name].isdecimal():
            raise Refused(400, error=f"{name} is invalid")
        return int(self.path[name])

    def page(self, items: Sequence[T], entity: Callable[[T], Any]) -> Answer:
        """A page of a list, with GitLab's paging headers."""
        number, size = self._paging("page", 1), min(self._paging("per_page", 20), 100)
        pages = max(-(-len(items) // size), 1)
        shown = items[(number - 1) * size : number * size]
        headers = {
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Total": str(len(items)),
            "X-Total-Pages": str(pages),
            "X-Next-Page": str(number + 1) if number < pages else "",
            "X-Prev-Page": str(number - 1) if number > 1 else "",
        }
        if number < pages:
            headers["Link"] = f'<{self._at(number + 1, size)}>; rel="next"'
        return Answer(200, [entity(item) for item in shown], headers)

    def _paging(self, name: str, default: int) -> int:
        text = self.query.get(name, str(default))
        if not text.isdecimal() or int(text) == 0:
            raise Refused(400, error=f"{name} is invalid")
        return int(text)

    def _at(self, number: int, size: int) -> str:
        query = {**self.query, "page": str(number), "per_page": str(size)}
        return f"{self.url}?{urlencode(query)}"
