"""Workers are killed; what they had finished is not done again, and all the rest is done."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.domain import Job, JobKind
from bot.integrations.jobs import Pace
from bot.integrations.jobs_queue import JobQueue
from tests.integrations.databases import PATIENCE_S, engine, postgres_server, until, url
from tests.integrations.worker_process import STEPS

__all__ = ["engine", "postgres_server", "url"]

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def queue(engine: sa.Engine) -> Iterator[JobQueue]:
    queue = JobQueue(engine)
    yield queue
    queue.close()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    path.touch()
    return path


@pytest.fixture
def start(url: str, journal: Path, queue: JobQueue) -> Iterator[Start]:
    """Starts workers, and leaves none behind."""
    workers: list[subprocess.Popen[bytes]] = []

    def start(executor: str, freeze: str = "") -> subprocess.Popen[bytes]:
        module = "tests.integrations.worker_process"
        argv = [sys.executable, "-m", module, url, executor, str(journal), freeze]
        workers.append(subprocess.Popen(argv, stderr=subprocess.PIPE))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.communicate()


def jobs(count: int) -> list[Job]:
    return [Job(JobKind.REVIEW, 7, "a" * 40, f"d{n}", iid=n) for n in range(1, count + 1)]


def put(engine: sa.Engine, queue: JobQueue, *wanted: Job) -> None:
    with engine.begin() as connection:
        for job in wanted:
            queue.enqueue(connection, job)


def lines(journal: Path, *words: str) -> Counter[tuple[str, str]]:
    """How often each (job, step) has a line with these words."""
    split = [line.split() for line in journal.read_text().splitlines()]
    return Counter((s[1], s[2]) for s in split if set(words) <= set(s))


def once_each(wanted: list[Job]) -> Counter[tuple[str, str]]:
    return Counter((job.id, step) for job in wanted for step in STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_in_a_step_repeats_that_step_only(
    engine: sa.Engine, queue: JobQueue, journal: Path, start: Start, step: str
) -> None:
    wanted = jobs(2)
    put(engine, queue, *wanted)
    worker = start("w1", step)
    until(lambda: len(lines(journal, "begin", step)) == 2)
    worker.kill()
    worker.wait()
    start("w1")
    until(lambda: not queue.active())
    assert lines(journal, "end") == once_each(wanted)
    begun = once_each(wanted)
    begun.update((job.id, step) for job in wanted)
    assert lines(journal, "begin") == begun


def test_the_survivor_takes_over_from_a_dead_worker(
    engine: sa.Engine, queue: JobQueue, journal: Path, start: Start
) -> None:
    wanted = jobs(4)
    put(engine, queue, *wanted)
    victim = start("w1", "infer")
    until(lambda: bool(lines(journal, "begin", "infer", "w1")))
    victim.kill()
    victim.wait()
    taken = len(lines(journal, "end", "fetch", "w1"))
    start("w2")
    until(lambda: not queue.active())
    assert taken
    assert lines(journal, "end") == once_each(wanted)


def test_a_worker_that_only_slept_does_not_finish_what_was_taken_from_it(
    engine: sa.Engine, queue: JobQueue, journal: Path, start: Start
) -> None:
    (job,) = jobs(1)
    put(engine, queue, job)
    sleeper = start("w1", "infer")
    until(lambda: lines(journal, "begin", "infer", "w1")[job.id, "infer"] == 1)
    sleeper.send_signal(signal.SIGSTOP)
    start("w2")
    until(lambda: not queue.active())
    sleeper.send_signal(signal.SIGCONT)
    journal.with_suffix(".go").touch()
    until(lambda: lines(journal, "end", "infer", "w1")[job.id, "infer"] == 1)
    sleeper.terminate()
    sleeper.wait(PATIENCE_S)
    assert lines(journal, "end", "post") == Counter({(job.id, "post"): 1})
    assert lines(journal, "end", "infer") == Counter({(job.id, "infer"): 2})


def test_a_job_that_keeps_killing_its_worker_is_left_alone(
    engine: sa.Engine, queue: JobQueue, journal: Path, start: Start
) -> None:
    (poison,) = jobs(1)
    put(engine, queue, poison)
    for crash in range(1, Pace().crashes + 1):
        worker = start("w1", "infer")
        until(partial(_begun_times, journal, crash))
        worker.kill()
        worker.wait()
    start("w1")
    until(lambda: not queue.active())
    assert [r.state for r in queue.reports()] == ["MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
    assert _begun_times(journal, Pace().crashes)


def _begun_times(journal: Path, times: int) -> bool:
    return sum(lines(journal, "begin", "infer").values()) == times


def test_a_worker_asked_to_stop_leaves_its_jobs_to_be_resumed(
    engine: sa.Engine, queue: JobQueue, journal: Path, start: Start
) -> None:
    wanted = jobs(3)
    put(engine, queue, *wanted)
    worker = start("w1")
    until(lambda: bool(lines(journal, "end", "fetch")))
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=PATIENCE_S)
    assert (worker.returncode, errors) == (os.EX_OK, b"")
    start("w1")
    until(lambda: not queue.active())
    assert lines(journal, "end") == once_each(wanted)
