from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gitlab
import httpx
import pytest

from tests.sandbox import Role, User
from tests.sandbox.conftest import SIGNING, Scene
from tests.sandbox.receiver import Receiver

Http = Callable[[User], httpx.Client]


def test_a_failed_delivery_is_sent_again_under_the_same_key(
    scene: Scene, hook: dict[str, Any], receiver: Receiver
):
    receiver.statuses = [500]
    scene.forge.close(scene.merge_request, scene.alice)
    scene.forge.wait_for_deliveries()
    assert len(receiver.got) == 2
    keys = {headers["Idempotency-Key"] for headers, _ in receiver.got}
    assert len(keys) == 1
    assert [(a.status, a.number, a.ok) for a in scene.forge.deliveries] == [
        (500, 1, False), (200, 2, True),
    ]  # fmt: skip
    again = scene.forge.resend(scene.forge.deliveries[1])
    assert again.headers["Idempotency-Key"] in keys and again.ok


def test_four_failures_in_a_row_disable_a_hook_and_a_good_test_enables_it(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    receiver.statuses = [500] * 4
    url = f"/projects/{scene.project.id}/hooks/{hook['id']}"
    for _ in range(2):
        scene.forge.close(scene.merge_request, scene.alice)
        scene.forge.reopen(scene.merge_request, scene.alice)
    scene.forge.wait_for_deliveries()
    assert len(receiver.got) == 4
    assert http(scene.alice).get(url).json()["alert_status"] == "disabled"
    answer = http(scene.alice).post(url + "/test/push_events", json={})
    assert answer.status_code == 201
    assert http(scene.alice).get(url).json()["alert_status"] == "executable"


def test_a_receiver_that_is_not_there_is_a_logged_error(scene: Scene, http: Http):
    body = {"url": "http://127.0.0.1:9/hook", "merge_requests_events": True}
    http(scene.alice).post(f"/projects/{scene.project.id}/hooks", json=body)
    scene.forge.close(scene.merge_request, scene.alice)
    scene.forge.wait_for_deliveries()
    assert [a.status for a in scene.forge.deliveries] == [None, None, None]
    assert scene.forge.deliveries[0].error.startswith("ConnectError")


def test_secrets_are_never_shown(scene: Scene, hook: dict[str, Any], http: Http):
    text = http(scene.alice).get(f"/projects/{scene.project.id}/hooks").text
    assert "s3cret" not in text and SIGNING not in text
    assert hook["token_present"] and hook["signing_token_present"]


def test_python_gitlab_edits_and_deletes_a_hook(
    scene: Scene, hook: dict[str, Any], connect: Callable[[User], gitlab.Gitlab]
):
    project = connect(scene.alice).projects.get("bank/app")
    kept = project.hooks.get(hook["id"])
    kept.note_events = False
    kept.save()
    assert scene.project.hooks[0].events == {
        "push_events", "merge_requests_events", "emoji_events",
    }  # fmt: skip
    assert scene.project.hooks[0].token == "s3cret"
    kept.delete()
    assert project.hooks.list(get_all=True) == []


def test_only_maintainers_see_hooks(scene: Scene, hook: dict[str, Any], http: Http):
    url = f"/projects/{scene.project.id}/hooks"
    assert http(scene.bot).get(url).json() == {"message": "403 Forbidden"}
    assert http(scene.bot).post(url, json={"url": "http://x.invalid"}).status_code == 403
    assert http(scene.alice).get(url + "/0").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://x.invalid"},
        {"url": "http://x.invalid", "signing_token": "short"},
        {"url": "http://x.invalid", "signing_token": "whsec_dG9vc2hvcnQ="},
    ],
)
def test_a_bad_hook_is_refused(scene: Scene, http: Http, body: dict[str, str]):
    url = f"/projects/{scene.project.id}/hooks"
    assert http(scene.alice).post(url, json=body).status_code == 422


def test_a_test_delivery_is_sent_and_its_failure_told(
    scene: Scene, hook: dict[str, Any], receiver: Receiver, http: Http
):
    url = f"/projects/{scene.project.id}/hooks/{hook['id']}/test/"
    client = http(scene.alice)
    assert client.post(url + "push_events", json={}).status_code == 201
    assert client.post(url + "merge_requests_events", json={}).status_code == 201
    assert [h["X-Gitlab-Event"] for h, _ in receiver.got] == ["Push Hook", "Merge Request Hook"]
    receiver.statuses = [500]
    answer = client.post(url + "push_events", json={})
    assert (answer.status_code, "500" in answer.text) == (422, True)
    assert client.post(url + "nonsense", json={}).status_code == 400


def test_a_test_delivery_needs_something_to_speak_of(
    scene: Scene, receiver: Receiver, http: Http
):
    empty = scene.forge.create_project("bank/empty", members={scene.alice: Role.MAINTAINER})
    url = f"/projects/{empty.id}/hooks"
    made = http(scene.alice).post(url, json={"url": receiver.url}).json()
    for trigger in ("push_events", "merge_requests_events"):
        answer = http(scene.alice).post(f"{url}/{made['id']}/test/{trigger}", json={})
        assert answer.status_code == 422
    note = f"/projects/{scene.project.id}/hooks"
    other = http(scene.alice).post(note, json={"url": receiver.url}).json()
    trigger = f"{note}/{other['id']}/test/note_events"
    assert http(scene.alice).post(trigger, json={}).status_code == 422
    http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"})
    assert http(scene.alice).post(trigger, json={}).status_code == 201
