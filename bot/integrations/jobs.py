"""The worker of the durable queue. DBOS is one per process, which stays the secret of the
`jobs` files: only one `DurableJobs` can be started at a time.

What a job raises becomes its outcome here, and a job that has to wait is run again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event as Flag
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer

from bot.domain import Job, JobKind
from bot.errors import GiveUp, Misconfigured, RetryLater, Skip, StropError
from bot.integrations.jobs_queue import APPLICATION, QUEUES, VERSION, WORKFLOW, JobQueue
from bot.integrations.jobs_reaper import Reaper
from bot.integrations.jobs_steps import DurableSteps
from bot.ports import Steps

log = logging.getLogger(__name__)

GAVE_UP, FAILED = UNHAPPY = ("gave_up", "failed")
OUTCOMES = ((Skip, "skipped"), (GiveUp, GAVE_UP), (StropError, FAILED))
INTERNAL = "an error inside Strop; its log says more"
UNDONE = ("gave_up", "failed")
LEVELS = {"skipped": logging.INFO, "gave_up": logging.WARNING, "failed": logging.ERROR}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often jobs are looked for and tried; seconds and counts.

    `crashes` is how often a job may take its worker down before it is left alone;
    `attempts` how often it is run while it raises RetryLater, waiting `first_wait_s`, twice
    that, and so on, or what the other side asked for, but never more than
    `longest_wait_s`. A waiting job keeps its place: what it waits for, the others need too.
    """

    poll_s: float = 1.0
    crashes: int = 4
    attempts: int = 8
    first_wait_s: float = 10.0
    longest_wait_s: float = 1800.0


class DurableJobs:
    """Runs queued jobs, `concurrency` of them at once and one of each subject.

    `run` does the work of a job; what it raises decides how the job ends (bot.errors).
    `explain` is given a job that ended without its work done, and why.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        queue: JobQueue,
        reaper: Reaper,
        run: Callable[[Job, Steps], None],
        explain: Callable[[Job, str], None],
        concurrency: int = 2,
        pace: Pace | None = None,
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._reaper = reaper
        self._run = run
        self._explain = explain
        self._explain = explain
        self._concurrency = concurrency
        self._pace = pace or Pace()
        self._stopping = Flag()

    def start(self) -> None:
        """Resume what this worker left unfinished, and take on new jobs."""
        _tame_the_vendors_log()
        self._reaper.beat()
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._engine.url.render_as_string(hide_password=False),
                "system_database_engine": self._engine,
                "application_version": VERSION,
                "executor_id": self._reaper.executor,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
            }
        )
        # The engine counts recoveries, of which the first run is none.
        workflow = DBOS.workflow(name=WORKFLOW, max_recovery_attempts=self._pace.crashes - 1)
        workflow(self._workflow())
        try:
            DBOS.launch()
        except Exception as error:
            DBOS.destroy(destroy_registry=True)
            raise Misconfigured(f"the job queue does not start: {error}") from error
        for name in QUEUES.values():
            DBOS.register_queue(
                name,
                partition_concurrency=1,
                worker_concurrency=self._concurrency,
                polling_interval_sec=self._pace.poll_s,
                on_conflict="always_update",
            )
        self._reaper.start()

    @property
    def alive(self) -> bool:
        """Whether jobs are being taken on."""
        return self._reaper.alive and not self._stopping.is_set()

    def stop(self, timeout_s: int = 10) -> None:
        """Take on nothing new, tell running jobs to stop short, and leave after at most
        about `timeout_s` seconds. What is unfinished is resumed by this worker after its
        restart, or by another one soon. Calling it twice is harmless."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._reaper.stop()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=timeout_s)

    def _workflow(self) -> Callable[[dict[str, Any]], dict[str, str]]:
        """A plain function, which is what the engine can register."""

        def job(data: dict[str, Any]) -> dict[str, str]:
            return self._perform(Job(**{**data, "kind": JobKind(data["kind"])}))

        return job

    def _perform(self, job: Job) -> dict[str, str]:
        """Run a job to its end, which is its result: `outcome` and `reason`."""
        steps = DurableSteps(job.id, self._queue.cancelled, self._stopping)
        try:
            self._attempts(job, steps)
        except StropError as error:
            error = steps.meaning(error)
            outcome = next(name for kind, name in OUTCOMES if isinstance(error, kind))
            level = logging.ERROR if outcome == FAILED else logging.INFO
            log.log(level, "job %s: %s: %s", job.id, outcome, error)
            return self._ended(job, outcome, str(error))
        except Exception:
            log.exception("job %s: failed", job.id)
            return self._ended(job, FAILED, INTERNAL)
        log.info("job %s: done", job.id)
        return self._ended(job, "done", "")

    def _ended(self, job: Job, outcome: str, reason: str) -> dict[str, str]:
        """Tell people of an end that they would otherwise take for consent."""
        if outcome in UNHAPPY:
            try:
                self._explain(job, reason)
            except StropError as error:
                log.warning("job %s: nobody could be told: %s", job.id, error)
        return {"outcome": outcome, "reason": reason}

    def _attempts(self, job: Job, steps: DurableSteps) -> None:
        """Run a job until it does not raise RetryLater, or has done so often enough."""
        for attempt in range(1, self._pace.attempts):
            try:
                return self._run(job, steps)
            except RetryLater as error:
                if steps.told:
                    raise
                # The moment is a step, so that a restart does not begin the wait anew.
                moment = time.time() + self._wait_s(attempt, error.after_s)
                moment = steps(f"wait {attempt}", partial(float, moment))
                log.warning("job %s: %s; again at %s", job.id, error, time.ctime(moment))
                steps.wait_until(moment)
        return self._run(job, steps)

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        own_s: float = self._pace.first_wait_s * 2 ** (attempt - 1)
        own_s *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        return min(max(own_s, asked_s or 0.0), self._pace.longest_wait_s)


class _OneLine(logging.Filter):
    """Takes tracebacks out, and what the engine says of jobs, which we say better."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return record.module != "_core"


def _tame_the_vendors_log() -> None:
    vendor = logging.getLogger("dbos")
    if not any(isinstance(f, _OneLine) for f in vendor.filters):
        vendor.addFilter(_OneLine())
        # Finding a handler, the engine does not add its own, and ours get its records.
        vendor.addHandler(logging.NullHandler())
