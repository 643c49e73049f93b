"""The steps of one running job (ports.Steps)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from threading import Event as Flag
from typing import Any, TypeVar, cast

from dbos import DBOS
from dbos import error as dbos_errors

from bot import errors
from bot.errors import RetryLater, StropError, Superseded

T = TypeVar("T")

ASK_AGAIN_S = 1.0
CANCELLED = "newer work replaced this job"


class Interrupted(BaseException):
    """The worker stops: leave the job as it is, so that it is resumed. Not an Exception, so
    that nothing between a step and the engine takes it for a failure of the work."""


class DurableSteps:
    """Remembers what steps returned, across restarts (the engine's journal) and across the
    attempts of one run (`_done`), and what a step raised on purpose, since whoever catches
    that decides by it what to do next."""

    def __init__(
        self, job_id: str, is_cancelled: Callable[[str], bool], stopping: Flag
    ) -> None:
        self._job_id = job_id
        self._is_cancelled = is_cancelled
        self._stopping = stopping
        self._done: dict[str, Any] = {}
        self._asked_at = 0.0
        self._cancelled = False
        self.told = False

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Run `work` once per job and name (see ports.Steps). Work that was told to stop
        short is not remembered."""
        if name not in self._done:
            result = json.loads(self._journaled(name, work))
            if "raised" in result:
                raise _raised(result)
            self._done[name] = result["value"]
        return cast("T", self._done[name])

    def cancelled(self) -> bool:
        """Whether to stop short: the job was cancelled, or the worker is stopping."""
        if self._stopping.is_set():
            self.told = True
        elif not self._cancelled and time.monotonic() - self._asked_at >= ASK_AGAIN_S:
            self._asked_at = time.monotonic()
            self.told = self._cancelled = self._ask()
        return self.told

    def wait_until(self, moment: float) -> None:
        """Sleep until `moment` (epoch seconds). Raises Superseded or Interrupted instead of
        sleeping on once it is told to stop short."""
        while (left := moment - time.time()) > 0:
            if self.cancelled():
                raise self.meaning(RetryLater("stopped short"))
            self._stopping.wait(min(left, ASK_AGAIN_S))

    def meaning(self, error: StropError) -> StropError:
        """What an error that ended the job means, given what the job was told; raises
        Interrupted if the job only made room for the worker to stop."""
        if not self.told:
            return error
        if self._cancelled:
            return Superseded(CANCELLED)
        raise Interrupted

    def _journaled(self, name: str, work: Callable[[], object]) -> str:
        if self._stopping.is_set():
            raise Interrupted
        try:
            return DBOS.run_step({"name": name}, self._attempt, work)
        except dbos_errors.DBOSWorkflowCancelledError:
            raise Superseded(CANCELLED) from None

    def _attempt(self, work: Callable[[], object]) -> str:
        """The result as ASCII JSON, which every database can store."""
        try:
            result: dict[str, object] = {"value": work()}
        except StropError as error:
            result = {"raised": type(error).__name__, "message": str(error)}
            if isinstance(error, RetryLater):
                result["after_s"] = error.after_s
        if self.told:
            raise Interrupted
        return json.dumps(result)

    def _ask(self) -> bool:
        try:
            return self._is_cancelled(self._job_id)
        except RetryLater:
            return False


def _raised(result: dict[str, Any]) -> StropError:
    kind = getattr(errors, result["raised"])
    if issubclass(kind, RetryLater):
        return cast("StropError", kind(result["message"], after_s=result["after_s"]))
    return cast("StropError", kind(result["message"]))
