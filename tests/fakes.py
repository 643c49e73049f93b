"""Small real implementations of our ports, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.domain import Capabilities, Completion, Finish, ModelIdentity, Prompt

NOTHING = '{"defect": "no"}'


class UnplannedCall(AssertionError):
    """A test's script did not say what to do here."""


class ScriptedEngine:
    """An engine whose answers a test gives: `script` maps a prompt to the text of its answer,
    a whole Completion, or None for a prompt that must not be asked.

    Tokens are words, four characters each. `asked` keeps the prompts in order.
    """

    def __init__(
        self,
        script: Callable[[Prompt], str | Completion | None],
        *,
        grammar: bool = True,
        batch: int = 4,
        context_tokens: int = 4096,
    ) -> None:
        self._script = script
        self.model = ModelIdentity("scripted", "0" * 64)
        self.capabilities = Capabilities(
            grammar=grammar, logprobs=False, lora=False, batch=batch, exact_tokens=True
        )
        self.context_tokens = context_tokens
        self.asked: list[Prompt] = []
        self.closed = False

    def count_tokens(self, text: str) -> int:
        return (len(text) + 3) // 4

    def complete(
        self,
        prompts: Sequence[Prompt],
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Completion]:
        assert not self.closed
        return [self._answer(prompt, cancelled=cancelled()) for prompt in prompts]

    def close(self) -> None:
        self.closed = True

    def _answer(self, prompt: Prompt, *, cancelled: bool) -> Completion:
        self.asked.append(prompt)
        read = self.count_tokens(prompt.system + prompt.user)
        if cancelled:
            return Completion("", Finish.CANCELLED, read, 0, 0, 0.0)
        answer = self._script(prompt)
        if answer is None:
            raise UnplannedCall(prompt.user)
        if isinstance(answer, Completion):
            return answer
        return Completion(answer, Finish.STOP, read, 0, self.count_tokens(answer), 0.25)
