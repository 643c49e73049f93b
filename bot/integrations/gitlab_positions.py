"""Where a remark goes in a GitLab merge request, in GitLab's terms. Pure.

The rules: https://docs.gitlab.com/api/discussions/#create-a-new-thread-in-the-merge-request-diff
and, for line codes, `diff_line_code` in GitLab's lib/gitlab/git.rb.
"""

from __future__ import annotations

import hashlib
from typing import Any

from bot.domain import Anchor, LineKind, LinePoint, MergeRequest

Json = dict[str, Any]


def text_position(merge_request: MergeRequest, anchor: Anchor) -> Json:
    """The position of the anchored lines. A note hangs below its last line; a range of more
    than one line is named besides."""
    position = _file(merge_request, anchor, "text") | _numbers(anchor.last)
    if anchor.first != anchor.last:
        position["line_range"] = {
            "start": _end(anchor, anchor.first),
            "end": _end(anchor, anchor.last),
        }
    return position


def file_position(merge_request: MergeRequest, anchor: Anchor) -> Json:
    """The position of the whole file (GitLab 16.4 and later)."""
    return _file(merge_request, anchor, "file")


def line_code(anchor: Anchor, point: LinePoint) -> str:
    """GitLab's name of a diff line: digest of the path after the change, both counters."""
    digest = hashlib.sha1(anchor.new_path.encode(), usedforsecurity=False).hexdigest()
    return f"{digest}_{point.old}_{point.new}"


def _file(merge_request: MergeRequest, anchor: Anchor, kind: str) -> Json:
    """Both paths are required, even if the file had only one of them."""
    return {
        "position_type": kind,
        "base_sha": merge_request.base_sha,
        "start_sha": merge_request.start_sha,
        "head_sha": merge_request.head_sha,
        "old_path": anchor.old_path,
        "new_path": anchor.new_path,
    }


def _end(anchor: Anchor, point: LinePoint) -> Json:
    kind = "new" if point.kind is LineKind.ADDED else "old"
    return {"line_code": line_code(anchor, point), "type": kind} | _numbers(point)


def _numbers(point: LinePoint) -> Json:
    """A line that both sides have is named by both numbers, any other by its only one."""
    match point.kind:
        case LineKind.ADDED:
            return {"new_line": point.new}
        case LineKind.REMOVED:
            return {"old_line": point.old}
        case LineKind.CONTEXT:
            return {"old_line": point.old, "new_line": point.new}
