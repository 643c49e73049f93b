"""Our comments in one merge request of GitLab: reading them, and adding what is missing.

Nothing here retries; every function may be called again after it failed half-way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from gitlab.v4.objects import ProjectMergeRequest

from bot.domain import MergeRequest
from bot.errors import Unplaceable
from bot.integrations.gitlab_positions import Json, file_position, text_position
from bot.ports import Remark


class Pace:
    """Keeps at least `gap_s` seconds between the comments of all threads."""

    def __init__(self, gap_s: float, sleep: Callable[[float], None]) -> None:
        self._gap_s = gap_s
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is our turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
        self._sleep(turn - now)


def fingerprints(
    on: ProjectMergeRequest, us: int, markers: Callable[[str], Iterable[str]]
) -> frozenset[str]:
    """What `markers` finds in the comments of the account `us`, and in nobody else's: anyone
    can write a marker."""
    return frozenset(
        fingerprint
        for discussion in on.discussions.list(iterator=True)
        for note in discussion.attributes["notes"]
        if note["author"]["id"] == us
        for fingerprint in markers(note["body"])
    )


def place(
    on: ProjectMergeRequest, merge_request: MergeRequest, remark: Remark, pace: Pace
) -> None:
    """Post a remark on its lines, else on its file, else raise Unplaceable."""
    try:
        _discuss(on, remark.body, text_position(merge_request, remark.anchor), pace)
    except Unplaceable:
        position = file_position(merge_request, remark.anchor)
        _discuss(on, remark.unplaced_body, position, pace)


def keep_one(
    on: ProjectMergeRequest, us: int, is_ours: Callable[[str], bool], body: str, pace: Pace
) -> None:
    """Make the one note of the account `us` for which `is_ours` holds say `body`. Of several
    (two runs at once, a crash) the first stays; one that a person deleted is made again."""
    found = [
        note
        for note in on.notes.list(iterator=True, order_by="created_at", sort="asc")
        if note.author["id"] == us and is_ours(note.body)
    ]
    if not found:
        pace.wait()
        on.notes.create({"body": body})
        return
    first, *spare = sorted(found, key=lambda note: note.id)
    if _stored(first.body) != _stored(body):
        on.notes.update(first.id, {"body": body})
    for note in spare:
        on.notes.delete(note.id)


def _discuss(on: ProjectMergeRequest, body: str, position: Json, pace: Pace) -> None:
    """A comment that lost its position on the way is taken back."""
    pace.wait()
    made = on.discussions.create({"body": body, "position": position})
    note = made.attributes["notes"][0]
    if note.get("position") is None:
        on.notes.delete(note["id"])
        raise Unplaceable("GitLab has posted a comment without its position")


def _stored(body: str) -> str:
    """A body as GitLab keeps it: without carriage returns and outer white space."""
    return body.replace("\r", "").strip()
