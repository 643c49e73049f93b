"""The GitLab client against the stand-in, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import pytest

from bot.domain import Anchor, LineKind, LinePoint
from bot.errors import Gone, Misconfigured, RetryLater, StropError, Unplaceable
from bot.findings import rendering
from bot.integrations.gitlab_positions import line_code
from bot.ports import Account
from tests.integrations.gitlab_scene import Scene, anchor, remark, scene
from tests.sandbox import Note, Role
from tests.sandbox.notes import add_note

DISCUSSIONS = r"/discussions$"
NOTES = r"/notes$"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def post(at: Scene, path: str, first: str, last: str | None = None) -> Note:
    """Post one remark and return the note that came of it."""
    at.forge().post_remark(at.merge_request, remark(anchor(at.diff, path, first, last)))
    (note,) = at.notes
    return note


class TestPositions:
    @pytest.mark.parametrize(
        ("path", "label", "old", "new"),
        [
            ("app.py", "3", None, 3),
            ("app.py", "4", None, 4),
            ("app.py", "-3", 3, None),
            ("app.py", "-10", 10, None),
            ("app.py", "1", 1, 1),
            ("app.py", "10", 9, 10),
            ("app.py", "21", None, 21),
            ("app.py", "22", 21, 22),
            ("added.py", "1", None, 1),
            ("added.py", "3", None, 3),
            ("gone.py", "-1", 1, None),
            ("gone.py", "-3", 3, None),
            ("nëw name.py", "1", None, 1),
            ("nëw name.py", "2", 1, 2),
        ],
    )
    def test_a_line_of_any_kind_is_found_by_gitlab(
        self, at: Scene, path: str, label: str, old: int | None, new: int | None
    ) -> None:
        note = post(at, path, label)
        assert note.position is not None
        assert note.position["position_type"] == "text"
        assert (note.position["old_line"], note.position["new_line"]) == (old, new)
        assert note.position["line_range"] is None

    @pytest.mark.parametrize(
        ("path", "first", "last"),
        [
            ("app.py", "2", "4"),
            ("app.py", "1", "6"),
            ("app.py", "9", "12"),
            ("app.py", "20", "22"),
            ("added.py", "1", "3"),
            ("gone.py", "-1", "-3"),
            ("nëw name.py", "1", "3"),
        ],
    )
    def test_a_range_across_lines_of_any_kind_is_found_by_gitlab(
        self, at: Scene, path: str, first: str, last: str
    ) -> None:
        where = anchor(at.diff, path, first, last)
        note = post(at, path, first, last)
        assert note.position is not None
        span = note.position["line_range"]
        assert span["start"]["line_code"] == line_code(where, where.first)
        assert span["end"]["line_code"] == line_code(where, where.last) == note.line_code

    def test_a_renamed_file_is_named_by_both_its_paths(self, at: Scene) -> None:
        position = post(at, "nëw name.py", "1").position
        assert position is not None
        assert (position["old_path"], position["new_path"]) == ("old name.py", "nëw name.py")

    def test_lines_that_gitlab_refuses_become_a_comment_on_the_file(self, at: Scene) -> None:
        outside = LinePoint(LineKind.ADDED, old=500, new=500)
        where = Anchor("app.py", "app.py", outside, outside)
        at.forge().post_remark(at.merge_request, remark(where))
        (note,) = at.notes
        assert note.position is not None and note.position["position_type"] == "file"
        assert "`x`" in note.body, "on a file, the words name the lines"
        assert at.asked("POST", "/discussions") == 2, "a refused position was tried again"

    def test_a_binary_file_takes_a_comment_as_a_whole(self, at: Scene) -> None:
        point = LinePoint(LineKind.ADDED, old=1, new=1)
        at.forge().post_remark(
            at.merge_request, remark(Anchor("pic.png", "pic.png", point, point))
        )
        (note,) = at.notes
        assert note.position is not None and note.position["position_type"] == "file"

    def test_a_file_that_is_not_in_the_diff_is_unplaceable(self, at: Scene) -> None:
        point = LinePoint(LineKind.ADDED, old=1, new=1)
        with pytest.raises(Unplaceable):
            at.forge().post_remark(at.merge_request, remark(Anchor("no", "no", point, point)))
        assert at.notes == [] and at.slept == [0.0, 0.0]


class TestFaults:
    """Each ends with exactly one comment."""

    def post(self, at: Scene, **changes: float) -> None:
        where = anchor(at.diff, "app.py", "3")
        forge = at.forge()
        merge_request = forge.merge_request(at.project.id, at.served.iid)
        at.forge(**changes).post_remark(merge_request, remark(where))
        assert [note.body for note in at.notes] == [remark(where).body]

    @pytest.mark.parametrize("status", [None, 500, 502, 503, 504])
    @pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
    def test_an_answer_that_is_lost(self, at: Scene, status: int | None, after: bool) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, status, after=after)
        self.post(at)
        assert at.asked("POST", "/discussions") == (1 if after else 2)

    def test_an_answer_that_is_lost_and_looking_for_it_fails_too(self, at: Scene) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, 502, after=True)
        at.sandbox.fail("GET", r"/discussions", 503, times=2)
        self.post(at)

    def test_an_answer_that_comes_too_late(self, at: Scene) -> None:
        given_up = Event()

        def slow(index: int, phase: str, method: str, path: str) -> None:
            if (phase, method) == ("after", "POST") and path.endswith("/discussions"):
                given_up.wait(30)

        at.sandbox.observe(slow)
        try:
            self.post(at, timeout_s=1.0)
        finally:
            given_up.set()
        assert at.asked("POST", "/discussions") == 1

    def test_a_lock_that_is_held_by_another_request(self, at: Scene) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, 409, body=b'{"message": "409 Resource lock"}')
        self.post(at)

    def test_a_limit_in_seconds_is_waited_out(self, at: Scene) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, 429, headers={"Retry-After": "7"})
        self.post(at)
        assert 7.0 in at.slept

    def test_a_limit_as_a_date_is_waited_out(self, at: Scene) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        at.sandbox.fail("POST", DISCUSSIONS, 429, headers={"Retry-After": date})
        self.post(at)
        assert max(at.slept) == pytest.approx(30, abs=15)

    def test_a_limit_beyond_our_patience_is_left_to_the_queue(self, at: Scene) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, 429, headers={"Retry-After": "3600"})
        with pytest.raises(RetryLater) as caught:
            self.post(at)
        assert caught.value.after_s == 3600.0
        assert at.notes == [] and max(at.slept) == 0.0

    def test_a_server_that_stays_down_is_left_to_the_queue(self, at: Scene) -> None:
        at.sandbox.fail("POST", DISCUSSIONS, 502, times=100)
        with pytest.raises(RetryLater):
            self.post(at)
        assert at.asked("POST", "/discussions") < 10

    def test_a_fallback_to_the_file_that_fails_half_way(self, at: Scene) -> None:
        outside = LinePoint(LineKind.ADDED, old=500, new=500)
        merge_request = at.merge_request
        at.sandbox.fail("POST", DISCUSSIONS, 400, body=b'{"message": "line_code"}')
        at.sandbox.fail("POST", DISCUSSIONS, 502, after=True)
        at.forge().post_remark(
            merge_request, remark(Anchor("app.py", "app.py", outside, outside))
        )
        assert len(at.notes) == 1


class TestPosted:
    def test_our_fingerprints_are_found_on_every_page(self, at: Scene) -> None:
        for number in range(230):
            body = f"words\n\n{rendering.marker(f'n{number}')}"
            add_note(at.sandbox.world, at.served, at.bot, body)
        assert len(at.forge().posted(at.merge_request)) == 230
        assert at.asked("GET", "/discussions") == 3

    def test_a_marker_written_by_somebody_else_is_not_ours(self, at: Scene) -> None:
        body = f"words\n\n{rendering.marker('f1')}"
        add_note(at.sandbox.world, at.served, at.alice, body)
        assert at.forge().posted(at.merge_request) == frozenset()

    def test_what_was_posted_is_known_again(self, at: Scene) -> None:
        post(at, "app.py", "3")
        assert at.forge().posted(at.merge_request) == {"f1"}


class TestSummary:
    def body(self, words: str) -> str:
        return f"{words}\n\n{rendering.summary_marker()}"

    def put(self, at: Scene, words: str) -> None:
        at.forge().put_summary(at.merge_request, self.body(words))

    def test_there_is_one_and_it_is_updated_in_place(self, at: Scene) -> None:
        self.put(at, "first")
        (first,) = at.notes
        self.put(at, "second")
        (second,) = at.notes
        assert second.id == first.id and second.body == self.body("second")

    def test_saying_the_same_again_changes_nothing(self, at: Scene) -> None:
        self.put(at, "first \r")
        self.put(at, "first \r")
        assert at.asked("PUT", "/notes") == 0 and at.asked("POST", "/notes") == 1

    def test_one_that_a_person_deleted_is_made_again(self, at: Scene) -> None:
        self.put(at, "first")
        at.served.discussions.clear()
        self.put(at, "second")
        assert [note.body for note in at.notes] == [self.body("second")]

    def test_of_several_the_first_stays(self, at: Scene) -> None:
        for words in ("one", "two", "three"):
            add_note(at.sandbox.world, at.served, at.bot, self.body(words))
        first = at.notes[0].id
        self.put(at, "now")
        assert [(note.id, note.body) for note in at.notes] == [(first, self.body("now"))]

    def test_one_written_by_somebody_else_is_left_alone(self, at: Scene) -> None:
        add_note(at.sandbox.world, at.served, at.alice, self.body("mine"))
        self.put(at, "ours")
        assert [note.body for note in at.notes] == [self.body("mine"), self.body("ours")]

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    @pytest.mark.parametrize("status", [None, 500])
    @pytest.mark.parametrize("after", [False, True])
    def test_an_answer_that_is_lost_makes_no_second_one(
        self, at: Scene, method: str, status: int | None, after: bool
    ) -> None:
        at.sandbox.fail(method, r"/notes", status, after=after)
        self.put(at, "first")
        self.put(at, "second")
        assert [note.body for note in at.notes] == [self.body("second")]


class TestReading:
    def test_the_account_is_the_one_of_the_token(self, at: Scene) -> None:
        assert at.forge().account() == Account(at.bot.id, "strop")

    def test_a_project_is_found_by_path_and_by_number(self, at: Scene) -> None:
        forge = at.forge()
        found = forge.project("bank/app")
        assert found == forge.project(at.project.id)
        assert (found.id, found.default_branch) == (at.project.id, "main")
        assert found.clone_url == f"{at.sandbox.url}/bank/app.git"

    def test_the_projects_are_those_of_our_account(self, at: Scene) -> None:
        at.sandbox.create_project("bank/other", members={at.alice: Role.MAINTAINER})
        assert [project.path for project in at.forge().projects()] == ["bank/app"]

    def test_configured_projects_are_the_only_ones(self, at: Scene) -> None:
        at.sandbox.create_project("bank/more", members={at.bot: Role.DEVELOPER})
        forge = at.forge(projects=["bank/more"])
        assert [project.path for project in forge.projects()] == ["bank/more"]

    def test_a_merge_request_is_read_with_its_three_commits(self, at: Scene) -> None:
        found, version = at.merge_request, at.served.version
        assert found.ready and not found.draft and found.state == "opened"
        assert (found.base_sha, found.start_sha, found.head_sha) == (
            version.base,
            version.start,
            version.head,
        )

    def test_until_the_diff_is_made_a_merge_request_is_not_ready(self, tmp_path: Path) -> None:
        with scene(tmp_path / "slow", preparing_reads=2) as at:
            assert [at.merge_request.ready for _ in range(3)] == [False, False, True]

    def test_open_merge_requests_are_listed_with_their_heads(self, at: Scene) -> None:
        forge = at.forge()
        (found,) = forge.open_merge_requests(at.project.id)
        assert found.head_sha == at.served.version.head
        assert forge.open_merge_requests(at.project.id, "topic") == [found]
        assert forge.open_merge_requests(at.project.id, "other") == []
        at.sandbox.close(at.served, at.alice)
        assert forge.open_merge_requests(at.project.id) == []

    def test_a_merge_request_that_is_not_there_is_gone(self, at: Scene) -> None:
        with pytest.raises(Gone):
            at.forge().merge_request(at.project.id, 999)

    def test_trouble_that_passes_is_waited_out(self, at: Scene) -> None:
        at.sandbox.fail("GET", r"/merge_requests/", 502, times=2)
        assert at.merge_request.ready
        assert len(at.slept) == 2


class TestRights:
    def test_a_wrong_token_is_a_setting_to_change(self, at: Scene) -> None:
        with pytest.raises(Misconfigured, match=r"gitlab\.token"):
            at.forge(token="wrong").account()
        assert at.slept == []

    def test_a_role_that_may_not_comment_is_named(self, at: Scene) -> None:
        merge_request = at.merge_request
        at.sandbox.add_member(at.project, at.bot, Role.GUEST)
        with pytest.raises(Misconfigured, match="Developer"):
            at.forge().post_remark(merge_request, remark(anchor(at.diff, "app.py", "3")))

    def test_no_error_tells_the_token(self, at: Scene) -> None:
        for status in (400, 401, 403, 404, 422, 429, 500):
            at.sandbox.fail("GET", r"/user", status, times=10)
            with pytest.raises(StropError) as caught:
                at.forge().account()
            assert at.bot.token not in str(caught.value)
            at.sandbox._door.faults.clear()
