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
    first, last = _range(finding)
    above = last - first
    if lines is None or above > MOST_ABOVE:
        return ""
    if any(_COMMAND.match(line) or not is_visible(line) for line in lines):
        return ""
    longest = max((len(run) for line in lines for run in _FENCE.findall(line)), default=2)
    fence = "`" * (longest + 1)
    text = "\n".join([f"{fence}suggestion:-{above}+0", *lines, fence])
    return text if len(text) <= LONGEST else ""


def apply(text: str, finding: Finding) -> str:
    """The file at the head of the change (`text`) with the suggestion applied, as a forge
    does it: whole lines, ended by a line feed."""
    first, last = _range(finding)
    lines = text.split("\n")
    return "\n".join([*lines[: first - 1], *(finding.replacement or ()), *lines[last:]])


def applies(text: str, finding: Finding) -> bool:
    """Whether the suggestion fits `text`, the file at the head of the change: the quoted code
    stands exactly in its place, and replacing it changes something."""
    if finding.replacement is None or finding.anchor.side is Side.OLD:
        return False
    first, last = _range(finding)
    there = tuple(text.split("\n")[first - 1 : last])
    return there == finding.code and apply(text, finding) != text


def _range(finding: Finding) -> tuple[int, int]:
    return finding.anchor.first.number, finding.anchor.last.number
