"""The JSON shapes of the REST API. Pure, apart from what git is asked about a commit."""

from __future__ import annotations

from datetime import datetime

from tests.sandbox import merge_requests, suggestions
from tests.sandbox.mergeability import status as merge_status
from tests.sandbox.repository import Commit
from tests.sandbox.state import (
    Award,
    CommitComment,
    Discussion,
    DraftNote,
    Hook,
    Json,
    MergeRequest,
    Note,
    Project,
    Status,
    Suggestion,
    User,
    Version,
    World,
)

FLAGS = (
    "push_events", "tag_push_events", "merge_requests_events", "issues_events",
    "confidential_issues_events", "note_events", "confidential_note_events",
    "pipeline_events", "wiki_page_events", "deployment_events", "job_events",
    "releases_events", "milestone_events", "emoji_events",
)  # fmt: skip


def stamp(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def user(world: World, who: User) -> Json:
    return {
        "id": who.id,
        "username": who.username,
        "name": who.username,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{world.url}/{who.username}",
    }


def current_user(world: World, who: User) -> Json:
    return user(world, who) | {"email": who.person.email, "bot": False}


def project(world: World, which: Project) -> Json:
    namespace, _, name = which.path.rpartition("/")
    return {
        "id": which.id,
        "description": None,
        "name": name,
        "name_with_namespace": f"{namespace} / {name}",
        "path": name,
        "path_with_namespace": which.path,
        "created_at": stamp(which.created_at),
        "default_branch": which.default_branch,
        "topics": [],
        "ssh_url_to_repo": f"git@sandbox.invalid:{which.path}.git",
        "http_url_to_repo": f"{world.url}/{which.path}.git",
        "web_url": f"{world.url}/{which.path}",
        "forks_count": 0,
        "star_count": 0,
        "last_activity_at": stamp(which.created_at),
        "visibility": "private",
        "namespace": {
            "name": namespace,
            "path": namespace,
            "kind": "group",
            "full_path": namespace,
        },
    }


def full_project(world: World, which: Project) -> Json:
    """A single project; a list does not carry all of it."""
    return project(world, which) | {
        "empty_repo": not which.branches,
        "archived": False,
        "merge_requests_enabled": True,
    }


def merge_request(world: World, which: MergeRequest) -> Json:
    """An element of a list; it has no diff_refs."""
    return {
        "id": which.id,
        "iid": which.iid,
        "project_id": which.project.id,
        "source_project_id": which.project.id,
        "target_project_id": which.project.id,
        "title": which.title,
        "description": which.description,
        "state": which.state,
        "created_at": stamp(which.created_at),
        "updated_at": stamp(which.updated_at),
        "prepared_at": stamp(which.prepared_at),
        "source_branch": which.source_branch,
        "target_branch": which.target_branch,
        "author": user(world, which.author),
        "assignees": [user(world, who) for who in which.assignees],
        "reviewers": [],
        "labels": which.labels,
        "draft": which.draft,
        "work_in_progress": which.draft,
        "merge_status": "unchecked",
        "detailed_merge_status": merge_status(which),
        "sha": which.version.head,
        "merge_commit_sha": which.merge_commit,
        "discussion_locked": which.locked or None,
        "user_notes_count": len(which.notes),
        "upvotes": sum(a.name == "thumbsup" for a in which.awards),
        "downvotes": sum(a.name == "thumbsdown" for a in which.awards),
        "reference": f"!{which.iid}",
        "web_url": f"{world.url}/{which.project.path}/-/merge_requests/{which.iid}",
        "blocking_discussions_resolved": all(
            thread.resolved for thread in which.discussions if thread.resolvable
        ),
    }


def full_merge_request(world: World, which: MergeRequest) -> Json:
    """A single one; `diff_refs` and `changes_count` are null until the diff is made."""
    shape = merge_request(world, which)
    prepared = which.prepared
    return shape | {
        "diff_refs": which.version.refs if prepared else None,
        "changes_count": str(len(merge_requests.patches(which))) if prepared else None,
        "has_conflicts": shape["detailed_merge_status"] == "conflict",
        "subscribed": False,
        "first_contribution": False,
    }


def version(which: MergeRequest, one: Version) -> Json:
    return {
        "id": one.id,
        "head_commit_sha": one.head,
        "base_commit_sha": one.base,
        "start_commit_sha": one.start,
        "created_at": stamp(one.created_at),
        "merge_request_id": which.id,
        "state": "collected",
        "real_size": str(len(merge_requests.patches(which, one))),
    }


def suggestion(which: MergeRequest, one: Note, made: Suggestion) -> Json:
    return {
        "id": made.id,
        "from_line": made.from_line,
        "to_line": made.to_line,
        "from_content": made.from_content,
        "to_content": made.to_content,
        "applied": made.applied,
        "appliable": suggestions.appliable(which, one, made),
    }


def note(world: World, which: MergeRequest, thread: Discussion, one: Note) -> Json:
    shape: Json = {
        "id": one.id,
        "type": one.type,
        "body": one.body,
        "author": user(world, one.author),
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "system": False,
        "noteable_id": which.id,
        "noteable_type": "MergeRequest",
        "noteable_iid": which.iid,
        "project_id": which.project.id,
        "resolvable": one.resolvable,
        "confidential": one.internal,
        "internal": one.internal,
        "imported": False,
        "imported_from": "none",
        "commands_changes": one.commands_changes,
    }
    if one.type == "DiffNote":
        shape["commit_id"] = None
        shape["position"] = one.position
        shape["suggestions"] = [suggestion(which, one, made) for made in one.suggestions]
    if one.resolvable:
        by = thread.resolved_by
        shape["resolved"] = thread.resolved
        shape["resolved_by"] = user(world, by) if by else None
        shape["resolved_at"] = stamp(thread.resolved_at)
    return shape


def discussion(world: World, which: MergeRequest, thread: Discussion) -> Json:
    return {
        "id": thread.id,
        "individual_note": thread.individual,
        "notes": [note(world, which, thread, one) for one in thread.notes],
    }


def draft(which: MergeRequest, one: DraftNote) -> Json:
    return {
        "id": one.id,
        "author_id": one.author.id,
        "merge_request_id": which.id,
        "resolve_discussion": one.resolve,
        "discussion_id": one.in_reply_to,
        "note": one.note,
        "commit_id": None,
        "line_code": one.line_code,
        "position": one.position,
    }


def award(world: World, one: Award, kind: str, on: int) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "user": user(world, one.user),
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.created_at),
        "awardable_id": on,
        "awardable_type": kind,
    }


def commit(world: World, which: Project, made: Commit) -> Json:
    return {
        "id": made.sha,
        "short_id": made.sha[:8],
        "created_at": made.committed_at.isoformat(),
        "parent_ids": list(made.parents),
        "title": made.title,
        "message": made.message,
        "author_name": made.author.name,
        "author_email": made.author.email,
        "authored_date": made.authored_at.isoformat(),
        "committer_name": made.committer.name,
        "committer_email": made.committer.email,
        "committed_date": made.committed_at.isoformat(),
        "trailers": {},
        "web_url": f"{world.url}/{which.path}/-/commit/{made.sha}",
    }


def comment(world: World, one: CommitComment) -> Json:
    return {
        "note": one.note,
        "path": one.path,
        "line": one.line,
        "line_type": one.line_type,
        "author": user(world, one.author),
        "created_at": stamp(one.created_at),
    }


def status(world: World, one: Status) -> Json:
    return {
        "id": one.id,
        "sha": one.sha,
        "ref": one.ref,
        "status": one.state,
        "name": one.name,
        "target_url": one.target_url,
        "description": one.description,
        "created_at": stamp(one.created_at),
        "allow_failure": False,
        "author": user(world, one.author),
    }


def hook(which: Project, one: Hook) -> Json:
    """Secrets are never shown, only whether they are set."""
    return {
        "id": one.id,
        "url": one.url,
        "project_id": which.id,
        "created_at": stamp(one.created_at),
        "enable_ssl_verification": one.tls,
        "alert_status": "disabled" if one.disabled else "executable",
        "disabled_until": None,
        "token_present": one.token is not None,
        "signing_token_present": one.signing_token is not None,
        **{flag: flag in one.events for flag in FLAGS},
    }
