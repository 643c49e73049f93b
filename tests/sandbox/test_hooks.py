from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import httpx

from tests.sandbox import User
from tests.sandbox.conftest import Scene
from tests.sandbox.receiver import Receiver

Http = Callable[[User], httpx.Client]


def _told(scene: Scene, receiver: Receiver) -> list[tuple[str, str | None]]:
    """What arrived, once everything was sent: kind and action."""
    scene.forge.wait_for_deliveries()
    return [
        (body["object_kind"], body.get("object_attributes", {}).get("action"))
        for body in receiver.bodies
    ]


def test_headers_and_signature(scene: Scene, hook: dict[str, Any], receiver: Receiver):
    scene.forge.close(scene.merge_request, scene.alice)
    scene.forge.wait_for_deliveries()
    headers, body = receiver.got[0]
    assert headers["X-Gitlab-Event"] == "Merge Request Hook"
    assert headers["X-Gitlab-Token"] == "s3cret"
    assert headers["X-Gitlab-Instance"] == scene.forge.url
    assert headers["User-Agent"].startswith("GitLab/")
    assert headers["webhook-id"] == headers["Idempotency-Key"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(bytes(range(32)), signed, hashlib.sha256)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_the_life_of_a_merge_request_is_told(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    forge, which = scene.forge, scene.merge_request
    forge.commit(scene.project, "other", {"o": "1"}, user=scene.alice, start="main")
    forge.open_merge_request(scene.project, scene.alice, source="other", title="Draft: Other")
    forge.edit(which, scene.alice, title="Draft: Topic")
    forge.edit(which, scene.alice, title="Topic")
    forge.close(which, scene.alice)
    forge.reopen(which, scene.alice)
    http(scene.bot).post(scene.api + "/approve", json={})
    http(scene.bot).put(scene.api + "/merge", json={})
    actions = [action for kind, action in _told(scene, receiver) if kind == "merge_request"]
    assert actions == ["open", "update", "update", "close", "reopen", "approved", "merge"]
    changes = [body["changes"] for body in receiver.bodies if body.get("changes")]
    assert [c["draft"]["current"] for c in changes] == [True, False]


def test_only_new_commits_bring_an_oldrev(
    scene: Scene, hook: dict[str, Any], receiver: Receiver
):
    old = scene.merge_request.version.head
    scene.forge.edit(scene.merge_request, scene.alice, title="New title")
    scene.forge.commit(scene.project, "topic", {"b": "1"}, user=scene.alice)
    assert _told(scene, receiver) == [
        ("merge_request", "update"), ("push", None), ("merge_request", "update"),
    ]  # fmt: skip
    edit, push, update = receiver.bodies
    assert "oldrev" not in edit["object_attributes"]
    assert update["object_attributes"]["oldrev"] == old
    head = scene.merge_request.version.head
    assert update["object_attributes"]["last_commit"]["id"] == head
    assert (push["before"], push["after"], push["ref"]) == (old, head, "refs/heads/topic")
    assert [c["added"] for c in push["commits"]] == [["b"]]


def test_a_push_of_more_than_three_branches_tells_nothing(
    scene: Scene, hook: dict[str, Any], receiver: Receiver
):
    repository = scene.project.repository
    tip = repository.tip("main")
    assert tip
    for n in range(4):
        repository.point(f"refs/heads/b{n}", tip)
    scene.forge.commit(scene.project, "main", {"z": "1"}, user=scene.alice)
    assert _told(scene, receiver) == []


def test_new_and_deleted_branches_are_zeros(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    base = f"/projects/{scene.project.id}/repository/branches"
    http(scene.bot).post(base, json={"branch": "b", "ref": "main"})
    http(scene.bot).delete(base + "/b")
    scene.forge.wait_for_deliveries()
    made, gone = receiver.bodies
    assert (made["before"], gone["after"], gone["commits"]) == ("0" * 40, "0" * 40, [])
    assert made["total_commits_count"] == 1
    assert gone["checkout_sha"] is None


def test_notes_and_emoji_are_told(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    client = http(scene.bot)
    position = scene.position(new_line=11)
    thread = client.post(
        scene.api + "/discussions", json={"body": "Hm", "position": position}
    ).json()
    number = thread["notes"][0]["id"]
    client.put(f"{scene.api}/notes/{number}", json={"body": "Hm!"})
    url = f"{scene.api}/notes/{number}/award_emoji"
    award = http(scene.alice).post(url, json={"name": "thumbsdown"}).json()
    http(scene.alice).delete(f"{url}/{award['id']}")
    http(scene.alice).post(scene.api + "/award_emoji", json={"name": "tada"})
    assert _told(scene, receiver) == [
        ("note", "create"), ("note", "update"), ("emoji", "award"), ("emoji", "revoke"),
        ("emoji", "award"),
    ]  # fmt: skip
    note, _, emoji, _, on_whole = receiver.bodies
    assert note["object_attributes"]["discussion_id"] == thread["id"]
    assert note["object_attributes"]["line_code"].endswith("_11_11")
    assert note["object_attributes"]["position"]["new_line"] == 11
    assert emoji["object_attributes"]["awardable_id"] == emoji["note"]["id"] == number
    assert on_whole["object_attributes"]["awardable_type"] == "MergeRequest"
    assert "note" not in on_whole


def test_resolving_the_last_thread_is_an_update_without_changes(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    thread = http(scene.bot).post(scene.api + "/discussions", json={"body": "?"}).json()
    http(scene.bot).put(f"{scene.api}/discussions/{thread['id']}", json={"resolved": True})
    assert _told(scene, receiver) == [("note", "create"), ("merge_request", "update")]
    assert receiver.bodies[1]["changes"] == {}


def test_an_applied_suggestion_is_an_update_with_oldrev(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    old = scene.merge_request.version.head
    body = {"body": "```suggestion\nx\n```", "position": scene.position(new_line=11)}
    http(scene.bot).post(scene.api + "/discussions", json=body)
    number = scene.merge_request.notes[0].suggestions[0].id
    http(scene.alice).put(f"/suggestions/{number}/apply", json={})
    scene.forge.wait_for_deliveries()
    assert receiver.bodies[-1]["object_attributes"]["oldrev"] == old


def test_a_hook_hears_only_what_it_asked_for(scene: Scene, receiver: Receiver, http: Http):
    url = f"/projects/{scene.project.id}/hooks"
    http(scene.alice).post(
        url, json={"url": receiver.url, "note_events": True, "push_events": False}
    )
    scene.forge.commit(scene.project, "topic", {"b": "1"}, user=scene.alice)
    http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"})
    assert _told(scene, receiver) == [("note", "create")]
    headers, _ = receiver.got[0]
    assert not {"X-Gitlab-Token", "webhook-id", "webhook-signature"} & headers.keys()
