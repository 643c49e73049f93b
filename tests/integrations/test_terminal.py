"""What a person sees of a review, and that nothing in it can act on the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import FileOutcome, FileState, HeldBack, HoldReason, ModelIdentity, Review
from bot.integrations.terminal import Terminal
from tests.findings.samples import finding, review


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(what: Review, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    Terminal().show(what, stream)
    return stream.getvalue()


def test_a_finding_is_shown_with_its_code_and_what_surrounds_it() -> None:
    one = finding(first=2, last=3, replacement=("    if at > len(items):",))
    lines = shown(review(one)).splitlines()
    assert lines[:3] == [
        "pick.py:2-3  major correctness",
        "  The bound is off by one",
        "  The last item is lost",
    ]
    assert ">      2 +     if at >= len(items):" in lines
    assert ">      3 +         raise IndexError(at)" in lines
    assert "       2 -     if at > len(items):" in lines
    assert "       4       return items[at]" in lines
    assert "  suggest     if at > len(items):" in lines


def test_the_last_line_counts_findings_tokens_and_seconds() -> None:
    assert shown(review(finding())).splitlines()[-1] == (
        "1 finding, a model's opinion and not verified | small-model, 3 calls (1 remembered), "
        "900 tokens read (600 cached), 80 written, 12.4 s"
    )
    assert shown(review()).splitlines()[-1].startswith("no findings | ")


def test_a_review_that_is_not_complete_is_never_called_clean() -> None:
    unread = FileOutcome("b.py", FileState.INCOMPLETE, "the time limit was reached")
    text = shown(review(files=(unread, FileOutcome("x", FileState.SKIPPED, "binary"))))
    assert "no findings" not in text
    assert "incomplete: b.py (the time limit was reached)" in text
    assert "skipped: x (binary)" in text
    assert "files: 1 skipped, 1 incomplete" in text
    assert text.splitlines()[-1].startswith("review incomplete: nothing found so far | ")


def test_what_was_held_back_is_counted() -> None:
    held = [HeldBack("a.py", "x", HoldReason.ECHO), HeldBack("a.py", "y", HoldReason.QUOTA)]
    assert "held back: 1 echo, 1 quota" in shown(review(held_back=held))


def test_colours_only_on_a_terminal_and_never_with_no_color(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in shown(review(finding()))
    assert "\x1b[32m" in shown(review(finding()), Tty())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(review(finding()), Tty())


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["\x1b[2J", "\x1b]8;;http://x\x07", "\x9b31m", "\u202e", "[red]x[/red]", ":x:", "\r"]
    ),
)


@given(hostile, hostile, hostile, hostile)
def test_no_control_character_of_others_reaches_the_terminal(
    claim: str, path: str, line: str, reason: str
) -> None:
    one = finding(claim, claim, path=path, replacement=(line,))
    whole = review(one, files=(FileOutcome(path, FileState.SKIPPED, reason),))
    [file] = whole.diff.files
    hunk = replace(
        file.hunks[0], lines=tuple(replace(at, text=line) for at in file.hunks[0].lines)
    )
    file = replace(file, old_path=path, new_path=path, hunks=(hunk,))
    whole = replace(
        whole, diff=replace(whole.diff, files=(file,)), model=ModelIdentity(claim, "0")
    )
    text = shown(whole)
    assert not {*text} & {*map(chr, [*range(10), *range(11, 32), *range(127, 160)])}
    assert not {*text} & {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028"}


def test_words_in_brackets_are_not_markup() -> None:
    assert "  [red]x[/red] :smile:" in shown(review(finding("[red]x[/red] :smile:")))


def test_progress_writes_nothing_where_there_is_no_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Terminal().progress("reviewing") as tell:
        tell(1, 2)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_how_much_is_done_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = Tty()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm-256color")
    with Terminal().progress("reviewing") as tell:
        tell(1, 2)
    assert "reviewing" in stderr.getvalue()
    assert "1/2" in stderr.getvalue()
