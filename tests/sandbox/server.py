"""The running stand-in, and how tests and the demo steer it."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from tests.sandbox import commands, merge_requests, pushes
from tests.sandbox.app import application
from tests.sandbox.faults import Door, Fault, Observer, Request
from tests.sandbox.hooks import Attempt, Sender
from tests.sandbox.repository import Repository
from tests.sandbox.state import Json, MergeRequest, Project, Role, User, World, now


class SandboxGitLab:
    """A small GitLab on 127.0.0.1, with its repositories in `directory`.

    `port` 0 takes a free one. `preparing_reads` is how often a new merge request is read
    before its diff is there. `retry_delays_s` are the waits, in seconds, before a failed
    webhook is sent again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        preparing_reads: int = 0,
        retry_delays_s: tuple[float, ...] = (0.2, 1.0),
    ) -> None:
        self.world = World(directory, preparing_reads=preparing_reads)
        self._sender = Sender(self.world.outbox, lambda: self.world.url, retry_delays_s)
        self._door = Door(application(self.world, self._sender))
        self._port = port
        self._server = uvicorn.Server(
            uvicorn.Config(self._door, log_level="critical", lifespan="off", ws="none")
        )
        self._thread = threading.Thread(target=self._run, name="sandbox-gitlab", daemon=True)
        self._socket = socket.socket()

    # --- running ---------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen. The port is open when this returns, so a request made then is served."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._socket.listen(128)
        self.world.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread.start()
        self._sender.start()
        return self

    def stop(self) -> None:
        self._sender.stop()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run([self._socket])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.world.url

    # --- people and projects ---------------------------------------------------------------

    def add_user(self, username: str) -> User:
        with self.world.lock:
            token = f"glpat-{secrets.token_hex(10)}"
            user = User(self.world.new_id(), username, token)
            self.world.users.append(user)
            return user

    def create_project(
        self,
        path: str,
        *,
        default_branch: str = "main",
        members: Mapping[User, Role] | None = None,
    ) -> Project:
        """An empty private project; see `add_member` for who may do what."""
        with self.world.lock:
            project = Project(
                id=self.world.new_id(),
                path=path,
                default_branch=default_branch,
                repository=Repository.create(
                    self.world.directory / f"{path}.git", default_branch
                ),
                created_at=now(),
            )
            self.world.projects.append(project)
        for user, role in (members or {}).items():
            self.add_member(project, user, role)
        return project

    def add_member(self, project: Project, user: User, role: Role) -> None:
        with self.world.lock:
            project.members[user.id] = role

    def git_url(self, project: Project, user: User) -> str:
        """Where to clone from and push to, with the user's token in it."""
        host = self.url.removeprefix("http://")
        return f"http://oauth2:{user.token}@{host}/{project.path}.git"

    def commit(
        self,
        project: Project,
        branch: str,
        files: Mapping[str, str | bytes | None],
        *,
        user: User,
        message: str = "Change files",
        start: str | None = None,
    ) -> str:
        """Commit as the web editor does (None removes a file) and return the SHA; a branch
        that is missing starts at the branch `start`."""
        content = {p: c.encode() if isinstance(c, str) else c for p, c in files.items()}
        with self.world.lock:
            tip = project.repository.tip(start) if start else None
            if tip and project.repository.tip(branch) is None:
                project.repository.point(f"refs/heads/{branch}", tip)
            return pushes.commit(self.world, project, branch, content, message, user=user)

    # --- merge requests --------------------------------------------------------------------

    def open_merge_request(
        self,
        project: Project,
        author: User,
        *,
        source: str,
        title: str,
        target: str | None = None,
        description: str = "",
    ) -> MergeRequest:
        with self.world.lock:
            return commands.create_merge_request(
                self.world,
                project,
                author,
                source=source,
                target=target or project.default_branch,
                title=title,
                description=description,
            )

    def close(self, merge_request: MergeRequest, user: User) -> None:
        with self.world.lock:
            merge_requests.set_state(self.world, merge_request, user, "close")

    def reopen(self, merge_request: MergeRequest, user: User) -> None:
        with self.world.lock:
            merge_requests.set_state(self.world, merge_request, user, "reopen")

    def edit(self, merge_request: MergeRequest, user: User, **changes: str) -> Json:
        """Change the title, description or target branch; a title without `Draft: ` makes a
        draft ready."""
        with self.world.lock:
            return merge_requests.edit(self.world, merge_request, user, changes)

    @property
    def executed(self) -> list[tuple[str, str]]:
        """Every quick action that ran, as (username, command)."""
        return self.world.executed

    # --- webhooks --------------------------------------------------------------------------

    @property
    def deliveries(self) -> list[Attempt]:
        """Every attempt to deliver a webhook, in order."""
        return self._sender.attempts

    def wait_for_deliveries(self) -> None:
        """Return once everything queued was delivered or given up."""
        self.world.outbox.join()

    def resend(self, attempt: Attempt) -> Attempt:
        """Send a delivery again, under its old Idempotency-Key."""
        return self._sender.attempt(attempt.message)

    # --- trouble ---------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        """Every request that came in, in order."""
        return self._door.requests

    def fail(
        self,
        method: str,
        path: str,
        status: int | None,
        *,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        delay_s: float = 0.0,
        after: bool = False,
    ) -> None:
        """Answer the next `times` requests whose path matches the pattern with `status`
        (None: drop the connection). With `after` the work is done and its answer is lost."""
        pattern = re.compile(path)
        self._door.faults.append(
            Fault(method, pattern, status, times, headers or {}, body, delay_s, after)
        )

    def observe(self, observer: Observer | None) -> None:
        """Call `observer(index, phase, method, path)` in the phases `before` and `after` the
        work of each request. It may block, or raise `Dropped` to answer nothing. Let it
        return before the stand-in is stopped."""
        self._door.observe = observer

    def limit(self, requests_a_minute: int) -> None:
        """Answer 429 to everything above this rate."""
        self._door.rate.limit = requests_a_minute
