"""Who we are, what this is, projects and suggestions."""

from __future__ import annotations

from tests.sandbox import suggestions
from tests.sandbox.hooks import VERSION
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import Role


def current_user(call: Call) -> Answer:
    return Answer(200, entities.current_user(call.world, call.user))


def version(call: Call) -> Answer:
    return Answer(200, {"version": VERSION, "revision": "sandbox", "enterprise": False})


def index(call: Call) -> Answer:
    """All projects here are private: only those one is a member of are listed."""
    mine = [p for p in call.world.projects if p.role(call.user) > Role.NONE]
    return call.page(mine, lambda which: entities.project(call.world, which))


def show(call: Call) -> Answer:
    return Answer(200, entities.full_project(call.world, call.project(Role.GUEST)))


def apply_suggestion(call: Call) -> Answer:
    """GitLab answers with what the suggestion was before: `applied` is still false."""
    which, _, note, made = suggestions.find(call.world, call.number("id"))
    stale = entities.suggestion(which, note, made)
    suggestions.apply(call.world, call.user, made.id, call.body.get("commit_message"))
    return Answer(200, stale)
