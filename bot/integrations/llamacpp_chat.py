"""A model's own chat template, filled so that no text can forge a turn.

The template is rendered once with two placeholders. Only what lies around them may become
control tokens; the system and user texts are always read as plain text.
"""

from __future__ import annotations

from typing import Any

import llama_cpp.llama_cpp as ll
from jinja2 import TemplateError
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from bot.errors import UnusableModel
from bot.integrations.llamacpp_model import Model

SYSTEM = "\x02system\x03"
USER = "\x02user\x03"
CHOOSE = "choose a model that was tuned for chat"


class Chat:
    """Turns a system and a user text into tokens.

    Raises UnusableModel if the model has no chat template or one that loses a text.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        template = model.metadata("tokenizer.chat_template")
        if template is None:
            raise UnusableModel("the model has no chat template: " + CHOOSE)
        before, between, after = _parts(_render(template, model))
        self._before = self._opening(model.tokens(before, special=True))
        self._between = model.tokens(between, special=True)
        self._after = model.tokens(after, special=True)

    def prefix(self, system: str) -> list[int]:
        """Everything up to the user's text: what all prompts of a task share."""
        return self._before + self._model.tokens(system) + self._between

    def rest(self, user: str) -> list[int]:
        """The user's text and what makes the model answer."""
        return self._model.tokens(user) + self._after

    def _opening(self, tokens: list[int]) -> list[int]:
        """Some vocabularies want a first token that not every template writes."""
        vocab = self._model.vocab
        first = ll.llama_vocab_bos(vocab)
        missing = ll.llama_vocab_get_add_bos(vocab) and tokens[:1] != [first]
        return [first, *tokens] if missing else tokens


def _render(template: str, model: Model) -> str:
    """The template with its placeholders. Some refuse a system message: then it stands
    before the user's."""
    try:
        formatter = Jinja2ChatFormatter(
            template=template,
            eos_token=model.token_text(ll.llama_vocab_eos(model.vocab)),
            bos_token=model.token_text(ll.llama_vocab_bos(model.vocab)),
        )
        try:
            return str(formatter(messages=_messages(SYSTEM, USER)).prompt)
        except ValueError:  # what a template's own raise_exception ends as
            return str(formatter(messages=_messages("", f"{SYSTEM}\n\n{USER}")).prompt)
    except (ValueError, TemplateError):
        raise UnusableModel("the model's chat template does not work: " + CHOOSE) from None


def _messages(system: str, user: str) -> list[Any]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": user}]


def _parts(rendered: str) -> tuple[str, str, str]:
    before, found, rest = rendered.partition(SYSTEM)
    between, found_too, after = rest.partition(USER)
    if not (found and found_too):
        raise UnusableModel("the model's chat template loses a message: " + CHOOSE)
    return before, between, after
