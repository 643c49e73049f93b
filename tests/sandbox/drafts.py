"""Draft notes, and what becomes of them."""

from __future__ import annotations

from tests.sandbox import notes, positions, threads
from tests.sandbox.state import DraftNote, Json, MergeRequest, Refused, User, World


def save(world: World, which: MergeRequest, author: User, body: Json) -> DraftNote:
    """Keep a draft. A bad position is accepted, and loses its line when it is published."""
    in_reply_to = body.get("in_reply_to_discussion_id")
    if in_reply_to:
        threads.thread_of(which, in_reply_to)
    draft = DraftNote(
        id=world.new_id(),
        author=author,
        note=body["note"],
        position=body.get("position"),
        line_code=_placed(which, body.get("position"))[1],
        in_reply_to=in_reply_to,
        resolve=bool(body.get("resolve_discussion")),
    )
    which.drafts.append(draft)
    return draft


def publish(world: World, which: MergeRequest, draft: DraftNote) -> None:
    """Turn a draft into a note; one that held only commands leaves none."""
    which.drafts.remove(draft)
    try:
        if draft.in_reply_to:
            thread = threads.thread_of(which, draft.in_reply_to)
            notes.reply(world, which, thread, draft.author, draft.note)
            threads.resolve(
                world, which, thread, draft.author, resolved=draft.resolve or thread.resolved
            )
        else:
            position, _ = _placed(which, draft.position)
            notes.start_thread(world, which, draft.author, draft.note, position)
    except notes.OnlyCommands:
        return


def _placed(which: MergeRequest, position: Json | None) -> tuple[Json | None, str | None]:
    """The position as kept and its line code, if it is a good one."""
    try:
        return positions.place(which, position) if position else (None, None)
    except Refused:
        return None, None
