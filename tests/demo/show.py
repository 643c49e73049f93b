"""Discussions in the terminal: the lines they are on, and what Strop says."""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax

AROUND = 2


def show_discussion(console: Console, note: dict, project: Path) -> None:
    """One inline discussion with the code it stands on."""
    position = note["position"]
    side, path = ("after", position["new_path"])
    line = position.get("new_line")
    if line is None:
        side, path, line = "before", position["old_path"], position.get("old_line")
    console.print(Rule(f"{path}:{line or ''}", align="left"))
    if line is not None:
        show_code(console, project / side / path, first_line(position, line), line)
    console.print(Padding(Markdown(visible(note["body"])), (1, 0, 1, 4)))


def show_code(console: Console, path: Path, first: int, last: int) -> None:
    """The lines of a file from first to last, marked, with a few around them."""
    code = path.read_text(encoding="utf-8")
    console.print(
        Syntax(
            code,
            Syntax.guess_lexer(str(path), code),
            line_numbers=True,
            line_range=(max(1, first - AROUND), last + AROUND),
            highlight_lines=set(range(first, last + 1)),
            background_color="default",
        )
    )


def show_summary(console: Console, note: dict) -> None:
    """The summary note."""
    console.print(Rule("summary", align="left"))
    console.print(Padding(Markdown(visible(note["body"])), (1, 0, 1, 4)))


def first_line(position: dict, last: int) -> int:
    """Where a discussion on several lines starts."""
    start = (position.get("line_range") or {}).get("start") or {}
    return start.get("new_line") or start.get("old_line") or last


def visible(body: str) -> str:
    """What a forge would show: without the bot's markers, which are HTML comments."""
    return "\n".join(line for line in body.splitlines() if not line.startswith("<!--"))
