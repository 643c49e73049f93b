"""The durable queue: adding, listing and cancelling jobs, with no worker in this process.

DBOS keeps its tables beside ours. It would store pickles, which turn whoever can write the
database into whoever can run code; so everything is JSON here and in `jobs`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions

from bot.domain import Job, JobKind
from bot.errors import Misconfigured, RetryLater

APPLICATION = "strop"
# Jobs are only resumed by the version that began them: raise it when the steps of a job
# change their names or order, after the queue has drained.
VERSION = "strop-1"
WORKFLOW = "job"
QUEUES = {JobKind.REVIEW: "reviews", JobKind.FAN_OUT: "fan_outs"}
ACTIVE = ["DELAYED", "ENQUEUED", "PENDING"]
CANCELLED = "CANCELLED"
GATHER_S = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobReport:
    """Where a job stands. `state` is the engine's word (ENQUEUED, PENDING, SUCCESS, ERROR,
    CANCELLED, MAX_RECOVERY_ATTEMPTS_EXCEEDED); once it ended by itself `outcome` is done,
    skipped, gave_up or failed, and `reason` says why in words."""

    id: str
    state: str
    outcome: str = ""
    reason: str = ""


class JobQueue:
    """The queue as the web sees it. All verbs raise RetryLater if the database is away."""

    def __init__(self, engine: sa.Engine) -> None:
        """Bring the queue's own tables up to date; raises Misconfigured if that fails."""
        url = engine.url.render_as_string(hide_password=False)
        try:
            DBOS.migrate(url)
        except (sa.exc.DBAPIError, OSError) as error:
            raise Misconfigured(
                f"database.url: cannot prepare the job queue: {error}"
            ) from error
        self._client = DBOSClient(
            system_database_engine=engine,
            application_name=APPLICATION,
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )
        self._outdated: SimpleQueue[str | None] = SimpleQueue()
        self._canceller = Thread(target=self._cancel_outdated, name="canceller", daemon=True)
        self._canceller.start()

    def enqueue(self, connection: sa.Connection, job: Job) -> None:
        """Add a job in the caller's transaction; a job with this id is added once, ever.
        Jobs of one subject run one after the other."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUES[job.kind],
            "queue_partition_key": job.subject,
            "workflow_id": job.id,
            "app_version": VERSION,
        }
        self._client.enqueue_in_transaction(connection, options, asdict(job))

    def active(self, prefix: str = "") -> list[str]:
        """The ids of queued, waiting and running jobs that begin with `prefix`, oldest
        first."""
        return [report.id for report in self._list(prefix, ACTIVE)]

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs, in a moment: queued ones never start, a running one ends at its next
        step. Nobody waits for it, and what is cancelled at about the same time is cancelled
        in one transaction: deliveries come in bursts, and each commit waits for the disk.
        """
        for job_id in ids:
            self._outdated.put(job_id)

    def reports(self, prefix: str = "") -> list[JobReport]:
        """Where the jobs stand whose ids begin with `prefix`, oldest first."""
        return self._list(prefix, None)

    def cancelled(self, job_id: str) -> bool:
        """Whether this job was cancelled."""
        return any(report.state == CANCELLED for report in self._list(job_id, [CANCELLED]))

    def close(self) -> None:
        """Cancel what is still to be cancelled, and let go of the database; the engine
        stays the caller's."""
        self._outdated.put(None)
        self._canceller.join()
        self._client.destroy()

    def _cancel_outdated(self) -> None:
        """Wait for the first, then take all that came with it and shortly after."""
        while (first := self._outdated.get()) is not None:
            time.sleep(GATHER_S)
            ids = [first, *(self._outdated.get() for _ in range(self._outdated.qsize()))]
            try:
                self._client.cancel_workflows([job_id for job_id in ids if job_id])
            except sa.exc.SQLAlchemyError as error:
                log.warning("outdated jobs were not cancelled: %s", type(error).__name__)
            if None in ids:
                return

    def _list(self, prefix: str, status: list[str] | None) -> list[JobReport]:
        with _answering():
            rows = self._client.list_workflows(
                workflow_id_prefix=prefix or None,
                status=status,
                name=WORKFLOW,
                load_input=False,
                load_output=status is None,
            )
        # LIKE, which is behind the prefix, reads _ and % as wild and may ignore case.
        return [_report(row) for row in rows if row.workflow_id.startswith(prefix)]


@contextmanager
def _answering() -> Iterator[None]:
    """Raises RetryLater where the database does not answer."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise RetryLater(f"the database does not answer: {error.orig}") from error
    except sa.exc.TimeoutError as error:
        raise RetryLater("the database does not answer: all connections are busy") from error


def _report(row: Any) -> JobReport:
    output = row.output or {}
    reason = output.get("reason", "") or (str(row.error) if row.error else "")
    return JobReport(row.workflow_id, row.status, output.get("outcome", ""), reason)
