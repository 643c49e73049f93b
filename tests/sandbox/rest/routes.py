"""Every route of the REST API, below /api/v4."""

from __future__ import annotations

from collections.abc import Callable

from tests.sandbox.rest import (
    awards,
    discussions,
    drafts,
    hooks,
    merge_requests,
    notes,
    projects,
    repositories,
)
from tests.sandbox.rest.call import Answer, Call

Handler = Callable[[Call], Answer]

PROJECT = "/projects/{id}"
MR = PROJECT + "/merge_requests/{iid}"
THREAD = MR + "/discussions/{discussion_id}"
NOTE = MR + "/notes/{note_id}"
DRAFT = MR + "/draft_notes/{draft_id}"
COMMIT = PROJECT + "/repository/commits/{sha}"
BRANCHES = PROJECT + "/repository/branches"
HOOKS = PROJECT + "/hooks"

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/user", projects.current_user),
    ("GET", "/version", projects.version),
    ("GET", "/metadata", projects.version),
    ("GET", "/projects", projects.index),
    ("GET", PROJECT, projects.show),
    ("PUT", "/suggestions/{id}/apply", projects.apply_suggestion),
    ("GET", HOOKS, hooks.index),
    ("POST", HOOKS, hooks.create),
    ("GET", HOOKS + "/{hook_id}", hooks.show),
    ("PUT", HOOKS + "/{hook_id}", hooks.update),
    ("DELETE", HOOKS + "/{hook_id}", hooks.delete),
    ("POST", HOOKS + "/{hook_id}/test/{trigger}", hooks.test),
    ("GET", PROJECT + "/merge_requests", merge_requests.index),
    ("POST", PROJECT + "/merge_requests", merge_requests.create),
    ("GET", MR, merge_requests.show),
    ("PUT", MR, merge_requests.update),
    ("PUT", MR + "/merge", merge_requests.merge),
    ("POST", MR + "/approve", merge_requests.approve),
    ("POST", MR + "/unapprove", merge_requests.unapprove),
    ("GET", MR + "/approvals", merge_requests.approvals),
    ("GET", MR + "/versions", merge_requests.versions),
    ("GET", MR + "/versions/{version_id}", merge_requests.version),
    ("GET", MR + "/diffs", merge_requests.diffs),
    ("GET", MR + "/changes", merge_requests.changes),
    ("GET", MR + "/commits", merge_requests.commits),
    ("GET", MR + "/discussions", discussions.index),
    ("POST", MR + "/discussions", discussions.create),
    ("GET", THREAD, discussions.show),
    ("PUT", THREAD, discussions.resolve),
    ("GET", THREAD + "/notes", discussions.note_index),
    ("POST", THREAD + "/notes", discussions.note_create),
    ("GET", THREAD + "/notes/{note_id}", discussions.note_show),
    ("PUT", THREAD + "/notes/{note_id}", discussions.note_update),
    ("DELETE", THREAD + "/notes/{note_id}", discussions.note_delete),
    ("GET", MR + "/notes", notes.index),
    ("POST", MR + "/notes", notes.create),
    ("GET", NOTE, notes.show),
    ("PUT", NOTE, notes.update),
    ("DELETE", NOTE, notes.delete),
    ("GET", MR + "/draft_notes", drafts.index),
    ("POST", MR + "/draft_notes", drafts.create),
    ("POST", MR + "/draft_notes/bulk_publish", drafts.bulk_publish),
    ("GET", DRAFT, drafts.show),
    ("PUT", DRAFT, drafts.update),
    ("DELETE", DRAFT, drafts.delete),
    ("PUT", DRAFT + "/publish", drafts.publish),
    ("GET", MR + "/award_emoji", awards.index),
    ("POST", MR + "/award_emoji", awards.create),
    ("DELETE", MR + "/award_emoji/{award_id}", awards.delete),
    ("GET", NOTE + "/award_emoji", awards.index),
    ("POST", NOTE + "/award_emoji", awards.create),
    ("DELETE", NOTE + "/award_emoji/{award_id}", awards.delete),
    ("GET", COMMIT, repositories.commit),
    ("GET", COMMIT + "/diff", repositories.commit_diff),
    ("GET", COMMIT + "/comments", repositories.comments),
    ("POST", COMMIT + "/comments", repositories.add_comment),
    ("GET", COMMIT + "/statuses", repositories.statuses),
    ("POST", PROJECT + "/statuses/{sha}", repositories.set_status),
    ("GET", PROJECT + "/repository/files/{file_path}/raw", repositories.raw_file),
    ("GET", BRANCHES, repositories.branches),
    ("POST", BRANCHES, repositories.create_branch),
    ("GET", BRANCHES + "/{branch}", repositories.branch),
    ("DELETE", BRANCHES + "/{branch}", repositories.delete_branch),
    ("GET", PROJECT + "/repository/compare", repositories.compare),
)
