from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox import User
from tests.sandbox.conftest import Scene
from tests.sandbox.receiver import Receiver

SAMPLES = Path(__file__).parents[3] / "shared/forge/payloads/gitlab"
RECORDED = {
    "merge_request": "docs_merge_request_open.json",
    "note": "docs_note_merge_request.json",
    "push": "gogitlab_push.json",
    "emoji": "docs_emoji_award_issue_note.json",
}


def _keys(body: Any, inside: tuple[str, ...] = ()) -> set[str]:
    """The paths of all keys, but not into values that vary (labels, people, changes)."""
    found: set[str] = set()
    for key, value in body.items() if isinstance(body, dict) else ():
        path = (*inside, key)
        found.add(".".join(path))
        if key not in {
            "labels",
            "assignee",
            "assignees",
            "reviewers",
            "changes",
            "last_commit",
        }:
            found |= _keys(value[0] if isinstance(value, list) and value else value, path)
    return found


NOT_HERE = {
    "human_time_change", "human_time_estimate", "human_total_time_spent", "time_change",
    "total_time_spent", "milestone_id", "last_edited_at", "last_edited_by_id",
    "first_contribution", "assignee", "position",
}  # fmt: skip


@pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the recorded payloads are not on this machine"
)
@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("kind", RECORDED)
def test_payloads_have_the_fields_of_recorded_ones(
    scene: Scene, receiver: Receiver, http: Callable[[User], httpx.Client], kind: str
):
    scene.forge.commit(scene.project, "topic", {"b": "1"}, user=scene.alice)
    note = http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"}).json()
    http(scene.bot).post(f"{scene.api}/notes/{note['id']}/award_emoji", json={"name": "tada"})
    scene.forge.wait_for_deliveries()
    ours = next(body for body in receiver.bodies if body["object_kind"] == kind)
    theirs = json.loads((SAMPLES / RECORDED[kind]).read_text(encoding="utf-8"))
    theirs.pop("issue", None)
    missing = {
        path for path in _keys(theirs) - _keys(ours) if path.rpartition(".")[2] not in NOT_HERE
    }
    assert missing == set()
