"""Webhooks of a project; only Maintainers may touch them."""

from __future__ import annotations

import base64
import binascii
import uuid

from tests.sandbox import events
from tests.sandbox.rest import entities
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.state import Hook, Project, Refused, Role, not_found, now


def index(call: Call) -> Answer:
    project = call.project(Role.MAINTAINER)
    return call.page(project.hooks, lambda one: entities.hook(project, one))


def show(call: Call) -> Answer:
    project, hook = _one(call)
    return Answer(200, entities.hook(project, hook))


def create(call: Call) -> Answer:
    """Push events are on unless they are switched off, everything else the other way."""
    project = call.project(Role.MAINTAINER)
    hook = Hook(
        id=call.world.new_id(),
        url=_url(call.given("url")),
        uuid=str(uuid.uuid4()),
        events=frozenset({"push_events"}),
        created_at=now(),
    )
    _set(call, hook)
    project.hooks.append(hook)
    return Answer(201, entities.hook(project, hook))


def update(call: Call) -> Answer:
    project, hook = _one(call)
    hook.url = _url(call.body.get("url", hook.url))
    _set(call, hook)
    return Answer(200, entities.hook(project, hook))


def delete(call: Call) -> Answer:
    project, hook = _one(call)
    project.hooks.remove(hook)
    return Answer(204)


def test(call: Call) -> Answer:
    """Ask for a delivery now; the answer waits for it."""
    project, hook = _one(call)
    flag = call.path["trigger"]
    if flag not in events.NAMES:
        raise Refused(400, error="trigger does not have a valid value")
    payload = events.sample(call.world, project, call.user, flag)
    message = events.message(hook, flag, payload, str(uuid.uuid4()))
    return Answer(201, {"message": "201 Created"}, deliver=message)


def _set(call: Call, hook: Hook) -> None:
    flags = {flag: call.body[flag] for flag in entities.FLAGS if flag in call.body}
    on = {flag for flag, value in flags.items() if value}
    hook.events = (hook.events - flags.keys()) | on
    hook.token = call.body.get("token", hook.token)
    hook.signing_token = _signing(call.body.get("signing_token", hook.signing_token))
    hook.tls = call.body.get("enable_ssl_verification", hook.tls)


def _url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise Refused(422, {"error": "Invalid url given"})
    return url


def _signing(token: str | None) -> str | None:
    """`whsec_` and 32 bytes in base64."""
    if token is None:
        return None
    try:
        size = len(base64.b64decode(token.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        size = 0
    if not token.startswith("whsec_") or size != 32:
        raise Refused(422, {"signing_token": ["is invalid"]})
    return token


def _one(call: Call) -> tuple[Project, Hook]:
    project = call.project(Role.MAINTAINER)
    for hook in project.hooks:
        if str(hook.id) == call.path["hook_id"]:
            return project, hook
    raise not_found()
