"""A context becomes a question with a form, and an answer becomes raw findings."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import Category, Severity
from bot.errors import Malformed
from bot.resources import resource
from bot.tasks import review
from bot.tasks.templates import PromptTemplate
from tests.findings.samples import context

TEMPLATE = PromptTemplate(resource("prompts", "review.md").read_text(encoding="utf-8"))
GOOD = {
    "first": "2",
    "last": "3",
    "claim": "c",
    "why": "w",
    "category": "security",
    "severity": "minor",
    "replacement": ["a", "b"],
}


def answer(**changes: object) -> str:
    return json.dumps({"defect": "yes", "findings": [{**GOOD, **changes}]})


def test_the_instructions_are_the_same_whatever_is_asked() -> None:
    other = replace(context(path="b.py"), rules=("Use tabs.",))
    one = review.prompt(context(), TEMPLATE)
    two = review.prompt(other, TEMPLATE, language="zh", title="Other")
    assert one.system == two.system
    assert one.template == two.template == TEMPLATE.hash


def test_the_question_holds_the_lines_the_rules_the_title_and_the_language() -> None:
    shown = replace(context(), rules=("Use tabs.",))
    user = review.prompt(shown, TEMPLATE, language="zh", title="Fix\n\nit").user
    for part in ("pick.py", shown.text, "Use tabs.", "Fix it", "zh"):
        assert part in user
    plain = review.prompt(context(), TEMPLATE).user
    assert "Title" not in plain
    assert "Rule" not in plain


def test_only_changed_lines_can_be_named_in_an_answer_that_keeps_the_form() -> None:
    form = json.loads(review.prompt(context(), TEMPLATE).schema or "")
    jsonschema.validate(json.loads(answer(first="-2", last="3")), form)
    for label in ("1", "4", "-1", "99"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(answer(first=label)), form)


def test_saying_nothing_keeps_the_form() -> None:
    nothing = {"defect": "no"}
    jsonschema.validate(nothing, review.schema(context()))
    assert review.parse(json.dumps(nothing)) == ()


def test_an_answer_that_says_no_has_no_findings_whatever_follows() -> None:
    assert review.parse(answer().replace('"yes"', '"no"')) == ()


def test_yes_or_no_is_asked_before_anything_is_named() -> None:
    form = review.prompt(context(), TEMPLATE).schema or ""
    assert form.index('"defect"') < form.index('"findings"') < form.index('"claim"')


def test_the_longest_answer_of_the_form_fits_the_token_limit() -> None:
    sentence = "w" * review.SENTENCE
    code = ["c" * review.REPLACEMENT_WIDTH] * review.REPLACEMENT_LINES
    whole = {**GOOD, "claim": sentence, "why": sentence, "replacement": code}
    text = json.dumps({"defect": "yes", "findings": [whole] * review.FINDINGS})
    jsonschema.validate(
        {"defect": "yes", "findings": [{**whole, "first": "2", "last": "2"}] * review.FINDINGS},
        review.schema(context()),
    )
    assert len(text) / 3 < review.MAX_TOKENS


def test_an_answer_becomes_findings() -> None:
    [found] = review.parse(answer())
    assert (found.first, found.last, found.replacement) == ("2", "3", ("a", "b"))
    assert found.category is Category.SECURITY
    assert found.severity is Severity.MINOR


@pytest.mark.parametrize(
    "text",
    [
        "Sure!\n```json\n" + answer() + "\n```\nThat is all.",
        answer(first=2, last=3),  # numbers instead of labels
        answer(note="more"),
        answer(claim="two\nlines").replace("\\n", "\n"),
    ],
)
def test_an_answer_without_grammar_may_be_a_little_untidy(text: str) -> None:
    [found] = review.parse(text)
    assert (found.first, found.last) == ("2", "3")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I see no problem.", "there is no JSON object in it"),
        ('{"findings": [', "the JSON is broken: Expecting value at character 14"),
        ("{}", "findings: Field required"),
        (answer(severity="terrible"), "findings.0.severity: Input should be"),
        ('{"findings": [{}]}', "findings.0.first: Field required"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        review.parse(text)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


@given(st.text() | st.text('{}[]":,findgs0', max_size=60))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    with suppress(Malformed):
        assert isinstance(review.parse(text), tuple)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Short and cut", "Short and cut"),
        ("It fails. " + "items.pop and " * 20, "It fails."),
        ("它会失败。" + "字" * 200, "它会失败。"),
        ("x" * 200, "x" * 200 + "…"),
        ("x" * 199 + ".", "x" * 199 + "."),
    ],
)
def test_a_sentence_that_the_limit_broke_off_is_not_shown(said: str, kept: str) -> None:
    (finding,) = review.parse(answer(why=said[: review.SENTENCE]))
    assert finding.why == kept


def test_asking_again_tells_the_model_what_was_wrong() -> None:
    first = review.prompt(context(), TEMPLATE)
    again = review.reask(first, "nonsense", "there is no JSON object in it")
    assert again.system == first.system
    assert again.schema == first.schema
    assert again.user.startswith(first.user)
    assert "nonsense" in again.user
    assert "there is no JSON object in it" in again.user
