"""Everything that is posted is inert, whatever a model or a diff says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.domain import FileOutcome, FileState, HeldBack, HoldReason, ModelIdentity
from bot.findings import rendering
from tests.findings.samples import finding, review
from tests.sandbox.quick_actions import extract

BREAKS = ["\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"]
PIECES = [
    *BREAKS, "/merge", "/approve", "/close", "@all", "@alice", "#1", "!1", "~bug", '~"a b"', "%1.0",
    "$7", "&3", "^alert#1", "group/project#1", "[vulnerability:1]", "[[wiki]]", "[TOC]", ":tada:", "GL-1",
    "http://x.test/a", "https://x.test", "www.x.test", "WWW.x.test", "mailto:a@x.test", "a@x.test", "<http://x.test>",
    "![i](http://x.test/i.png)", "[t](//x.test)", "[t]: http://x.test", "[t]", "<img src=x>", "</details>",
    "<!-- strop:summary -->", "<!-- strop:00ff -->", "-->", "<b>", "&lt;", "&#64;all", "`", "``", "```", "````", "~~~",
    "```suggestion:-0+0", "# ", "## h", "---", "===", "- ", "+ ", "1. ", "> ", ">>>", "|", "|---|", "*", "**", "_", "\\",
    "$`x`$", "{+", "+}", "%{project_name}", "\u202e", "\u2066", "\u200b", "\ufeff", "\x1b[31m", "\x00", " ", "\t", "    ",
    "word", "中文", "👍", "{", "}", "{count}", "%s", "$x",
]  # fmt: skip
hostile = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(max_size=60)
)
code_line = st.one_of(hostile, st.sampled_from(["    return 1", "```", "/merge", "// note"]))
languages = st.sampled_from(["en", "zh", "xx"])
MARKDOWN = MarkdownIt("gfm-like")
assert MARKDOWN.linkify
MARKDOWN.linkify.set({"fuzzy_link": False})  # GitLab links no bare domains
FORBIDDEN = {
    "link_open", "image", "html_inline", "html_block", "table_open", "hr", "code_block",
    "blockquote_open", "bullet_list_open", "ordered_list_open", "s_open",
}  # fmt: skip
OURS = {"em_open": 1, "strong_open": 2}


def everything(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from everything(token.children or ())


def shown_text(tokens: Iterable[Token]) -> str:
    """The text nodes a forge looks for references in: not code, not comments."""
    return "\n".join(
        t.content for t in everything(tokens) if t.type in {"text", "text_special"}
    )


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, str]:
    """(body, fingerprint) of any inline comment or summary made of hostile text."""
    some = draw(st.builds(
        finding, claim=hostile, why=hostile, path=hostile,
        replacement=st.none() | st.lists(code_line, max_size=5).map(tuple),
    ))  # fmt: skip
    if draw(st.booleans()):
        say = draw(st.sampled_from([rendering.inline, rendering.on_file]))
        return say(some, draw(languages)), some.fingerprint
    files = draw(
        st.lists(
            st.builds(FileOutcome, hostile, st.sampled_from(FileState), hostile), max_size=4
        )
    )
    held = [HeldBack(draw(hostile), draw(hostile), HoldReason.ECHO)]
    whole = review(
        some, files=tuple(files), held_back=held, model=ModelIdentity(draw(hostile), "0")
    )
    unplaced = [some] if draw(st.booleans()) else []
    return rendering.summary(whole, draw(languages), unplaced), rendering.SUMMARY


@given(bodies())
def test_gitlab_finds_no_command_in_what_we_post(made: tuple[str, str]) -> None:
    body, _ = made
    for text in (body, *(body.replace(c, "\n") for c in BREAKS)):
        assert extract(text)[1] == []


@given(bodies())
def test_no_line_begins_with_a_slash_and_a_letter(made: tuple[str, str]) -> None:
    assert not re.search(r"(?m)^\s*/[A-Za-z]", made[0])


@given(bodies())
def test_words_from_outside_make_no_markup(made: tuple[str, str]) -> None:
    body, fingerprint = made
    tokens = MARKDOWN.parse(body.removesuffix(rendering.marker(fingerprint)))
    kinds = {token.type for token in everything(tokens)}
    lists = {"bullet_list_open"} if fingerprint == rendering.SUMMARY else set()
    assert not kinds & (FORBIDDEN - lists)
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings == (["h3"] if fingerprint == rendering.SUMMARY else [])


@given(bodies())
def test_words_from_outside_reach_nobody_and_name_nothing(made: tuple[str, str]) -> None:
    body, fingerprint = made
    text = shown_text(MARKDOWN.parse(body.removesuffix(rendering.marker(fingerprint))))
    assert not re.search(r"[@#!~%$^](?=[\w\"(*])", text)
    assert not re.search(r"&(?=\w)", text)
    assert not re.search(r"(?i)://|www\.\w|\w:\w|\[\w|\b[A-Z]+-\d", text)


@given(bodies())
def test_a_body_has_exactly_its_own_marker(made: tuple[str, str]) -> None:
    body, fingerprint = made
    assert rendering.markers(body) == {fingerprint}
    assert rendering.markers(body + "\n") == {fingerprint}


@given(bodies())
def test_nothing_invisible_is_posted(made: tuple[str, str]) -> None:
    body, _ = made
    bidi = range(0x202A, 0x202F), range(0x2066, 0x206A)
    hidden = {*map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), *bidi[0], *bidi[1]])}
    assert not set(body) & (hidden | {"\u2028", "\u2029", "\u200b", "\ufeff"})


@given(bodies())
def test_a_body_is_never_too_long(made: tuple[str, str]) -> None:
    assert len(made[0]) <= rendering.LONGEST


@given(st.text(max_size=40))
def test_text_of_a_person_who_is_not_us_can_hold_no_marker_by_our_rendering(text: str) -> None:
    assert "<!--" not in rendering.prose(text)


@pytest.mark.parametrize("space", ["", " ", "\n", "\r", "\u2028", "> ", "- ", "1. ", "`\n", "```\n", "~~~\n", "<p>\n", ">>>\n"])  # fmt: skip
def test_a_merge_command_in_any_block_form_is_harmless(space: str) -> None:
    words = f"wrong{space}/merge\n/approve{space}\n{space}/merge"
    body = rendering.inline(finding(words, words, replacement=("ok", "/merge")))
    assert extract(body)[1] == []
    assert extract(words)[1] or space  # the sandbox would have run it


def test_a_huge_summary_is_cut_between_lines_and_keeps_its_marker() -> None:
    files = tuple(FileOutcome("`@a" * 60, FileState.SKIPPED, "@all " * 90) for _ in range(500))
    body = rendering.summary(review(files=files))
    assert len(body) <= rendering.LONGEST
    assert rendering.markers(body) == {rendering.SUMMARY}
    assert not re.search(r"@(?=\w)", shown_text(MARKDOWN.parse(body)))


def test_only_a_review_that_read_everything_is_called_clean() -> None:
    read = FileOutcome("a.py", FileState.REVIEWED)
    unread = FileOutcome("b.py", FileState.INCOMPLETE, "the answer was cut")
    assert "No findings" in rendering.summary(review(files=(read,)))
    body = rendering.summary(review(files=(read, unread)))
    assert "No findings" not in body
    assert "Review incomplete" in body
    assert "`b.py`: incomplete (the answer was cut)" in body


def test_a_summary_counts_what_was_found_and_held_back_and_spent() -> None:
    held = [HeldBack("a.py", "x", reason) for reason in (HoldReason.QUOTA, HoldReason.QUOTA)]
    body = rendering.summary(review(finding(), finding(), held_back=held))
    assert "Findings: 2" in body
    assert "over the limit: 2" in body
    assert (
        "`small-model`, 3 calls (1 remembered), 900 tokens read (600 cached), 80 written"
        in body
    )
    assert "at commit `aaaaaaaaaaaa`" in body


def test_a_long_list_of_files_is_folded_by_count_and_unread_ones_come_first() -> None:
    files = [FileOutcome(f"{n}.py", FileState.REVIEWED) for n in range(40)]
    files.append(FileOutcome("x.bin", FileState.SKIPPED, "binary"))
    body = rendering.summary(review(files=tuple(files)))
    assert body.index("`x.bin`: skipped (binary)") < body.index("`0.py`")
    assert "and 11 more reviewed" in body


def test_replies_speak_the_language_asked_for_and_english_otherwise() -> None:
    assert "严重性" not in rendering.inline(finding(), "zh")
    assert "重要 · 正确性" in rendering.inline(finding(), "zh-CN")
    assert rendering.inline(finding(), "fr") == rendering.inline(finding(), "en")
    assert "评审未完成" in rendering.summary(
        review(files=(FileOutcome("a", FileState.INCOMPLETE),)), "zh"
    )


def test_a_comment_says_that_it_is_an_unverified_opinion() -> None:
    assert "not verified" in rendering.inline(finding())


def test_reading_a_foreign_or_empty_body_gives_no_marker() -> None:
    assert rendering.markers("") == frozenset()
    assert rendering.markers("hello\n<!-- strop:00ff --> and more") == frozenset()


def test_code_in_a_sentence_is_shown_as_code() -> None:
    assert rendering.prose("use `a[@all]`, not `b`!") == "use `a[@all]`, not `b`\\!\u2060"
    assert rendering.prose("one ` alone") == "one \\` alone"


def test_a_remark_the_forge_refused_stands_in_the_summary() -> None:
    body = rendering.summary(review(finding()), unplaced=[finding()])
    assert "- `pick.py:2`: **Major** The bound is off by one The last item is lost" in body


def test_a_review_that_could_not_be_done_says_why_in_the_summary_note() -> None:
    body = rendering.notice("ask @admin for a right\n/merge")
    assert body.startswith("### Strop: Review incomplete")
    assert rendering.markers(body) == {rendering.SUMMARY}
    assert "@admin" not in body
    assert extract(body)[1] == []


@example("a`b``c")
@given(hostile)
def test_a_path_is_one_code_span_that_shows_it_whole(path: str) -> None:
    [paragraph] = [t for t in MARKDOWN.parse("x " + rendering.code(path)) if t.type == "inline"]
    assert [t.type for t in paragraph.children or ()] == ["text", "code_inline"]


def test_a_comment_that_cannot_stand_on_its_lines_names_them_and_suggests_nothing():
    some = finding(replacement=("    return items[0]",))
    anchor = some.anchor
    body = rendering.on_file(some)
    assert body.startswith(f"`{anchor.path}:{anchor.first.number}")
    assert "suggestion" not in body
    assert "suggestion" in rendering.inline(some)
    assert rendering.markers(body) == {some.fingerprint}
