"""Prompt templates: fixed instructions, and a form for what differs. Pure.

A template is Jinja text with two blocks. `system` may use no value at all, so it is the
same for every prompt and an engine evaluates it once; `user` holds all that differs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from bot.errors import Misconfigured

_JINJA = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@dataclass(frozen=True)
class PromptTemplate:
    """The text of one file of `prompts/`."""

    text: str

    @cached_property
    def hash(self) -> str:
        """Content hash that travels with every answer: 16 hex digits of SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def system(self) -> str:
        """The fixed instructions. Raises Misconfigured if they depend on a value."""
        return self._block("system", {})

    def user(self, **values: object) -> str:
        """What differs from prompt to prompt. Values are inserted as they are and never
        read as template text. Raises Misconfigured if the template needs another value."""
        return self._block("user", values)

    @cached_property
    def _jinja(self) -> Template:
        return _JINJA.from_string(self.text)

    def _block(self, name: str, values: dict[str, object]) -> str:
        try:
            block = self._jinja.blocks[name]
            return "".join(block(self._jinja.new_context(values))).strip()
        except (KeyError, TemplateError) as error:
            raise Misconfigured(
                f"repair the prompt template: its {name} block: {error}"
            ) from None
