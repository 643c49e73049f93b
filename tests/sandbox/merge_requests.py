"""The life of a merge request: opened, pushed to, edited, closed, reopened, merged."""

from __future__ import annotations

import re
from typing import Any

from tests.sandbox import events, positions
from tests.sandbox.diffs import FilePatch, between
from tests.sandbox.repository import Repository
from tests.sandbox.state import (
    Json,
    MergeRequest,
    Note,
    Project,
    Refused,
    User,
    Version,
    World,
    now,
)

DRAFT = re.compile(r"(?:\[draft\]|\(draft\)|draft:)\s*", re.IGNORECASE)


def create(
    world: World,
    project: Project,
    author: User,
    *,
    source: str,
    target: str,
    title: str,
    description: str = "",
) -> MergeRequest:
    """Open a merge request and tell the hooks. Its diff is there after the number of reads
    that the world asks for."""
    version = _version(world, project.repository, source, target)
    for other in project.merge_requests:
        if (other.state, other.source_branch, other.target_branch) == (
            "opened",
            source,
            target,
        ):
            reason = f"Another open merge request already exists for this source branch: !{other.iid}"
            raise Refused(409, [reason])
    created = now()
    merge_request = MergeRequest(
        id=world.new_id(),
        iid=len(project.merge_requests) + 1,
        project=project,
        author=author,
        title=title,
        description=description,
        source_branch=source,
        target_branch=target,
        created_at=created,
        updated_at=created,
        reads_until_prepared=world.preparing_reads,
        prepared_at=None if world.preparing_reads else created,
        versions=[version],
    )
    project.merge_requests.append(merge_request)
    _keep_head(merge_request)
    events.merge_request(world, merge_request, author, "open")
    return merge_request


def _version(world: World, repository: Repository, source: str, target: str) -> Version:
    head, start = repository.tip(source), repository.tip(target)
    if head is None or start is None:
        missing = source if head is None else target
        raise Refused(400, [f'Branch "{missing}" does not exist'])
    base = repository.merge_base(start, head) or start
    return Version(world.new_id(), base, start, head, now())


def _keep_head(merge_request: MergeRequest) -> None:
    ref = f"refs/merge-requests/{merge_request.iid}/head"
    merge_request.project.repository.point(ref, merge_request.version.head)


def read(merge_request: MergeRequest) -> None:
    """Count a read: GitLab makes the diff in the background, here after some reads."""
    if merge_request.prepared:
        return
    if merge_request.reads_until_prepared == 0:
        merge_request.prepared_at = now()
    merge_request.reads_until_prepared = max(merge_request.reads_until_prepared - 1, 0)


def branch_moved(world: World, project: Project, branch: str, user: User) -> None:
    """Give every open merge request of a branch its new diff, and move its notes along."""
    for merge_request in project.merge_requests:
        tip = project.repository.tip(branch)
        old = merge_request.version.head
        relevant = (merge_request.state, merge_request.source_branch) == ("opened", branch)
        if relevant and tip is not None and tip != old:
            _renew(world, merge_request)
            events.merge_request(world, merge_request, user, "update", oldrev=old)


def _renew(world: World, merge_request: MergeRequest) -> None:
    repository = merge_request.project.repository
    version = _version(
        world, repository, merge_request.source_branch, merge_request.target_branch
    )
    merge_request.versions.append(version)
    merge_request.updated_at = now()
    _keep_head(merge_request)
    for note in merge_request.notes:
        if note.position and not note.outdated:
            _move(repository, note, version)


def _move(repository: Repository, note: Note, version: Version) -> None:
    assert note.position
    moved = positions.trace(repository, note.position, version)
    if moved is None:
        note.change_position = note.position
    else:
        note.position = moved


def edit(world: World, merge_request: MergeRequest, user: User, changes: Json) -> Json:
    """Set title, description, target branch, labels, assignees or lock; tell the hooks what
    changed and return it as `{field: {previous, current}}`."""
    target = changes.get("target_branch", merge_request.target_branch)
    if merge_request.project.repository.tip(target) is None:
        raise Refused(400, [f'Branch "{target}" does not exist'])
    was_draft = merge_request.draft
    changed: Json = {}
    for name, value in changes.items():
        previous = getattr(merge_request, name)
        if value != previous:
            setattr(merge_request, name, value)
            changed[name] = {"previous": _plain(previous), "current": _plain(value)}
    if merge_request.draft != was_draft:
        changed["draft"] = {"previous": was_draft, "current": merge_request.draft}
    if "target_branch" in changed:
        _renew(world, merge_request)
    if changed:
        merge_request.updated_at = now()
        events.merge_request(world, merge_request, user, "update", changes=changed)
    return changed


def _plain(value: Any) -> Any:
    return (
        [_plain(item) for item in value]
        if isinstance(value, list)
        else getattr(value, "id", value)
    )


def draft_title(title: str, *, draft: bool) -> str:
    bare = DRAFT.sub("", title, count=1) if DRAFT.match(title) else title
    return f"Draft: {bare}" if draft else bare


def set_state(world: World, merge_request: MergeRequest, user: User, action: str) -> None:
    """`close` or `reopen`."""
    before, after = {"close": ("opened", "closed"), "reopen": ("closed", "opened")}[action]
    if merge_request.state != before:
        return
    merge_request.state = after
    merge_request.updated_at = now()
    head = merge_request.project.repository.tip(merge_request.source_branch)
    if action == "reopen" and head not in (None, merge_request.version.head):
        _renew(world, merge_request)
    events.merge_request(world, merge_request, user, action)


def approve(world: World, merge_request: MergeRequest, user: User) -> None:
    if user not in merge_request.approvals:
        merge_request.approvals.append(user)
        events.merge_request(world, merge_request, user, "approved")


def unapprove(world: World, merge_request: MergeRequest, user: User) -> None:
    if user in merge_request.approvals:
        merge_request.approvals.remove(user)
        events.merge_request(world, merge_request, user, "unapproved")


def patches(merge_request: MergeRequest, version: Version | None = None) -> list[FilePatch]:
    """The files that a version of the merge request changes."""
    version = version or merge_request.version
    return between(merge_request.project.repository, version.base, version.head)
