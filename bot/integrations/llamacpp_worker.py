"""The process that holds the model: `python -m bot.integrations.llamacpp_worker`.

One thread listens, so that a cancel or a question about tokens is heard while the other one
computes. It runs at lower priority than whoever started it, and ends when its input ends,
which is also what it sees when its parent was killed.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from bot.domain import Completion, Finish, Prompt
from bot.errors import Misconfigured, PromptTooLong, UnusableModel
from bot.integrations.llamacpp_batch import Batch, Stop
from bot.integrations.llamacpp_model import Model
from bot.integrations.llamacpp_wire import read, write

Way = Callable[[Sequence[Prompt], Stop], list[Completion]]

NICENESS = 5
CORES = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Call:
    """One `complete`, waiting or running; who takes its `claim` replies to it."""

    id: int
    prompts: list[Prompt]
    timer: threading.Timer
    stop: Stop = field(default_factory=Stop)
    claim: threading.Lock = field(default_factory=threading.Lock)


class Worker:
    """Answers calls one after the other, in the order they came."""

    def __init__(self, model: Model, batch: Batch, replies: IO[bytes]) -> None:
        self._model = model
        self._batch = batch
        self._replies = replies
        self._writing = threading.Lock()
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._calls: dict[int, Call] = {}

    def listen(self, requests: IO[bytes]) -> None:
        """Hear everything until the input ends; then stop all work."""
        for message in read(requests):
            match message.pop("do"):
                case "complete":
                    self._enqueue(message)
                case "cancel":
                    self._stop(message["id"], Finish.CANCELLED)
                case "count":
                    self._reply(message["id"], tokens=len(self._model.tokens(message["text"])))
        for id_ in list(self._calls):
            self._stop(id_, Finish.CANCELLED)
        self._queue.put(None)

    def work(self) -> None:
        """Compute until nobody listens any more."""
        while call := self._queue.get():
            self._settle(call, self._batch.answer)

    def _enqueue(self, message: dict[str, Any]) -> None:
        id_, limit = message["id"], message["time_limit_s"]
        timer = threading.Timer(limit, self._stop, [id_, Finish.TIMEOUT])
        timer.daemon = True
        call = Call(id_, [Prompt(**prompt) for prompt in message["prompts"]], timer)
        self._calls[call.id] = call
        timer.start()
        self._queue.put(call)

    def _stop(self, id_: int, reason: Finish) -> None:
        """End a call; one that waits behind another is replied to at once."""
        if call := self._calls.get(id_):
            call.stop.now(reason)
            self._settle(call, self._batch.leave)

    def _settle(self, call: Call, how: Way) -> None:
        if call.claim.acquire(blocking=False):
            self._reply(call.id, **_outcome(call, how))
            call.timer.cancel()
            del self._calls[call.id]

    def _reply(self, id_: int, **outcome: Any) -> None:
        with self._writing:
            write(self._replies, {"id": id_, **outcome})


def _outcome(call: Call, how: Way) -> dict[str, Any]:
    try:
        answers = how(call.prompts, call.stop)
    except (PromptTooLong, Misconfigured) as error:
        return {"refused": type(error).__name__, "message": str(error)}
    return {"completions": [asdict(answer) for answer in answers]}


def cores() -> int:
    """The physical cores this process may run on: a second thread on a core slows down
    arithmetic. Where the system does not tell them apart, its processors."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = [CORES / f"cpu{n}" / "topology" / "thread_siblings_list" for n in allowed]
    return len({file.read_text() for file in siblings if file.exists()}) or len(allowed)


def main(path: str, context_tokens: int, sequences: int, threads: int) -> None:
    """Load the model, say whether that went well, and work."""
    os.nice(NICENESS)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints disturbs nobody
    try:
        model = Model(
            Path(path),
            context_tokens=context_tokens,
            sequences=sequences,
            threads=threads or cores(),
        )
        worker = Worker(model, Batch(model, sequences), replies)
    except UnusableModel as error:
        write(replies, {"unusable": str(error)})
        return
    write(replies, {"ready": True, "context_tokens": model.context_tokens})
    threading.Thread(target=worker.listen, args=[sys.stdin.buffer], daemon=True).start()
    worker.work()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
