"""Several prompts answered together: slots, each a sequence of the model, refilled from a
queue as soon as an answer ends.

A slot keeps the instructions (the tokens up to the user's text) of the last prompt it
answered. A new prompt takes a free slot that has its instructions, or copies them from
another slot, or evaluates them: once, not per prompt. Instructions and the rest are always
evaluated apart and in the same pieces, whether or not they were cached, so that the same
call gives the same text each time. Beside other prompts an answer may differ: the library
rounds differently when it decodes several at once.
"""

from __future__ import annotations

import codecs
import ctypes
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.domain import Completion, Finish, Prompt
from bot.errors import PromptTooLong
from bot.integrations.llamacpp_chat import Chat
from bot.integrations.llamacpp_model import Aborted, Model
from bot.integrations.llamacpp_sampling import Grammars, Sampler


class Stop:
    """Ends a call from another thread; the first reason counts. `flag[0]` is what the
    library looks at while it computes."""

    def __init__(self) -> None:
        self.flag = ctypes.create_string_buffer(2)
        self.reason: Finish | None = None

    def now(self, reason: Finish) -> None:
        """Stop as soon as possible."""
        self.reason = self.reason or reason
        self.flag[0] = b"\x01"


@dataclass
class Answer:
    """One prompt on its way."""

    prefix: list[int]
    rest: list[int]
    max_tokens: int
    sampler: Sampler
    started: float = 0.0
    ended: float = 0.0
    cached: int = 0
    tokens: list[int] = field(default_factory=list)
    finish: Finish | None = None

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt."""
        return len(self.prefix) + len(self.rest)


@dataclass
class Slot:
    """A sequence of the model, the instructions it holds and the answer it works on."""

    sequence: int
    prefix: list[int] = field(default_factory=list)
    used: float = 0.0
    answer: Answer | None = None


class Batch:
    """Answers the prompts of one call at a time."""

    def __init__(self, model: Model, slots: int) -> None:
        self._model = model
        self._chat = Chat(model)
        self._grammars = Grammars(model)
        self._slots = [Slot(sequence) for sequence in range(slots)]

    def answer(self, prompts: Sequence[Prompt], stop: Stop) -> list[Completion]:
        """Completions in order. Raises PromptTooLong and Misconfigured before it begins."""
        answers = [self._prepared(prompt) for prompt in prompts]
        self._work(answers, stop)
        return [self._completion(answer, stop) for answer in answers]

    def leave(self, prompts: Sequence[Prompt], stop: Stop) -> list[Completion]:
        """What becomes of prompts whose turn never came. May be called from any thread."""
        return [self._completion(self._prepared(prompt), stop) for prompt in prompts]

    def _work(self, answers: list[Answer], stop: Stop) -> None:
        waiting = deque(answers)
        self._model.abort_when(stop.flag)
        try:
            while not stop.reason and (waiting or self._active):
                self._refill(waiting)
                self._advance()
        except Aborted:
            pass  # what was computed until then stands; `stop.reason` says why
        finally:
            for slot in self._slots:
                self._release(slot)

    @property
    def _active(self) -> list[Slot]:
        return [slot for slot in self._slots if slot.answer]

    def _prepared(self, prompt: Prompt) -> Answer:
        prefix, rest = self._chat.prefix(prompt.system), self._chat.rest(prompt.user)
        size = len(prefix) + len(rest)
        if size + prompt.max_tokens > self._model.context_tokens:
            raise PromptTooLong(
                f"a prompt of {size} tokens and {prompt.max_tokens} for its answer exceed the"
                f" context of {self._model.context_tokens} tokens: show the model less, or"
                " raise model.context_tokens"
            )
        matcher = self._grammars.matcher(prompt.schema) if prompt.schema else None
        sampler = Sampler(prompt.temperature, prompt.seed, matcher)
        return Answer(prefix, rest, prompt.max_tokens, sampler)

    def _refill(self, waiting: deque[Answer]) -> None:
        """Give every free slot a prompt and evaluate it."""
        while waiting and (free := [slot for slot in self._slots if not slot.answer]):
            answer = waiting.popleft()
            answer.started = time.monotonic()
            ready = [slot for slot in free if slot.prefix == answer.prefix]
            slot = min(ready or free, key=lambda slot: slot.used)
            slot.answer, slot.used = answer, answer.started
            self._instruct(slot, answer)
            start = len(answer.prefix)
            self._take(slot, self._model.evaluate(slot.sequence, start, answer.rest))

    def _instruct(self, slot: Slot, answer: Answer) -> None:
        """Make the slot hold the instructions of the answer, and nothing else."""
        if slot.prefix != answer.prefix:
            sources = [other for other in self._slots if other.prefix == answer.prefix]
            slot.prefix = []
            if sources:
                self._model.copy(sources[0].sequence, slot.sequence)
                slot.prefix = answer.prefix
            self._trim(slot)
        answer.cached = len(slot.prefix)
        if not slot.prefix:
            self._model.evaluate(slot.sequence, 0, answer.prefix)
            slot.prefix = answer.prefix

    def _trim(self, slot: Slot) -> None:
        if not self._model.keep(slot.sequence, len(slot.prefix)):
            slot.prefix = []

    def _advance(self) -> None:
        """One token for every slot that works."""
        active = self._active
        rows = [
            (answer.tokens[-1], answer.prompt_tokens + len(answer.tokens) - 1, slot.sequence)
            for slot in active
            if (answer := slot.answer)
        ]
        if rows:
            for slot, logits in zip(active, self._model.step(rows), strict=True):
                self._take(slot, logits)

    def _take(self, slot: Slot, logits: NDArray[np.float32]) -> None:
        """Choose the next token of an answer, or see that it has ended."""
        answer = slot.answer
        assert answer  # noqa: S101 - only slots that work are advanced
        token = answer.sampler.choose(logits)
        if not self._model.ends(token):
            answer.tokens.append(token)
        if self._model.ends(token) or answer.sampler.finished:
            answer.finish = Finish.STOP
        elif len(answer.tokens) >= answer.max_tokens:
            answer.finish = Finish.LENGTH
        if answer.finish:
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        """Forget the answer and keep the instructions."""
        if slot.answer:
            slot.answer.ended = time.monotonic()
            slot.answer = None
            self._trim(slot)

    def _completion(self, answer: Answer, stop: Stop) -> Completion:
        return Completion(
            text=self._text(answer.tokens),
            finish=answer.finish or stop.reason or Finish.CANCELLED,
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached,
            output_tokens=len(answer.tokens),
            seconds=answer.ended - answer.started,
        )

    def _text(self, tokens: Sequence[int]) -> str:
        """A token may end inside a character: a last incomplete one is left out."""
        data = b"".join(map(self._model.bytes_of, tokens))
        return codecs.getincrementaldecoder("utf-8")("replace").decode(data)
