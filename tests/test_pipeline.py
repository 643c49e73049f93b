"""From an event to comments, on a forge with real git behind it, with a scripted model."""

import json
from collections import defaultdict
from functools import partial

import pytest
import sqlalchemy as sa

from bot import pipeline
from bot.context.diff import parse
from bot.domain import Event, EventKind, Job, JobKind
from bot.errors import BadSettings, RetryLater, Skip, Superseded
from bot.findings import rendering
from bot.integrations.database import SqlDatabase
from bot.integrations.database_engine import make_engine, migrate
from bot.integrations.git_mirror import GitMirrors
from bot.wiring import review_template
from tests.fakes import NOTHING, ScriptedEngine
from tests.integrations.gitlab_scene import scene
from tests.test_reviewing import answer


class MemorySteps:
    """Steps of one job, kept in memory; `stop` is asked whether the job was cancelled."""

    def __init__(self, stop=lambda: False):
        self.done = {}
        self.stop = stop

    def __call__(self, name, work):
        if name not in self.done:
            self.done[name] = json.dumps(work())
        return json.loads(self.done[name])

    def cancelled(self):
        return self.stop()


class World:
    """A scene, our parts around it, and a queue that is a dictionary."""

    def __init__(self, at, directory, script):
        self.at = at
        self.engine = ScriptedEngine(script)
        self.connections = make_engine(f"sqlite:///{directory / 'strop.sqlite'}")
        migrate(self.connections)
        self.queue: dict[str, Job] = {}
        self.database = SqlDatabase(
            self.connections,
            enqueue=self.enqueue,
            active=lambda subject: [name for name in self.queue if name.startswith(subject)],
            cancel=self.cancel,
        )
        self.forge = at.forge()
        self.parts = pipeline.Parts(
            forge=self.forge,
            mirrors=GitMirrors(directory / "mirrors", at.sandbox.url, at.bot.token, parse),
            engine=self.engine,
            database=self.database,
            template=review_template(),
            time_limit_s=60,
            sleep=lambda _seconds: None,
        )

    def enqueue(self, _connection, job):
        self.queue[job.id] = job

    def cancel(self, names):
        for name in names:
            self.queue.pop(name, None)

    def job(self, **changes):
        facts = {
            "kind": JobKind.REVIEW,
            "project_id": self.at.project.id,
            "head_sha": self.at.served.version.head,
            "delivery": "d1",
            "iid": self.at.served.iid,
        }
        return Job(**(facts | changes))

    def run(self, steps=None, **changes):
        pipeline.run_job(self.job(**changes), steps or MemorySteps(), self.parts)

    def seen(self):
        """How often each of our comments stands in the merge request, by its marker."""
        seen: dict[str, int] = defaultdict(int)
        for note in self.at.notes:
            for mark in rendering.markers(note.body):
                seen[mark] += 1
        return dict(seen)

    @property
    def summary(self):
        (body,) = [n.body for n in self.at.notes if n.body.startswith("### Strop")]
        return body


@pytest.fixture
def at(tmp_path):
    with scene(tmp_path / "forge") as made:
        yield made


@pytest.fixture
def world(at, tmp_path):
    made = World(at, tmp_path, answer)
    yield made
    made.connections.dispose()


def test_each_finding_is_a_discussion_and_there_is_one_summary(world):
    world.run()
    seen = world.seen()
    assert seen.pop("summary") == 1
    assert len(seen) == 3  # app.py, the renamed file, the added one
    assert set(seen.values()) == {1}
    assert "`pic.png`: skipped (binary)" in world.summary
    assert "`gone.py`: skipped (deleted)" in world.summary


def test_doing_a_job_again_from_the_start_adds_nothing(world):
    world.run()
    before = world.seen()
    with pytest.raises(Skip, match="has been reviewed"):
        world.run()
    with world.connections.begin() as connection:
        connection.execute(sa.text("delete from bot_findings"))
        connection.execute(sa.text("delete from bot_reviews"))
    calls = len(world.engine.asked)
    world.run()
    assert world.seen() == before
    assert len(world.engine.asked) == calls, "an answer was remembered"


def test_what_was_decided_stays_after_a_restart_whatever_the_settings_say_then(world):
    steps = MemorySteps()
    world.run(steps)
    before = world.seen()
    with world.connections.begin() as connection:
        connection.execute(sa.text("delete from bot_reviews"))
    world.at.sandbox.commit(
        world.at.project,
        "main",
        {".strop.toml": "[review]\nenabled = false\n"},
        user=world.at.alice,
    )
    world.run(steps)
    assert world.seen() == before


def test_the_review_is_kept_with_its_findings(world):
    world.run()
    with world.connections.begin() as connection:
        kept = connection.execute(sa.text("select path, held_back from bot_findings")).all()
        assert connection.scalar(sa.text("select count(*) from bot_reviews")) == 1
    assert len(kept) == 3
    assert world.database.reviewed_head(world.at.project.id, 1) == world.job().head_sha


def test_secrets_in_quoted_code_are_not_kept(at, tmp_path):
    token = "glpat-" + "a1B2c3D4e5F6g7H8i9J0"
    at.sandbox.commit(at.project, "topic", {"added.py": f"T = '{token}'\n"}, user=at.alice)
    world = World(at, tmp_path, answer)
    steps = MemorySteps()
    world.run(steps)
    assert token not in steps.done["read"]
    with world.connections.begin() as connection:
        rows = connection.execute(sa.text("select * from bot_findings")).all()
        assert rows
        assert token not in str(rows)
    world.connections.dispose()


def test_nothing_found_is_said_and_nothing_else_is_posted(at, tmp_path):
    world = World(at, tmp_path, lambda _: NOTHING)
    world.run()
    assert world.seen() == {"summary": 1}
    assert "No findings" in world.summary
    world.connections.dispose()


def test_a_review_that_could_not_finish_says_so(at, tmp_path):
    world = World(at, tmp_path, lambda _: "I like it")
    world.run()
    assert "incomplete" in world.summary.splitlines()[0]
    assert "No findings" not in world.summary
    world.connections.dispose()


def test_a_head_that_has_moved_on_is_not_reviewed(world):
    old = world.job()
    world.at.sandbox.commit(
        world.at.project, "topic", {"app.py": "x = 1\n"}, user=world.at.alice
    )
    with pytest.raises(Superseded):
        world.run(head_sha=old.head_sha)
    assert world.seen() == {}


def test_a_push_during_the_review_stops_it_before_the_next_comment(at, tmp_path):
    world = World(at, tmp_path, answer)

    class PushAfterFirst(MemorySteps):
        def __call__(self, name, work):
            result = super().__call__(name, work)
            if name.startswith("post") and len(self.done) == 2:
                at.sandbox.commit(at.project, "topic", {"app.py": "y = 1\n"}, user=at.alice)
            return result

    with pytest.raises(Superseded):
        world.run(PushAfterFirst())
    assert sum(world.seen().values()) == 1
    world.connections.dispose()


def test_a_cancelled_job_posts_nothing(world):
    with pytest.raises(Superseded):
        world.run(MemorySteps(stop=lambda: True))
    assert world.seen() == {}


def test_a_second_head_does_not_repeat_what_was_said_of_the_first(world):
    world.run()
    before = world.seen()
    world.at.sandbox.commit(
        world.at.project, "topic", {"other.py": "z = 1\n"}, user=world.at.alice
    )
    world.run(head_sha=world.at.served.version.head, delivery="d2")
    after = world.seen()
    assert after["summary"] == 1
    assert all(after[mark] == 1 for mark in before)
    assert len(after) == len(before) + 1


def test_settings_come_from_the_default_branch_and_not_from_the_change(world):
    at = world.at
    at.sandbox.commit(
        at.project, "topic", {".strop.toml": "[review]\nenabled = false\n"}, user=at.alice
    )
    world.run(head_sha=at.served.version.head)
    assert len(world.seen()) > 1


def test_a_project_can_switch_reviews_off(world):
    at = world.at
    off = {".strop.toml": "[review]\nenabled = false\n"}
    at.sandbox.commit(at.project, "main", off, user=at.alice)
    with pytest.raises(Skip, match="enabled is false"):
        world.run()
    assert world.seen() == {}


def test_a_project_chooses_the_language(world):
    at = world.at
    at.sandbox.commit(at.project, "main", {".strop.toml": 'language = "zh"\n'}, user=at.alice)
    world.run()
    assert "文件" in world.summary


def test_broken_settings_of_a_project_are_told_where_people_are(world):
    at = world.at
    at.sandbox.commit(at.project, "main", {".strop.toml": "colour = 1\n"}, user=at.alice)
    with pytest.raises(BadSettings) as caught:
        world.run()
    pipeline.explain(world.job(), str(caught.value), world.forge)
    assert "unknown key colour" in world.summary
    assert "No findings" not in world.summary


def test_an_explanation_for_an_old_head_is_not_given(world):
    pipeline.explain(world.job(head_sha="0" * 40), "too late", world.forge)
    pipeline.explain(world.job(iid=None), "a push", world.forge)
    assert world.seen() == {}


@pytest.mark.parametrize("change", ["close", "draft"])
def test_what_is_closed_or_a_draft_is_not_reviewed(world, change):
    at = world.at
    if change == "close":
        at.sandbox.close(at.served, at.alice)
    else:
        at.sandbox.edit(at.served, at.alice, title="Draft: not yet")
    with pytest.raises(Skip):
        world.run()


def test_the_forge_may_take_its_time_to_make_the_diff(tmp_path):
    with scene(tmp_path / "forge", preparing_reads=3) as at:
        world = World(at, tmp_path, answer)
        world.run()
        assert world.seen()["summary"] == 1
        world.connections.dispose()


def test_a_diff_that_never_comes_is_waited_for_later(tmp_path):
    with scene(tmp_path / "forge", preparing_reads=99) as at:
        world = World(at, tmp_path, answer)
        with pytest.raises(RetryLater):
            world.run()
        world.connections.dispose()


def test_lines_the_forge_refuses_are_told_on_the_file(world):
    refused = rb'{"message":"400 Bad request - Note {:line_code=>[\"can\'t be blank\"]}"}'
    json_type = {"Content-Type": "application/json"}
    world.at.sandbox.fail("POST", r"/discussions", 400, headers=json_type, body=refused)
    world.run()
    on_file = [
        n for n in world.at.notes if n.position and n.position["position_type"] == "file"
    ]
    assert len(on_file) == 1
    assert set(world.seen().values()) == {1}


def test_what_the_forge_refuses_everywhere_is_told_in_the_summary(world):
    refused = rb'{"message":"400 Bad request - Note {:line_code=>[\"can\'t be blank\"]}"}'
    json_type = {"Content-Type": "application/json"}
    world.at.sandbox.fail(
        "POST", r"/discussions", 400, times=6, headers=json_type, body=refused
    )
    world.run()
    assert world.seen() == {"summary": 1}
    assert "off by one" in world.summary.replace("\\", "")


def test_a_push_is_heard_as_the_merge_requests_of_its_branch(world):
    pipeline.run_job(
        world.job(kind=JobKind.FAN_OUT, iid=None, branch="topic"), MemorySteps(), world.parts
    )
    (queued,) = world.queue.values()
    assert (queued.kind, queued.iid) == (JobKind.REVIEW, world.at.served.iid)


def test_a_webhook_and_a_push_for_one_head_make_one_review(world):
    event = Event(
        "d7", EventKind.MERGE_REQUEST, "open", world.at.project.id, "bank/app", 1,
        world.at.served.version.head, iid=world.at.served.iid,
    )  # fmt: skip
    assert pipeline.hear(event, world.database)
    assert not pipeline.hear(event, world.database), "the same delivery"
    pipeline.run_job(
        world.job(kind=JobKind.FAN_OUT, iid=None, branch="topic"), MemorySteps(), world.parts
    )
    assert len(world.queue) == 1


def test_a_newer_head_replaces_what_is_queued(world):
    at = world.at
    look = partial(pipeline.reconcile, world.forge, world.database)
    assert look() == 1
    at.sandbox.commit(at.project, "topic", {"app.py": "y = 1\n"}, user=at.alice)
    assert look() == 1
    assert {job.head_sha for job in world.queue.values()} == {at.served.version.head}


def test_looking_finds_what_no_webhook_told_and_only_once(world):
    look = partial(pipeline.reconcile, world.forge, world.database)
    assert look() == 1
    assert look() == 0
    world.run()
    assert look() == 0


def test_looking_hears_of_each_new_head_once(world):
    at = world.at
    look = partial(pipeline.reconcile, world.forge, world.database)
    assert look() == 1
    world.run()
    at.sandbox.commit(at.project, "topic", {"app.py": "y = 1\n"}, user=at.alice)
    assert look() == 1
    world.run(head_sha=at.served.version.head, delivery="d2")
    assert look() == 0
