"""Asking a model: what is asked, who answers, and the answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; tasks adapt to it.

    `batch` is how many prompts it works on at once; `exact_tokens` says whether
    `count_tokens` is the model's own count (else it never counts too few).
    """

    grammar: bool
    logprobs: bool
    lora: bool
    batch: int
    exact_tokens: bool


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights answered: a name for people, and a digest (SHA-256 of the file, or what
    a server says it serves)."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a model.

    `system` holds the fixed instructions that all prompts of a task share (evaluated once);
    `user` holds what differs. `schema` is canonical JSON text of a JSON schema for the
    answer, or None for free text. `template` is the content hash of the template that
    rendered it. `max_tokens` limits the answer.
    """

    task: str
    template: str
    system: str
    user: str
    max_tokens: int
    schema: str | None = None
    temperature: float = 0.0
    seed: int = 0

    def key(self, model: ModelIdentity) -> str:
        """Content hash under which an answer of `model` to this prompt is remembered."""
        parts = [
            model.digest, self.task, self.template, self.system, self.user,
            str(self.max_tokens), self.schema, str(self.temperature), str(self.seed),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Finish(StrEnum):
    """Why an answer ended; only STOP is a whole answer."""

    STOP = "stop"
    LENGTH = "length"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer. `prompt_tokens` counts the whole prompt, of which `cached_tokens`
    were not evaluated again; times are seconds."""

    text: str
    finish: Finish
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: float
