"""Writing, changing and deleting notes."""

from __future__ import annotations

import hashlib

from tests.sandbox import commands, events, positions, suggestions, threads
from tests.sandbox.state import (
    Discussion,
    Json,
    MergeRequest,
    Note,
    Refused,
    Role,
    User,
    World,
    forbidden,
    now,
)

LONGEST = 1_000_000


class OnlyCommands(Exception):
    """A note held nothing but quick actions: they ran, and there is no note."""

    def __init__(self, changes: Json) -> None:
        super().__init__(changes)
        self.changes = changes


def start_thread(
    world: World, which: MergeRequest, author: User, body: str, position: Json | None
) -> Discussion:
    """Begin a thread, on a diff line if there is a position."""
    placed = positions.place(which, position) if position else None
    note = _write(world, which, author, body)
    note.type = "DiffNote" if placed else "DiscussionNote"
    note.resolvable = True
    if placed:
        note.position, note.line_code = placed
        note.original_position = note.position
        note.suggestions = suggestions.parse(world, which, note)
    return _add(world, which, note, individual=False)


def add_note(
    world: World, which: MergeRequest, author: User, body: str, *, internal: bool = False
) -> Note:
    """Write a note that is no thread."""
    note = _write(world, which, author, body)
    note.internal = internal
    _add(world, which, note, individual=True)
    return note


def reply(
    world: World, which: MergeRequest, thread: Discussion, author: User, body: str
) -> Note:
    """Answer in a thread; an individual note becomes a thread by being answered."""
    note = _write(world, which, author, body)
    note.type = "DiffNote" if thread.notes[0].type == "DiffNote" else "DiscussionNote"
    note.resolvable = thread.resolvable
    note.position, note.line_code = thread.notes[0].position, thread.notes[0].line_code
    note.original_position = thread.notes[0].original_position
    thread.individual = False
    thread.notes.append(note)
    events.note(world, which, thread, note, "create")
    return note


def _write(world: World, which: MergeRequest, author: User, body: str) -> Note:
    """A new note, its quick actions run. Raises OnlyCommands if nothing is left of it."""
    if not body.strip():
        raise Refused(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
    if len(body) > LONGEST:
        raise Refused(400, '400 Bad request - Note {:note=>["is too long"]}')
    rest, changes = commands.run(world, which, author, body)
    if not rest:
        raise OnlyCommands(changes)
    moment = now()
    return Note(world.new_id(), author, rest, moment, moment, commands_changes=changes)


def _add(world: World, which: MergeRequest, note: Note, *, individual: bool) -> Discussion:
    name = hashlib.sha1(f"{which.id}:{note.id}".encode()).hexdigest()
    thread = Discussion(name, individual, [note])
    which.discussions.append(thread)
    events.note(world, which, thread, note, "create")
    return thread


def edit(world: World, which: MergeRequest, note_id: int, user: User, body: str) -> Note:
    """Replace the text of one's own note (a Maintainer may replace anybody's)."""
    thread, note = threads.find(which, note_id)
    _may_change(which, note, user)
    if not body.strip():
        raise Refused(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
    rest, note.commands_changes = commands.run(world, which, user, body)
    if not rest:
        _remove(which, thread, note)
        raise OnlyCommands(note.commands_changes)
    note.body, note.updated_at = rest, now()
    if note.type == "DiffNote":
        note.suggestions = suggestions.parse(world, which, note)
    events.note(world, which, thread, note, "update")
    return note


def delete(which: MergeRequest, note_id: int, user: User) -> None:
    thread, note = threads.find(which, note_id)
    _may_change(which, note, user)
    _remove(which, thread, note)


def _remove(which: MergeRequest, thread: Discussion, note: Note) -> None:
    """Take a note away; a thread goes with its last one."""
    thread.notes.remove(note)
    if not thread.notes:
        which.discussions.remove(thread)


def _may_change(which: MergeRequest, note: Note, user: User) -> None:
    if note.author != user and which.project.role(user) < Role.MAINTAINER:
        raise forbidden()
