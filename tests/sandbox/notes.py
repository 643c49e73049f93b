"""Notes and threads of a merge request, draft notes, and emoji."""

from __future__ import annotations

import hashlib

from tests.sandbox import commands, events, positions, suggestions
from tests.sandbox.state import (
    Award,
    Discussion,
    DraftNote,
    Json,
    MergeRequest,
    Note,
    Refused,
    Role,
    User,
    World,
    forbidden,
    not_found,
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


def thread_of(which: MergeRequest, discussion_id: str) -> Discussion:
    for thread in which.discussions:
        if thread.id == discussion_id:
            return thread
    raise not_found("Discussion")


def find(which: MergeRequest, note_id: int) -> tuple[Discussion, Note]:
    for thread in which.discussions:
        for note in thread.notes:
            if note.id == note_id:
                return thread, note
    raise not_found("Note")


def edit(world: World, which: MergeRequest, note_id: int, user: User, body: str) -> Note:
    """Replace the text of one's own note (a Maintainer may replace anybody's)."""
    thread, note = find(which, note_id)
    _may_change(which, note, user)
    if not body.strip():
        raise Refused(400, '400 Bad request - Note {:note=>["can\'t be blank"]}')
    rest, note.commands_changes = commands.run(world, which, user, body)
    if not rest:
        thread.notes.remove(note)
        raise OnlyCommands(note.commands_changes)
    note.body, note.updated_at = rest, now()
    if note.type == "DiffNote":
        note.suggestions = suggestions.parse(world, which, note)
    events.note(world, which, thread, note, "update")
    return note


def delete(which: MergeRequest, note_id: int, user: User) -> None:
    thread, note = find(which, note_id)
    _may_change(which, note, user)
    thread.notes.remove(note)
    if not thread.notes:
        which.discussions.remove(thread)


def _may_change(which: MergeRequest, note: Note, user: User) -> None:
    if note.author != user and which.project.role(user) < Role.MAINTAINER:
        raise forbidden()


def resolve(which: MergeRequest, thread: Discussion, user: User, *, resolved: bool) -> None:
    """Developers and the author of the merge request may resolve a thread."""
    if which.project.role(user) < Role.DEVELOPER and user != which.author:
        raise forbidden()
    if not thread.resolvable:
        raise forbidden()
    if resolved != thread.resolved:
        thread.resolved_by = user if resolved else None
        thread.resolved_at = now() if resolved else None


def save_draft(world: World, which: MergeRequest, author: User, body: Json) -> DraftNote:
    """Keep a draft. A bad position is accepted, and loses its line when it is published."""
    in_reply_to = body.get("in_reply_to_discussion_id")
    if in_reply_to:
        thread_of(which, in_reply_to)
    draft = DraftNote(
        id=world.new_id(),
        author=author,
        note=body["note"],
        position=body.get("position"),
        line_code=_line_code(which, body.get("position")),
        in_reply_to=in_reply_to,
        resolve=bool(body.get("resolve_discussion")),
    )
    which.drafts.append(draft)
    return draft


def _line_code(which: MergeRequest, position: Json | None) -> str | None:
    try:
        return positions.place(which, position)[1] if position else None
    except Refused:
        return None


def publish(world: World, which: MergeRequest, draft: DraftNote) -> None:
    """Turn a draft into a note; one that held only commands leaves none."""
    which.drafts.remove(draft)
    try:
        if draft.in_reply_to:
            thread = thread_of(which, draft.in_reply_to)
            reply(world, which, thread, draft.author, draft.note)
            resolve(which, thread, draft.author, resolved=draft.resolve or thread.resolved)
        else:
            placed = draft.position if draft.line_code or _whole_file(draft) else None
            start_thread(world, which, draft.author, draft.note, placed)
    except OnlyCommands:
        return


def _whole_file(draft: DraftNote) -> bool:
    return bool(draft.position) and draft.position["position_type"] == "file"  # type: ignore[index]


def award(world: World, which: MergeRequest, user: User, name: str, note: Note | None) -> Award:
    """Give an emoji to a note, or to the merge request itself; once a person and name."""
    awards = note.awards if note else which.awards
    if any((a.user, a.name) == (user, name) for a in awards):
        raise Refused(404, "404 Award Emoji Name has already been taken Not Found")
    given = Award(world.new_id(), user, name, now())
    awards.append(given)
    events.emoji(world, which, given, "award", find(which, note.id) if note else None)
    return given


def revoke(
    world: World, which: MergeRequest, user: User, award_id: int, note: Note | None
) -> None:
    awards = note.awards if note else which.awards
    taken = next((a for a in awards if a.id == award_id), None)
    if taken is None:
        raise not_found("Award Emoji")
    if taken.user != user:
        raise forbidden()
    awards.remove(taken)
    events.emoji(world, which, taken, "revoke", find(which, note.id) if note else None)
