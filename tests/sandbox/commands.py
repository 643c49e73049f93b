"""Running quick actions with the rights of whoever wrote them.

Those without a runner here (reminders and the like) only leave the text and are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.sandbox import merge_requests, merging
from tests.sandbox.quick_actions import Command, extract
from tests.sandbox.state import (
    Award,
    Json,
    MergeRequest,
    Project,
    Refused,
    Role,
    User,
    World,
    now,
)

Runner = Callable[[World, MergeRequest, User, str], Json]


def run(world: World, merge_request: MergeRequest, user: User, text: str) -> tuple[str, Json]:
    """Run the commands in a text. Returns the text without them, and what they changed (the
    `commands_changes` of GitLab's answers)."""
    rest, commands = extract(text)
    return rest, _run_all(world, merge_request, user, commands)


def create_merge_request(
    world: World,
    project: Project,
    author: User,
    *,
    source: str,
    target: str,
    title: str,
    description: str,
) -> MergeRequest:
    """Open a merge request; commands in its description run too."""
    rest, commands = extract(description)
    made = merge_requests.create(
        world,
        project,
        author,
        source=source,
        target=target,
        title=title,
        description=rest,
    )
    _run_all(world, made, author, commands)
    return made


def _run_all(
    world: World, merge_request: MergeRequest, user: User, commands: list[Command]
) -> Json:
    """Commands of people below Developer do nothing."""
    if merge_request.project.role(user) < Role.DEVELOPER:
        return {}
    changes: Json = {}
    for command in commands:
        world.executed.append((user.username, command.name))
        changes |= _run(world, merge_request, user, command)
    return changes


def _run(world: World, merge_request: MergeRequest, user: User, command: Command) -> Json:
    runner = RUNNERS.get(command.name)
    try:
        return runner(world, merge_request, user, command.argument) if runner else {}
    except Refused:  # GitLab says "Could not apply" and goes on
        return {}


def _merge(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    head = merge_request.version.head
    merging.merge(world, merge_request, user)
    return {"merge": head}


def _close(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    merge_requests.set_state(world, merge_request, user, "close")
    return {"state_event": "close"}


def _reopen(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    merge_requests.set_state(world, merge_request, user, "reopen")
    return {"state_event": "reopen"}


def _approve(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    merge_requests.approve(world, merge_request, user)
    return {"approved": True}


def _unapprove(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    merge_requests.unapprove(world, merge_request, user)
    return {"unapproved": True}


def _title(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    return _edit(world, merge_request, user, {"title": argument}) if argument else {}


def _draft(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    title = merge_requests.draft_title(merge_request.title, draft=not merge_request.draft)
    return _edit(world, merge_request, user, {"title": title})


def _ready(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    title = merge_requests.draft_title(merge_request.title, draft=False)
    return _edit(world, merge_request, user, {"title": title})


def _target(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    if merge_request.project.repository.tip(argument) is None:
        return {}
    return _edit(world, merge_request, user, {"target_branch": argument})


def _label(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    more = [name for name in argument.split() if name not in merge_request.labels]
    return _edit(world, merge_request, user, {"labels": [*merge_request.labels, *more]})


def _unlabel(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    gone = argument.split() or merge_request.labels
    kept = [name for name in merge_request.labels if name not in gone]
    return _edit(world, merge_request, user, {"labels": kept})


def _assign(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    names = [user.username if name == "me" else name.lstrip("@") for name in argument.split()]
    people = [who for who in world.users if who.username in names]
    return _edit(world, merge_request, user, {"assignees": people})


def _unassign(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    return _edit(world, merge_request, user, {"assignees": []})


def _lock(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    return _edit(world, merge_request, user, {"locked": True})


def _unlock(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    return _edit(world, merge_request, user, {"locked": False})


def _award(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    name = argument.strip(":")
    merge_request.awards.append(Award(world.new_id(), user, name, now()))
    return {"emoji_award": name}


def _spend(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    units = {"h": 3600, "m": 60, "s": 1}
    amounts = re.findall(r"(\d+)([hms])", argument)
    seconds = sum(int(number) * units[unit] for number, unit in amounts)
    merge_request.seconds_spent += seconds
    return {"spend_time": {"duration": seconds}}


def _rebase(world: World, merge_request: MergeRequest, user: User, argument: str) -> Json:
    return {"rebase": merge_request.version.head}


def _edit(world: World, merge_request: MergeRequest, user: User, changes: Json) -> Json:
    return {
        name: change["current"]
        for name, change in merge_requests.edit(world, merge_request, user, changes).items()
    }


RUNNERS: dict[str, Runner] = {
    "approve": _approve,
    "assign": _assign,
    "award": _award,
    "close": _close,
    "draft": _draft,
    "label": _label,
    "lock": _lock,
    "merge": _merge,
    "ready": _ready,
    "rebase": _rebase,
    "reopen": _reopen,
    "spend": _spend,
    "target_branch": _target,
    "title": _title,
    "unapprove": _unapprove,
    "unassign": _unassign,
    "unlabel": _unlabel,
    "unlock": _unlock,
}
