"""Text from outside shows all it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.untrusted import is_visible, one_line, visible


def test_escape_sequences_bidi_controls_and_line_ends_are_shown() -> None:
    assert (
        visible("a\x1b[31m\u202eb\u2028\r\n")
        == "a<U+001B>[31m<U+202E>b<U+2028><U+000D><U+000A>"
    )


def test_tabs_letters_and_joined_emoji_stay() -> None:
    assert visible("\tä中👩\u200d🚀") == "\tä中👩\u200d🚀"


@given(st.text())
def test_what_was_made_visible_is_visible_and_one_line(text: str) -> None:
    shown = visible(text)
    assert is_visible(shown)
    assert visible(shown) == shown
    assert len(shown.splitlines()) <= 1
    assert is_visible(text) == (text == shown)


@given(st.text(), st.integers(1, 30))
def test_one_line_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit


def test_one_line_collapses_white_space() -> None:
    assert one_line(" a\n\n b ", 9) == "a b"
    assert one_line("abcdef", 4) == "abc…"
