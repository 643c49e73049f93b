from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gitlab
import httpx
import pytest
from gitlab.v4.objects import Project

from tests.sandbox import User
from tests.sandbox.conftest import BEFORE, Scene


@pytest.fixture
def project(scene: Scene, connect: Callable[[User], gitlab.Gitlab]) -> Project:
    return connect(scene.bot).projects.get("bank/app")


def test_a_file_is_read_at_a_ref(scene: Scene, project: Project):
    assert project.files.raw("old name.py", ref="main") == BEFORE.encode()
    assert project.files.raw("fresh.py", ref="topic") == b"a = 1\nb = 2\n"
    with pytest.raises(gitlab.GitlabGetError, match="404"):
        project.files.raw("fresh.py", ref="main")


def test_branches_are_listed_made_and_deleted(scene: Scene, project: Project):
    project.branches.create({"branch": "feature/x", "ref": "main"})
    names = [branch.name for branch in project.branches.list(get_all=True)]
    assert names == ["feature/x", "main", "topic"]
    assert project.branches.get("main").default
    project.branches.delete("feature/x")
    for bad in ({"branch": "main", "ref": "main"}, {"branch": "y", "ref": "nowhere"}):
        with pytest.raises(gitlab.GitlabCreateError) as caught:
            project.branches.create(bad)
        assert caught.value.response_code == 400
    for verb in (project.branches.get, project.branches.delete):
        with pytest.raises(gitlab.GitlabError, match="404"):
            verb("nowhere")


def test_commits_have_diffs_and_comments(scene: Scene, project: Project):
    head = scene.merge_request.version.head
    commit = project.commits.get(head)
    assert (commit.title, commit.author_name) == ("Second", "alice")
    assert len(commit.diff()) == 4
    root = project.commits.get(commit.parent_ids[0])
    assert all(file["new_file"] for file in root.diff())
    commit.comments.create({"note": "Nice", "path": "a.py", "line": 11, "line_type": "new"})
    assert [c.note for c in commit.comments.list(get_all=True)] == ["Nice"]


def test_a_status_set_again_replaces_the_first(scene: Scene, project: Project):
    commit = project.commits.get(scene.merge_request.version.head)
    for state in ("running", "success"):
        commit.statuses.create({"state": state, "name": "strop"})
    commit.statuses.create({"state": "failed"})
    listed = {s.name: s.status for s in commit.statuses.list(get_all=True)}
    assert listed == {"strop": "success", "default": "failed"}


def test_a_status_needs_a_known_state_and_a_developer(
    scene: Scene, http: Callable[[User], httpx.Client]
):
    url = f"/projects/{scene.project.id}/statuses/{scene.merge_request.version.head}"
    assert http(scene.bot).post(url, json={"state": "succeeded"}).status_code == 400
    assert http(scene.reporter).post(url, json={"state": "success"}).status_code == 403


def test_compare_shows_what_one_ref_has_more(scene: Scene, project: Project):
    shown: Any = project.repository_compare("main", "topic")
    assert [c["title"] for c in shown["commits"]] == ["Second"]
    assert len(shown["diffs"]) == 4
    same: Any = project.repository_compare("topic", "topic")
    assert same["commits"] == []
    with pytest.raises(gitlab.GitlabGetError, match="404"):
        project.repository_compare("main", "nowhere")


def test_modes_and_binary_files_survive(scene: Scene):
    forge, project = scene.forge, scene.project
    forge.commit(project, "main", {"data.bin": bytes(range(256))}, user=scene.alice)
    assert project.repository.read("main", "data.bin") == bytes(range(256))
