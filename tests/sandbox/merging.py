"""Merging a merge request for real."""

from __future__ import annotations

from tests.sandbox import events, pushes
from tests.sandbox.mergeability import merged_tree, status
from tests.sandbox.state import MergeRequest, Refused, User, World, now


def merge(world: World, merge_request: MergeRequest, user: User) -> None:
    """Put a merge commit on the target branch; Refused (405) if that is not possible."""
    tree = merged_tree(merge_request) if status(merge_request) == "mergeable" else None
    if tree is None:
        raise Refused(405, "405 Method Not Allowed")
    message = (
        f"Merge branch '{merge_request.source_branch}' into '{merge_request.target_branch}'"
    )
    merge_request.merge_commit = merge_request.project.repository.commit_merge(
        merge_request.target_branch, tree, merge_request.version.head, message, user.person
    )
    merge_request.state = "merged"
    merge_request.updated_at = now()
    events.merge_request(world, merge_request, user, "merge")
    pushes.notice(world, merge_request.project, user)
