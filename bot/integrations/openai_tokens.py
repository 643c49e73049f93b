"""Counting tokens where another process has the tokenizer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bot.integrations.openai_protocol import defused
from bot.integrations.openai_server import Server

PATHS = ("/tokenize", "/extras/tokenize/count")
SAMPLE = "Count this text."


class TokenCounter:
    """Asks the server if it can count: vLLM, SGLang and llama-server at `/tokenize`,
    llama-cpp-python's server at `/extras/tokenize/count`.

    Otherwise a text counts as many tokens as it has bytes. More it cannot have, for every
    token of a byte-level vocabulary stands for at least a byte; a better guess would count
    too few for digits, foreign scripts or encoded data.
    """

    def __init__(self, server: Server, model: str) -> None:
        self._server = server
        self._model = model
        self._path, self._extra = self._found()
        self.count = lru_cache(maxsize=1024)(self._count)

    @property
    def exact(self) -> bool:
        """Whether the server counts."""
        return bool(self._path)

    def _found(self) -> tuple[str, int]:
        """The path that counts, and how many tokens it puts before every text."""
        for path in PATHS:
            extra, count = self._asked(path, ""), self._asked(path, SAMPLE)
            if extra is not None and count is not None and extra < count <= len(SAMPLE):
                return path, extra
        return "", 0

    def _count(self, text: str) -> int:
        """The number of tokens of `text` alone; never too few."""
        text = defused(text)
        count = self._asked(self._path, text) if self._path else None
        return len(text.encode()) if count is None else count - self._extra

    def _asked(self, path: str, text: str) -> int | None:
        """The server's count, with the tokens it puts before every text; None if it has
        none."""
        body = {
            "model": self._model,
            **dict.fromkeys(("prompt", "content", "input"), text),
            **dict.fromkeys(("add_special_tokens", "add_special", "parse_special"), False),
        }
        return _length(self._server.post_beside(path, body))


def _length(answer: Any) -> int | None:
    if not isinstance(answer, dict):
        return None
    if isinstance(answer.get("count"), int):
        return int(answer["count"])
    tokens = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) else None
