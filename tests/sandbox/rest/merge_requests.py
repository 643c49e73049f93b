"""Merge requests, their versions and their diffs."""

from __future__ import annotations

from tests.sandbox import commands, merge_requests, merging
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import Json, MergeRequest, Refused, Role, not_found

FIELDS = ("title", "description", "target_branch", "labels")


def index(call: Call) -> Answer:
    """Newest first; filtered by state, branches and iids."""
    query = call.query
    state = query.get("state", "all")
    found = [
        which
        for which in reversed(call.project().merge_requests)
        if state in ("all", which.state)
        and query.get("source_branch") in (None, which.source_branch)
        and query.get("target_branch") in (None, which.target_branch)
        and query.get("iids[]") in (None, str(which.iid))
    ]
    return call.page(found, lambda which: entities.merge_request(call.world, which))


def show(call: Call) -> Answer:
    which = call.merge_request()
    merge_requests.read(which)
    return Answer(200, entities.full_merge_request(call.world, which))


def create(call: Call) -> Answer:
    which = commands.create_merge_request(
        call.world,
        call.project(Role.DEVELOPER),
        call.user,
        source=call.given("source_branch"),
        target=call.given("target_branch"),
        title=call.given("title"),
        description=call.body.get("description") or "",
    )
    return Answer(201, entities.full_merge_request(call.world, which))


def update(call: Call) -> Answer:
    which = call.merge_request()
    _may_edit(call, which)
    changes = {name: call.body[name] for name in FIELDS if name in call.body}
    if "description" in changes:
        changes["description"], _ = commands.run(
            call.world, which, call.user, changes["description"] or ""
        )
    merge_requests.edit(call.world, which, call.user, _labelled(call, which, changes))
    if event := call.body.get("state_event"):
        merge_requests.set_state(call.world, which, call.user, event)
    return Answer(200, entities.full_merge_request(call.world, which))


def _may_edit(call: Call, which: MergeRequest) -> None:
    if which.project.role(call.user) < Role.DEVELOPER and call.user != which.author:
        raise Refused(403, "403 Forbidden")


def _labelled(call: Call, which: MergeRequest, changes: Json) -> Json:
    add, remove = call.body.get("add_labels", []), call.body.get("remove_labels", [])
    if not add and not remove:
        return changes
    kept = [label for label in which.labels if label not in (*remove, *add)]
    return {**changes, "labels": [*kept, *add]}


def merge(call: Call) -> Answer:
    which = call.merge_request(Role.DEVELOPER)
    if call.body.get("sha") not in (None, which.version.head):
        raise Refused(409, "SHA does not match HEAD of source branch: " + which.version.head)
    merging.merge(call.world, which, call.user)
    return Answer(200, entities.full_merge_request(call.world, which))


def approve(call: Call) -> Answer:
    which = call.merge_request(Role.DEVELOPER)
    merge_requests.approve(call.world, which, call.user)
    return Answer(201, _approvals(call, which))


def unapprove(call: Call) -> Answer:
    which = call.merge_request(Role.DEVELOPER)
    merge_requests.unapprove(call.world, which, call.user)
    return Answer(201, _approvals(call, which))


def approvals(call: Call) -> Answer:
    return Answer(200, _approvals(call, call.merge_request()))


def _approvals(call: Call, which: MergeRequest) -> Json:
    return {
        "user_has_approved": call.user in which.approvals,
        "user_can_approve": call.user not in which.approvals,
        "approved": bool(which.approvals),
        "approved_by": [{"user": entities.user(call.world, who)} for who in which.approvals],
    }


def versions(call: Call) -> Answer:
    which = call.merge_request()
    newest_first = which.versions[::-1] if which.prepared else []
    return call.page(newest_first, lambda one: entities.version(which, one))


def version(call: Call) -> Answer:
    which = call.merge_request()
    for one in which.versions:
        if str(one.id) == call.path["version_id"]:
            commits = which.project.repository.commits(f"{one.base}..{one.head}")
            shape = entities.version(which, one) | {
                "commits": [entities.commit(call.world, which.project, c) for c in commits],
                "diffs": [file.entity() for file in merge_requests.patches(which, one)],
            }
            return Answer(200, shape)
    raise not_found()


def diffs(call: Call) -> Answer:
    which = call.merge_request()
    files = merge_requests.patches(which) if which.prepared else []
    return call.page(files, lambda file: file.entity())


def changes(call: Call) -> Answer:
    which = call.merge_request()
    files = merge_requests.patches(which) if which.prepared else []
    shape = entities.full_merge_request(call.world, which)
    return Answer(200, shape | {"changes": [f.entity() for f in files], "overflow": False})


def commits(call: Call) -> Answer:
    which = call.merge_request()
    made = which.project.repository.commits(f"{which.version.base}..{which.version.head}")
    return call.page(made, lambda one: entities.commit(call.world, which.project, one))
