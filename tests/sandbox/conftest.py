from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest

from tests.sandbox import MergeRequest, Project, Role, SandboxGitLab, User
from tests.sandbox.receiver import Receiver, receiving

SIGNING = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BEFORE = "".join(f"line {n}\n" for n in range(1, 31))
AFTER = BEFORE.replace("line 10\n", "line ten\nline ten and a half\n").replace("line 20\n", "")


@dataclass(frozen=True)
class Scene:
    """A project with one merge request that changes, removes, adds, renames and deletes."""

    forge: SandboxGitLab
    alice: User
    bot: User
    reporter: User
    project: Project
    merge_request: MergeRequest

    @property
    def refs(self) -> dict[str, Any]:
        return self.merge_request.version.refs

    @property
    def api(self) -> str:
        return f"/projects/{self.project.id}/merge_requests/{self.merge_request.iid}"

    def position(self, path: str = "a.py", **fields: Any) -> dict[str, Any]:
        paths = {"old_path": path, "new_path": path}
        return {**self.refs, **paths, "position_type": "text", **fields}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[SandboxGitLab]:
    with SandboxGitLab(tmp_path / "forge", retry_delays_s=(0.01, 0.01)) as running:
        yield running


@pytest.fixture
def scene(forge: SandboxGitLab) -> Scene:
    return make_scene(forge)


def make_scene(forge: SandboxGitLab) -> Scene:
    alice, bot, reporter = (forge.add_user(name) for name in ("alice", "bot", "rita"))
    roles = {alice: Role.MAINTAINER, bot: Role.DEVELOPER, reporter: Role.REPORTER}
    project = forge.create_project("bank/app", members=roles)
    first = {"a.py": BEFORE, "old name.py": BEFORE, "gone.py": "x = 1\n", "same.py": "y = 2\n"}
    forge.commit(project, "main", first, user=alice, message="First")
    second = {
        "a.py": AFTER,
        "old name.py": None,
        "new name.py": BEFORE + "more\n",
        "gone.py": None,
        "fresh.py": "a = 1\nb = 2\n",
    }
    forge.commit(project, "topic", second, user=alice, start="main", message="Second")
    made = forge.open_merge_request(project, alice, source="topic", title="Topic")
    return Scene(forge, alice, bot, reporter, project, made)


@pytest.fixture
def connect(forge: SandboxGitLab) -> Iterator[Callable[[User], gitlab.Gitlab]]:
    """A python-gitlab client for a user."""
    with contextlib.ExitStack() as stack:

        def connected(user: User) -> gitlab.Gitlab:
            return stack.enter_context(gitlab.Gitlab(forge.url, private_token=user.token))

        yield connected


@pytest.fixture
def http(forge: SandboxGitLab) -> Iterator[Callable[[User], httpx.Client]]:
    """A plain HTTP client for a user."""
    with contextlib.ExitStack() as stack:

        def client(user: User) -> httpx.Client:
            headers = {"PRIVATE-TOKEN": user.token}
            base = f"{forge.url}/api/v4"
            return stack.enter_context(httpx.Client(base_url=base, headers=headers))

        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


@pytest.fixture
def hook(
    scene: Scene, http: Callable[[User], httpx.Client], receiver: Receiver
) -> dict[str, Any]:
    """A hook that asks for everything, with a token and a signing token."""
    body = {
        "url": receiver.url,
        "merge_requests_events": True,
        "note_events": True,
        "emoji_events": True,
        "token": "s3cret",
        "signing_token": SIGNING,
    }
    answer = http(scene.alice).post(f"/projects/{scene.project.id}/hooks", json=body)
    made: dict[str, Any] = answer.json()
    return made


def git(directory: Path, *args: str) -> str:
    identity = ["-c", "user.name=Alice", "-c", "user.email=alice@sandbox.invalid"]
    argv = ["git", *identity, *args]
    return subprocess.run(
        argv, cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()
