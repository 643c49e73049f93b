"""Whether a merge request can be merged."""

from __future__ import annotations

from tests.sandbox.state import MergeRequest


def status(merge_request: MergeRequest) -> str:
    """GitLab's `detailed_merge_status`, as far as it is known here."""
    if not merge_request.prepared:
        return "preparing"
    if merge_request.state != "opened":
        return "not_open"
    if merge_request.draft:
        return "draft_status"
    return "conflict" if merged_tree(merge_request) is None else "mergeable"


def merged_tree(merge_request: MergeRequest) -> str | None:
    """The tree of source merged into target, or None if they conflict."""
    repository = merge_request.project.repository
    target = repository.tip(merge_request.target_branch)
    if target is None:
        return None
    return repository.merged_tree(target, merge_request.version.head)
