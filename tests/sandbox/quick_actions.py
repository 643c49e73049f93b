"""Which lines of a text GitLab runs as commands. Pure.

The rule (lib/gitlab/quick_actions/extractor.rb): carriage returns are dropped, then every
line that is `/command` with an optional argument runs, except inside closed ``` blocks,
closed inline code on rows of its own, `<tag>` … `</tag>` blocks whose tags stand alone on
their rows, and `>>>` quotes. Where the rule leaves room, this reads it so that a command
runs: a text that is harmless here is harmless there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMANDS = (
    "approve", "assign", "assign_reviewer", "award", "close", "copy_metadata", "done", "draft",
    "estimate", "label", "lock", "merge", "milestone", "ready", "rebase", "relabel", "remove_due_date",
    "reopen", "reviewer", "shrug", "spend", "subscribe", "tableflip", "target_branch", "title",
    "todo", "unapprove", "unassign", "unlabel", "unlock", "unsubscribe",
)  # fmt: skip
COMMAND = re.compile(rf"/({'|'.join(COMMANDS)})(?: (.*?))?\s*", re.IGNORECASE)
FENCE = re.compile(r"(`{3,}).*")
OPENING_TAG = re.compile(r"<[^>]+>")
CLOSING_TAG = re.compile(r"</[^>]+>")


@dataclass(frozen=True)
class Command:
    name: str
    argument: str


def extract(text: str) -> tuple[str, list[Command]]:
    """The text without its commands, and the commands in order."""
    rows = text.replace("\r", "").split("\n")
    kept: list[str] = []
    commands: list[Command] = []
    at = 0
    while at < len(rows):
        block = _protected(rows, at)
        found = None if block else COMMAND.fullmatch(rows[at])
        if found:
            commands.append(Command(found[1].lower(), (found[2] or "").strip()))
        else:
            kept += rows[at : at + max(block, 1)]
        at += max(block, 1)
    return "\n".join(kept).strip() if commands else text, commands


def _protected(rows: list[str], at: int) -> int:
    """How many rows from here on are a block in which nothing runs (0: none)."""
    row = rows[at]
    if fence := FENCE.fullmatch(row):
        return _until(rows, at, rf"```|{fence[1]}")
    if row == "`":
        return _until(rows, at, "`")
    if row == ">>>":
        return _until(rows, at, ">>>")
    if OPENING_TAG.fullmatch(row) and not CLOSING_TAG.fullmatch(row):
        return _until(rows, at, CLOSING_TAG.pattern)
    return 0


def _until(rows: list[str], at: int, closing: str) -> int:
    """The rows up to and with the first one that is `closing`; 0 if there is none, because
    a block that is never closed protects nothing."""
    for end in range(at + 1, len(rows)):
        if re.fullmatch(closing, rows[end]):
            return end - at + 1
    return 0
