"""Draft notes: seen by their author only, until they are published."""

from __future__ import annotations

from tests.sandbox import drafts
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import DraftNote, MergeRequest, not_found


def index(call: Call) -> Answer:
    which = call.merge_request()
    return Answer(200, [entities.draft(which, draft) for draft in _own(call, which)])


def show(call: Call) -> Answer:
    which, draft = _one(call)
    return Answer(200, entities.draft(which, draft))


def create(call: Call) -> Answer:
    which = call.merge_request()
    call.given("note")
    draft = drafts.save(call.world, which, call.user, call.body)
    return Answer(201, entities.draft(which, draft))


def update(call: Call) -> Answer:
    which, draft = _one(call)
    draft.note = call.body.get("note", draft.note)
    return Answer(200, entities.draft(which, draft))


def delete(call: Call) -> Answer:
    which, draft = _one(call)
    which.drafts.remove(draft)
    return Answer(204)


def publish(call: Call) -> Answer:
    which, draft = _one(call)
    drafts.publish(call.world, which, draft)
    return Answer(204)


def bulk_publish(call: Call) -> Answer:
    """Publish all of one's own drafts, also those that an earlier run left behind."""
    which = call.merge_request()
    for draft in _own(call, which):
        drafts.publish(call.world, which, draft)
    return Answer(204)


def _own(call: Call, which: MergeRequest) -> list[DraftNote]:
    return [draft for draft in which.drafts if draft.author == call.user]


def _one(call: Call) -> tuple[MergeRequest, DraftNote]:
    which = call.merge_request()
    for draft in _own(call, which):
        if str(draft.id) == call.path["draft_id"]:
            return which, draft
    raise not_found()
