"""A thing is said once, and not too much is said."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.domain import Category, Finding, HoldReason, Severity
from bot.findings.duplicates import fingerprint, select
from tests.findings.samples import finding

BUG = Category.CORRECTNESS


def numbered(count: int, **fields: Any) -> list[Finding]:
    return [finding(f"claim {n}", fingerprint=f"{n:032x}", **fields) for n in range(count)]


def test_a_fingerprint_survives_moves_new_indentation_and_blank_lines() -> None:
    assert fingerprint("a.py", ["if x:", "  y"], BUG) == fingerprint(
        "a.py", ["    if  x:", "", "\ty  "], BUG
    )


def test_a_fingerprint_changes_with_the_code_the_file_and_the_category() -> None:
    one = fingerprint("a.py", ["x < 1"], BUG)
    others = {
        fingerprint("a.py", ["x <= 1"], BUG),
        fingerprint("b.py", ["x < 1"], BUG),
        fingerprint("a.py", ["x < 1"], Category.SECURITY),
    }
    assert len({one, *others}) == 4
    assert one.isalnum()
    assert len(one) == 32


def test_the_worst_come_first_and_equals_keep_their_order() -> None:
    minor, major = numbered(2)[0], numbered(4)[2:]
    found = [finding("m", fingerprint="f" * 32, severity=Severity.MINOR), minor, *major]
    shown, _ = select(found, per_file=9, total=9)
    assert shown == (minor, *major, found[0])


def test_the_same_code_or_the_same_sentence_is_said_once() -> None:
    same_code = finding("in other words", fingerprint="0" * 32)
    same_words = finding("Claim 0!", fingerprint="f" * 32, path="other.py")
    shown, held = select([*numbered(1), same_code, same_words], per_file=9, total=9)
    assert len(shown) == 1
    assert [(one.reason, one.path) for one in held] == [
        (HoldReason.DUPLICATE, "pick.py"),
        (HoldReason.DUPLICATE, "other.py"),
    ]


@given(st.integers(0, 4), st.integers(0, 6), st.lists(st.sampled_from("abc"), max_size=12))
def test_quotas_hold_and_nothing_is_lost(per_file: int, total: int, paths: list[str]) -> None:
    found = [
        finding(f"claim {n}", fingerprint=f"{n:032x}", path=path)
        for n, path in enumerate(paths)
    ]
    shown, held = select(found, per_file=per_file, total=total)
    assert len(shown) <= total
    assert all([f.anchor.path for f in shown].count(path) <= per_file for path in "abc")
    assert {f.claim for f in found} == {f.claim for f in shown} | {h.claim for h in held}
    assert all(one.reason is HoldReason.QUOTA and one.finding for one in held)
