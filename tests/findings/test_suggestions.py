"""A suggestion changes exactly the lines it stands on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.domain import Finding
from bot.findings.suggestions import applies, apply, block
from tests.findings.samples import finding

FILE = "one\ntwo\nthree\nfour\n"


def suggested(
    *new: str, first: int = 2, last: int = 3, code: tuple[str, ...] = ("two", "three")
) -> Finding:
    return finding(first=first, last=last, code=code, replacement=new)


def test_the_block_counts_the_lines_above_the_one_it_stands_on() -> None:
    assert block(suggested("2", "3")) == "```suggestion:-1+0\n2\n3\n```"
    assert block(finding()) == ""


@given(st.lists(st.text("`~ab", max_size=8), min_size=1, max_size=4))
def test_code_with_fences_stays_inside_the_block(lines: list[str]) -> None:
    text = block(suggested(*lines))
    tokens = MarkdownIt().parse(text)
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "".join(line + "\n" for line in lines)


@pytest.mark.parametrize(
    "line", ["/merge", "/Approve now", "a\nb", "a\u2028/merge", "x" * 5000]
)
def test_code_that_could_become_a_command_or_is_hidden_or_huge_is_not_suggested(
    line: str,
) -> None:
    assert block(suggested("ok", line)) == ""


def test_a_range_that_reaches_further_than_gitlab_allows_is_not_suggested() -> None:
    assert block(suggested("x", first=1, last=102)) == ""


def test_applying_replaces_the_range_and_nothing_else() -> None:
    found = suggested("zwei", "drei", "dreieinhalb")
    assert apply(FILE, found) == "one\nzwei\ndrei\ndreieinhalb\nfour\n"
    assert applies(FILE, found)


@pytest.mark.parametrize(
    "head",
    ["", "one\ntwo\n", "zero\none\ntwo\nthree\n", "one\ntwo\nthree \n", "\ftwo\x85three"],
)
def test_a_suggestion_does_not_apply_where_other_code_stands(head: str) -> None:
    assert not applies(head, suggested("zwei"))


def test_a_suggestion_that_changes_nothing_does_not_apply() -> None:
    assert not applies(FILE, suggested("two", "three"))
    assert not applies(FILE, finding(code=("two",)))


@given(
    st.lists(st.text(st.characters(exclude_characters="\n"), max_size=5), min_size=2), st.data()
)
def test_applying_touches_only_the_anchored_lines(
    lines: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    found = suggested("new", first=first, last=last, code=tuple(lines[first - 1 : last]))
    after = apply("\n".join(lines), found).split("\n")
    assert after == [*lines[: first - 1], "new", *lines[last:]]
    assert applies("\n".join(lines), found) == (after != lines)


def test_the_block_is_what_gitlab_reads_as_a_suggestion() -> None:
    opening = block(suggested("x")).splitlines()[0]
    assert re.fullmatch(r"`{3,}suggestion:-\d+\+\d+", opening)
