"""Asking a model: in batches, within a time limit, and never twice the same question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.domain import Completion, Finish, Prompt, Usage
from bot.errors import Superseded
from bot.ports import Answers, Engine


def nobody_cancels() -> bool:
    """The default of everything that can be cancelled."""
    return False


def nobody_watches(_count: int) -> None:
    """The default of everything that tells how far it is."""


class Asker:
    """Puts prompts to one engine for one review.

    Answers are remembered as they come, so a review that is killed goes on where it was.
    `usage` is what has been spent so far. The time limit (seconds) holds for all calls
    together; prompts that come too late end as TIMEOUT without being asked.
    """

    def __init__(
        self,
        engine: Engine,
        answers: Answers | None = None,
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = nobody_cancels,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._answers = answers
        self._cancelled = cancelled
        self._clock = clock
        self._deadline = clock() + time_limit_s
        self.usage = Usage()

    def ask(
        self, prompts: Sequence[Prompt], on_answers: Callable[[int], None] = nobody_watches
    ) -> list[Completion]:
        """The answers in order; `on_answers` is told how many more there are each time some
        arrive. Raises Superseded once the work has been cancelled."""
        found = [self._recall(prompt) for prompt in prompts]
        on_answers(sum(answer is not None for answer in found))
        missing = [number for number, answer in enumerate(found) if answer is None]
        size = self._engine.capabilities.batch
        for start in range(0, len(missing), size):
            numbers = missing[start : start + size]
            fresh = self._complete([prompts[number] for number in numbers])
            for number, completion in zip(numbers, fresh, strict=True):
                found[number] = completion
            on_answers(len(numbers))
        return [answer for answer in found if answer is not None]

    def _recall(self, prompt: Prompt) -> Completion | None:
        if self._answers is None:
            return None
        answer = self._answers.completion(prompt.key(self._engine.model))
        if answer is not None:
            self.usage = replace(self.usage, remembered=self.usage.remembered + 1)
        return answer

    def _complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        start = self._clock()
        left = self._deadline - start
        if left <= 0:
            return [Completion("", Finish.TIMEOUT, 0, 0, 0, 0.0) for _ in prompts]
        completions = self._engine.complete(
            prompts, time_limit_s=left, cancelled=self._cancelled
        )
        self.usage = self.usage.plus(completions, self._clock() - start)
        for prompt, completion in zip(prompts, completions, strict=True):
            self._remember(prompt, completion)
        if any(completion.finish is Finish.CANCELLED for completion in completions):
            raise Superseded("newer work replaces this review")
        return completions

    def _remember(self, prompt: Prompt, completion: Completion) -> None:
        if self._answers is not None and completion.finish is Finish.STOP:
            self._answers.remember(prompt, self._engine.model, completion)
