import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from filelock import FileLock

from bot.context.diff import parse
from bot.domain import FileStatus, MergeRequest, Project
from bot.errors import Gone, Misconfigured, RetryLater, StropError
from bot.integrations.git import GitRepository
from bot.integrations.git_mirror import GitMirrors
from tests.sandbox import MergeRequest as OpenedMergeRequest
from tests.sandbox import Project as SandboxProject
from tests.sandbox import Role, SandboxGitLab, User

LINES = "".join(f"line {n}\n" for n in range(1, 31))
UPLOAD = r"git-upload-pack$"


class Scene:
    """A forge with one project and one merge request, and a mirror of it."""

    def __init__(self, forge: SandboxGitLab, directory: Path) -> None:
        self.forge = forge
        self.directory = directory
        self.alice, self.bot = forge.add_user("alice"), forge.add_user("bot")
        members: dict[User, Role] = {self.alice: Role.MAINTAINER, self.bot: Role.REPORTER}
        self.home: SandboxProject = forge.create_project("bank/app", members=members)
        self.main = self.commit("main", {"a.py": LINES, ".strop.toml": "language = 'de'\n"})
        self.topic = self.commit("topic", {"a.py": LINES + "more\n"}, start="main")
        self.opened: OpenedMergeRequest = forge.open_merge_request(
            self.home, self.alice, source="topic", title="Topic"
        )
        self.project = Project(self.home.id, "bank/app", "main", f"{forge.url}/bank/app.git")

    def commit(
        self, branch: str, files: dict[str, str | bytes | None], start: str | None = None
    ) -> str:
        return self.forge.commit(self.home, branch, files, user=self.alice, start=start)

    def git(self, *arguments: str) -> bytes:
        return self.home.repository.git(*arguments)

    @property
    def merge_request(self) -> MergeRequest:
        refs = self.opened.version.refs
        return MergeRequest(
            project_id=self.home.id, iid=self.opened.iid, title="Topic", description="",
            source_branch="topic", target_branch="main", state="opened", draft=False,
            web_url="", base_sha=refs["base_sha"], start_sha=refs["start_sha"],
            head_sha=refs["head_sha"], prepared=True,
        )  # fmt: skip

    def mirrors(self, token: str | None = None, time_limit_s: float = 60.0) -> GitMirrors:
        secret = token or self.bot.token
        url = self.forge.url
        return GitMirrors(self.directory, url, secret, parse, time_limit_s=time_limit_s)

    def refreshed(self) -> GitRepository:
        return self.mirrors().refreshed(self.project, self.merge_request)

    @property
    def place(self) -> Path:
        (place,) = self.directory.glob("*.git")
        return place


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with SandboxGitLab(tmp_path / "forge") as forge:
        yield Scene(forge, tmp_path / "mirrors")


def check(scene: Scene) -> None:
    """The mirror shows the merge request as it is now."""
    repository, wanted = scene.refreshed(), scene.merge_request
    diff = repository.diff(wanted.base_sha or "", wanted.head_sha or "")
    assert [(file.path, file.status) for file in diff.files] == [("a.py", FileStatus.MODIFIED)]


def test_the_mirror_has_the_commits_and_the_default_branch(scene: Scene) -> None:
    repository = scene.refreshed()
    diff = repository.diff(scene.main, scene.topic)
    assert [line.text for line in diff.files[0].hunks[0].lines][-1] == "more"
    assert repository.read("main", ".strop.toml") == b"language = 'de'\n"
    assert repository.default_branch_commit() == scene.main
    assert GitRepository.discover(scene.place, parse).directory == scene.place


def test_it_follows_pushes_force_pushes_and_a_moving_default_branch(scene: Scene) -> None:
    check(scene)
    scene.commit("topic", {"a.py": LINES + "other\n"})
    check(scene)
    scene.git("update-ref", "refs/heads/topic", scene.main)
    scene.commit("topic", {"a.py": "forced\n" + LINES})
    check(scene)
    tip = scene.commit("main", {"b.py": "x\n"})
    assert scene.refreshed().default_branch_commit() == tip


def test_the_branch_of_a_merge_request_may_be_gone(scene: Scene) -> None:
    scene.git("update-ref", "-d", "refs/heads/topic")
    check(scene)


def test_commits_that_no_ref_names_are_asked_for_by_name(scene: Scene) -> None:
    scene.git("update-ref", "-d", "refs/heads/topic")
    scene.git("update-ref", "-d", f"refs/merge-requests/{scene.opened.iid}/head")
    check(scene)


def test_commits_that_are_nowhere_are_gone(scene: Scene) -> None:
    lost = replace(scene.merge_request, head_sha="1" * 40)
    with pytest.raises(Gone, match="not in the project any more"):
        scene.mirrors().refreshed(scene.project, lost)
    unknown = replace(scene.merge_request, iid=99, base_sha=None, head_sha=None)
    with pytest.raises(Gone):
        scene.mirrors().refreshed(scene.project, unknown)


def test_without_a_merge_request_the_default_branch_is_enough(scene: Scene) -> None:
    repository = scene.mirrors().refreshed(scene.project, None)
    assert repository.default_branch_commit() == scene.main
    with pytest.raises(Gone):
        repository.read(scene.topic, "a.py")


def test_an_empty_project_is_an_empty_mirror(scene: Scene) -> None:
    empty = scene.forge.create_project("bank/new", members={scene.bot: Role.REPORTER})
    project = Project(empty.id, "bank/new", "", f"{scene.forge.url}/bank/new.git")
    assert scene.mirrors().refreshed(project, None).default_branch_commit() is None


def test_submodules_tags_and_filters_are_left_alone(scene: Scene) -> None:
    scene.git("tag", "v1", "main")
    modules = '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% evil\n'
    scene.commit("main", {".gitmodules": modules, ".gitattributes": "* filter=lfs\n"})
    scene.refreshed()
    refs = subprocess.check_output(["git", "for-each-ref"], cwd=scene.place, text=True)
    assert "refs/tags" not in refs
    assert sorted(path.name for path in scene.directory.iterdir()) == [
        scene.place.name, f"{scene.place.name}.lock",
    ]  # fmt: skip
    assert not (scene.place / "modules").exists()


def test_the_token_is_in_no_argument_and_on_no_disk(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.check_output(["which", "git"], text=True).strip()
    log = tmp_path / "arguments"
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    check(scene)
    assert "fetch" in log.read_text()
    assert scene.bot.token not in log.read_text()
    files = [path for path in scene.directory.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if scene.bot.token.encode() in path.read_bytes()]


def test_settings_of_the_operator_do_not_send_git_elsewhere(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {scene.forge.url}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    check(scene)


@pytest.mark.parametrize(
    "address",
    [
        "http://elsewhere.example/bank/app.git",
        "https://{host}/bank/app.git",
        "http://{host}.evil.example/bank/app.git",
        "http://evil@{host}/bank/app.git",
        "ssh://git@{host}/bank/app.git",
        "ext::sh -c touch% evil",
        "--upload-pack=evil",
        "/etc",
        "",
    ],
)
def test_an_address_elsewhere_is_refused_before_anything_is_sent(
    scene: Scene, address: str
) -> None:
    host = scene.forge.url.removeprefix("http://")
    project = replace(scene.project, clone_url=address.format(host=host))
    before = len(scene.forge.requests)
    with pytest.raises(Misconfigured, match="external URL"):
        scene.mirrors().refreshed(project, scene.merge_request)
    assert len(scene.forge.requests) == before


class Trap(BaseHTTPRequestHandler):
    """A server that must never hear from us, or that has nothing."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    Trap.heard.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_redirect_is_not_followed(scene: Scene) -> None:
    with serving() as trap:
        scene.forge.fail("GET", "info/refs", 302, headers={"Location": f"{trap}/bank/app.git"})
        with pytest.raises(Misconfigured, match="another address"):
            scene.refreshed()
        assert Trap.heard == []


def test_a_certificate_counts_only_if_it_was_named(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving(tls) as url:
        project = Project(1, "a/b", "main", f"{url}/a/b.git")
        with pytest.raises(Misconfigured, match=r"gitlab\.ca_file"):
            GitMirrors(tmp_path / "m", url, "token", parse).refreshed(project, None)
        assert Trap.heard == []
        trusting = GitMirrors(tmp_path / "m", url, "token", parse, ca_file=certificate)
        with pytest.raises(Misconfigured, match="does not show us"):
            trusting.refreshed(project, None)
        assert Trap.heard


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (None, RetryLater),
        (429, RetryLater),
        (500, RetryLater),
        (502, RetryLater),
        (401, Misconfigured),
        (403, Misconfigured),
        (404, Misconfigured),
    ],
)
@pytest.mark.parametrize("request_line", [("GET", "info/refs"), ("POST", UPLOAD)])
def test_troubles_are_told_apart_and_pass(
    scene: Scene, status: int | None, error: type[StropError], request_line: tuple[str, str]
) -> None:
    scene.forge.fail(*request_line, status, times=9)
    with pytest.raises(error) as caught:
        scene.refreshed()
    assert scene.bot.token not in str(caught.value)
    scene.forge._door.faults.clear()
    check(scene)


def test_an_answer_that_nobody_understands_costs_a_sound_mirror_nothing(scene: Scene) -> None:
    scene.refreshed()
    packs = set(scene.place.rglob("*.pack"))
    scene.forge.fail("GET", "info/refs", 200, body=b"<html>\nMaintenance\n</html>\n")
    with pytest.raises(RetryLater, match="not valid"):
        scene.refreshed()
    assert set(scene.place.rglob("*.pack")) == packs
    check(scene)


def test_a_wrong_token_is_a_matter_for_the_operator(scene: Scene) -> None:
    with pytest.raises(Misconfigured, match="does not show us"):
        scene.mirrors("wrong").refreshed(scene.project, None)


def test_a_forge_that_is_down_or_silent_is_tried_later(scene: Scene) -> None:
    scene.forge.fail("GET", "info/refs", 200, delay_s=3)
    with pytest.raises(RetryLater, match="within 1 seconds"):
        scene.mirrors(time_limit_s=1).refreshed(scene.project, None)
    scene.forge.stop()
    with pytest.raises(RetryLater, match="does not answer"):
        scene.refreshed()


def test_two_workers_do_not_fetch_the_same_project_at_once(scene: Scene) -> None:
    scene.refreshed()
    with FileLock(f"{scene.place}.lock"), pytest.raises(RetryLater, match="Another worker"):
        scene.mirrors(time_limit_s=0.2).refreshed(scene.project, None)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            check(scene)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


WORKER = """
import sys
from pathlib import Path
from bot.context.diff import parse
from bot.domain import Project
from bot.integrations.git_mirror import GitMirrors
directory, url, token, number = sys.argv[1:]
mirrors = GitMirrors(Path(directory), url, token, parse)
mirrors.refreshed(Project(int(number), "bank/app", "main", f"{url}/bank/app.git"), None)
"""


@pytest.mark.parametrize("with_children", [True, False])
def test_a_worker_killed_in_the_middle_of_a_fetch_leaves_no_harm(
    scene: Scene, *, with_children: bool
) -> None:
    scene.commit("main", {f"{n}.py": LINES * 50 for n in range(40)})
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, scene.directory, scene.forge.url, scene.bot.token,
         str(scene.project.id)],
        start_new_session=True,
    )  # fmt: skip

    def kill(_index: int, phase: str, method: str, path: str) -> None:
        if phase == "after" and method == "POST" and path.endswith("git-upload-pack"):
            scene.forge.observe(None)
            (os.killpg if with_children else os.kill)(worker.pid, signal.SIGKILL)

    scene.forge.observe(kill)
    assert worker.wait(60) == -signal.SIGKILL
    check(scene)


LEFTOVERS = (
    "config.lock", "HEAD.lock", "packed-refs.lock", "shallow.lock", "refs/heads/main.lock",
    "objects/pack/tmp_pack_ab12", "objects/pack/tmp_idx_ab12", "gc.pid",
)  # fmt: skip


def test_locks_of_a_killed_git_are_removed(scene: Scene) -> None:
    scene.refreshed()
    scene.commit("topic", {"a.py": "first\n" + LINES})
    for name in LEFTOVERS:
        (scene.place / name).write_bytes(b"")
    check(scene)
    assert not [name for name in LEFTOVERS if (scene.place / name).exists()]


def damage_config(place: Path) -> None:
    (place / "config").write_text("[core\n")


def damage_packs(place: Path) -> None:
    for pack in (place / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        os.truncate(pack, pack.stat().st_size // 2)


def damage_indexes(place: Path) -> None:
    for index in (place / "objects" / "pack").glob("*.idx"):
        index.unlink()


def damage_refs(place: Path) -> None:
    (place / "refs" / "heads" / "main").write_text("1" * 40 + "\n")


@pytest.mark.parametrize("damage", [damage_config, damage_packs, damage_indexes, damage_refs])
def test_a_broken_mirror_is_made_anew(scene: Scene, damage: object) -> None:
    scene.refreshed()
    assert callable(damage)
    damage(scene.place)
    scene.commit("topic", {"a.py": "first\n" + LINES})
    check(scene)
