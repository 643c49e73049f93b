"""Telling a project's webhooks what happened."""

from __future__ import annotations

import uuid

from tests.sandbox import diffs, payloads
from tests.sandbox.hooks import Message
from tests.sandbox.mergeability import status
from tests.sandbox.state import (
    Award,
    Discussion,
    Hook,
    Json,
    MergeRequest,
    Note,
    Project,
    Refused,
    User,
    World,
)

MOST_COMMITS = 20
NAMES = {
    "merge_requests_events": "Merge Request Hook",
    "push_events": "Push Hook",
    "note_events": "Note Hook",
    "emoji_events": "Emoji Hook",
}


def tell(world: World, project: Project, flag: str, payload: Json) -> None:
    """Queue a payload for every working hook that asked for this kind of event."""
    event = str(uuid.uuid4())
    for hook in project.hooks:
        if flag in hook.events and not hook.disabled:
            world.outbox.put(message(hook, flag, payload, event))


def message(hook: Hook, flag: str, payload: Json, event: str) -> Message:
    return Message(hook, NAMES[flag], event, str(uuid.uuid4()), payload)


def merge_request(
    world: World,
    which: MergeRequest,
    actor: User,
    action: str,
    *,
    oldrev: str | None = None,
    changes: Json | None = None,
) -> None:
    state = status(which)
    payload = payloads.merge_request(
        world.url, which, actor, action, merge_status=state, oldrev=oldrev, changes=changes
    )
    tell(world, which.project, "merge_requests_events", payload)


def push(
    world: World, project: Project, user: User, branch: str, shas: tuple[str, str]
) -> None:
    payload = push_payload(world, project, user, branch, shas)
    tell(world, project, "push_events", payload)


def push_payload(
    world: World, project: Project, user: User, branch: str, shas: tuple[str, str]
) -> Json:
    old, new = shas
    gone, made = not new.strip("0"), not old.strip("0")
    repository = project.repository
    commits = [] if gone else repository.commits(new if made else f"{old}..{new}")
    told = [(one, diffs.of_commit(repository, one)) for one in reversed(commits[:MOST_COMMITS])]
    return payloads.push(
        world.url, project, user, branch, shas, commits=told, total=len(commits)
    )


def note(
    world: World, which: MergeRequest, thread: Discussion, told: Note, action: str
) -> None:
    state = status(which)
    payload = payloads.note(world.url, which, thread, told, action=action, merge_status=state)
    tell(world, which.project, "note_events", payload)


def emoji(
    world: World,
    which: MergeRequest,
    award: Award,
    action: str,
    on: tuple[Discussion, Note] | None,
) -> None:
    """`action` is `award` or `revoke`."""
    state = status(which)
    payload = payloads.emoji(world.url, which, award, action, merge_status=state, on=on)
    tell(world, which.project, "emoji_events", payload)


def sample(world: World, project: Project, user: User, flag: str) -> Json:
    """What a test delivery carries. Like GitLab's, it needs something real to speak of."""
    if flag == "push_events":
        return _sample_push(world, project, user)
    if not project.merge_requests:
        raise Refused(422, "Ensure the project has merge requests.")
    newest = project.merge_requests[-1]
    if flag == "merge_requests_events":
        state = status(newest)
        return payloads.merge_request(world.url, newest, user, "open", merge_status=state)
    if not newest.discussions:
        raise Refused(422, "Ensure the project has notes.")
    thread = newest.discussions[-1]
    told = thread.notes[-1]
    return payloads.note(
        world.url, newest, thread, told, action="create", merge_status=status(newest)
    )


def _sample_push(world: World, project: Project, user: User) -> Json:
    tip = project.repository.tip(project.default_branch)
    if tip is None:
        raise Refused(422, "Ensure the project has at least one commit.")
    parents = project.repository.commits(tip, limit=1)[0].parents
    old = parents[0] if parents else "0" * 40
    return push_payload(world, project, user, project.default_branch, (old, tip))
