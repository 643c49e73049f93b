"""GitLab's official API description, and the places where it is known to be wrong.

The description is not part of this project; where it is absent, what needs it is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[3] / "shared/forge/gitlab-slim.json"
MR = "/api/v4/projects/{id}/merge_requests"
THREAD_NOTES = MR + "/{noteable_id}/discussions/{discussion_id}/notes"
CREATED = (
    "/api/v4/projects/{id}/statuses/{sha}",
    "/api/v4/projects/{id}/repository/commits/{sha}/comments",
)
NULL = {"type": "object", "nullable": True, "enum": [None]}


def corrected() -> dict[str, Any]:
    """The description with its known mistakes put right, and made strict: an answer may
    hold no field that is not described. The mistakes:

    - no answer is allowed to hold null, though the real server answers null for everything
      that is not set (the recorded answers show it);
    - a thread's notes are typed as one thread, `approved_by` as one approval;
    - a draft note's `discussion_id` is typed as a number, and is the name of a thread;
    - making a status or a comment on a commit is said to answer 200, and answers 201;
    - some deletions are said to answer 204 (No Content) with content.
    """
    description: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    schemas, paths = description["components"]["schemas"], description["paths"]
    schemas["APIEntitiesDraftNote"]["properties"]["discussion_id"] = {"type": "string"}
    approvals = schemas["APIEntitiesMergeRequestApprovals"]["properties"]
    approvals["approved_by"] = _list_of("APIEntitiesApprovals")
    notes = paths[THREAD_NOTES]["get"]["responses"]["200"]["content"]["application/json"]
    notes["schema"] = _list_of("APIEntitiesNote")
    for path in CREATED:
        responses = paths[path]["post"]["responses"]
        responses["201"] = responses.pop("200")
    for operation in (one for path in paths.values() for one in path.values()):
        operation["responses"].get("204", {}).pop("content", None)
    for name, schema in schemas.items():
        if not name.startswith("RequestBody_"):
            _as_answered(schema)
    return description


def _list_of(entity: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{entity}"}}


def _as_answered(schema: dict[str, Any]) -> None:
    if "properties" not in schema:
        return
    schema["additionalProperties"] = False
    for name, inner in schema["properties"].items():
        if "$ref" in inner:
            schema["properties"][name] = {"anyOf": [inner, NULL]}
        else:
            inner["nullable"] = True
            _as_answered(inner)
