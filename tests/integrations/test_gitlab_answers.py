"""Answers of other versions of GitLab, and of bad days, which the stand-in does not give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest

from bot.domain import Anchor, LineKind, LinePoint, Project
from bot.errors import Misconfigured, Unplaceable
from bot.integrations.gitlab import GitLabForge
from bot.integrations.gitlab_comments import Pace
from bot.ports import Remark
from tests.integrations.scripted import Answer, Asked, Server, serving
from tests.integrations.test_gitlab_positions import MERGE_REQUEST

Json = dict[str, Any]
HEAD = "e" * 40
POINT = LinePoint(LineKind.ADDED, old=1, new=1)
WORDS = "words\n\n<!-- f1 -->"
REMARK = Remark(Anchor("a.py", "a.py", POINT, POINT), "f1", WORDS, WORDS)
SEEN: Json = {
    "iid": 3,
    "title": "A change",
    "description": None,
    "source_branch": "feature",
    "target_branch": "main",
    "state": "opened",
    "web_url": "https://gitlab.example/group/app/-/merge_requests/3",
    "sha": HEAD,
    "diff_refs": {"base_sha": "b" * 40, "start_sha": "b" * 40, "head_sha": HEAD},
}


@contextmanager
def forge(answer: Callable[[Asked], Answer]) -> Iterator[tuple[GitLabForge, Server]]:
    def or_account(asked: Asked) -> Answer:
        if asked.target == "/api/v4/user":
            return Answer(200, {"id": 5, "username": "strop"})
        return answer(asked)

    with serving(or_account) as server:
        yield (
            GitLabForge(
                server.url,
                "token",
                markers=lambda body: [body.rpartition(" ")[0]],
                is_summary=lambda body: "summary" in body,
                max_wait_s=5.0,
                post_gap_s=0.0,
                sleep=lambda _: None,
            ),
            server,
        )


def targets(server: Server) -> list[str]:
    return [f"{one.method} {one.target.removeprefix('/api/v4')}" for one in server.asked]


class TestMergeRequests:
    def seen(self, **changes: Any) -> Any:
        with forge(lambda _: Answer(200, SEEN | changes)) as (gitlab, _):
            return gitlab.merge_request(7, 3)

    def test_an_old_gitlab_that_does_not_say_when_it_was_prepared_is_believed(self) -> None:
        assert self.seen().ready
        assert not self.seen(diff_refs=None).ready

    def test_one_that_says_not_yet_is_not_ready(self) -> None:
        assert not self.seen(prepared_at=None).ready
        assert self.seen(prepared_at="2026-01-01T00:00:00Z").ready

    @pytest.mark.parametrize("field", ["draft", "work_in_progress"])
    def test_a_draft_is_known_by_its_new_and_by_its_old_field(self, field: str) -> None:
        assert self.seen(**{field: True}).draft
        assert not self.seen(**{field: False}).draft

    def test_branches_of_the_same_name_in_forks_are_left_out(self) -> None:
        listed = [SEEN | {"iid": n, "source_project_id": n, "diff_refs": None} for n in (7, 8)]
        with forge(lambda _: Answer(200, listed)) as (gitlab, server):
            assert [one.iid for one in gitlab.open_merge_requests(7, "feature")] == [7]
            assert [one.iid for one in gitlab.open_merge_requests(7)] == [7, 8]
        assert "source_branch=feature" in server.asked[0].target

    def test_an_empty_repository_has_no_default_branch(self) -> None:
        shape = {"id": 7, "path_with_namespace": "group/app", "default_branch": None}
        with forge(lambda _: Answer(200, shape)) as (gitlab, server):
            found = gitlab.project("group/app")
        assert found == Project(7, "group/app", "", f"{server.url}/group/app.git")
        assert targets(server) == ["GET /projects/group%2Fapp"]


class TestLostPositions:
    def discussion(self, asked: Asked, *, lost: tuple[str, ...]) -> Answer:
        if asked.method == "DELETE":
            return Answer(204, b"")
        position = json.loads(asked.body)["position"]
        kept = None if position["position_type"] in lost else position
        return Answer(201, {"id": "d", "notes": [{"id": 11, "position": kept}]})

    def test_a_comment_that_lost_its_lines_is_taken_back_and_put_on_the_file(self) -> None:
        with forge(lambda asked: self.discussion(asked, lost=("text",))) as (gitlab, server):
            gitlab.post_remark(MERGE_REQUEST, REMARK)
        kinds = [json.loads(one.body)["position"]["position_type"] if one.body else one.method
                 for one in server.asked]  # fmt: skip
        assert kinds == ["text", "DELETE", "file"]

    def test_one_that_lost_its_file_too_is_unplaceable_and_leaves_nothing(self) -> None:
        def lose(asked: Asked) -> Answer:
            return self.discussion(asked, lost=("text", "file"))

        with forge(lose) as (gitlab, server), pytest.raises(Unplaceable):
            gitlab.post_remark(MERGE_REQUEST, REMARK)
        assert [one.method for one in server.asked] == ["POST", "DELETE", "POST", "DELETE"]
        assert targets(server)[-1] == "DELETE /projects/7/merge_requests/3/notes/11"


class TestHooks:
    project = Project(7, "group/app", "main", "")
    flags = dict.fromkeys(
        ["merge_requests_events", "push_events", "note_events", "emoji_events"], True
    )

    def connect(self, hook: Json, test: Answer) -> tuple[Any, Server]:
        def answer(asked: Asked) -> Answer:
            if "/test/" in asked.target:
                return test
            return Answer(200, [hook] if asked.method == "GET" else hook)

        with forge(answer) as (gitlab, server):
            url = "https://strop.example/webhooks/gitlab"
            return gitlab.connect(self.project, url, "s3cret", tls=True), server

    def hook(self, **changes: Any) -> Json:
        url = "https://strop.example/webhooks/gitlab"
        return {"id": 9, "url": url, "enable_ssl_verification": True, **self.flags, **changes}

    def test_a_hook_of_a_version_without_emoji_events_is_kept(self) -> None:
        hook = self.hook()
        del hook["emoji_events"]
        report, _ = self.connect(hook, Answer(201, {"message": "201 Created"}))
        assert (report.hook_id, report.outcome) == (9, "kept")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"push_events": False},
            {"enable_ssl_verification": False},
            {"alert_status": "disabled"},
            {"alert_status": "temporarily_disabled"},
        ],
    )
    def test_a_hook_that_would_not_work_is_repaired_with_its_secret(self, wrong: Json) -> None:
        report, server = self.connect(self.hook(**wrong), Answer(201, {"message": "ok"}))
        assert report.outcome == "repaired" and "delivered" in report.proof
        (put,) = [one for one in server.asked if one.method == "PUT"]
        assert json.loads(put.body) == self.flags | {
            "url": "https://strop.example/webhooks/gitlab",
            "enable_ssl_verification": True,
            "token": "s3cret",
        }

    def test_a_version_that_cannot_test_leaves_no_proof(self) -> None:
        for answer in (Answer(404, {"error": "404 Not Found"}), Answer(429)):
            report, _ = self.connect(self.hook(), answer)
            assert report.proof == ""

    def test_a_failed_test_delivery_is_told_in_the_words_of_gitlab(self) -> None:
        report, _ = self.connect(self.hook(), Answer(422, {"message": "Connection refused"}))
        assert "Connection refused" in report.proof

    def test_an_address_that_gitlab_refuses_says_where_to_allow_it(self) -> None:
        def answer(asked: Asked) -> Answer:
            return (
                Answer(200, [])
                if asked.method == "GET"
                else Answer(422, {"error": "Invalid url given"})
            )

        with forge(answer) as (gitlab, _), pytest.raises(Misconfigured) as caught:
            gitlab.connect(self.project, "http://10.0.0.1/", "s3cret", tls=False)
        assert "Invalid url given" in str(caught.value)
        assert "Outbound requests" in str(caught.value)


class TestPace:
    def test_comments_of_all_threads_keep_the_gap(self) -> None:
        slept: list[float] = []
        pace = Pace(10.0, slept.append)
        threads = [Thread(target=pace.wait) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [round(wait, -1) for wait in sorted(slept)] == [0, 10, 20, 30]

    def test_after_a_while_nobody_waits(self) -> None:
        slept: list[float] = []
        pace = Pace(0.0, slept.append)
        pace.wait()
        pace.wait()
        assert slept == [0.0, 0.0]


def test_each_thread_has_a_client_of_its_own() -> None:
    with forge(lambda _: Answer(200, SEEN)) as (gitlab, _):
        seen: list[object] = []
        threads = [Thread(target=lambda: seen.append(gitlab._gitlab)) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join()
        assert len({id(client) for client in (*seen, gitlab._gitlab)}) == 3


def test_the_account_is_asked_for_once() -> None:
    with forge(lambda _: Answer(404)) as (gitlab, server):
        assert gitlab.account() is gitlab.account()
    assert targets(server) == ["GET /user"]
