"""The terminal: progress on stderr, findings with their code on stdout. Vendor: rich.

Text from a repository or a model is made visible before it is printed, and never read as
markup, so no escape sequence of theirs reaches the terminal. NO_COLOR is honoured by rich.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bot.domain import (
    DiffLine,
    FileState,
    Finding,
    Hunk,
    LineKind,
    LinePoint,
    Review,
    Severity,
)
from bot.untrusted import one_line, visible

CONTEXT_LINES = 3
_WIDEST = 2000  # characters of a line of code
_STYLES = {LineKind.ADDED: "green", LineKind.REMOVED: "red", LineKind.CONTEXT: "dim"}
_COLOURS = {
    Severity.INFO: "cyan",
    Severity.MINOR: "yellow",
    Severity.MAJOR: "magenta",
    Severity.CRITICAL: "bold red",
}


class Terminal:
    """Where the words of a command go."""

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A bar on stderr while the context lasts, and nothing at all if stderr is no
        terminal. Yields what is told how much of how much is done."""
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        bar = Progress(
            *columns,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        with bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def show(self, review: Review, stream: IO[str]) -> None:
        """Print a review for a person; colours only where `stream` is a terminal."""
        console = Console(
            file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        for finding in review.findings:
            _show_finding(console, finding, review)
        _show_files(console, review)
        console.print(_last_line(review))


def _show_finding(console: Console, finding: Finding, review: Review) -> None:
    first, last = finding.anchor.first.number, finding.anchor.last.number
    place = f"{visible(finding.anchor.path)}:{first}" + (f"-{last}" if last > first else "")
    kind = (f"{finding.severity} {finding.category}", _COLOURS[finding.severity])
    console.print(Text.assemble((place, "bold"), "  ", kind))
    console.print(Text(f"  {one_line(finding.claim, _WIDEST)}"))
    if finding.why:
        console.print(Text(f"  {one_line(finding.why, _WIDEST)}", style="dim"))
    for line in _around(finding, review):
        console.print(_code(line, marked=_covers(finding, line)))
    for text in finding.replacement or ():
        console.print(Text(f"  suggest {visible(text)}", style="blue"))
    console.print()


def _around(finding: Finding, review: Review) -> tuple[DiffLine, ...]:
    """The lines of a finding in their hunk, and a few before and after."""
    for hunk in _hunks(finding, review):
        covered = [at for at, line in enumerate(hunk.lines) if _covers(finding, line)]
        if covered:
            start = max(covered[0] - CONTEXT_LINES, 0)
            return hunk.lines[start : covered[-1] + CONTEXT_LINES + 1]
    return ()


def _hunks(finding: Finding, review: Review) -> Iterator[Hunk]:
    for file in review.diff.files:
        if (file.old_path, file.new_path) == (finding.anchor.old_path, finding.anchor.new_path):
            yield from file.hunks


def _covers(finding: Finding, line: DiffLine) -> bool:
    point = LinePoint(line.kind, line.old, line.new)
    first, last = finding.anchor.first.number, finding.anchor.last.number
    return point.side is finding.anchor.side and first <= point.number <= last


def _code(line: DiffLine, *, marked: bool) -> Text:
    number = line.old if line.kind is LineKind.REMOVED else line.new
    mark = ">" if marked else " "
    code = visible(line.text[:_WIDEST]).expandtabs(4)
    return Text(f"{mark}{number:>7} {line.kind} {code}", style=_STYLES[line.kind])


def _show_files(console: Console, review: Review) -> None:
    """The files that were not read, each with the reason, and how many were."""
    for outcome in review.files:
        if outcome.state is not FileState.REVIEWED:
            style = "red" if outcome.state is FileState.INCOMPLETE else "dim"
            words = f"{outcome.state}: {visible(outcome.path)} ({visible(outcome.reason)})"
            console.print(Text(words, style=style))
    counts = Counter(outcome.state for outcome in review.files)
    words = ", ".join(f"{counts[state]} {state}" for state in FileState if counts[state])
    console.print(Text(f"files: {words or 'none changed'}"))
    held = Counter(one.reason for one in review.held_back)
    if held:
        reasons = ", ".join(f"{count} {reason}" for reason, count in held.items())
        console.print(Text(f"held back: {reasons}"))


def _last_line(review: Review) -> Text:
    usage, count = review.usage, len(review.findings)
    found = f"{count} finding{'s' * (count != 1)}, a model's opinion and not verified"
    verdict = found if count else ("no findings" if review.complete else "nothing found so far")
    unfinished = "" if review.complete else "review incomplete: "
    cost = (
        f"{visible(review.model.name)}, {usage.calls} calls ({usage.remembered} remembered), "
        f"{usage.prompt_tokens} tokens read ({usage.cached_tokens} cached), "
        f"{usage.output_tokens} written, {usage.seconds:.1f} s"
    )
    return Text.assemble((unfinished, "bold red"), (verdict, "bold"), f" | {cost}")
