from __future__ import annotations

from collections.abc import Callable

import gitlab
import httpx
import pytest
from gitlab.v4.objects import ProjectMergeRequest

from tests.sandbox import Role, User
from tests.sandbox.conftest import Scene

Http = Callable[[User], httpx.Client]


@pytest.fixture
def which(scene: Scene, connect: Callable[[User], gitlab.Gitlab]) -> ProjectMergeRequest:
    return connect(scene.bot).projects.get("bank/app").mergerequests.get(1)


def test_a_thread_is_begun_answered_changed_and_resolved(
    scene: Scene, which: ProjectMergeRequest
):
    thread = which.discussions.create({"body": "Why?", "position": scene.position(new_line=11)})
    reply = thread.notes.create({"body": "Because."})
    thread.notes.update(reply.id, {"body": "No reason."})
    thread.resolved = True
    thread.save()
    again = which.discussions.get(thread.id)
    assert [n["body"] for n in again.attributes["notes"]] == ["Why?", "No reason."]
    assert [n["type"] for n in again.attributes["notes"]] == ["DiffNote", "DiffNote"]
    assert all(n["resolved"] for n in again.attributes["notes"])
    assert again.attributes["notes"][0]["resolved_by"]["username"] == "bot"
    assert [d.id for d in which.discussions.list(get_all=True)] == [thread.id]


def test_a_note_is_a_thread_once_it_is_answered(scene: Scene, which: ProjectMergeRequest):
    which.notes.create({"body": "Summary"})
    thread = which.discussions.list(get_all=True)[0]
    assert thread.individual_note
    thread.notes.create({"body": "Thanks"})
    assert not which.discussions.get(thread.id).individual_note


def test_a_note_is_updated_in_place_and_deleted(scene: Scene, which: ProjectMergeRequest):
    note = which.notes.create({"body": "One"})
    note.body = "Two"
    note.save()
    assert which.notes.get(note.id).body == "Two"
    note.delete()
    assert scene.merge_request.discussions == []


def test_an_internal_note_says_so(scene: Scene, which: ProjectMergeRequest):
    assert which.notes.create({"body": "Psst", "internal": True}).internal


@pytest.mark.parametrize("body", ["", "  \n"])
def test_an_empty_note_is_refused(scene: Scene, http: Http, body: str):
    for place in ("/notes", "/discussions"):
        answer = http(scene.bot).post(scene.api + place, json={"body": body})
        assert answer.status_code == 400


def test_a_note_without_a_body_or_with_broken_json_is_refused(scene: Scene, http: Http):
    url = scene.api + "/notes"
    assert http(scene.bot).post(url, json={}).json() == {"error": "body is missing"}
    assert http(scene.bot).post(url, content=b"{").status_code == 400


def test_a_note_of_a_million_characters_is_too_long(scene: Scene, http: Http):
    answer = http(scene.bot).post(scene.api + "/notes", json={"body": "x" * 1_000_001})
    assert answer.status_code == 400
    assert "is too long" in answer.json()["message"]


def test_only_the_author_or_a_maintainer_changes_a_note(scene: Scene, http: Http):
    made = http(scene.bot).post(scene.api + "/notes", json={"body": "Mine"}).json()
    url = f"{scene.api}/notes/{made['id']}"
    assert http(scene.reporter).put(url, json={"body": "x"}).status_code == 403
    assert http(scene.reporter).delete(url).status_code == 403
    assert http(scene.alice).put(url, json={"body": "Moderated"}).status_code == 200
    assert scene.merge_request.notes[0].body == "Moderated"


def test_a_note_edited_into_nothing_or_into_a_command(scene: Scene, http: Http):
    made = http(scene.bot).post(scene.api + "/notes", json={"body": "Mine"}).json()
    url = f"{scene.api}/notes/{made['id']}"
    assert http(scene.bot).put(url, json={"body": " "}).status_code == 400
    assert http(scene.bot).put(url, json={"body": "/close"}).status_code == 202
    assert scene.merge_request.state == "closed"
    assert scene.merge_request.discussions == []


def test_resolving_takes_a_developer_or_the_author(scene: Scene, http: Http):
    made = http(scene.reporter).post(scene.api + "/discussions", json={"body": "?"}).json()
    url = f"{scene.api}/discussions/{made['id']}"
    assert http(scene.reporter).put(url, json={"resolved": True}).status_code == 403
    assert http(scene.bot).put(url, json={"resolved": True}).status_code == 200
    note = f"{url}/notes/{made['notes'][0]['id']}"
    assert http(scene.bot).put(note, json={"resolved": False}).json()["resolved"] is False
    assert http(scene.bot).put(note, json={"resolved": True, "body": "x"}).status_code == 400
    scene.project.members[scene.alice.id] = Role.REPORTER
    assert http(scene.alice).put(url, json={"resolved": True}).status_code == 200


def test_a_lone_note_cannot_be_resolved(scene: Scene, http: Http):
    http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"})
    url = f"{scene.api}/discussions/{scene.merge_request.discussions[0].id}"
    assert http(scene.bot).put(url, json={"resolved": True}).status_code == 403


def test_a_note_is_found_in_its_own_thread_only(scene: Scene, http: Http):
    client = http(scene.bot)
    one = client.post(scene.api + "/discussions", json={"body": "1"}).json()
    two = client.post(scene.api + "/discussions", json={"body": "2"}).json()
    base = f"{scene.api}/discussions/{one['id']}/notes"
    assert [n["body"] for n in client.get(base).json()] == ["1"]
    assert client.get(f"{base}/{one['notes'][0]['id']}").json()["body"] == "1"
    assert client.get(f"{base}/{two['notes'][0]['id']}").status_code == 404
    assert client.delete(f"{base}/{one['notes'][0]['id']}").status_code == 204
    assert [thread.id for thread in scene.merge_request.discussions] == [two["id"]]


# --- drafts ---------------------------------------------------------------------------------


def test_drafts_are_seen_by_their_author_only(
    scene: Scene, which: ProjectMergeRequest, http: Http
):
    draft = which.draft_notes.create({"note": "Hm."})
    assert [d.id for d in which.draft_notes.list(get_all=True)] == [draft.id]
    assert http(scene.alice).get(scene.api + "/draft_notes").json() == []
    assert scene.merge_request.discussions == []
    draft.note = "Better."
    draft.save()
    assert which.draft_notes.get(draft.id).note == "Better."
    draft.delete()
    assert scene.merge_request.drafts == []


def test_bulk_publish_publishes_all_of_ones_own(scene: Scene, which: ProjectMergeRequest):
    which.draft_notes.create({"note": "On a line", "position": scene.position(new_line=11)})
    which.draft_notes.create({"note": "/approve"})
    which.draft_notes.create(
        {"note": "On a file", "position": scene.position(position_type="file")}
    )
    which.draft_notes.bulk_publish()
    assert [n.body for n in scene.merge_request.notes] == ["On a line", "On a file"]
    assert [n.type for n in scene.merge_request.notes] == ["DiffNote", "DiffNote"]
    assert scene.merge_request.drafts == []
    assert scene.merge_request.approvals == [scene.bot]


def test_a_draft_with_a_bad_line_is_accepted_and_loses_its_line(
    scene: Scene, which: ProjectMergeRequest
):
    draft = which.draft_notes.create({"note": "x", "position": scene.position(new_line=999)})
    assert draft.line_code is None
    draft.publish()
    assert scene.merge_request.notes[0].type == "DiscussionNote"


def test_a_draft_can_answer_and_resolve(scene: Scene, which: ProjectMergeRequest):
    thread = which.discussions.create({"body": "Why?"})
    reply = {"note": "Done", "in_reply_to_discussion_id": thread.id, "resolve_discussion": True}
    which.draft_notes.create(reply).publish()
    assert scene.merge_request.discussions[0].resolved
    assert [n.body for n in scene.merge_request.notes] == ["Why?", "Done"]


# --- emoji ----------------------------------------------------------------------------------


def test_emoji_on_a_note_and_on_the_merge_request(scene: Scene, which: ProjectMergeRequest):
    note = which.notes.create({"body": "Good?"})
    given = note.awardemojis.create({"name": "thumbsup"})
    assert (given.awardable_type, given.awardable_id) == ("Note", note.id)
    assert [a.name for a in note.awardemojis.list(get_all=True)] == ["thumbsup"]
    which.awardemojis.create({"name": "rocket"})
    assert [a.name for a in which.awardemojis.list(get_all=True)] == ["rocket"]
    note.awardemojis.delete(given.id)
    assert scene.merge_request.notes[0].awards == []


def test_the_same_emoji_twice_is_refused_and_others_cannot_take_it_back(
    scene: Scene, http: Http
):
    url = scene.api + "/award_emoji"
    given = http(scene.bot).post(url, json={"name": "tada"}).json()
    assert http(scene.bot).post(url, json={"name": "tada"}).status_code == 404
    assert http(scene.alice).delete(f"{url}/{given['id']}").status_code == 403
    assert http(scene.bot).delete(f"{url}/0").status_code == 404
