from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import Misconfigured, StropError
from bot.ports import HookReport
from tests.integrations.gitlab_scene import Scene, scene
from tests.integrations.scripted import Answer, Server, serving
from tests.sandbox import Role

SECRET = "hook-s3cret"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        made.sandbox.add_member(made.project, made.bot, Role.MAINTAINER)
        yield made


@pytest.fixture
def receiver() -> Iterator[Server]:
    with serving(lambda _: Answer(202, {})) as server:
        yield server


def connect(at: Scene, url: str, *, tls: bool = True) -> HookReport:
    forge = at.forge()
    return forge.connect(forge.project("bank/app"), url, SECRET, tls=tls)


def test_a_project_without_our_webhook_gets_one_and_it_is_tried(
    at: Scene, receiver: Server
) -> None:
    report = connect(at, receiver.url)
    (hook,) = at.project.hooks
    assert (report.hook_id, report.outcome) == (hook.id, "created")
    assert "delivered" in report.proof
    assert hook.tls and hook.events == {
        "merge_requests_events",
        "push_events",
        "note_events",
        "emoji_events",
    }
    (test,) = receiver.asked
    assert test.headers["x-gitlab-event"] == "Push Hook"
    assert test.headers["x-gitlab-token"] == SECRET


def test_connecting_again_keeps_the_webhook(at: Scene, receiver: Server) -> None:
    first = connect(at, receiver.url)
    again = connect(at, receiver.url)
    assert (again.hook_id, again.outcome) == (first.hook_id, "kept")
    assert len(at.project.hooks) == 1


def test_a_slash_at_the_end_makes_no_other_webhook(at: Scene, receiver: Server) -> None:
    connect(at, receiver.url)
    assert connect(at, f"{receiver.url}/").outcome == "repaired"
    assert [hook.url for hook in at.project.hooks] == [f"{receiver.url}/"]


def test_a_webhook_that_was_changed_is_repaired(at: Scene, receiver: Server) -> None:
    connect(at, receiver.url)
    (hook,) = at.project.hooks
    hook.events, hook.tls, hook.token = frozenset({"push_events"}), False, "old"
    report = connect(at, receiver.url)
    assert report.outcome == "repaired" and report.hook_id == hook.id
    assert hook.tls and "merge_requests_events" in hook.events and hook.token == SECRET


def test_a_webhook_that_gitlab_switched_off_is_tried_until_it_is_on(
    at: Scene, receiver: Server
) -> None:
    connect(at, receiver.url)
    (hook,) = at.project.hooks
    hook.failures = 4
    assert connect(at, receiver.url).outcome == "repaired"
    assert not hook.disabled


def test_webhooks_of_others_are_left_alone(at: Scene, receiver: Server) -> None:
    connect(at, "http://127.0.0.1:9/other")
    connect(at, receiver.url)
    assert [hook.url for hook in at.project.hooks] == ["http://127.0.0.1:9/other", receiver.url]


def test_a_receiver_that_does_not_answer_is_told_but_keeps_its_webhook(at: Scene) -> None:
    report = connect(at, "http://127.0.0.1:9/")
    assert report.outcome == "created" and "failed" in report.proof
    assert len(at.project.hooks) == 1


@pytest.mark.parametrize("status", [None, 500])
def test_an_answer_that_is_lost_makes_no_second_webhook(
    at: Scene, receiver: Server, status: int | None
) -> None:
    at.sandbox.fail("POST", r"/hooks$", status, after=True)
    connect(at, receiver.url)
    assert len(at.project.hooks) == 1


def test_without_the_right_the_error_says_what_to_click(at: Scene, receiver: Server) -> None:
    at.sandbox.add_member(at.project, at.bot, Role.DEVELOPER)
    with pytest.raises(Misconfigured) as caught:
        connect(at, receiver.url, tls=False)
    said = str(caught.value)
    for words in (
        f"{at.sandbox.url}/bank/app/-/hooks",
        receiver.url,
        "Merge request events, Push events, Comments, Emoji events",
        "SSL verification  off",
    ):
        assert words in said
    assert SECRET not in said


def test_a_wrong_token_is_not_mistaken_for_a_missing_role(at: Scene) -> None:
    project = at.forge().project("bank/app")
    with pytest.raises(StropError, match="does not know the token"):
        at.forge(token="wrong").connect(project, "http://127.0.0.1:9/", SECRET, tls=True)
