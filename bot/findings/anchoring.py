"""A raw finding gets its place in the diff, or is held back. Pure.

Whatever the model wrote, what leaves here points at lines that were shown, both ends in one
hunk and on one side, and quotes their code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.domain import (
    Anchor,
    Context,
    DiffLine,
    FileStatus,
    Finding,
    HeldBack,
    HoldReason,
    LineKind,
    LinePoint,
    RawFinding,
    Side,
)
from bot.findings.duplicates import fingerprint, words
from bot.untrusted import is_visible, is_whole

LONGEST_RANGE = 40  # lines; a remark about more than a screen points at nothing
LONGEST_REPLACEMENT = 20  # lines
SHORTEST_SENTENCE = 6  # letters and digits; less than that is no sentence in any language
_NOTHING = re.compile(
    r"^\W*$|^(n/?a|none|null|nothing|unknown|无|没有问题)\W*$"
    r"|\bno (\w+ ){0,2}(issues?|problems?|bugs?|defects?|concerns?)\b"
    r"|\b(looks|is|are|seems) (good|fine|correct|ok|okay)\W*$",
    re.IGNORECASE,
)


def place(raw: RawFinding, context: Context, told: Sequence[str] = ()) -> Finding | HeldBack:
    """The finding with its place and its code, or why it is not worth showing.

    `told` are the texts the model was given beside the code (instructions, title): a claim
    that only repeats them or the code says nothing.
    """
    path = context.file.path
    if len(words(raw.claim)) < SHORTEST_SENTENCE or _NOTHING.search(raw.claim.strip()):
        return HeldBack(path, raw.claim, HoldReason.EMPTY)
    if _echoes(raw.claim, (*told, *(line.text for line in context.lines.values()))):
        return HeldBack(path, raw.claim, HoldReason.ECHO)
    lines = _range(raw, context)
    if not lines:
        return HeldBack(path, raw.claim, HoldReason.UNANCHORED)
    anchor = _anchor(context, lines)
    code = tuple(line.text for line in lines)
    return Finding(
        anchor=anchor,
        severity=raw.severity,
        category=raw.category,
        claim=raw.claim,
        why=raw.why if _adds(raw.why, raw.claim) else "",
        fingerprint=fingerprint(anchor.path, code, raw.category),
        code=code,
        replacement=_replacement(raw, context, lines),
    )


def _adds(why: str, claim: str) -> bool:
    return len(words(why)) >= SHORTEST_SENTENCE and words(why) not in words(claim)


def _echoes(claim: str, told: Sequence[str]) -> bool:
    said = f" {words(claim)} "
    return any(said in f" {words(text)} " for text in told)


def _range(raw: RawFinding, context: Context) -> tuple[DiffLine, ...]:
    """The lines from first to last on their side; if these are no range of one hunk, only
    the last line, where forges show a remark; nothing if that was never shown."""
    shown = context.lines
    ends = [shown[label] for label in (raw.first, raw.last) if label in shown]
    if not ends:
        return ()
    side = _side(ends[-1])
    for hunk in context.hunks:
        on_side = [line for line in hunk.lines if _on(side, line)]
        places = [on_side.index(end) for end in ends if _side(end) is side and end in on_side]
        lines = tuple(on_side[min(places) : max(places) + 1]) if places else ()
        if len(places) == len(ends) and len(lines) <= LONGEST_RANGE:
            return lines
    return (ends[-1],)


def _anchor(context: Context, lines: Sequence[DiffLine]) -> Anchor:
    first, last = (LinePoint(line.kind, line.old, line.new) for line in (lines[0], lines[-1]))
    return Anchor(context.file.old_path, context.file.new_path, first, last)


def _replacement(
    raw: RawFinding, context: Context, lines: Sequence[DiffLine]
) -> tuple[str, ...] | None:
    """The proposed lines if they can stand in the file, else None: the remark stays."""
    code = [line.text for line in lines]
    new = tuple(line.rstrip() for line in raw.replacement or ())
    if not new or len(new) > LONGEST_REPLACEMENT or _side(lines[-1]) is Side.OLD:
        return None
    if context.file.status is FileStatus.DELETED or context.file.encoding != "utf-8":
        return None
    if _ink(new) in ("", _ink(code)):
        return None
    if not all(line.newline for line in lines):  # a forge would add one
        return None
    # A forge would not keep CR and bidi; what was taken out must not be written as our mark.
    if not all(map(is_visible, (*code, *new))) or not all(map(is_whole, new)):
        return None
    return new if _indent(new) == _indent(code) else None


def _ink(code: Sequence[str]) -> str:
    return "".join("".join(code).split())


def _indent(code: Sequence[str]) -> str:
    first = next((line for line in code if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]


def _side(line: DiffLine) -> Side:
    return Side.OLD if line.kind is LineKind.REMOVED else Side.NEW


def _on(side: Side, line: DiffLine) -> bool:
    """Whether a line exists on a side; context lines exist on both, and count as new."""
    other = LineKind.ADDED if side is Side.OLD else LineKind.REMOVED
    return line.kind is not other
