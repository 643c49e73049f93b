import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context import packing, selection
from bot.context.diff import parse
from bot.domain import Diff, DiffLine, FileKind, FileStatus, LineKind
from bot.errors import Malformed
from tests.context.builders import HEADER, diff_of, file_of, raw
from tests.context.test_packing import count

REVIEWS = Path(__file__).parents[3] / "shared" / "data" / "review-dev.jsonl"
HUNK = b"@@ -1 +1 @@\n-a\n+b\n"


def read(listed: bytes, patch: bytes, *, cut: bool = False) -> Diff:
    return parse(listed, patch, base="base", head="head", cut=cut)


def test_both_counters_run_on_every_line() -> None:
    (hunk,) = file_of("@@ -7,4 +9,4 @@ def f():\n a\n-b\n-c\n+d\n+e\n f\n").hunks
    assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (7, 4, 9, 4)
    assert hunk.heading == "def f():"
    assert hunk.lines == (
        DiffLine(LineKind.CONTEXT, "a", 7, 9),
        DiffLine(LineKind.REMOVED, "b", 8, 10),
        DiffLine(LineKind.REMOVED, "c", 9, 10),
        DiffLine(LineKind.ADDED, "d", 10, 10),
        DiffLine(LineKind.ADDED, "e", 10, 11),
        DiffLine(LineKind.CONTEXT, "f", 10, 12),
    )


def test_without_context_lines_the_counters_still_name_the_next_line() -> None:
    (line,) = file_of("@@ -5,0 +6 @@\n+a\n").hunks[0].lines
    assert (line.old, line.new) == (6, 6)
    (line,) = file_of("@@ -5 +4,0 @@\n-a\n").hunks[0].lines
    assert (line.old, line.new) == (5, 5)


def test_a_missing_newline_belongs_to_the_line_before_the_remark() -> None:
    text = "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n\\ No newline at end of file\n"
    assert [line.newline for line in file_of(text).hunks[0].lines] == [False, False]
    text = "@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"
    assert [line.newline for line in file_of(text).hunks[0].lines] == [False, True, True]


def test_only_a_line_feed_ends_a_line() -> None:
    odd = "a\rb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h\r"
    (line,) = file_of(f"@@ -0,0 +1 @@\n+{odd}\n", letter="A").hunks[0].lines
    assert line.text == odd


def test_bytes_that_are_not_utf8_make_the_whole_file_latin1() -> None:
    file = file_of(b"@@ -1,2 +1,2 @@\n caf\xe9\n-\xc3\xa9\n+x\n")
    assert file.encoding == "latin-1"
    assert [line.text for line in file.hunks[0].lines] == ["caf\xe9", "\xc3\xa9", "x"]


def test_an_encoding_is_chosen_for_each_file() -> None:
    patch = b"".join(
        HEADER + b"@@ -0,0 +1 @@\n+" + row + b"\n" for row in (b"\xe9", b"\xc3\xa9")
    )
    first, second = read(raw("a", "A") + raw("b", "A"), patch).files
    assert (first.encoding, first.hunks[0].lines[0].text) == ("latin-1", "\xe9")
    assert (second.encoding, second.hunks[0].lines[0].text) == ("utf-8", "\xe9")


def test_names_come_from_the_list_and_never_from_the_patch() -> None:
    (file,) = read(raw("real\nname"), b'diff --git "a/forged" "b/forged"\n' + HUNK).files
    assert (file.old_path, file.new_path) == ("real\nname", "real\nname")


def test_a_type_change_takes_two_parts_of_the_patch() -> None:
    listed = raw("link", "T", "120000 100644") + raw("next")
    two = HEADER + b"@@ -1 +0,0 @@\n-to\n" + HEADER + b"@@ -0,0 +1 @@\n+text\n"
    link, after = read(listed, two + HEADER + HUNK).files
    assert (link.status, link.kind) == (FileStatus.TYPE_CHANGED, FileKind.SYMLINK)
    assert [line.text for hunk in link.hunks for line in hunk.lines] == ["to", "text"]
    assert [line.text for line in after.hunks[0].lines] == ["a", "b"]


def test_a_text_that_speaks_of_binary_files_is_text() -> None:
    says = b"@@ -0,0 +1 @@\n+Binary files a/x and b/x differ\n"
    assert diff_of(says, letter="A").files[0].kind is FileKind.TEXT
    binary = HEADER + b"Binary files a/x and b/x differ\n"
    assert read(raw(), binary).files[0].kind is FileKind.BINARY


def test_a_patch_that_was_cut_leaves_the_rest_too_large() -> None:
    whole = HEADER + HUNK
    files = read(raw("a") + raw("b") + raw("c"), whole + whole[:40], cut=True).files
    assert [file.kind for file in files] == [
        FileKind.TEXT,
        FileKind.OVERSIZED,
        FileKind.OVERSIZED,
    ]
    assert files[1].hunks == ()


@pytest.mark.parametrize(
    ("listed", "patch"),
    [
        (raw("a"), b""),
        (raw("a") + raw("b"), HEADER + HUNK),
        (raw("a"), (HEADER + HUNK) * 2),
        (raw("a"), b"rubbish\n" + HEADER + HUNK),
        (b"", HEADER + HUNK),
        (raw("a"), HEADER + b"@@ -1,2 +1 @@\n-a\n+b\n"),
        (raw("a"), HEADER + b"@@ -1 +1 @@\n-a\n+b\n+c\n"),
        (raw("a"), HEADER + b"@@ -1 +1 @@\n-a\nb\n"),
        (raw("a"), HEADER + HUNK + b"--- b\n+++ c\n" + HUNK),
        (b"rubbish", HEADER + HUNK),
        (raw("a", "X"), HEADER + HUNK),
        (raw("a", "R100"), HEADER + HUNK),
        (raw(""), HEADER + HUNK),
        (b"\xff\xfe\0a\0", HEADER + HUNK),
        (b"::100644 100644 100644 1 2 3 MM\0a\0", HEADER + HUNK),
    ],
)
def test_what_git_would_not_say_is_malformed(listed: bytes, patch: bytes) -> None:
    with pytest.raises(Malformed):
        read(listed, patch)


RUBBISH = st.binary(max_size=80) | st.text(st.sampled_from("@-+ ,012\n\\a")).map(str.encode)


@given(RUBBISH, RUBBISH, st.booleans())
def test_rubbish_is_malformed_and_nothing_worse(listed: bytes, hunks: bytes, cut: bool) -> None:
    likely = HEADER + b"@@ -" + hunks
    for one, other in ((listed, hunks), (raw(), HEADER + hunks), (raw(), likely)):
        with suppress(Malformed):
            read(one, other, cut=cut)


@pytest.mark.skipif(not REVIEWS.exists(), reason="the review data is not beside this checkout")
def test_every_diff_of_the_review_data_is_read_and_packed() -> None:
    rows = [json.loads(line) for line in REVIEWS.read_text(encoding="utf-8").splitlines()]
    assert rows
    for row in rows:
        diff = read(raw(row["path"]), row["diff"].encode())
        lines = [line for hunk in diff.files[0].hunks for line in hunk.lines]
        text = "\n".join(f"{line.kind}{line.text}" for line in lines)
        assert (
            text.splitlines()
            == [line for line in row["diff"].splitlines() if line[:1] in {"+", "-", " "}][2:]
        )
        for context in packing.contexts(
            diff.files[0], rules=(), budget_tokens=500, count=count
        ):
            assert context.tokens <= 500
        assert (
            selection.select(diff, include=["**"], ignore=[], max_files=1, max_lines=2000).files
            == diff.files
        ), row["id"]
