"""Suggestion blocks that a forge can apply with one click. Pure.

A suggestion replaces the lines from N above to M below the line it stands on
(https://docs.gitlab.com/user/project/merge_requests/reviews/suggestions/). A remark stands
on the last line of its range, so N is the length of the range less one, and M is 0.
"""

from __future__ import annotations

import re

from bot.domain import Finding, Side
from bot.untrusted import is_visible

MOST_ABOVE = 100  # GitLab's limit, lines
LONGEST = 4_000  # characters of a block
_FENCE = re.compile(r"`{3,}")
# GitLab runs such a line as a quick action wherever it takes it for prose. A closed fence
# should stop that (lib/gitlab/quick_actions/extractor.rb), but a suggestion is not worth
# depending on it.
_COMMAND = re.compile(r"^/[A-Za-z]")


def block(finding: Finding) -> str:
    """The Markdown of a finding's replacement, or "" if it has none that is safe to post."""
    lines = finding.replacement
    above = finding.anchor.last.number - finding.anchor.first.number
    if lines is None or not 0 <= above <= MOST_ABOVE:
        return ""
    if any(_COMMAND.match(line) or not is_visible(line) for line in lines):
        return ""
    longest = max((len(run) for line in lines for run in _FENCE.findall(line)), default=2)
    fence = "`" * (longest + 1)
    text = "\n".join([f"{fence}suggestion:-{above}+0", *lines, fence])
    return text if len(text) <= LONGEST else ""


def apply(text: str, finding: Finding) -> str:
    """The file after the suggestion, as the forge would make it. `text` is the file at the
    head of the change; each new line ends as the first one it replaces."""
    lines = text.splitlines(keepends=True)
    first, last = finding.anchor.first.number, finding.anchor.last.number
    ending = lines[first - 1][len(lines[first - 1].rstrip("\r\n")) :]
    new = [line + ending for line in finding.replacement or ()]
    return "".join([*lines[: first - 1], *new, *lines[last:]])


def applies(text: str, finding: Finding) -> bool:
    """Whether the suggestion, applied to the file at the head of the change, replaces exactly
    the quoted code and nothing else."""
    if finding.replacement is None or finding.anchor.side is Side.OLD:
        return False
    first, last = finding.anchor.first.number, finding.anchor.last.number
    before = text.split("\n")
    if not 1 <= first <= last <= len(before) or tuple(before[first - 1 : last]) != finding.code:
        return False
    after = apply(text, finding).split("\n")
    end = first - 1 + len(finding.replacement)
    return (
        after[: first - 1] == before[: first - 1]
        and tuple(after[first - 1 : end]) == finding.replacement
        and after[end:] == before[last:]
        and after != before
    )
