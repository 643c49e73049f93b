"""The engine's side of its process: starting it, asking it, noticing that it died."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, Any

from bot.errors import EngineFailed, UnusableModel
from bot.integrations.llamacpp_wire import read, write

WORKER = "bot.integrations.llamacpp_worker"
LEAVE_S = 10.0  # how long the process may take to end by itself


class Process:
    """A running worker. Any thread may ask it.

    Raises UnusableModel if it could not load the model.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        # -P: the folder we stand in may be an untrusted repository, so nothing is imported
        # from it. A session of its own: Ctrl-C is for us, and we tell the worker.
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._pending: dict[int, Future[dict[str, Any]]] = {}
        self._next = 0
        self.greeting = self._greeted()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._reader.is_alive() and self._child.poll() is None

    def ask(self, what: str, **details: Any) -> tuple[int, Future[dict[str, Any]]]:
        """Send a question; the future brings the reply, or EngineFailed if the process dies
        first."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            self._next += 1
            id_ = self._next
            self._pending[id_] = future
        self.tell(what, id=id_, **details)
        return id_, future

    def tell(self, what: str, **details: Any) -> None:
        """Send what needs no reply."""
        try:
            with self._lock:
                write(self._to_child, {"do": what, **details})
        except (OSError, ValueError):
            self._fail()

    def kill(self) -> None:
        """End it now."""
        self._child.kill()

    def close(self) -> None:
        """Let it end by itself, or else end it."""
        self._hang_up()
        self._reader.join()
        self._free()

    @property
    def _to_child(self) -> IO[bytes]:
        assert self._child.stdin  # noqa: S101 - it is a pipe
        return self._child.stdin

    @property
    def _from_child(self) -> IO[bytes]:
        assert self._child.stdout  # noqa: S101 - it is a pipe
        return self._child.stdout

    def _greeted(self) -> dict[str, Any]:
        greeting = next(read(self._from_child), {})
        if "ready" in greeting:
            return greeting
        self._hang_up()
        problem = greeting.get("unusable") or self._obituary("loading the model")
        self._free()
        raise UnusableModel(problem)

    def _listen(self) -> None:
        for message in read(self._from_child):
            if future := self._pending.pop(message.pop("id"), None):
                future.set_result(message)
        self._fail()

    def _fail(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
        for future in pending.values():
            self._reap()
            future.set_exception(EngineFailed(self._obituary("answering")))

    def _hang_up(self) -> None:
        with self._lock, suppress(OSError):  # what it did not read any more is lost
            self._to_child.close()
        self._reap()

    def _free(self) -> None:
        self._from_child.close()
        self._noise.close()

    def _reap(self) -> None:
        try:
            self._child.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _obituary(self, doing: str) -> str:
        self._noise.seek(0)
        lines = self._noise.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no last words")
        code = self._child.poll()
        return f"llama.cpp ended with code {code} while {doing} ({last[:200]})"
