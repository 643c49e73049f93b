"""Emoji on merge requests and on notes."""

from __future__ import annotations

from tests.sandbox import events, threads
from tests.sandbox.state import (
    Award,
    MergeRequest,
    Note,
    Refused,
    User,
    World,
    forbidden,
    not_found,
    now,
)


def give(world: World, which: MergeRequest, user: User, name: str, note: Note | None) -> Award:
    """Give an emoji to a note, or to the merge request itself; once a person and name."""
    awards = note.awards if note else which.awards
    if any((a.user, a.name) == (user, name) for a in awards):
        raise Refused(404, "404 Award Emoji Name has already been taken Not Found")
    given = Award(world.new_id(), user, name, now())
    awards.append(given)
    events.emoji(world, which, given, "award", threads.find(which, note.id) if note else None)
    return given


def revoke(
    world: World, which: MergeRequest, user: User, award_id: int, note: Note | None
) -> None:
    awards = note.awards if note else which.awards
    taken = next((a for a in awards if a.id == award_id), None)
    if taken is None:
        raise not_found("Award Emoji")
    if taken.user != user:
        raise forbidden()
    awards.remove(taken)
    events.emoji(world, which, taken, "revoke", threads.find(which, note.id) if note else None)
