"""A worker in a process of its own, which tests can kill.

Each job runs three steps. Every step writes a line to the journal file when it begins and
when it ends; a step named by FREEZE waits, after having begun, for the file JOURNAL.go.

    python -m tests.integrations.worker_process URL EXECUTOR JOURNAL [FREEZE]
"""

import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from bot.domain import Job
from bot.integrations.database_engine import make_engine, migrate
from bot.integrations.database_workers import Workers
from bot.integrations.jobs import DurableJobs, Pace
from bot.integrations.jobs_queue import JobQueue
from bot.integrations.jobs_reaper import Reaper
from bot.ports import Steps

STEPS = ("fetch", "infer", "post")


def note(journal: Path, *words: str) -> None:
    """Append one line at once: what was written is there, whatever happens next."""
    with journal.open("a") as file:
        file.write(" ".join(words) + "\n")
        file.flush()
        os.fsync(file.fileno())


def work(journal: Path, executor: str, freeze: str, job: Job, step: str) -> str:
    note(journal, "begin", job.id, step, executor)
    while freeze == step and not journal.with_suffix(".go").exists():
        time.sleep(0.05)
    note(journal, "end", job.id, step, executor)
    return step


def run(journal: Path, executor: str, freeze: str, job: Job, steps: Steps) -> None:
    for step in STEPS:
        steps(step, partial(work, journal, executor, freeze, job, step))


def main(url: str, executor: str, path: str, freeze: str = "") -> None:
    engine = make_engine(url)
    migrate(engine)
    jobs = DurableJobs(
        engine,
        queue=JobQueue(engine),
        reaper=Reaper(Workers(engine), executor, beat_s=0.2, dead_after_s=2.0),
        run=partial(run, Path(path), executor, freeze),
        explain=lambda job, reason: note(Path(path), "explain", job.id, reason),
        pace=Pace(poll_s=0.1),
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    jobs.start()
    stop.wait()
    jobs.stop(timeout_s=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
