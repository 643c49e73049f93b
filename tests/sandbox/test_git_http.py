from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.sandbox.conftest import Scene, git
from tests.sandbox.merge_requests import patches


@pytest.fixture
def clone(scene: Scene, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", scene.forge.git_url(scene.project, scene.alice), "clone")
    return tmp_path / "clone"


def _commit(clone: Path, path: str, text: str) -> str:
    (clone / path).write_text(text)
    git(clone, "add", path)
    git(clone, "commit", "--quiet", "-m", f"Change {path}")
    return git(clone, "rev-parse", "HEAD")


def test_a_clone_has_the_default_branch_and_the_merge_request_ref(scene: Scene, clone: Path):
    assert git(clone, "branch", "--show-current") == "main"
    git(clone, "fetch", "--quiet", "origin", "refs/merge-requests/1/head")
    assert git(clone, "rev-parse", "FETCH_HEAD") == scene.merge_request.version.head


def test_a_push_gives_open_merge_requests_a_new_version(scene: Scene, clone: Path):
    old = scene.merge_request.version.head
    git(clone, "switch", "--quiet", "topic")
    new = _commit(clone, "fresh.py", "a = 1\n")
    git(clone, "push", "--quiet", "origin", "topic")
    assert [v.head for v in scene.merge_request.versions] == [old, new]
    assert new in git(clone, "ls-remote", "origin", "refs/merge-requests/1/head")


def test_a_force_push_is_a_new_version_too(scene: Scene, clone: Path):
    git(clone, "switch", "--quiet", "topic")
    git(clone, "reset", "--quiet", "--hard", "origin/main")
    new = _commit(clone, "fresh.py", "c = 3\n")
    git(clone, "push", "--quiet", "--force", "origin", "topic")
    assert scene.merge_request.version.head == new


def test_a_deleted_branch_leaves_the_merge_request_its_head(scene: Scene, clone: Path):
    head = scene.merge_request.version.head
    git(clone, "push", "--quiet", "origin", ":topic")
    assert scene.project.repository.tip("topic") is None
    assert scene.merge_request.version.head == head
    assert head in git(clone, "ls-remote", "origin", "refs/merge-requests/1/head")


def test_a_file_that_becomes_a_link_is_shown_as_removed_and_added(scene: Scene, clone: Path):
    git(clone, "switch", "--quiet", "topic")
    (clone / "same.py").unlink()
    (clone / "same.py").symlink_to("a.py")
    git(clone, "commit", "--quiet", "--all", "-m", "Link")
    git(clone, "push", "--quiet", "origin", "topic")
    file = next(f for f in patches(scene.merge_request) if f.path == "same.py")
    assert (file.status, file.old_mode, file.new_mode) == ("T", "100644", "120000")
    assert [line.sign + line.text for line in file.lines] == ["-y = 2", "+a.py"]


def test_nobody_may_push_to_merge_request_refs(scene: Scene, clone: Path):
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        git(clone, "push", "origin", "HEAD:refs/merge-requests/1/head")


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_without_a_token_git_is_asked_for_one(scene: Scene, service: str):
    url = f"{scene.forge.url}/bank/app.git/info/refs?service={service}"
    answer = httpx.get(url)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_token_is_the_password_whatever_the_name(scene: Scene):
    url = f"{scene.forge.url}/bank/app.git/info/refs?service=git-upload-pack"
    for name in ("oauth2", "bot", ""):
        assert httpx.get(url, auth=(name, scene.bot.token)).status_code == 200
    assert httpx.get(url, auth=("bot", "wrong")).status_code == 401
    bearer = {"Authorization": f"Bearer {scene.bot.token}"}
    assert httpx.get(url, headers=bearer).status_code == 200


def test_a_reporter_may_clone_but_not_push(scene: Scene):
    base = f"{scene.forge.url}/bank/app.git/info/refs?service="
    auth = ("oauth2", scene.reporter.token)
    assert httpx.get(base + "git-upload-pack", auth=auth).status_code == 200
    assert httpx.get(base + "git-receive-pack", auth=auth).status_code == 403


def test_a_stranger_sees_no_project(scene: Scene):
    stranger = scene.forge.add_user("mallory")
    url = f"{scene.forge.url}/bank/app.git/info/refs?service=git-upload-pack"
    assert httpx.get(url, auth=("oauth2", stranger.token)).status_code == 404
    assert httpx.get(f"{scene.forge.url}/nothing/here").status_code == 404


def test_asking_for_a_commit_that_is_not_there_is_git_s_own_error(scene: Scene, clone: Path):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        git(clone, "fetch", "origin", "0123456789012345678901234567890123456789")
    assert "not our ref" in caught.value.stderr
    assert "RPC failed" not in caught.value.stderr
