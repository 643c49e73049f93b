"""Work that is done again and again beside the rest, such as polling."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread
from types import TracebackType
from typing import Self

from bot.errors import StropError

log = logging.getLogger(__name__)


class Repeating:
    """Does a piece of work at once and then every `interval_s` seconds, in a thread.

    A context: inside it rounds are done. Trouble of one round is said in the log, and the
    next round tries again.
    """

    def __init__(self, name: str, interval_s: float, work: Callable[[], object]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._stopping = Flag()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End after the round that is running."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except StropError as error:
                log.warning("%s: %s", self._thread.name, error)
            except Exception:
                log.exception("%s failed", self._thread.name)
            self._stopping.wait(self._interval_s)
