"""How jobs run and end, on SQLite and on PostgreSQL."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
import sqlalchemy as sa

from bot.domain import Job, JobKind
from bot.errors import (
    EngineFailed,
    GiveUp,
    Gone,
    Misconfigured,
    RetryLater,
    Skip,
    StropError,
    Superseded,
    Unplaceable,
)
from bot.integrations.database_workers import Workers
from bot.integrations.jobs import DurableJobs, Pace
from bot.integrations.jobs_queue import JobQueue, JobReport
from bot.integrations.jobs_reaper import Reaper
from bot.ports import Steps
from tests.integrations.databases import engine, postgres_server, until, url
from tests.integrations.test_jobs_crash import put, queue

__all__ = ["engine", "postgres_server", "queue", "url"]

Run = Callable[[Job, Steps], None]
Start = Callable[..., DurableJobs]
QUICK = Pace(poll_s=0.05, first_wait_s=0.05, attempts=4, longest_wait_s=0.2)


@pytest.fixture
def explained() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def start(
    engine: sa.Engine, queue: JobQueue, explained: list[tuple[str, str]]
) -> Iterator[Start]:
    started: list[DurableJobs] = []

    def start(run: Run, pace: Pace = QUICK) -> DurableJobs:
        reaper = Reaper(Workers(engine), "w1", beat_s=0.1, dead_after_s=5.0)
        started.append(
            DurableJobs(
                engine,
                queue=queue,
                reaper=reaper,
                run=run,
                explain=lambda job, reason: explained.append((job.id, reason)),
                concurrency=4,
                pace=pace,
            )
        )
        started[-1].start()
        return started[-1]

    yield start
    for jobs in started:
        jobs.stop(timeout_s=0)


def review(iid: int = 1, head: str = "a" * 40, delivery: str = "d1") -> Job:
    return Job(JobKind.REVIEW, 7, head, delivery, iid=iid)


def cancel(queue: JobQueue, job: Job) -> None:
    queue.cancel([job.id])
    until(lambda: queue.cancelled(job.id))


def ended(queue: JobQueue, job: Job) -> JobReport:
    until(lambda: not queue.active(job.id))
    (report,) = queue.reports(job.id)
    return report


def test_a_job_arrives_as_it_was_queued(
    engine: sa.Engine, queue: JobQueue, start: Start
) -> None:
    seen: list[Job] = []
    fan_out = Job(JobKind.FAN_OUT, 7, "b" * 40, "d2", branch="feature/ü_%")
    put(engine, queue, review(), fan_out)
    start(lambda job, _: seen.append(job))
    assert ended(queue, review()) == JobReport(review().id, "SUCCESS", "done")
    assert ended(queue, fan_out).outcome == "done"
    assert sorted(seen, key=lambda job: job.delivery) == [review(), fan_out]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Skip("nothing to do"), "skipped"),
        (Superseded("nothing to do"), "skipped"),
        (GiveUp("nothing to do"), "gave_up"),
        (Gone("nothing to do"), "gave_up"),
        (Misconfigured("nothing to do"), "failed"),
    ],
)
def test_what_a_job_raises_is_how_it_ends(
    engine: sa.Engine, queue: JobQueue, start: Start, error: StropError, outcome: str
) -> None:
    def run(job: Job, steps: Steps) -> None:
        raise error

    put(engine, queue, review())
    start(run)
    assert ended(queue, review()) == JobReport(review().id, "SUCCESS", outcome, "nothing to do")


def test_a_mistake_of_ours_ends_the_job_with_its_traceback_in_the_log(
    engine: sa.Engine, queue: JobQueue, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def run(job: Job, steps: Steps) -> None:
        steps("divide", lambda: 1 // 0)

    put(engine, queue, review())
    start(run)
    report = ended(queue, review())
    assert report.outcome == "failed"
    assert "ZeroDivisionError" not in report.reason
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == f"job {review().id}: failed"
    assert record.exc_info is not None


class TestSteps:
    def test_a_step_gives_json_data_back(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        given: list[object] = []

        def run(job: Job, steps: Steps) -> None:
            given.append(steps("one", lambda: {"text": "half \ud800 \x00", "n": [1, None]}))
            given.append(steps("two", lambda: (1, 2)))
            given.append(steps("two", lambda: pytest.fail("again")))

        put(engine, queue, review())
        start(run)
        assert ended(queue, review()).outcome == "done"
        assert given == [{"text": "half \ud800 \x00", "n": [1, None]}, [1, 2], [1, 2]]

    @pytest.mark.parametrize("error", [Unplaceable("line 3"), EngineFailed("out of memory")])
    def test_what_a_step_raises_on_purpose_reaches_the_job(
        self, engine: sa.Engine, queue: JobQueue, start: Start, error: StropError
    ) -> None:
        caught: list[StropError] = []

        def fail() -> None:
            raise error

        def run(job: Job, steps: Steps) -> None:
            try:
                steps("place", fail)
            except StropError as raised:
                caught.append(raised)

        put(engine, queue, review())
        start(run)
        assert ended(queue, review()).outcome == "done"
        assert [(type(e), str(e)) for e in caught] == [(type(error), str(error))]


class TestRetryLater:
    def test_the_job_is_run_again_without_its_finished_steps(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        calls: list[str] = []

        def once(name: str) -> str:
            calls.append(name)
            return name

        def flaky() -> None:
            calls.append("flaky")
            if calls.count("flaky") < 3:
                raise RetryLater("the forge is down", after_s=0.1)

        def run(job: Job, steps: Steps) -> None:
            steps("fetch", partial(once, "fetch"))
            steps("flaky", flaky)
            steps("post", partial(once, "post"))

        put(engine, queue, review())
        start(run)
        assert ended(queue, review()).outcome == "done"
        assert calls == ["fetch", "flaky", "flaky", "flaky", "post"]

    def test_after_some_attempts_it_is_enough(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        calls: list[float] = []

        def run(job: Job, steps: Steps) -> None:
            calls.append(time.time())
            raise RetryLater("the forge is down", after_s=3600)

        put(engine, queue, review())
        start(run)
        assert ended(queue, review()).reason == "the forge is down"
        assert len(calls) == QUICK.attempts
        waits = [b - a for a, b in pairwise(calls)]
        assert min(waits) >= QUICK.longest_wait_s * 0.9

    def test_a_waiting_job_can_be_cancelled(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        calls: list[str] = []

        def run(job: Job, steps: Steps) -> None:
            calls.append(job.id)
            cancel(queue, job)
            raise RetryLater("the forge is down")

        put(engine, queue, review())
        start(run)
        assert ended(queue, review()).state == "CANCELLED"
        put(engine, queue, review(head="b" * 40))
        until(lambda: len(calls) == 2)
        assert calls == [review().id, review(head="b" * 40).id]

    def test_a_job_can_be_cancelled_in_the_middle_of_a_long_wait(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        seen = []

        def run(job: Job, steps: Steps) -> None:
            seen.append(job.head_sha[0])
            if job.head_sha[0] == "a":
                raise RetryLater("the forge is down")

        put(engine, queue, review(), review(head="b" * 40))
        start(run, Pace(poll_s=0.05, first_wait_s=3600.0))
        until(lambda: seen == ["a"])
        time.sleep(0.5)
        queue.cancel([review().id])
        assert ended(queue, review(head="b" * 40)).outcome == "done"
        assert seen == ["a", "b"]

    def test_a_restart_does_not_begin_a_wait_anew(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        calls: list[float] = []

        def run(job: Job, steps: Steps) -> None:
            calls.append(time.time())
            if len(calls) < 3:
                raise RetryLater("the forge is down", after_s=6.0)

        pace = Pace(poll_s=0.05, first_wait_s=0.0)
        put(engine, queue, review())
        first = start(run, pace)
        until(lambda: len(calls) == 1)
        time.sleep(0.5)
        first.stop()
        start(run, pace)
        assert ended(queue, review()).outcome == "done"
        first_run, replayed, again = calls
        assert again - first_run >= 6.0
        assert again - replayed < 6.0


class TestCancel:
    def test_a_queued_job_never_starts(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        seen: list[Job] = []
        put(engine, queue, review(1), review(2))
        cancel(queue, review(1))
        start(lambda job, _: seen.append(job))
        ended(queue, review(2))
        assert seen == [review(2)]
        assert queue.cancelled(review(1).id)
        assert not queue.cancelled(review(2).id)

    def test_a_running_job_hears_of_it_and_does_no_further_step(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        running, heard, posted = threading.Event(), threading.Event(), []

        def infer(steps: Steps) -> str:
            running.set()
            until(steps.cancelled)
            heard.set()
            return "cut short"

        def run(job: Job, steps: Steps) -> None:
            steps("infer", partial(infer, steps))
            posted.append(job)

        put(engine, queue, review())
        start(run)
        running.wait(30)
        queue.cancel([review().id])
        assert heard.wait(30)
        assert ended(queue, review()).state == "CANCELLED"
        assert posted == []

    def test_a_step_after_the_cancellation_raises_superseded(
        self, engine: sa.Engine, queue: JobQueue, start: Start
    ) -> None:
        raised: list[StropError] = []

        def run(job: Job, steps: Steps) -> None:
            cancel(queue, job)
            try:
                steps("post", lambda: pytest.fail("posted"))
            except Superseded as error:
                raised.append(error)
                raise

        put(engine, queue, review())
        start(run)
        until(lambda: bool(raised))
        assert ended(queue, review()).state == "CANCELLED"

    def test_without_its_tables_the_queue_asks_to_come_later(
        self, engine: sa.Engine, queue: JobQueue
    ) -> None:
        schema = "dbos." if engine.dialect.name == "postgresql" else ""
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {schema}workflow_status RENAME TO hidden"))
        queue.cancel([review().id])
        for ask in (queue.active, queue.cancelled):
            with pytest.raises(RetryLater, match="does not answer"):
                ask(review().id)

    def test_only_ids_that_begin_exactly_so_are_listed(
        self, engine: sa.Engine, queue: JobQueue
    ) -> None:
        under_score = Job(JobKind.FAN_OUT, 7, "a" * 40, "d1", branch="a_b")
        letter = Job(JobKind.FAN_OUT, 7, "a" * 40, "d2", branch="axb")
        upper = Job(JobKind.FAN_OUT, 7, "a" * 40, "d3", branch="A_B")
        put(engine, queue, under_score, letter, upper)
        assert queue.active(under_score.subject) == [under_score.id]


def test_jobs_of_one_subject_do_not_overlap_and_others_do(
    engine: sa.Engine, queue: JobQueue, start: Start
) -> None:
    lock, running, together = threading.Lock(), set(), set()

    def run(job: Job, steps: Steps) -> None:
        with lock:
            running.add(job)
            together.add(frozenset(running))
        time.sleep(0.5)
        with lock:
            running.remove(job)

    wanted = [review(iid, delivery=d) for iid in (1, 2) for d in ("d1", "d2")]
    put(engine, queue, *wanted)
    start(run)
    until(lambda: not queue.active())
    assert {len({job.iid for job in group}) == len(group) for group in together} == {True}
    assert max(len(group) for group in together) == 2


def test_a_stopping_worker_leaves_running_work_unfinished_but_not_lost(
    engine: sa.Engine, queue: JobQueue, start: Start
) -> None:
    running, calls = threading.Event(), []

    def infer(steps: Steps) -> str:
        calls.append("infer")
        running.set()
        if len(calls) == 1:
            until(steps.cancelled)
            raise EngineFailed("cut short")
        return "whole"

    def run(job: Job, steps: Steps) -> None:
        assert steps("infer", partial(infer, steps)) == "whole"

    put(engine, queue, review())
    first = start(run)
    running.wait(30)
    alive = [first.alive]
    first.stop(timeout_s=5)
    first.stop()
    alive.append(first.alive)
    assert alive == [True, False]
    assert [r.state for r in queue.reports()] == ["PENDING"]
    start(run)
    assert ended(queue, review()).outcome == "done"
    assert calls == ["infer", "infer"]


def _nothing(*_: object) -> None:
    """What a job may well do."""


def test_an_old_finished_job_is_forgotten_and_a_new_one_kept(
    engine: sa.Engine, queue: JobQueue
) -> None:
    def worker(keep_s: float) -> DurableJobs:
        reaper = Reaper(Workers(engine), "w1", beat_s=0.1, keep_finished_s=keep_s)
        return DurableJobs(
            engine, queue=queue, reaper=reaper, run=_nothing, explain=_nothing, pace=QUICK
        )

    put(engine, queue, review(1))
    first = worker(3600.0)
    first.start()
    ended(queue, review(1))
    first.stop(timeout_s=0)
    second = worker(0.0)
    second.start()
    until(lambda: queue.reports() == [])
    second.stop(timeout_s=0)


def test_only_a_job_whose_work_was_not_done_is_explained(
    engine: sa.Engine, queue: JobQueue, start: Start, explained: list[tuple[str, str]]
) -> None:
    endings = {1: Skip("draft"), 2: GiveUp("too large"), 3: Misconfigured("no right")}

    def run(job: Job, steps: Steps) -> None:
        if job.iid in endings:
            raise endings[job.iid]

    put(engine, queue, *map(review, range(1, 5)))
    start(run)
    until(lambda: not queue.active())
    assert sorted(explained) == [(review(2).id, "too large"), (review(3).id, "no right")]


def test_that_people_could_not_be_told_does_not_run_the_job_again(
    engine: sa.Engine, queue: JobQueue
) -> None:
    def refuse(*_: object) -> None:
        raise GiveUp("not possible")

    put(engine, queue, review())
    reaper = Reaper(Workers(engine), "w1")
    jobs = DurableJobs(
        engine, queue=queue, reaper=reaper, run=refuse, explain=refuse, pace=QUICK
    )
    jobs.start()
    assert ended(queue, review()).outcome == "gave_up"
    jobs.stop(timeout_s=0)


def test_a_database_that_cannot_be_used_stops_the_start(engine: sa.Engine) -> None:
    queue = JobQueue(engine)
    table = "dbos.dbos_migrations" if engine.dialect.name == "postgresql" else "dbos_migrations"
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET version = 0"))
    reaper = Reaper(Workers(engine), "w1")
    jobs = DurableJobs(engine, queue=queue, reaper=reaper, run=_nothing, explain=_nothing)
    with pytest.raises(Misconfigured, match="does not start"):
        jobs.start()
    queue.close()


class TestWorkers:
    def test_one_of_two_leads_until_its_lease_ends(self, engine: sa.Engine) -> None:
        workers = Workers(engine)
        assert workers.leads("w1", 60.0)
        assert not workers.leads("w2", 60.0)
        assert workers.leads("w1", 0.0)
        time.sleep(0.01)
        assert workers.leads("w2", 60.0)
        assert not workers.leads("w1", 60.0)

    def test_who_is_silent_is_dead_until_it_beats_again(self, engine: sa.Engine) -> None:
        workers = Workers(engine)
        workers.beat("w1")
        workers.beat("w2")
        assert workers.dead(60.0) == []
        time.sleep(0.3)
        workers.beat("w1")
        assert workers.dead(0.2) == ["w2"]
        workers.forget(["w2"])
        assert workers.dead(0.2) == []

    def test_a_dead_leader_leaves_its_place(self, engine: sa.Engine) -> None:
        workers = Workers(engine)
        assert workers.leads("w1", 60.0)
        workers.forget(["w1"])
        assert workers.leads("w2", 60.0)
