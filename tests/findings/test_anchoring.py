"""What leaves anchoring points at lines that were shown, or is held back with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import Context, Finding, HeldBack, HoldReason, LineKind, Side
from bot.findings.anchoring import LONGEST_RANGE, place
from tests.findings.samples import CODE, context, hunk, raw

TWO_HUNKS = context(hunk(CODE, 1, 1), hunk(CODE, 51, 51))


def placed(*args: str, where: Context | None = None, **fields: Any) -> Finding:
    found = place(raw(*args, **fields), where or context())
    assert isinstance(found, Finding), found
    return found


def reason(claim: str, *told: str) -> HoldReason | None:
    found = place(raw(claim=claim), context(), told)
    return found.reason if isinstance(found, HeldBack) else None


def ends(found: Finding) -> tuple[Side, int, int]:
    return found.anchor.side, found.anchor.first.number, found.anchor.last.number


def test_a_range_of_added_lines_is_quoted_whole() -> None:
    found = placed("2", "3")
    assert ends(found) == (Side.NEW, 2, 3)
    assert found.code == ("    if at >= len(items):", "        raise IndexError(at)")


def test_a_removed_line_is_named_on_the_old_side() -> None:
    found = placed("-2", "-3")
    assert ends(found) == (Side.OLD, 2, 3)
    assert found.anchor.last.kind is LineKind.REMOVED


def test_ends_in_the_wrong_order_are_put_right() -> None:
    assert ends(placed("3", "2")) == (Side.NEW, 2, 3)


@pytest.mark.parametrize("first", ["-2", "52", "99", "x"])
def test_ends_that_make_no_range_narrow_to_the_last_line(first: str) -> None:
    assert ends(placed(first, "3", where=TWO_HUNKS)) == (Side.NEW, 3, 3)


def test_a_range_as_long_as_a_screen_narrows_to_its_last_line() -> None:
    long = context(hunk("+x\n" * (LONGEST_RANGE + 1)))
    assert ends(placed("2", str(LONGEST_RANGE + 1), where=long))[1] == 2
    assert ends(placed("1", str(LONGEST_RANGE + 1), where=long))[1] == LONGEST_RANGE + 1


def test_lines_that_were_never_shown_hold_a_finding_back() -> None:
    held = place(raw("70", "71"), context())
    assert isinstance(held, HeldBack)
    assert (held.path, held.reason) == ("pick.py", HoldReason.UNANCHORED)


@given(st.data())
def test_whatever_labels_a_model_writes_the_anchor_is_in_one_hunk_on_one_side(
    data: st.DataObject,
) -> None:
    labels = st.sampled_from([*TWO_HUNKS.lines, "0", "-1", "999", ""])
    found = place(raw(data.draw(labels), data.draw(labels)), TWO_HUNKS)
    if isinstance(found, HeldBack):
        assert found.reason is HoldReason.UNANCHORED
        return
    first, last = found.anchor.first, found.anchor.last
    assert first.side is last.side
    assert first.number <= last.number
    numbers = {
        (line.old if first.side is Side.OLD else line.new)
        for line in TWO_HUNKS.hunks[first.number > 50].lines
    }
    assert {first.number, last.number} <= numbers
    assert len(found.code) == last.number - first.number + 1


@pytest.mark.parametrize(
    "claim",
    ["", " …", "None", "n/a", "1", "bug!", "No issues found.", "There is no obvious problem here", "无",
     "The change looks good.", "The code is correct."],
)  # fmt: skip
def test_a_claim_that_says_nothing_is_held_back(claim: str) -> None:
    assert reason(claim) is HoldReason.EMPTY


@pytest.mark.parametrize(
    "claim",
    ["No check for None before the call", "No error is raised for a negative index",
     "The condition is correct only for lists", "索引可能越界"],
)  # fmt: skip
def test_a_claim_about_something_missing_is_not_empty(claim: str) -> None:
    assert reason(claim) is None


def test_a_reason_that_only_repeats_the_claim_is_left_out() -> None:
    assert placed(claim="The bound is off by one", why="the bound is off by one.").why == ""
    assert placed(why="1").why == ""
    longer = "The bound is off by one, so the last item is lost"
    assert placed(claim="The bound is off by one", why=longer).why == longer


def test_a_claim_that_repeats_the_code_the_title_or_the_instructions_is_an_echo() -> None:
    assert reason("if at >= len(items)") is HoldReason.ECHO
    assert reason("Fix the bound", "fix: Fix the bound of pick", "x") is HoldReason.ECHO
    assert reason("Fix the bounds", "fix: Fix the bound of pick", "x") is None


def test_a_replacement_that_fits_is_kept_without_trailing_space() -> None:
    found = placed("2", "2", replacement=("    if at > len(items):  ",))
    assert found.replacement == ("    if at > len(items):",)


@pytest.mark.parametrize(
    ("lines", "new"),
    [
        (("2", "2"), ("    if at >=  len(items):",)),  # nothing but white space
        (("2", "2"), ("if at > len(items):",)),  # another indentation
        (("2", "2"), ("",)),
        (("2", "2"), ("    x\u202e",)),
        (("2", "2"), ("    x\r",) * 2 + ("    a\rb",)),
        (("2", "2"), ("    x",) * 21),
        (("2", "2"), ("    token = '[redacted]'",)),  # a mark of ours, not code
        (("2", "2"), ("    x = 'long…[cut]",)),
        (("-2", "-2"), ("    if at > 0:",)),  # the old side cannot be changed
    ],
)
def test_a_replacement_that_cannot_stand_is_dropped_and_the_remark_stays(
    lines: tuple[str, str], new: tuple[str, ...]
) -> None:
    assert placed(*lines, replacement=new).replacement is None


def test_code_with_other_line_ends_or_bytes_gets_no_replacement() -> None:
    new = ("    y = 2",)
    crlf, latin = context(hunk("+    x = 1\r")), context(encoding="latin-1")
    assert placed("1", "1", where=crlf, replacement=new).replacement is None
    assert placed("2", "2", where=latin, replacement=new).replacement is None
    assert placed("2", "2", replacement=new).replacement == new
