"""Emoji on merge requests and on notes."""

from __future__ import annotations

from tests.sandbox import awards
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import Award, Json, Note


def index(call: Call) -> Answer:
    note, which = _note(call), call.merge_request()
    return call.page(note.awards if note else which.awards, lambda one: _entity(call, one))


def create(call: Call) -> Answer:
    given = awards.give(
        call.world, call.merge_request(), call.user, call.given("name"), _note(call)
    )
    return Answer(201, _entity(call, given))


def delete(call: Call) -> Answer:
    award_id = call.number("award_id")
    awards.revoke(call.world, call.merge_request(), call.user, award_id, _note(call))
    return Answer(204)


def _note(call: Call) -> Note | None:
    return call.note() if "note_id" in call.path else None


def _entity(call: Call, one: Award) -> Json:
    note = _note(call)
    if note:
        return entities.award(call.world, one, "Note", note.id)
    return entities.award(call.world, one, "MergeRequest", call.merge_request().id)
