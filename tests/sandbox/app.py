"""The stand-in as an ASGI application: REST below /api/v4, git below everything else."""

from __future__ import annotations

import json
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.sandbox import git_http
from tests.sandbox.hooks import Message, Sender
from tests.sandbox.notes import OnlyCommands
from tests.sandbox.rest.call import Answer, Call
from tests.sandbox.rest.routes import ROUTES, Handler
from tests.sandbox.state import Json, Refused, User, World

API = "/api/v4"


def application(world: World, sender: Sender) -> ASGIApp:
    """The application over a world; test deliveries go out through `sender`."""

    async def git(request: Request) -> Response:
        return await git_http.serve(world, request)

    routes = [_route(world, sender, method, path, handler) for method, path, handler in ROUTES]
    routes.append(Route(API + "/{path:path}", _unknown))
    routes.append(Route("/{path:path}", git, methods=["GET", "POST"]))
    return _raw_paths(Starlette(routes=routes))


async def _unknown(request: Request) -> Response:
    return JSONResponse({"error": "404 Not Found"}, 404)


def _raw_paths(app: ASGIApp) -> ASGIApp:
    """Route REST calls on the path as it was sent, so that `%2F` stays in its parameter."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(API):
            scope = {**scope, "path": scope["raw_path"].decode()}
        await app(scope, receive, send)

    return wrapped


def _route(world: World, sender: Sender, method: str, path: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        answer = await run_in_threadpool(_serve, world, request, body, handler)
        if answer.deliver:
            answer = await run_in_threadpool(_delivered, sender, answer.deliver, answer)
        return _response(answer)

    return Route(API + path, endpoint, methods=[method])


def _serve(world: World, request: Request, body: bytes, handler: Handler) -> Answer:
    try:
        with world.lock:
            return handler(_call(world, request, body))
    except Refused as refused:
        return Answer(refused.status, refused.body)
    except OnlyCommands as only:
        return _commands_only(request, only)


def _commands_only(request: Request, only: OnlyCommands) -> Answer:
    """The notes API accepts a text of commands alone (202); the discussions API, which has
    no note to show, calls it a bad request although the commands ran."""
    if "/discussions" in request.url.path and request.method == "POST":
        reason = '400 Bad request - Note {:commands_only=>["Commands applied"]}'
        return Answer(400, {"message": reason})
    return Answer(202, {"commands_changes": only.changes, "summary": ["Commands applied"]})


def _delivered(sender: Sender, message: Message, answer: Answer) -> Answer:
    attempt = sender.attempt(message)
    if attempt.ok:
        return answer
    reason = attempt.error or f"Hook executed but returned HTTP {attempt.status}"
    return Answer(422, {"message": reason})


def _call(world: World, request: Request, body: bytes) -> Call:
    path = {name: unquote(value) for name, value in request.path_params.items()}
    url = f"{world.url}{request.scope['raw_path'].decode()}"
    user = _user(world, request)
    return Call(world, user, url, path, dict(request.query_params), _json(request, body))


def _user(world: World, request: Request) -> User:
    token = request.headers.get("private-token", "")
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        token = bearer
    user = world.user_of_token(token)
    if user is None:
        raise Refused(401, "401 Unauthorized")
    return user


def _json(request: Request, body: bytes) -> Json:
    if not body:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refused(400, error="The request body is not a JSON object")
    return parsed


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers, "application/octet-stream")
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(answer.body, answer.status, headers)
