"""Notes of a merge request as one flat list."""

from __future__ import annotations

from tests.sandbox import notes, threads
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call


def index(call: Call) -> Answer:
    """Newest first, unless `sort=asc`."""
    which = call.merge_request()
    ordered = sorted(
        ((thread, note) for thread in which.discussions for note in thread.notes),
        key=lambda pair: pair[1].id,
        reverse=call.query.get("sort", "desc") == "desc",
    )
    return call.page(ordered, lambda pair: entities.note(call.world, which, *pair))


def show(call: Call) -> Answer:
    which = call.merge_request()
    found = threads.find(which, call.number("note_id"))
    return Answer(200, entities.note(call.world, which, *found))


def create(call: Call) -> Answer:
    which = call.merge_request()
    note = notes.add_note(
        call.world,
        which,
        call.user,
        call.given("body"),
        internal=bool(call.body.get("internal") or call.body.get("confidential")),
    )
    return Answer(201, entities.note(call.world, which, *threads.find(which, note.id)))


def update(call: Call) -> Answer:
    which = call.merge_request()
    note = notes.edit(call.world, which, call.number("note_id"), call.user, call.given("body"))
    return Answer(200, entities.note(call.world, which, *threads.find(which, note.id)))


def delete(call: Call) -> Answer:
    notes.delete(call.merge_request(), call.number("note_id"), call.user)
    return Answer(204)
