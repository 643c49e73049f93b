from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest

from tests.sandbox import Dropped, SandboxGitLab, User
from tests.sandbox.conftest import Scene, git

Http = Callable[[User], httpx.Client]


def test_a_fault_answers_instead_of_the_truth_as_often_as_told(scene: Scene, http: Http):
    scene.forge.fail(
        "POST", r"/notes$", 503, times=2, headers={"Retry-After": "1"}, body=b"down"
    )
    client, url = http(scene.bot), scene.api + "/notes"
    answers = [client.post(url, json={"body": "Hi"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [503, 503, 201]
    assert (answers[0].headers["Retry-After"], answers[0].text) == ("1", "down")
    assert len(scene.merge_request.notes) == 1


def test_a_fault_spares_other_requests(scene: Scene, http: Http):
    scene.forge.fail("POST", r"/notes$", 500)
    assert http(scene.bot).get(scene.api + "/notes").status_code == 200
    assert http(scene.bot).post(scene.api + "/discussions", json={"body": "x"}).is_success


def test_an_answer_can_be_lost_after_the_work_was_done(scene: Scene, http: Http):
    scene.forge.fail("POST", r"/notes$", 502, after=True)
    assert http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"}).status_code == 502
    assert [n.body for n in scene.merge_request.notes] == ["Hi"]


@pytest.mark.parametrize(("after", "notes"), [(False, 0), (True, 1)])
def test_a_connection_can_be_dropped(scene: Scene, http: Http, after: bool, notes: int):
    scene.forge.fail("POST", r"/notes$", None, after=after)
    with pytest.raises(httpx.TransportError):
        http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"})
    assert len(scene.merge_request.notes) == notes
    assert http(scene.bot).get(scene.api).status_code == 200


def test_a_slow_answer_runs_into_the_clients_time_limit(scene: Scene, http: Http):
    scene.forge.fail("GET", r"/user$", 200, delay_s=1.0)
    with pytest.raises(httpx.ReadTimeout):
        http(scene.bot).get("/user", timeout=0.05)


def test_the_observer_sees_every_request_before_and_after(scene: Scene, http: Http):
    seen: list[tuple[int, str, str, str]] = []
    first = len(scene.forge.requests)
    scene.forge.observe(lambda *what: seen.append(what))
    http(scene.bot).get("/user")
    git(
        scene.project.repository.path,
        "ls-remote",
        scene.forge.git_url(scene.project, scene.bot),
    )
    scene.forge.observe(None)
    http(scene.bot).get("/user")
    assert seen[:2] == [
        (first, "before", "GET", "/api/v4/user"),
        (first, "after", "GET", "/api/v4/user"),
    ]
    assert ("before", "POST", "/bank/app.git/git-upload-pack") in [what[1:] for what in seen]
    assert {index for index, *_ in seen} == set(range(first, len(scene.forge.requests) - 1))


@pytest.mark.parametrize(("phase", "notes"), [("before", 0), ("after", 1)])
def test_the_observer_can_drop_an_answer(scene: Scene, http: Http, phase: str, notes: int):
    def drop(index: int, now: str, method: str, path: str) -> None:
        if now == phase:
            raise Dropped

    scene.forge.observe(drop)
    with pytest.raises(httpx.TransportError):
        http(scene.bot).post(scene.api + "/notes", json={"body": "Hi"})
    assert len(scene.merge_request.notes) == notes


def test_the_observer_can_hold_a_request_while_others_go_on(scene: Scene, http: Http):
    held, go = threading.Event(), threading.Event()

    def hold(index: int, phase: str, method: str, path: str) -> None:
        if phase == "before" and path.endswith("/user"):
            held.set()
            go.wait(10)

    scene.forge.observe(hold)
    asking = threading.Thread(target=http(scene.alice).get, args=("/user",))
    asking.start()
    assert held.wait(10)
    assert http(scene.bot).get(scene.api).status_code == 200
    go.set()
    asking.join()


def test_every_answer_carries_the_rate_limit(scene: Scene, http: Http):
    headers = http(scene.bot).get("/user").headers
    limit, seen, left = (
        int(headers[f"RateLimit-{name}"]) for name in ("Limit", "Observed", "Remaining")
    )
    assert (limit, left) == (2000, 2000 - seen)
    assert int(headers["RateLimit-Reset"]) % 60 == 0


def test_above_the_limit_the_answer_is_429_in_plain_text(scene: Scene, http: Http):
    scene.forge.limit(0)
    answer = http(scene.bot).get("/user")
    assert (answer.status_code, answer.text) == (429, "Retry later\n")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit-Remaining"] == "0"


def test_requests_are_logged_with_path_query_and_body(scene: Scene, http: Http):
    http(scene.bot).post("/projects/bank%2Fapp/merge_requests/1/notes?x=1", json={"body": "Hi"})
    last = scene.forge.requests[-1]
    assert last.path == "/api/v4/projects/bank%2Fapp/merge_requests/1/notes?x=1"
    assert (last.method, last.body) == ("POST", b'{"body":"Hi"}')
    assert last.headers["private-token"] == scene.bot.token


def test_a_forge_can_have_a_chosen_port(forge: SandboxGitLab):
    assert forge.url.startswith("http://127.0.0.1:")
