"""What the open-source engine leaves to its users: jobs of a worker that died are moved to one
that lives, and finished jobs are forgotten after a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from typing import Protocol

from dbos import DBOS

log = logging.getLogger(__name__)

FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
SWEEP_EVERY_S = 3600.0
SWEEP_BATCH = 500


class Heartbeats(Protocol):
    """Which workers live (`bot.integrations.database_workers`)."""

    def beat(self, executor: str) -> None:
        """Say that this worker is alive now."""

    def leads(self, executor: str, lease_s: float) -> bool:
        """Whether this worker holds the lease."""

    def dead(self, after_s: float) -> list[str]:
        """The workers that have been silent for `after_s` seconds."""

    def forget(self, executors: Sequence[str]) -> None:
        """Take workers off the list."""


class Reaper:
    """The heartbeat of one worker, and its care for the others while it leads.

    `executor` names the worker: unique among those alive, and the same after a restart, when
    it resumes what it was doing. A worker that is silent for `dead_after_s` is taken for
    dead; if it was only slow, the engine refuses its next step, so that the mistake costs
    one repeated step. Finished jobs are kept for `keep_finished_s`.
    """

    def __init__(
        self,
        heartbeats: Heartbeats,
        executor: str,
        *,
        beat_s: float = 5.0,
        dead_after_s: float = 45.0,
        keep_finished_s: float = 14 * 24 * 3600.0,
    ) -> None:
        self.executor = executor
        self._heartbeats = heartbeats
        self._beat_s = beat_s
        self._dead_after_s = dead_after_s
        self._keep_finished_s = keep_finished_s
        self._swept_at: float | None = None
        self._stopping = Flag()
        self._thread = Thread(target=self._watch, name="reaper", daemon=True)

    def beat(self) -> None:
        """Be known to be alive, before the first job is taken on."""
        self._heartbeats.beat(self.executor)

    def start(self) -> None:
        """Beat from now on. The engine has to be running."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the heart beats."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop beating: others take over soon."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(self._beat_s):
            try:
                self.beat()
                if self._heartbeats.leads(self.executor, self._dead_after_s):
                    self._bury()
                    self._sweep()
            except Exception as error:  # noqa: BLE001 - the heart beats on, whatever happens
                log.warning("worker %s: %s", self.executor, error)

    def _bury(self) -> None:
        """Move the jobs of dead workers to the living. Of the engine's ways to do so only
        this one is atomic, keeps the job's queue and keeps counting its crashes; public
        `resume_workflow` would also revive a job that was cancelled meanwhile."""
        dead = [e for e in self._heartbeats.dead(self._dead_after_s) if e != self.executor]
        if dead:
            moved = DBOS._recover_pending_workflows(dead)  # noqa: SLF001
            self._heartbeats.forget(dead)
            log.warning("workers died: %s; jobs moved: %d", ", ".join(dead), len(moved))

    def _sweep(self) -> None:
        """Once an hour, forget jobs that finished long ago."""
        now = time.monotonic()
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY_S:
            return
        self._swept_at = now
        before = datetime.now(UTC) - timedelta(seconds=self._keep_finished_s)
        while old := DBOS.list_workflows(
            status=FINISHED,
            completed_before=before.isoformat(),
            limit=SWEEP_BATCH,
            load_input=False,
            load_output=False,
        ):
            DBOS.delete_workflows([row.workflow_id for row in old])
