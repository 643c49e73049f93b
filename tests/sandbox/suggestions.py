"""Suggestion blocks in diff notes, and applying them.

A block ```` ```suggestion:-N+M ```` replaces the lines from N above to M below the line the
note stands on; GitLab allows at most 100 each way ("Suggest changes" documentation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from tests.sandbox import pushes, threads
from tests.sandbox.state import (
    Discussion,
    MergeRequest,
    Note,
    Refused,
    Role,
    Suggestion,
    User,
    World,
    forbidden,
    not_found,
)

INFO = re.compile(r"suggestion(?::-(\d+)\+(\d+))?")
LIMIT = 100


def parse(world: World, merge_request: MergeRequest, note: Note) -> list[Suggestion]:
    """The suggestions of a note; only a note on the new side of a text diff can have any."""
    if not note.position or note.position["new_line"] is None:
        return []
    lines = _lines(merge_request, note)
    at = note.position["new_line"]
    return [
        _suggestion(world.new_id(), lines, max(at - above, 1), at + below, content)
        for above, below, content in _blocks(note.body)
    ]


def _blocks(body: str) -> Iterator[tuple[int, int, str]]:
    for token in MarkdownIt().parse(body):
        info = INFO.fullmatch(token.info.strip()) if token.type == "fence" else None
        if info:
            above, below = (min(int(n or 0), LIMIT) for n in info.groups())
            yield above, below, token.content


def _suggestion(number: int, lines: list[str], first: int, last: int, text: str) -> Suggestion:
    return Suggestion(
        id=number,
        from_line=first,
        to_line=last,
        from_content="".join(lines[first - 1 : last]),
        to_content=text,
    )


def _lines(merge_request: MergeRequest, note: Note) -> list[str]:
    """The lines, with their ends, of the noted file at the tip of the source branch."""
    assert note.position
    content = merge_request.project.repository.read(
        merge_request.version.head, note.position["new_path"]
    )
    text = (content or b"").decode("utf-8", "replace")
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def appliable(merge_request: MergeRequest, note: Note, suggestion: Suggestion) -> bool:
    """Whether applying would change the lines it was written for."""
    lines = _lines(merge_request, note)
    now_there = "".join(lines[suggestion.from_line - 1 : suggestion.to_line])
    return (
        not suggestion.applied
        and merge_request.state == "opened"
        and not note.outdated
        and suggestion.to_line <= len(lines)
        and now_there == suggestion.from_content != suggestion.to_content
    )


def find(world: World, number: int) -> tuple[MergeRequest, Discussion, Note, Suggestion]:
    for project in world.projects:
        for merge_request in project.merge_requests:
            for discussion in merge_request.discussions:
                for note in discussion.notes:
                    for suggestion in note.suggestions:
                        if suggestion.id == number:
                            return merge_request, discussion, note, suggestion
    raise not_found()


def apply(world: World, user: User, number: int, message: str | None) -> Suggestion:
    """Commit a suggestion to the source branch and resolve its thread."""
    merge_request, discussion, note, suggestion = find(world, number)
    project = merge_request.project
    if project.role(user) < Role.DEVELOPER:
        raise forbidden()
    if not appliable(merge_request, note, suggestion):
        raise Refused(400, "A suggestion is not applicable.")
    assert note.position
    lines = _lines(merge_request, note)
    lines[suggestion.from_line - 1 : suggestion.to_line] = [suggestion.to_content]
    suggestion.applied = True
    threads.resolve(world, merge_request, discussion, user, resolved=True)
    pushes.commit(
        world,
        project,
        merge_request.source_branch,
        {note.position["new_path"]: "".join(lines).encode()},
        message or "Apply 1 suggestion(s) to 1 file(s)",
        author=note.author,
        user=user,
    )
    return suggestion
