"""The default engine: llama.cpp in a process of its own.

There the model can neither hold the interpreter lock of a web server nor take it along when
it crashes. The process is started again by the first call after it died.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.domain import Capabilities, Completion, Finish, ModelIdentity, Prompt
from bot.errors import EngineFailed, Misconfigured, PromptTooLong
from bot.integrations.llamacpp_process import Process

ASK_EVERY_S = 0.25  # how often `cancelled` is asked
GRACE_S = 60.0  # after this long past its time limit the process counts as hanging
REFUSALS = {"PromptTooLong": PromptTooLong, "Misconfigured": Misconfigured}


class LlamaCppEngine:
    """Runs the GGUF model at `path`; `threads` 0 means one a physical core.

    Up to `parallel` prompts are decoded together, each in a context of its own, so memory
    for `parallel` times `context_tokens` tokens is taken. Safe to use from several threads:
    their calls are worked on one after the other, and waiting counts as time.

    Constructing it loads the model; raises UnusableModel.
    """

    def __init__(
        self,
        path: Path,
        *,
        model: ModelIdentity,
        context_tokens: int,
        parallel: int,
        threads: int,
    ) -> None:
        self._arguments = [str(path), str(context_tokens), str(parallel), str(threads)]
        self._model = model
        self._parallel = parallel
        self._starting = threading.Lock()
        self._process: Process | None = None
        self._context_tokens = int(self._running().greeting["context_tokens"])

    @property
    def model(self) -> ModelIdentity:
        """Which weights answer."""
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        """Answers under a schema, and counts exactly."""
        return Capabilities(
            grammar=True, logprobs=False, lora=False, batch=self._parallel, exact_tokens=True
        )

    @property
    def context_tokens(self) -> int:
        """As configured, but no more than the model was trained for."""
        return self._context_tokens

    def count_tokens(self, text: str) -> int:
        """The model's own count; answered while it computes too."""
        _, reply = self._running().ask("count", text=text)
        return int(reply.result()["tokens"])

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        """See `ports.Engine`. Raises Misconfigured for a schema that cannot be enforced."""
        if not prompts:
            return []
        process = self._running()
        id_, reply = process.ask(
            "complete",
            prompts=[asdict(prompt) for prompt in prompts],
            time_limit_s=time_limit_s,
        )
        return _completions(_await(process, id_, reply, time_limit_s, cancelled))

    def close(self) -> None:
        """End the process; a later call would start it again."""
        with self._starting:
            process, self._process = self._process, None
        if process:
            process.close()

    def _running(self) -> Process:
        with self._starting:
            if self._process and not self._process.alive:
                self._process.close()
                self._process = None
            self._process = self._process or Process(self._arguments)
            return self._process


def _await(
    process: Process,
    id_: int,
    reply: Future[dict[str, Any]],
    time_limit_s: float,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """The reply; meanwhile pass on a cancellation, and end a process that hangs."""
    hangs_at = time.monotonic() + time_limit_s + GRACE_S
    told = False
    try:
        while not reply.done():
            if not told and cancelled():
                told = True
                hangs_at = time.monotonic() + GRACE_S
                process.tell("cancel", id=id_)
            if time.monotonic() > hangs_at:
                process.kill()
            _wait(reply)
    except BaseException:
        process.tell("cancel", id=id_)
        raise
    return reply.result()


def _wait(reply: Future[dict[str, Any]]) -> None:
    try:
        reply.exception(timeout=ASK_EVERY_S)
    except TimeoutError:
        return


def _completions(reply: dict[str, Any]) -> list[Completion]:
    if refused := reply.get("refused"):
        raise REFUSALS.get(refused, EngineFailed)(reply["message"])
    return [
        Completion(**fields | {"finish": Finish(fields["finish"])})
        for fields in reply["completions"]
    ]
