"""The review task: a context becomes a prompt, an answer becomes raw findings. Pure."""

from __future__ import annotations

import dataclasses
import json
import re

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.domain import Category, Context, Prompt, RawFinding, Severity
from bot.errors import Malformed
from bot.tasks.templates import PromptTemplate

TASK = "review"

# Sized so that an answer that fills every field still ends: about three characters a token.
FINDINGS = 2
SENTENCE = 200
REPLACEMENT_LINES = 4
REPLACEMENT_WIDTH = 100
MAX_TOKENS = 768


class _Answer(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    findings: tuple[RawFinding, ...]


_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？]")  # noqa: RUF001 - Chinese ends so
_JSON = json.JSONDecoder(strict=False)  # the grammar of JSON strings lets raw newlines pass


def prompt(
    context: Context, template: PromptTemplate, *, language: str = "en", title: str = ""
) -> Prompt:
    """Ask about one part of one file. `language` is a BCP 47 tag for the words of the reply,
    `title` says what the author was after."""
    return Prompt(
        task=TASK,
        template=template.hash,
        system=template.system,
        user=template.user(
            title=" ".join(title.split())[:SENTENCE],
            rules=context.rules,
            path=context.file.path,
            status=context.file.status.value,
            code=context.text,
            language="" if language.lower().startswith("en") else language,
        ),
        max_tokens=MAX_TOKENS,
        schema=json.dumps(schema(context), separators=(",", ":")),
    )


def schema(context: Context) -> dict[str, object]:
    """The JSON schema of the answer.

    It opens with a yes or no: asked for a list at once, a small model always fills it. A no
    ends the answer. Lines are chosen among the labels of the changed lines, so an engine
    that follows the schema can only speak about lines that changed.
    """
    label = {"enum": list(context.changed)}
    sentence = {"type": "string", "minLength": 1, "maxLength": SENTENCE}
    code = {
        "type": "array",
        "maxItems": REPLACEMENT_LINES,
        "items": {"type": "string", "maxLength": REPLACEMENT_WIDTH},
    }
    finding = _object(
        first=label,
        last=label,
        claim=sentence,
        why=sentence,
        category={"enum": [str(category) for category in Category]},
        severity={"enum": [str(severity) for severity in Severity]},
        replacement={"anyOf": [{"type": "null"}, code]},
    )
    findings = {"type": "array", "minItems": 1, "maxItems": FINDINGS, "items": finding}
    yes = _object(defect={"const": "yes"}, findings=findings)
    return {"anyOf": [yes, _object(defect={"const": "no"})]}


def parse(text: str) -> tuple[RawFinding, ...]:
    """The findings in an answer, which may stand in prose or in a code fence; none if it says
    that there is no defect, whatever follows.

    Raises Malformed with a reason of one line that the model can be told.
    """
    start = text.find("{")
    if start < 0:
        raise Malformed("there is no JSON object in it")
    try:
        answer, _ = _JSON.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise Malformed(f"the JSON is broken: {error.msg} at character {error.pos}") from None
    if answer.get("defect") == "no":
        return ()
    try:
        return tuple(map(_readable, _Answer.model_validate(answer).findings))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Malformed(f"{where}: {first['msg']}") from None


def _readable(finding: RawFinding) -> RawFinding:
    return dataclasses.replace(
        finding, claim=_sentences(finding.claim), why=_sentences(finding.why)
    )


def _sentences(text: str) -> str:
    """The text without a last sentence that the length limit broke off, if another stands
    before it; else with a sign that it was broken off."""
    if len(text) < SENTENCE or _SENTENCE_END.search(text[-1]):
        return text
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else f"{text.rstrip()}…"


def reask(prompt: Prompt, answer: str, reason: str) -> Prompt:
    """The same question once more, with what was wrong with the last answer."""
    refused = (
        f"{prompt.user}\n{answer[: REPLACEMENT_LINES * REPLACEMENT_WIDTH]}\n\n"
        f"That answer cannot be used: {reason}. Answer again with the JSON object only. JSON:"
    )
    return dataclasses.replace(prompt, user=refused)


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
