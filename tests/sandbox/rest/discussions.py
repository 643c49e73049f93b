"""Threads of a merge request, and the notes in them."""

from __future__ import annotations

from tests.sandbox import notes, threads
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import Discussion, MergeRequest, Note, Refused


def index(call: Call) -> Answer:
    which = call.merge_request()
    return call.page(
        which.discussions, lambda thread: entities.discussion(call.world, which, thread)
    )


def show(call: Call) -> Answer:
    which, thread = _thread(call)
    return Answer(200, entities.discussion(call.world, which, thread))


def create(call: Call) -> Answer:
    which = call.merge_request()
    position = call.body.get("position")
    thread = notes.start_thread(call.world, which, call.user, call.given("body"), position)
    return Answer(201, entities.discussion(call.world, which, thread))


def resolve(call: Call) -> Answer:
    which, thread = _thread(call)
    threads.resolve(call.world, which, thread, call.user, resolved=call.given("resolved"))
    return Answer(200, entities.discussion(call.world, which, thread))


def note_index(call: Call) -> Answer:
    which, thread = _thread(call)
    return call.page(thread.notes, lambda one: entities.note(call.world, which, thread, one))


def note_show(call: Call) -> Answer:
    which, thread, note = _note(call)
    return Answer(200, entities.note(call.world, which, thread, note))


def note_create(call: Call) -> Answer:
    which, thread = _thread(call)
    note = notes.reply(call.world, which, thread, call.user, call.given("body"))
    return Answer(201, entities.note(call.world, which, thread, note))


def note_update(call: Call) -> Answer:
    """Exactly one of `body` and `resolved`."""
    which, thread, note = _note(call)
    if ("body" in call.body) == ("resolved" in call.body):
        raise Refused(
            400, error="body, resolved are missing, exactly one parameter must be provided"
        )
    if "resolved" in call.body:
        threads.resolve(call.world, which, thread, call.user, resolved=call.body["resolved"])
    else:
        notes.edit(call.world, which, note.id, call.user, call.body["body"])
    return Answer(200, entities.note(call.world, which, thread, note))


def note_delete(call: Call) -> Answer:
    which, _, note = _note(call)
    notes.delete(which, note.id, call.user)
    return Answer(204)


def _thread(call: Call) -> tuple[MergeRequest, Discussion]:
    which = call.merge_request()
    return which, threads.thread_of(which, call.path["discussion_id"])


def _note(call: Call) -> tuple[MergeRequest, Discussion, Note]:
    which, thread = _thread(call)
    found, note = threads.find(which, call.number("note_id"))
    if found is not thread:
        raise Refused(404, "404 Note Not Found")
    return which, thread, note
