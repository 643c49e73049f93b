"""The engine that asks an OpenAI-compatible server: vLLM, SGLang, llama-server, Ollama, …

The server may use GPUs or many machines; it is never a cloud we fall back to: only the URL
that the operator has set is called.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import anyio
import httpx

from bot.domain import Capabilities, Completion, Finish, ModelIdentity, Prompt
from bot.errors import (
    EngineFailed,
    GiveUp,
    Misconfigured,
    PromptTooLong,
    StropError,
)
from bot.integrations.openai_protocol import (
    SPELLINGS,
    Answer,
    Spelling,
    models,
    obeys,
    request,
)
from bot.integrations.openai_server import Server
from bot.integrations.openai_tokens import TokenCounter
from bot.integrations.retry import patiently

ASK_EVERY_S = 0.25
TEMPLATE_TOKENS = 32  # a chat template and its marks, generously


class OpenAIEngine:
    """A model behind HTTP. Nothing is asked before it is needed, so that a server may be
    started after us. `complete` may be called from any thread without an event loop."""

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str | None = None,
        ca_file: Path | None = None,
        concurrency: int = 4,
        timeout_s: float = 120.0,
        context_tokens: int = 8192,
    ) -> None:
        """`model` is a name the server lists, or empty if it lists only one. `timeout_s` is
        how long the server may be silent. Raises Misconfigured."""
        self._server = Server(url, api_key=api_key, ca_file=ca_file, timeout_s=timeout_s)
        self._wanted = model
        self._concurrency = concurrency
        self._context_tokens = context_tokens
        self._spellings: Sequence[Spelling] = SPELLINGS

    @cached_property
    def model(self) -> ModelIdentity:
        """What the server says it serves. Raises Misconfigured if it is not what we want."""
        served = models(self._server.get("/models"))
        wanted = self._wanted or (next(iter(served)) if len(served) == 1 else "")
        if wanted not in served:
            raise Misconfigured(
                f"the model server serves {', '.join(served) or 'nothing'}; set openai.model "
                "to one of these"
            )
        return ModelIdentity(wanted, served[wanted])

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do. A server is believed to heed a schema until it shows that
        it does not."""
        return Capabilities(
            grammar=bool(self._spellings),
            logprobs=False,
            lora=False,
            batch=self._concurrency,
            exact_tokens=self._counter.exact,
        )

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its answer may have together."""
        return self._context_tokens

    def count_tokens(self, text: str) -> int:
        """The number of tokens of `text` alone, or more if the server cannot count."""
        return self._counter.count(text)

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        """As `ports.Engine.complete`, several prompts at a time. A broken answer is asked for
        again; hanging up makes the server stop."""
        end = time.monotonic() + time_limit_s
        work = [_Work(prompt, self._cost(prompt)) for prompt in prompts]
        anyio.run(self._complete, work, end, cancelled)
        return [each.completion() for each in work]

    def close(self) -> None:
        """Close the connections. Calling it twice is harmless."""
        self._server.close()

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter(self._server, self.model.name)

    def _cost(self, prompt: Prompt) -> int:
        cost = self.count_tokens(prompt.system) + self.count_tokens(prompt.user)
        if cost + TEMPLATE_TOKENS + prompt.max_tokens > self._context_tokens:
            raise PromptTooLong(
                f"a prompt of {cost} tokens and an answer of {prompt.max_tokens} exceed the "
                f"context of {self._context_tokens}; split the text, or raise "
                "openai.context_tokens as far as the server allows"
            )
        return cost

    async def _complete(
        self, work: Sequence[_Work], end: float, cancelled: Callable[[], bool]
    ) -> None:
        """Do the work until it is done, or fails, or there is a reason to stop."""
        slots = anyio.Semaphore(self._concurrency)
        failures: list[StropError] = []

        async def one(each: _Work) -> None:
            async with slots:
                each.started = time.monotonic()
                try:
                    await self._fill(client, each)
                except StropError as error:
                    failures.append(error)
                    scope.cancel()
                finally:
                    each.seconds = time.monotonic() - each.started

        async def watch() -> None:
            while not cancelled():  # noqa: ASYNC110 - whoever cancels cannot tell our loop
                await anyio.sleep(ASK_EVERY_S)
            for each in work:
                each.verdict = Finish.CANCELLED
            scope.cancel()

        async with self._server.streaming() as client, anyio.create_task_group() as watching:
            with anyio.move_on_after(end - time.monotonic()) as scope:
                watching.start_soon(watch)
                async with anyio.create_task_group() as group:
                    for each in work:
                        group.start_soon(one, each)
            watching.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _fill(self, client: httpx.AsyncClient, each: _Work) -> None:
        """Get one answer, in the first spelling of its schema that the server heeds."""
        before = self._spellings
        while True:
            schema = each.prompt.schema
            spelling = next(iter(self._spellings), None) if schema else None
            try:
                await self._stream(client, each, spelling)
            except GiveUp as refusal:
                if spelling is None or isinstance(refusal, PromptTooLong):
                    self._spellings = before  # the schema was not to blame
                    raise
            else:
                if spelling is None or schema is None or each.heeds(schema):
                    return
            if spelling in self._spellings:
                self._spellings = self._spellings[1:]

    async def _stream(
        self, client: httpx.AsyncClient, each: _Work, spelling: Spelling | None
    ) -> None:
        """Ask once, and again as long as there is hope."""
        body = request(each.prompt, self.model.name, spelling)
        pauses: list[float] = []
        for attempt in patiently(self._server.timeout_s, sleep=pauses.append):
            await anyio.sleep(pauses.pop() if pauses else 0)
            with attempt:
                each.answer = Answer()
                async with self._server.lines(client, "/chat/completions", body) as lines:
                    async for line in lines:
                        each.answer.hear(line)
                if each.answer.finish is None:
                    raise EngineFailed("the model server broke off its answer; try again")


@dataclass(slots=True)
class _Work:
    """A prompt, what it costs by our count, and its answer as far as it came."""

    prompt: Prompt
    cost: int
    answer: Answer = field(default_factory=Answer)
    verdict: Finish = Finish.TIMEOUT
    started: float = 0.0
    seconds: float = 0.0

    def heeds(self, schema: str) -> bool:
        """Whether the answer, if it is whole, looks as the schema wants it."""
        return self.answer.finish is not Finish.STOP or obeys(self.answer.text, schema)

    def completion(self) -> Completion:
        """The answer; what stopped it stands for the end it did not reach."""
        finish = self.answer.finish or self.verdict
        return self.answer.completion(self.prompt, finish, self.cost, self.seconds)
