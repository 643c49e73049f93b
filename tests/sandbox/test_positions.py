from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unidiff.patch import PatchSet

from tests.sandbox import User
from tests.sandbox.conftest import BEFORE, Scene
from tests.sandbox.diffs import FilePatch, between
from tests.sandbox.positions import BAD_LINE, INCOMPLETE
from tests.sandbox.repository import Person, Repository
from tests.sandbox.state import Json

Poster = Callable[[Json], httpx.Response]


@pytest.fixture
def post(scene: Scene, http: Callable[[User], httpx.Client]) -> Poster:
    client = http(scene.bot)

    def posted(position: Json) -> httpx.Response:
        return client.post(
            scene.api + "/discussions", json={"body": "Hm.", "position": position}
        )

    return posted


def _code(path: str, old: int, new: int) -> str:
    return f"{hashlib.sha1(path.encode()).hexdigest()}_{old}_{new}"


GOOD: list[tuple[str, str, Json, str]] = [
    ("an added line", "a.py", {"new_line": 11}, _code("a.py", 11, 11)),
    ("a removed line", "a.py", {"old_line": 20}, _code("a.py", 20, 21)),
    ("an unchanged line", "a.py", {"old_line": 12, "new_line": 13}, _code("a.py", 12, 13)),
    ("a line of a new file", "fresh.py", {"new_line": 2}, _code("fresh.py", 0, 2)),
    ("a line of a deleted file", "gone.py", {"old_line": 1}, _code("gone.py", 1, 0)),
]


@pytest.mark.parametrize(
    ("path", "lines", "code"), [g[1:] for g in GOOD], ids=[g[0] for g in GOOD]
)
def test_a_good_line_is_taken(scene: Scene, post: Poster, path: str, lines: Json, code: str):
    answer = post(scene.position(path, **lines))
    assert answer.status_code == 201
    note = answer.json()["notes"][0]
    assert note["type"] == "DiffNote"
    kept = {"old_line": None, "new_line": None, **lines}
    assert {name: note["position"][name] for name in kept} == kept
    assert scene.merge_request.notes[0].line_code == code


def test_a_renamed_file_is_named_by_both_paths(scene: Scene, post: Poster):
    paths = {"old_path": "old name.py", "new_path": "new name.py"}
    assert post(scene.position(new_line=31) | paths).status_code == 201
    assert scene.merge_request.notes[0].line_code == _code("new name.py", 31, 31)
    assert post(scene.position("new name.py", new_line=31)).status_code == 400


def test_a_whole_file_needs_no_line(scene: Scene, post: Poster):
    answer = post(scene.position("gone.py", position_type="file"))
    assert answer.status_code == 201
    assert scene.merge_request.notes[0].line_code is None


BAD: dict[str, Json] = {
    "outside the hunks": {"old_line": 1, "new_line": 1},
    "an unchanged line by its new number only": {"new_line": 13},
    "an added line with an old number": {"old_line": 11, "new_line": 11},
    "a removed line with a new number": {"old_line": 20, "new_line": 21},
    "an added line by its old number": {"old_line": 11},
    "a line that is not there": {"new_line": 999},
    "a file that did not change": {"new_line": 1, "old_path": "same.py", "new_path": "same.py"},
    "foreign commits": {"new_line": 11, "head_sha": "0" * 40},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_refused_in_the_words_of_gitlab(scene: Scene, post: Poster, fields: Json):
    answer = post(scene.position(**fields))
    assert (answer.status_code, answer.json()) == (400, {"message": BAD_LINE})
    assert scene.merge_request.discussions == []


@pytest.mark.parametrize("missing", ["base_sha", "start_sha", "head_sha", "position_type"])
def test_required_fields_are_named(scene: Scene, post: Poster, missing: str):
    position = scene.position(new_line=11)
    del position[missing]
    assert post(position).json() == {"error": f"position[{missing}] is missing"}


@pytest.mark.parametrize("missing", ["old_path", "new_path", "new_line"])
def test_a_position_without_path_or_line_is_incomplete(
    scene: Scene, post: Poster, missing: str
):
    position = scene.position(new_line=11)
    del position[missing]
    assert post(position).json() == {"message": INCOMPLETE}


def test_an_unknown_position_type_is_refused(scene: Scene, post: Poster):
    answer = post(scene.position(new_line=11, position_type="line"))
    assert answer.json() == {"error": "position[position_type] does not have a valid value"}


def _range(first: Json, last: Json) -> Json:
    return {"line_range": {"start": first, "end": last}}


START: Json = {"line_code": _code("a.py", 11, 10), "type": "new"}
END: Json = {"line_code": _code("a.py", 11, 11), "type": "new"}


def test_a_range_of_lines_is_taken(scene: Scene, post: Poster):
    answer = post(scene.position(new_line=11, **_range(START, END)))
    assert answer.status_code == 201
    kept = answer.json()["notes"][0]["position"]["line_range"]
    assert kept["start"] == START | {"old_line": None, "new_line": 10}
    assert kept["end"] == END | {"old_line": None, "new_line": 11}


BAD_RANGES: dict[str, Json] = {
    "no line code": _range({"type": "new"}, END),
    "a code of another file": _range({"line_code": _code("b.py", 11, 10), "type": "new"}, END),
    "old number 0 for an added line": _range(
        {"line_code": _code("a.py", 0, 10), "type": "new"}, END
    ),
    "the wrong type": _range(START | {"type": "old"}, END),
    "the wrong number": _range(START | {"new_line": 11}, END),
    "ends in the wrong order": _range(END, START),
    "an end that is not the note's line": _range(START, START),
    "no end": {"line_range": {"start": START}},
}


@pytest.mark.parametrize("fields", BAD_RANGES.values(), ids=BAD_RANGES.keys())
def test_a_bad_range_is_refused(scene: Scene, post: Poster, fields: Json):
    answer = post(scene.position(new_line=11, **fields))
    assert (answer.status_code, answer.json()) == (400, {"message": BAD_LINE})


# --- when the branch moves on -------------------------------------------------------------


def _push(scene: Scene, text: str) -> None:
    scene.forge.commit(scene.project, "topic", {"a.py": text}, user=scene.alice)


def _text(scene: Scene) -> str:
    content = scene.project.repository.read("refs/heads/topic", "a.py")
    assert content
    return content.decode()


def test_a_note_moves_with_its_line(scene: Scene, post: Poster):
    post(scene.position(new_line=11))
    _push(scene, "first\n" + _text(scene))
    note = scene.merge_request.notes[0]
    assert note.position is not None and note.position["new_line"] == 12
    assert note.position["head_sha"] == scene.merge_request.version.head
    assert note.original_position is not None and note.original_position["new_line"] == 11
    assert not note.outdated


def test_a_note_whose_line_changed_is_outdated(scene: Scene, post: Poster):
    post(scene.position(new_line=11))
    _push(scene, _text(scene).replace("line ten and a half\n", "line 10.5\n"))
    note = scene.merge_request.notes[0]
    assert note.outdated
    assert note.position == note.original_position == note.change_position


def test_notes_on_removed_and_unchanged_lines_and_files_move_too(scene: Scene, post: Poster):
    post(scene.position(old_line=20))
    post(scene.position(old_line=12, new_line=13))
    post(scene.position(position_type="file"))
    _push(scene, _text(scene).replace("line 30\n", "line thirty\n"))
    assert [note.outdated for note in scene.merge_request.notes] == [False, False, False]
    heads = {note.position["head_sha"] for note in scene.merge_request.notes if note.position}
    assert heads == {scene.merge_request.version.head}


def test_a_note_whose_file_left_the_diff_is_outdated(scene: Scene, post: Poster):
    post(scene.position(new_line=11))
    _push(scene, BEFORE)
    assert scene.merge_request.notes[0].outdated


def test_a_position_of_an_older_version_is_still_taken(scene: Scene, post: Poster):
    old = scene.position(new_line=11)
    _push(scene, _text(scene) + "more\n")
    assert post(old).status_code == 201


# --- the line codes against git and unidiff -------------------------------------------------

TEXTS = st.lists(
    st.sampled_from(["a", "b", "c", "--", "++ x", "@@ -1 +1 @@", "é\r", ""]), max_size=30
)


def _repository(directory: str, before: list[str], after: list[str]) -> Repository:
    repository = Repository.create(Path(directory) / "r.git", "main")
    me = Person("me", "me@sandbox.invalid")
    for branch, rows in (("main", before), ("main", after)):
        content = "".join(row + "\n" for row in rows).encode()
        repository.commit(branch, {"f": content, "keep": b"k"}, "m", me)
    return repository


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_line_codes_agree_with_git(before: list[str], after: list[str]):
    with tempfile.TemporaryDirectory() as directory:
        repository = _repository(directory, before, after)
        files = between(repository, "main~1", "main")
        patch = repository.git("diff", "main~1", "main").decode()
    assert [f.path for f in files] == (["f"] if before != after else [])
    if files:
        _agree(files[0], patch, before, after)


def _agree(file: FilePatch, patch: str, before: list[str], after: list[str]) -> None:
    """Numbers name the right text, agree with unidiff, and no two lines share a code."""
    changed: list[Any] = [line for hunk in PatchSet(patch)[0] for line in hunk]
    numbers = [(n.source_line_no, n.target_line_no) for n in changed if n.line_type in "+- "]
    assert [line.numbers for line in file.lines] == numbers
    for line in file.lines:
        old, new = line.numbers
        assert old is None or before[old - 1] == line.text
        assert new is None or after[new - 1] == line.text
    codes = [file.line_code(line) for line in file.lines]
    assert len(set(codes)) == len(codes)
