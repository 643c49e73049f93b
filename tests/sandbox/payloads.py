"""The bodies of webhooks, in the shapes of GitLab's "Webhook events" documentation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.sandbox.diffs import FilePatch
from tests.sandbox.repository import Commit
from tests.sandbox.state import Award, Discussion, Json, MergeRequest, Note, Project, User

STATE_IDS = {"opened": 1, "closed": 2, "merged": 3, "locked": 4}


def stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else None


def user(who: User) -> Json:
    return {
        "id": who.id,
        "name": who.username,
        "username": who.username,
        "avatar_url": None,
        "email": "[REDACTED]",
    }


def project(url: str, which: Project) -> Json:
    namespace, _, name = which.path.rpartition("/")
    web, git = f"{url}/{which.path}", f"{url}/{which.path}.git"
    ssh = f"git@sandbox.invalid:{which.path}.git"
    return {
        "id": which.id,
        "name": name,
        "description": "",
        "web_url": web,
        "avatar_url": None,
        "git_ssh_url": ssh,
        "git_http_url": git,
        "namespace": namespace,
        "visibility_level": 0,
        "path_with_namespace": which.path,
        "default_branch": which.default_branch,
        "ci_config_path": None,
        "homepage": web,
        "url": ssh,
        "ssh_url": ssh,
        "http_url": git,
    }


def _repository(url: str, which: Project) -> Json:
    shape = project(url, which)
    return {key: shape[key] for key in ("name", "url", "description", "homepage")}


def _commit(url: str, which: Project, made: Commit) -> Json:
    return {
        "id": made.sha,
        "message": made.message,
        "title": made.title,
        "timestamp": made.committed_at.isoformat(),
        "url": f"{url}/{which.path}/-/commit/{made.sha}",
        "author": {"name": made.author.name, "email": made.author.email},
    }


def _remotes(url: str, which: Project) -> Json:
    shape = project(url, which)
    return {key: shape[key] for key in ("git_http_url", "git_ssh_url", "visibility_level")}


def _touched(files: Sequence[FilePatch]) -> Json:
    return {
        "added": [file.path for file in files if file.status == "A"],
        "modified": [file.path for file in files if file.status not in "AD"],
        "removed": [file.path for file in files if file.status == "D"],
    }


def _attributes(url: str, merge_request: MergeRequest, merge_status: str) -> Json:
    which = merge_request.project
    head = which.repository.commits(merge_request.version.head, limit=1)[0]
    return {
        "id": merge_request.id,
        "iid": merge_request.iid,
        "target_branch": merge_request.target_branch,
        "source_branch": merge_request.source_branch,
        "source_project_id": which.id,
        "target_project_id": which.id,
        "author_id": merge_request.author.id,
        "assignee_ids": [who.id for who in merge_request.assignees],
        "assignee_id": merge_request.assignees[0].id if merge_request.assignees else None,
        "reviewer_ids": [],
        "title": merge_request.title,
        "description": merge_request.description,
        "created_at": stamp(merge_request.created_at),
        "updated_at": stamp(merge_request.updated_at),
        "prepared_at": stamp(merge_request.prepared_at),
        "state": merge_request.state,
        "state_id": STATE_IDS[merge_request.state],
        "blocking_discussions_resolved": True,
        "work_in_progress": merge_request.draft,
        "draft": merge_request.draft,
        "merge_status": "unchecked",
        "detailed_merge_status": merge_status,
        "merge_commit_sha": merge_request.merge_commit,
        "url": f"{url}/{which.path}/-/merge_requests/{merge_request.iid}",
        "source": project(url, which),
        "target": project(url, which),
        "last_commit": _commit(url, which, head),
        "labels": [{"title": label} for label in merge_request.labels],
    }


def merge_request(
    url: str,
    which: MergeRequest,
    actor: User,
    action: str,
    *,
    merge_status: str,
    oldrev: str | None = None,
    changes: Json | None = None,
) -> Json:
    """`oldrev` is there only when commits came; `changes` only names what was edited."""
    attributes = _attributes(url, which, merge_status) | {"action": action}
    if oldrev:
        attributes["oldrev"] = oldrev
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": user(actor),
        "project": project(url, which.project),
        "repository": _repository(url, which.project),
        "object_attributes": attributes,
        "labels": attributes["labels"],
        "changes": changes or {},
        "assignees": [user(who) for who in which.assignees],
        "reviewers": [],
    }


def push(
    url: str,
    which: Project,
    actor: User,
    branch: str,
    shas: tuple[str, str],
    *,
    commits: Sequence[tuple[Commit, Sequence[FilePatch]]],
    total: int,
) -> Json:
    """`shas` are before and after (zeros: no such branch); `commits`, oldest first, are the
    newest of `total`, each with the files it changed."""
    before, after = shas
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": before,
        "after": after,
        "ref": f"refs/heads/{branch}",
        "ref_protected": branch == which.default_branch,
        "checkout_sha": after if after.strip("0") else None,
        "user_id": actor.id,
        "user_name": actor.username,
        "user_username": actor.username,
        "user_email": "",
        "user_avatar": None,
        "project_id": which.id,
        "project": project(url, which),
        "repository": _repository(url, which) | _remotes(url, which),
        "commits": [_commit(url, which, made) | _touched(files) for made, files in commits],
        "total_commits_count": total,
    }


def _note(url: str, which: MergeRequest, thread: Discussion, told: Note) -> Json:
    web = f"{url}/{which.project.path}/-/merge_requests/{which.iid}#note_{told.id}"
    return {
        "id": told.id,
        "note": told.body,
        "description": told.body,
        "noteable_type": "MergeRequest",
        "noteable_id": which.id,
        "author_id": told.author.id,
        "created_at": stamp(told.created_at),
        "updated_at": stamp(told.updated_at),
        "project_id": which.project.id,
        "attachment": None,
        "line_code": told.line_code,
        "commit_id": None,
        "discussion_id": thread.id,
        "type": told.type,
        "position": told.position,
        "original_position": told.original_position,
        "change_position": told.change_position,
        "system": False,
        "internal": told.internal,
        "st_diff": None,
        "resolved_at": stamp(thread.resolved_at),
        "resolved_by_id": thread.resolved_by.id if thread.resolved_by else None,
        "resolved_by_push": None,
        "updated_by_id": None,
        "url": web,
    }


def note(
    url: str,
    which: MergeRequest,
    thread: Discussion,
    told: Note,
    *,
    action: str,
    merge_status: str,
) -> Json:
    return {
        "object_kind": "note",
        "event_type": "note",
        "user": user(told.author),
        "project_id": which.project.id,
        "project": project(url, which.project),
        "repository": _repository(url, which.project),
        "object_attributes": _note(url, which, thread, told) | {"action": action},
        "merge_request": _attributes(url, which, merge_status),
    }


def emoji(
    url: str,
    which: MergeRequest,
    award: Award,
    action: str,
    *,
    merge_status: str,
    on: tuple[Discussion, Note] | None,
) -> Json:
    """`on` is the note that got the emoji; None: the merge request itself got it."""
    target = f"{url}/{which.project.path}/-/merge_requests/{which.iid}"
    body = {
        "object_kind": "emoji",
        "event_type": action,
        "user": user(award.user),
        "project_id": which.project.id,
        "project": project(url, which.project),
        "object_attributes": {
            "id": award.id,
            "user_id": award.user.id,
            "name": award.name,
            "created_at": stamp(award.created_at),
            "updated_at": stamp(award.created_at),
            "awardable_type": "Note" if on else "MergeRequest",
            "awardable_id": on[1].id if on else which.id,
            "action": action,
            "awarded_on_url": f"{target}#note_{on[1].id}" if on else target,
        },
        "merge_request": _attributes(url, which, merge_status),
    }
    return body | ({"note": _note(url, which, *on)} if on else {})
