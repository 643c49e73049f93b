import hashlib

from bot.domain import Anchor, LineKind, LinePoint, MergeRequest
from bot.integrations.gitlab_positions import file_position, line_code, text_position

MERGE_REQUEST = MergeRequest(
    project_id=7,
    iid=3,
    title="",
    description="",
    source_branch="feature",
    target_branch="main",
    state="opened",
    draft=False,
    web_url="",
    base_sha="b" * 40,
    start_sha="5" * 40,
    head_sha="e" * 40,
    prepared=True,
)
ADDED = LinePoint(LineKind.ADDED, old=4, new=6)
REMOVED = LinePoint(LineKind.REMOVED, old=3, new=5)
CONTEXT = LinePoint(LineKind.CONTEXT, old=2, new=4)
DIGEST = hashlib.sha1(b"src/new.py").hexdigest()


def on(first: LinePoint, last: LinePoint | None = None) -> Anchor:
    return Anchor("src/old.py", "src/new.py", first, last or first)


def numbers(first: LinePoint, last: LinePoint | None = None) -> dict[str, int]:
    position = text_position(MERGE_REQUEST, on(first, last))
    return {name: position[name] for name in ("old_line", "new_line") if name in position}


def test_an_added_line_is_named_by_its_new_number_only() -> None:
    assert numbers(ADDED) == {"new_line": 6}


def test_a_removed_line_is_named_by_its_old_number_only() -> None:
    assert numbers(REMOVED) == {"old_line": 3}


def test_an_unchanged_line_is_named_by_both_numbers() -> None:
    assert numbers(CONTEXT) == {"old_line": 2, "new_line": 4}


def test_a_range_hangs_below_its_last_line() -> None:
    assert numbers(CONTEXT, ADDED) == {"new_line": 6}


def test_a_position_names_both_paths_and_the_three_commits() -> None:
    position = file_position(MERGE_REQUEST, on(ADDED))
    assert position == {
        "position_type": "file",
        "base_sha": "b" * 40,
        "start_sha": "5" * 40,
        "head_sha": "e" * 40,
        "old_path": "src/old.py",
        "new_path": "src/new.py",
    }


def test_one_line_has_no_range() -> None:
    assert "line_range" not in text_position(MERGE_REQUEST, on(ADDED))


def test_the_ends_of_a_range_have_line_codes_and_kinds() -> None:
    assert text_position(MERGE_REQUEST, on(CONTEXT, ADDED))["line_range"] == {
        "start": {"line_code": f"{DIGEST}_2_4", "type": "old", "old_line": 2, "new_line": 4},
        "end": {"line_code": f"{DIGEST}_4_6", "type": "new", "new_line": 6},
    }


def test_a_line_of_a_new_file_counts_zero_on_the_old_side() -> None:
    anchor = Anchor("src/new.py", "src/new.py", *[LinePoint(LineKind.ADDED, old=0, new=1)] * 2)
    assert line_code(anchor, anchor.last) == f"{DIGEST}_0_1"
