"""Reading a diff with a model: what to read, what to ask, what to make of the answers.

The same for a merge request and for a terminal. Every file of the diff gets an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.asking import Asker, nobody_cancels
from bot.config import RepositorySettings
from bot.context import packing, selection
from bot.domain import (
    Completion,
    Context,
    Diff,
    FileDiff,
    FileOutcome,
    FileState,
    Finding,
    Finish,
    HeldBack,
    Prompt,
    RawFinding,
    Review,
)
from bot.errors import Malformed
from bot.findings import anchoring, duplicates
from bot.ports import Answers, Engine
from bot.tasks import review as task
from bot.tasks.templates import PromptTemplate

PROMPT_TOKENS = 2048  # a whole prompt; what surrounds the code is taken off it
FRAME_TOKENS = 96  # title, path, question, and the engine's own turn markers

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of showing the model one context: raw findings, or why there are none."""

    context: Context
    found: tuple[RawFinding, ...] = ()
    trouble: str = ""


def no_progress(done: int, total: int) -> None:
    """The default of everything that shows progress."""


def review_diff(
    diff: Diff,
    *,
    engine: Engine,
    template: PromptTemplate,
    settings: RepositorySettings,
    title: str = "",
    answers: Answers | None = None,
    on_progress: Progress = no_progress,
    cancelled: Callable[[], bool] = nobody_cancels,
    time_limit_s: float,
) -> Review:
    """Review a diff. `on_progress` is told how many prompts of how many are answered.

    Raises what the engine raises, and Superseded once `cancelled`; an answer that is late or
    unusable makes its file INCOMPLETE instead.
    """
    limits = settings.review.limits
    chosen = selection.select(
        diff,
        include=settings.review.include,
        ignore=settings.review.ignore,
        max_files=limits.files,
        max_lines=limits.lines_per_file,
    )
    contexts = _contexts(chosen.files, engine, template, settings)
    asker = Asker(engine, answers, time_limit_s=time_limit_s, cancelled=cancelled)
    prompts = [
        task.prompt(context, template, language=settings.language, title=title)
        for context in contexts
    ]
    readings = _read(contexts, prompts, asker, on_progress)
    findings, held_back = _sift(readings, (title, template.system), settings)
    return Review(
        diff=diff,
        model=engine.model,
        files=(*chosen.skipped, *_outcomes(readings)),
        findings=findings,
        held_back=held_back,
        usage=asker.usage,
    )


def _contexts(
    files: Sequence[FileDiff],
    engine: Engine,
    template: PromptTemplate,
    settings: RepositorySettings,
) -> list[Context]:
    fixed = engine.count_tokens(template.system) + FRAME_TOKENS
    room = min(PROMPT_TOKENS, engine.context_tokens - task.MAX_TOKENS) - fixed
    rules = [(rule.paths, rule.text) for rule in settings.rules]
    return [
        context
        for file in files
        for context in packing.contexts(
            file,
            rules=selection.rules(file.path, rules),
            budget_tokens=room,
            count=engine.count_tokens,
        )
    ]


def _read(
    contexts: Sequence[Context],
    prompts: Sequence[Prompt],
    asker: Asker,
    on_progress: Progress,
) -> list[Reading]:
    """Ask about every context; answers without the agreed form are asked for once more."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, len(prompts))

    completions = asker.ask(prompts, advance)
    readings = [_reading(*pair) for pair in zip(contexts, completions, strict=True)]
    again = {
        number: task.reask(prompts[number], completions[number].text, reading.trouble)
        for number, reading in enumerate(readings)
        if reading.trouble and completions[number].finish is Finish.STOP
    }
    second = asker.ask(list(again.values()))
    for number, completion in zip(again, second, strict=True):
        readings[number] = _reading(contexts[number], completion)
    return readings


def _reading(context: Context, completion: Completion) -> Reading:
    if completion.finish is Finish.TIMEOUT:
        return Reading(context, trouble="the time limit was reached")
    if completion.finish is Finish.LENGTH:
        return Reading(context, trouble="the model's answer was cut off")
    try:
        return Reading(context, task.parse(completion.text))
    except Malformed as reason:
        return Reading(context, trouble=f"the model's answer cannot be used: {reason}")


def _sift(
    readings: Sequence[Reading], told: Sequence[str], settings: RepositorySettings
) -> tuple[tuple[Finding, ...], tuple[HeldBack, ...]]:
    """The findings worth showing, and all others with the reason."""
    placed = [
        anchoring.place(raw, reading.context, told)
        for reading in readings
        for raw in reading.found
    ]
    limits = settings.review.limits
    shown, repeats = duplicates.select(
        [one for one in placed if isinstance(one, Finding)],
        per_file=limits.findings_per_file,
        total=limits.findings,
    )
    return shown, (*(one for one in placed if isinstance(one, HeldBack)), *repeats)


def _outcomes(readings: Sequence[Reading]) -> list[FileOutcome]:
    """One outcome a file: incomplete as soon as one part of it was not read to its end."""
    trouble: dict[str, str] = {}
    for reading in readings:
        path = reading.context.file.path
        trouble[path] = trouble.get(path) or reading.trouble
    return [
        FileOutcome(path, FileState.INCOMPLETE if why else FileState.REVIEWED, why)
        for path, why in trouble.items()
    ]
