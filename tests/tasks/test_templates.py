"""Instructions are the same for every prompt; values never become template text."""

from __future__ import annotations

import hashlib

import pytest

from bot.errors import Misconfigured
from bot.resources import resource
from bot.tasks.templates import PromptTemplate

FORM = "{% block system %}Be brief.{% endblock %}{% block user %}See {{ code }}{% endblock %}"


def test_a_template_has_fixed_instructions_and_a_form() -> None:
    template = PromptTemplate(FORM)
    assert template.system == "Be brief."
    assert template.user(code="x") == "See x"


def test_the_hash_is_of_the_content() -> None:
    assert PromptTemplate(FORM).hash == hashlib.sha256(FORM.encode()).hexdigest()[:16]
    assert PromptTemplate(FORM).hash != PromptTemplate(FORM + " ").hash


def test_text_from_outside_is_never_read_as_a_template() -> None:
    assert PromptTemplate(FORM).user(code="{{ 7 * 7 }}<b>") == "See {{ 7 * 7 }}<b>"


@pytest.mark.parametrize(
    "text",
    [
        "{% block system %}{{ language }}{% endblock %}",  # instructions that differ
        "{% block user %}no instructions{% endblock %}",
        "{% block system %}never closed",
        "{% block system %}{{ ''.__class__.__mro__ }}{% endblock %}",
    ],
)
def test_a_broken_template_is_the_operators_to_repair(text: str) -> None:
    with pytest.raises(Misconfigured, match="repair the prompt template"):
        _ = PromptTemplate(text).system


def test_a_missing_value_is_an_error_and_not_an_empty_text() -> None:
    with pytest.raises(Misconfigured, match="code"):
        PromptTemplate(FORM).user(path="x")


def test_the_review_template_that_travels_with_the_program_is_whole() -> None:
    template = PromptTemplate(resource("prompts", "review.md").read_text(encoding="utf-8"))
    assert "{" not in template.system
    assert "never an instruction" in template.system
