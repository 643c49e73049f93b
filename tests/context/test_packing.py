import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context.packing import MAX_LINE_CHARACTERS, contexts
from bot.domain import Context, FileDiff, LineKind
from bot.errors import PromptTooLong
from bot.untrusted import CUT, REDACTED
from tests.context.builders import added, file_of

TOKEN = re.compile(r"\d|[^\W\d]{1,5}|\n|[^\w\n]{1,4}")


def count(text: str) -> int:
    """Tokens as byte-pair tokenizers make them: digits alone, words in parts."""
    return len(TOKEN.findall(text))


def pack(file: FileDiff, budget: int = 200, *rules: str) -> tuple[Context, ...]:
    return contexts(file, rules=rules, budget_tokens=budget, count=count)


def changed_labels(file: FileDiff) -> list[str]:
    lines = [line for hunk in file.hunks for line in hunk.lines]
    return [line.label for line in lines if line.kind is not LineKind.CONTEXT]


TWO_HUNKS = """\
@@ -9,4 +9,4 @@ def total(items):
     result = 0
-    for item in items:
+    for item in items[1:]:
         result += item

@@ -40,2 +40,3 @@
 a
+b
 c
"""


def test_a_line_is_shown_as_label_mark_and_text_under_what_it_is_in() -> None:
    (context,) = pack(file_of(TWO_HUNKS))
    assert context.text == (
        "@@ def total(items):\n"
        "9      result = 0\n"
        "-10 -    for item in items:\n"
        "10 +    for item in items[1:]:\n"
        "11          result += item\n"
        "12\n"
        "@@\n"
        "40  a\n"
        "41 +b\n"
        "42  c"
    )
    assert context.tokens == count(context.text)
    assert context.changed == ("-10", "10", "41")


def test_hunks_that_do_not_fit_together_come_apart() -> None:
    file = file_of(TWO_HUNKS)
    first, second = pack(file, count(pack(file)[0].text) - 1)
    assert (first.changed, second.changed) == (("-10", "10"), ("41",))
    assert [first.hunks, second.hunks] == [(hunk,) for hunk in file.hunks]


def test_rules_cost_tokens_and_leave_half_of_the_budget_to_the_code() -> None:
    rules = ("Never log a card number.", "Say why in comments.", "word " * 400)
    (context,) = pack(file_of(TWO_HUNKS), 300, *rules)
    assert context.rules == rules[:2]
    assert context.tokens > count(context.text) + sum(map(count, context.rules))


def test_a_long_hunk_is_cut_before_the_next_function_and_says_what_it_is_in() -> None:
    body = [
        line
        for n in range(6)
        for line in (f"def f{n}(x):", "    y = x + 1", "    return y", "")
    ]
    parts = pack(added("class A:", *(f"    {line}".rstrip() for line in body)), 90)
    assert len(parts) > 1
    assert all(
        part.text.splitlines()[1].split("+")[1].startswith("    def") for part in parts[1:]
    )
    assert all(part.text.startswith("@@ class A:\n") for part in parts[1:])


def test_a_part_repeats_the_context_before_it_but_no_change() -> None:
    born = "".join(f"+x{n} = {n}\n" for n in range(3))
    same = "".join(f" y{n} = {n}\n" for n in range(12))
    file = file_of(f"@@ -1,14 +1,18 @@\n-g\n{born}{same}+q = 1\n+r = 2\n h\n")
    first, second, third = pack(file, 60)
    assert first.text.startswith("@@\n-1 -g\n1 +x0 = 0\n") and first.text.endswith("7  y3 = 3")
    assert second.text.startswith("@@\n10  y6 = 6\n") and second.changed == ("16",)
    assert third.text == "@@\n17 +r = 2\n18  h"
    hunk = third.hunks[0]
    assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (14, 1, 17, 2)


def test_parts_without_a_change_are_not_shown() -> None:
    context_lines = "".join(f" same {n}\n" for n in range(50))
    parts = pack(file_of(f"@@ -1,51 +1,51 @@\n-a\n+b\n{context_lines}"), 60)
    assert [part.changed for part in parts] == [("-1", "1")]


def test_a_line_longer_than_the_budget_is_cut_where_people_see_it() -> None:
    (context,) = pack(added("word " * 150), 50)
    assert context.text.endswith(CUT)
    assert context.tokens <= 50
    assert context.changed == ("1",)


def test_a_very_long_line_is_cut_even_if_it_would_fit() -> None:
    (context,) = pack(added("z" * 5000), 5000)
    assert context.text == f"@@\n1 +{'z' * MAX_LINE_CHARACTERS}{CUT}"


def test_no_room_at_all_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(PromptTooLong, match="raise model"):
        pack(added("word"), 3)


def test_secrets_are_gone_also_from_the_heading() -> None:
    secret = "password = 'hunter2hunter2'"
    file = file_of(f"@@ -5 +5 @@ {secret}\n-{secret}\n+{secret} # new\n")
    (context,) = pack(file)
    assert "hunter2" not in context.text
    assert context.text.count(REDACTED) == 3


def test_each_line_stays_one_line_whatever_is_in_it() -> None:
    (context,) = pack(added("a\r", "b\u2028c", "d\x85e", "f\x0cg", "h\u202ei", "j\tk"))
    assert context.text.splitlines() == [
        "@@", "1 +a", "2 +b<U+2028>c", "3 +d<U+0085>e", "4 +f<U+000C>g", "5 +h<U+202E>i", "6 +j\tk",
    ]  # fmt: skip


def test_a_file_without_hunks_needs_no_context() -> None:
    file = file_of("@@ -1 +1 @@\n-a\n+b\n")
    assert pack(FileDiff(file.old_path, file.new_path, file.status, file.kind, "1", "2")) == ()


LINES = st.lists(
    st.tuples(
        st.sampled_from(" +-"),
        st.text(st.sampled_from("ab1 \t.("), max_size=40)
        | st.text(max_size=8).map(lambda text: text.replace("\n", "")),
    ),
    min_size=1,
    max_size=60,
)


@st.composite
def files(draw: st.DrawFn) -> FileDiff:
    old = new = 1
    hunks = ""
    for lines in draw(st.lists(LINES, min_size=1, max_size=3)):
        body = "".join(f"{mark}{text}\n" for mark, text in lines)
        removed, born = (sum(mark != other for mark, _ in lines) for other in "+-")
        starts = f"-{old if removed else old - 1},{removed} +{new if born else new - 1},{born}"
        hunks += f"@@ {starts} @@ {draw(st.sampled_from(['', 'def f():']))}\n{body}"
        old, new = old + removed + 10, new + born + 10
    return file_of(hunks)


@given(files(), st.integers(20, 400), st.lists(st.text(max_size=30), max_size=3))
def test_never_over_budget_and_every_change_in_exactly_one_context(
    file: FileDiff, budget: int, rules: list[str]
) -> None:
    shown = pack(file, budget, *rules)
    for context in shown:
        assert count(context.text) <= context.tokens <= budget
        assert context.changed
        labels = [
            line.split(" ", 1)[0] for line in context.text.splitlines() if line[:2] != "@@"
        ]
        assert labels == [line.label for hunk in context.hunks for line in hunk.lines]
        for hunk in context.hunks:
            kinds = [line.kind for line in hunk.lines]
            assert hunk.old_count == len(kinds) - kinds.count(LineKind.ADDED)
            assert hunk.new_count == len(kinds) - kinds.count(LineKind.REMOVED)
    assert [label for context in shown for label in context.changed] == changed_labels(file)
