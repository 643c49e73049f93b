"""Clone, fetch and push over HTTP, by git's own `http-backend`."""

from __future__ import annotations

import base64
import binascii
import os
import re
import subprocess

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tests.sandbox import pushes
from tests.sandbox.repository import ENVIRONMENT
from tests.sandbox.state import Project, Refused, Role, User, World

TARGET = re.compile(r"/(.+)\.git(/info/refs|/git-upload-pack|/git-receive-pack)")


async def serve(world: World, request: Request) -> Response:
    """Answer one request of git; 401 asks for the token as password."""
    found = TARGET.fullmatch(request.url.path)
    if found is None:
        return Response("404 Not Found", status_code=404)
    user = _user(world, request.headers.get("authorization", ""))
    if user is None:
        return Response(
            "HTTP Basic: Access denied.\n",
            status_code=401,
            headers={"WWW-Authenticate": 'Basic realm="GitLab"'},
        )
    pushing = "git-receive-pack" in f"{found[2]}{request.url.query}"
    try:
        project = _project(world, found[1], user, pushing=pushing)
    except Refused as refused:
        return Response(str(refused.body["message"]), status_code=refused.status)
    body = await request.body()
    return await run_in_threadpool(
        _exchange, world, project, user, request, found[2], body=body
    )


def _user(world: World, header: str) -> User | None:
    """Whoever the password (or a bearer token) belongs to; GitLab ignores the user name."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return world.user_of_token(value)
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return world.user_of_token(pair.partition(":")[2])


def _project(world: World, path: str, user: User, *, pushing: bool) -> Project:
    project = world.project(path)
    role = project.role(user) if project else Role.NONE
    if project is None or role < Role.REPORTER:
        raise Refused(404, "The project you were looking for could not be found.")
    if pushing and role < Role.DEVELOPER:
        raise Refused(403, "You are not allowed to push code to this project.")
    return project


def _exchange(
    world: World, project: Project, user: User, request: Request, service: str, *, body: bytes
) -> Response:
    answer = subprocess.run(
        ["git", "http-backend"],
        input=body,
        env=_environment(project, user, request, service, len(body)),
        capture_output=True,
        check=False,  # upload-pack says no in its answer, and ends with 1 all the same
    ).stdout
    if service == "/git-receive-pack":
        with world.lock:
            pushes.notice(world, project, user)
    return _response(answer)


def _environment(
    project: Project, user: User, request: Request, service: str, length: int
) -> dict[str, str]:
    return {
        **os.environ,
        **ENVIRONMENT,
        "GIT_PROJECT_ROOT": str(project.repository.path),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": service,
        "REMOTE_USER": user.username,
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(length),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
    }


def _response(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return Response(body, status_code=status, headers=headers)
