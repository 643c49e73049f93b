"""Where a note may stand, and where its line went when the branch moved on.

GitLab answers every wrong line in the same words (lib/api and app/models/diff_note.rb);
what a position must hold is in its "Discussions API" documentation.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.sandbox.diffs import FilePatch, Line, between
from tests.sandbox.repository import Repository
from tests.sandbox.state import Json, MergeRequest, Refused, Version

SHAS = ("base_sha", "start_sha", "head_sha")
BAD_LINE = (
    '400 Bad request - Note {:line_code=>["can\'t be blank", "must be a valid line code"]}'
)
INCOMPLETE = (
    '400 Bad request - Note {:line_code=>["can\'t be blank", "must be a valid line code"], '
    ':position=>["is incomplete"]}'
)


def place(merge_request: MergeRequest, position: Json) -> tuple[Json, str | None]:
    """The position as GitLab keeps it, and its line code (None for a whole file).

    Raises Refused (400) for everything GitLab refuses.
    """
    _complete(position)
    file = _file(merge_request, position)
    kept = {name: position[name] for name in (*SHAS, "old_path", "new_path", "position_type")}
    if position["position_type"] == "file":
        return {**kept, "old_line": None, "new_line": None, "line_range": None}, None
    line = line_at(file.lines, position.get("old_line"), position.get("new_line"))
    if line is None:
        raise Refused(400, BAD_LINE)
    old, new = line.numbers
    span = _span(file, position.get("line_range"), line)
    return {**kept, "old_line": old, "new_line": new, "line_range": span}, file.line_code(line)


def line_at(lines: Sequence[Line], old: int | None, new: int | None) -> Line | None:
    """The diff line that these numbers name: an added line has only a new one, a removed
    line only an old one, an unchanged line both."""
    return next((line for line in lines if line.numbers == (old, new)), None)


def _complete(position: Json) -> None:
    for name in (*SHAS, "position_type"):
        if position.get(name) is None:
            raise Refused(400, error=f"position[{name}] is missing")
    if position["position_type"] not in ("text", "image", "file"):
        raise Refused(400, error="position[position_type] does not have a valid value")
    if not position.get("old_path") or not position.get("new_path"):
        raise Refused(400, INCOMPLETE)
    lines = (position.get("old_line"), position.get("new_line"))
    if position["position_type"] == "text" and lines == (None, None):
        raise Refused(400, INCOMPLETE)


def _file(merge_request: MergeRequest, position: Json) -> FilePatch:
    """The file a position speaks of, in the diff that its SHAs name."""
    known = (v.refs for v in merge_request.versions if merge_request.prepared)
    if {name: position[name] for name in SHAS} not in known:
        raise Refused(400, BAD_LINE)
    repository = merge_request.project.repository
    paths = (position["old_path"], position["new_path"])
    for file in between(repository, position["base_sha"], position["head_sha"]):
        if (file.old_path, file.new_path) == paths:
            return file
    raise Refused(400, BAD_LINE)


def _span(file: FilePatch, span: Json | None, end_line: Line) -> Json | None:
    """A `line_range`, checked: both ends are diff lines, in order, the last one the note's."""
    if span is None:
        return None
    codes = [file.line_code(line) for line in file.lines]
    places = []
    for end in ("start", "end"):
        given = span.get(end) or {}
        if given.get("line_code") not in codes:
            raise Refused(400, BAD_LINE)
        index = codes.index(given["line_code"])
        _agrees(given, file.lines[index])
        places.append(index)
    if places[0] > places[1] or file.lines[places[1]] != end_line:
        raise Refused(400, BAD_LINE)
    return {
        end: _end(codes[index], file.lines[index])
        for end, index in zip(("start", "end"), places, strict=True)
    }


def _agrees(given: Json, line: Line) -> None:
    old, new = line.numbers
    numbers_agree = given.get("old_line") in (None, old) and given.get("new_line") in (
        None,
        new,
    )
    if given.get("type") != line.type or not numbers_agree:
        raise Refused(400, BAD_LINE)


def _end(code: str, line: Line) -> Json:
    old, new = line.numbers
    return {"line_code": code, "type": line.type, "old_line": old, "new_line": new}


def trace(repository: Repository, position: Json, version: Version) -> Json | None:
    """The same place in a newer version, or None if its line is no longer in the diff
    (app/models/concerns/diff_positionable_note.rb: the note is then outdated)."""
    file = _successor(repository, position, version)
    if file is None:
        return None
    moved = {**position, **version.refs, "old_path": file.old_path, "new_path": file.new_path}
    if position["position_type"] == "file":
        return moved
    old = _follow(repository, position, "base_sha", "old", version.base)
    new = _follow(repository, position, "head_sha", "new", version.head)
    line = line_at(file.lines, old, new)
    if line is None:
        return None
    return {**moved, "old_line": old, "new_line": new, "line_range": None}


def _successor(repository: Repository, position: Json, version: Version) -> FilePatch | None:
    files = between(repository, version.base, version.head)
    return next((f for f in files if f.new_path == position["new_path"]), None)


def _follow(
    repository: Repository, position: Json, sha: str, side: str, newer: str
) -> int | None:
    """The number in `newer` of the line that `position` names on one side; None if it names
    none there, or if the line was changed since."""
    number: int | None = position[f"{side}_line"]
    if number is None:
        return None
    patches = between(repository, position[sha], newer)
    file = next((f for f in patches if f.old_path == position[f"{side}_path"]), None)
    return number if file is None else _shifted(file.lines, number)


def _shifted(lines: Sequence[Line], number: int) -> int | None:
    shift = 0
    for line in lines:
        if line.old > number or (line.old == number and line.sign != "+"):
            same = line.old > number or line.sign == " "
            return line.new - line.old + number if same else None
        shift = line.new - line.old + {"+": 1, "-": -1, " ": 0}[line.sign]
    return number + shift
