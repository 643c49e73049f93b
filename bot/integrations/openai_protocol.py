"""What is said to an OpenAI-compatible server, and what its answers mean. Pure.

Reference: the OpenAI API's "Create chat completion", and where servers differ from it, the
documents of vLLM, SGLang, llama.cpp's `llama-server` and llama-cpp-python's server.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.domain import Completion, Finish, Prompt
from bot.errors import (
    EngineFailed,
    GiveUp,
    Misconfigured,
    PromptTooLong,
    RetryLater,
    StropError,
)

_CONTROL = re.compile(
    r"<(?=\|[\w./-]{1,64}\|>|\uff5c|/?s>|(?:start|end)_of_turn>|(?:bos|eos|unk|pad)>)|\[(?=/?INST\])"
)
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|maximum context|too (long|many tokens)"
)
_WHAT_TO_DO = {
    401: "the model server wants a key; set openai.api_key_file",
    403: "the model server refuses our key; set openai.api_key_file",
    404: "the model server knows no such address or model; set openai.url, which mostly ends "
    "in /v1, and openai.model",
}
_ELSEWHERE = (
    "the model server sends us elsewhere, which is not followed; set openai.url to the address "
    "it really has"
)
_FOREIGN = "the model server does not speak the OpenAI protocol; check openai.url"
_STABLE = ("id", "root", "parent", "owned_by", "max_model_len", "meta")
_BUSY = frozenset({408, 409, 425, 429})


def strict_schema(schema: Any) -> dict[str, Any]:
    """Structured output as OpenAI, vLLM, SGLang, llama-server and Ollama spell it."""
    form = {"name": "answer", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": form}


def schema_of_object(schema: Any) -> dict[str, Any]:
    """The same as llama-cpp-python's server spells it."""
    return {"type": "json_object", "schema": _bounds_listed(schema)}


def _bounds_listed(schema: Any) -> Any:
    """The schema with integers between two bounds as a list of their values, for that
    server's grammar knows no bounds."""
    if isinstance(schema, list):
        return [_bounds_listed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("type") == "integer" and isinstance(low, int) and isinstance(high, int):
        return {"enum": list(range(low, high + 1))}
    return {key: _bounds_listed(value) for key, value in schema.items()}


Spelling = Callable[[Any], dict[str, Any]]
SPELLINGS: tuple[Spelling, ...] = (strict_schema, schema_of_object)


def defused(text: str) -> str:
    """The text with a space in whatever looks like a control token of a chat.

    Servers read such tokens wherever they stand; from the text of a diff they would start
    a turn of the conversation.
    """
    return _CONTROL.sub(r"\g<0> ", text)


def request(prompt: Prompt, model: str, spelling: Spelling | None) -> dict[str, Any]:
    """The body of a request for one answer, in events, with its cost at the end."""
    texts = {"system": defused(prompt.system), "user": defused(prompt.user)}
    body = {
        "model": model,
        "messages": [{"role": role, "content": text} for role, text in texts.items()],
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "seed": prompt.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if spelling and prompt.schema is not None:
        body["response_format"] = spelling(json.loads(prompt.schema))
    return body


def models(listed: Any) -> dict[str, str]:
    """The served models by name, each with a digest of what the server says of it and would
    say again after a restart. Raises EngineFailed if this is no list of models."""
    try:
        facts = {each["id"]: {key: each.get(key) for key in _STABLE} for each in listed["data"]}
    except (TypeError, KeyError, AttributeError):
        raise EngineFailed(_FOREIGN) from None
    return {
        name: hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        for name, told in facts.items()
    }


def obeys(text: str, schema: str) -> bool:
    """Whether an answer looks as if the server had heeded the schema: JSON with the keys it
    must have. Details are left to the task: servers support different parts of JSON schema.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return False
    required = json.loads(schema).get("required", [])
    return not required or (isinstance(value, dict) and value.keys() >= set(required))


@dataclass(slots=True)
class Answer:
    """One answer while its events come in."""

    texts: list[str] = field(default_factory=list)
    finish: Finish | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take in one line of the event stream (HTML standard, "Server-sent events").

        Raises EngineFailed if it is not of the protocol, or tells of an error.
        """
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            return
        try:
            self._take(json.loads(line[5:]))
        except (ValueError, TypeError, AttributeError):
            raise EngineFailed(_FOREIGN) from None

    def _take(self, event: dict[str, Any]) -> None:
        if error := event.get("error"):
            raise EngineFailed(f"the model server failed: {_short(error)}; try again")
        self.usage = event.get("usage") or self.usage
        for choice in event.get("choices") or ():
            if text := (choice.get("delta") or {}).get("content"):
                self.texts.append(str(text))
            if reason := choice.get("finish_reason"):
                self.finish = Finish.STOP if reason == "stop" else Finish.LENGTH

    @property
    def text(self) -> str:
        """The answer as far as it came."""
        return "".join(self.texts)

    def completion(
        self, prompt: Prompt, finish: Finish, prompt_tokens: int, seconds: float
    ) -> Completion:
        """The answer as far as it came. Where the server does not say what it cost, an event
        is counted as a token and `prompt_tokens` is believed."""
        counted = prompt.max_tokens if finish is Finish.LENGTH else len(self.texts)
        details = self.usage.get("prompt_tokens_details") or {}
        return Completion(
            text=self.text,
            finish=finish,
            prompt_tokens=self.usage.get("prompt_tokens") or prompt_tokens,
            cached_tokens=details.get("cached_tokens") or 0,
            output_tokens=self.usage.get("completion_tokens") or counted,
            seconds=seconds,
        )


def trouble(status: int, text: str, after_s: float | None) -> StropError:
    """The error that a status other than 200 stands for; `text` is the body."""
    said = _short(text)
    if "response_format" in text:  # llama-cpp-python's server says so with status 500
        return GiveUp(f"the model server knows no such form of answer ({status}: {said})")
    if status in _BUSY or httpx.codes.is_server_error(status):
        words = f"the model server is busy or broken ({status}: {said})"
        return RetryLater(words, after_s=after_s)
    if _TOO_LONG.search(text.lower()):
        return PromptTooLong(f"the model server finds the prompt too long: {said}")
    if status in _WHAT_TO_DO or httpx.codes.is_redirect(status):
        return Misconfigured(f"{_WHAT_TO_DO.get(status, _ELSEWHERE)} ({status}: {said})")
    return GiveUp(f"the model server refused the request ({status}: {said})")


def _short(said: Any) -> str:
    """A little of what a server said, on one line."""
    text = said if isinstance(said, str) else json.dumps(said)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
