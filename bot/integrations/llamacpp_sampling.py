"""From logits to the next token, under a JSON schema where there is one.

Sampling is the Gumbel-max trick (Gumbel 1954; Maddison et al., "A* Sampling", 2014): the
argmax of logits / temperature + Gumbel noise is a draw from the softmax. So greedy and warm
sampling, free and constrained, are one argmax.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab
from numpy.typing import NDArray

from bot.errors import Misconfigured
from bot.integrations.llamacpp_model import Model

# one way to write each value, so that a model cannot run away in white space
COMPACT: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}


class Grammars:
    """Makes a matcher for each answer; knowing the vocabulary takes a second, once."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        return lltokenizer_from_vocab(self._model.vocab)

    def matcher(self, schema: str) -> LLMatcher:
        """Raises Misconfigured if the schema asks for what cannot be enforced."""
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=COMPACT)
        if problem := LLMatcher.validate_grammar(grammar, self._tokenizer):
            raise Misconfigured(f"the JSON schema cannot be enforced: {problem[:200]}")
        return LLMatcher(self._tokenizer, grammar)


class Sampler:
    """Chooses the tokens of one answer; repeatable for a seed."""

    def __init__(self, temperature: float, seed: int, matcher: LLMatcher | None) -> None:
        self._temperature = temperature
        self._random = np.random.default_rng(seed)
        self._matcher = matcher

    def choose(self, logits: NDArray[np.float32]) -> int:
        """The next token. Asking the schema about one token is cheap, about all of them is
        not: so the best token is tried first."""
        scores = self._scores(logits)
        best = int(scores.argmax())
        if self._matcher is None:
            return best
        if not self._matcher.validate_tokens([best]):
            allowed = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8) > 0
            best = int(np.where(allowed[: len(scores)], scores, -np.inf).argmax())
        self._matcher.consume_token(best)
        return best

    @property
    def finished(self) -> bool:
        """Whether the schema allows nothing more."""
        return self._matcher is not None and self._matcher.is_stopped()

    def _scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._temperature <= 0:
            return logits
        noise = self._random.gumbel(size=logits.shape).astype(np.float32)
        return logits / np.float32(self._temperature) + noise
