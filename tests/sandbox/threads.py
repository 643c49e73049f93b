"""Finding threads and notes, and resolving threads."""

from __future__ import annotations

from tests.sandbox import events
from tests.sandbox.state import (
    Discussion,
    MergeRequest,
    Note,
    Role,
    User,
    World,
    forbidden,
    not_found,
    now,
)


def thread_of(which: MergeRequest, discussion_id: str) -> Discussion:
    for thread in which.discussions:
        if thread.id == discussion_id:
            return thread
    raise not_found("Discussion")


def find(which: MergeRequest, note_id: int) -> tuple[Discussion, Note]:
    for thread in which.discussions:
        for note in thread.notes:
            if note.id == note_id:
                return thread, note
    raise not_found("Note")


def resolve(
    world: World, which: MergeRequest, thread: Discussion, user: User, *, resolved: bool
) -> None:
    """Developers and the author of the merge request may resolve a thread. When the last
    open one is resolved, the hooks hear of it as an update in which nothing changed."""
    if which.project.role(user) < Role.DEVELOPER and user != which.author:
        raise forbidden()
    if not thread.resolvable:
        raise forbidden()
    if resolved == thread.resolved:
        return
    thread.resolved_by = user if resolved else None
    thread.resolved_at = now() if resolved else None
    if all(other.resolved for other in which.discussions if other.resolvable):
        events.merge_request(world, which, user, "update")
