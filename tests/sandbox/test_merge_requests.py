from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest

from tests.sandbox import SandboxGitLab, User
from tests.sandbox.conftest import Scene, make_scene

Connect = Callable[[User], gitlab.Gitlab]
Http = Callable[[User], httpx.Client]


def test_the_diff_appears_only_after_some_reads(tmp_path: Path):
    with SandboxGitLab(tmp_path, preparing_reads=2) as forge:
        scene = make_scene(forge)
        with gitlab.Gitlab(forge.url, private_token=scene.bot.token) as client:
            project = client.projects.get("bank/app")
            reads = [project.mergerequests.get(1) for _ in range(3)]
    assert [one.diff_refs is None for one in reads] == [True, True, False]
    assert [one.prepared_at is None for one in reads] == [True, True, False]
    states = [one.detailed_merge_status for one in reads]
    assert states == ["preparing", "preparing", "mergeable"]


def test_before_the_diff_is_there_no_position_is_valid(tmp_path: Path):
    with SandboxGitLab(tmp_path, preparing_reads=2) as forge:
        scene = make_scene(forge)
        headers = {"PRIVATE-TOKEN": scene.bot.token}
        body = {"body": "Hm.", "position": scene.position(new_line=11)}
        url = f"{forge.url}/api/v4{scene.api}/discussions"
        assert httpx.post(url, json=body, headers=headers).status_code == 400
        assert httpx.get(f"{forge.url}/api/v4{scene.api}/diffs", headers=headers).json() == []


def test_python_gitlab_reads_it_all(scene: Scene, connect: Connect):
    which = connect(scene.bot).projects.get("bank/app").mergerequests.get(1)
    assert which.diff_refs == scene.refs
    assert which.changes_count == "4"
    assert [v.head_commit_sha for v in which.diffs.list(get_all=True)] == [which.sha]
    version = which.diffs.get(scene.merge_request.version.id)
    assert [c["title"] for c in version.commits] == ["Second"]
    changes: Any = which.changes()
    assert len(changes["changes"]) == 4
    assert [c.title for c in which.commits()] == ["Second"]


def test_diffs_say_what_happened_to_each_file(scene: Scene, http: Http):
    files = http(scene.bot).get(scene.api + "/diffs").json()
    told = {
        f["new_path"]: [k for k in ("new_file", "renamed_file", "deleted_file") if f[k]]
        for f in files
    }
    assert told == {
        "a.py": [],
        "fresh.py": ["new_file"],
        "gone.py": ["deleted_file"],
        "new name.py": ["renamed_file"],
    }
    assert all(f["diff"].startswith("@@ ") for f in files)


def test_create_update_close_and_reopen_by_rest(scene: Scene, connect: Connect):
    project = connect(scene.alice).projects.get(scene.project.id)
    scene.forge.commit(scene.project, "other", {"o": "1"}, user=scene.alice, start="main")
    body = {"source_branch": "other", "target_branch": "main", "title": "Draft: Other"}
    made = project.mergerequests.create(body)
    assert (made.iid, made.draft, made.detailed_merge_status) == (2, True, "draft_status")
    made.title = "Other"
    made.add_labels = ["bug", "ui"]
    made.save()
    assert not project.mergerequests.get(2).draft
    made.state_event = "close"
    made.remove_labels = ["bug"]
    made.save()
    assert (made.state, made.labels) == ("closed", ["ui"])
    assert [m.iid for m in project.mergerequests.list(state="opened")] == [1]
    made.state_event = "reopen"
    made.save()
    opened = project.mergerequests.list(state="opened", source_branch="other")
    assert [m.iid for m in opened] == [2]


def test_a_second_merge_request_of_a_branch_is_refused(scene: Scene, connect: Connect):
    project = connect(scene.alice).projects.get(scene.project.id)
    body = {"source_branch": "topic", "target_branch": "main", "title": "Again"}
    with pytest.raises(gitlab.GitlabCreateError, match="already exists") as caught:
        project.mergerequests.create(body)
    assert caught.value.response_code == 409


def test_a_branch_must_exist(scene: Scene, http: Http):
    body = {"source_branch": "nowhere", "target_branch": "main", "title": "Lost"}
    url = f"/projects/{scene.project.id}/merge_requests"
    assert http(scene.alice).post(url, json=body).status_code == 400
    answer = http(scene.alice).put(scene.api, json={"target_branch": "nowhere"})
    assert answer.status_code == 400
    assert scene.merge_request.target_branch == "main"


def test_a_new_target_branch_makes_a_new_version(scene: Scene, http: Http):
    scene.forge.commit(scene.project, "release", {"r": "1"}, user=scene.alice, start="main")
    http(scene.alice).put(scene.api, json={"target_branch": "release"})
    assert len(scene.merge_request.versions) == 2
    assert scene.merge_request.version.start == scene.project.repository.tip("release")
    assert scene.merge_request.version.base == scene.project.repository.tip("main")


def test_pushes_to_a_closed_merge_request_count_when_it_is_reopened(scene: Scene):
    forge, which = scene.forge, scene.merge_request
    forge.close(which, scene.alice)
    forge.close(which, scene.alice)
    tip = forge.commit(scene.project, "topic", {"b": "1"}, user=scene.alice)
    assert len(which.versions) == 1
    forge.reopen(which, scene.alice)
    assert [version.head for version in which.versions][1:] == [tip]


def test_pages_have_the_headers_of_gitlab(scene: Scene, connect: Connect, http: Http):
    for n in range(25):
        http(scene.bot).post(scene.api + "/notes", json={"body": f"note {n}"})
    url = scene.api + "/notes"
    first = http(scene.bot).get(url, params={"sort": "asc"})
    assert (len(first.json()), first.headers["X-Next-Page"]) == (20, "2")
    assert first.headers["X-Total"] == "25"
    last = http(scene.bot).get(first.links["next"]["url"])
    assert [n["body"] for n in last.json()] == [f"note {n}" for n in range(20, 25)]
    assert (last.headers["X-Next-Page"], "next" in last.links) == ("", False)
    which = connect(scene.bot).projects.get("bank/app").mergerequests.get(1)
    assert len(which.notes.list(iterator=True, per_page=10)) == 25
    assert http(scene.bot).get(url, params={"page": "x"}).status_code == 400


def test_conflicts_are_seen_and_not_merged(scene: Scene, http: Http):
    scene.forge.commit(scene.project, "main", {"a.py": "other\n"}, user=scene.alice)
    shown = http(scene.bot).get(scene.api).json()
    assert (shown["detailed_merge_status"], shown["has_conflicts"]) == ("conflict", True)
    assert http(scene.bot).put(scene.api + "/merge", json={}).status_code == 405


def test_merging_checks_the_sha(scene: Scene, http: Http):
    url = scene.api + "/merge"
    assert http(scene.bot).put(url, json={"sha": "0" * 40}).status_code == 409
    answer = http(scene.bot).put(url, json={"sha": scene.merge_request.version.head})
    assert (answer.status_code, answer.json()["state"]) == (200, "merged")
    content = scene.project.repository.read("refs/heads/main", "fresh.py")
    assert content == b"a = 1\nb = 2\n"


def test_approvals_come_and_go(scene: Scene, http: Http):
    client = http(scene.bot)
    assert client.post(scene.api + "/approve", json={}).json()["user_has_approved"]
    assert client.get(scene.api + "/approvals").json()["approved"]
    assert client.post(scene.api + "/unapprove", json={}).status_code == 201
    assert not client.get(scene.api + "/approvals").json()["approved"]


# --- who may do what ------------------------------------------------------------------------


def test_strangers_and_wrong_tokens(scene: Scene, http: Http, connect: Connect):
    stranger = scene.forge.add_user("mallory")
    assert http(stranger).get(scene.api).json() == {"message": "404 Project Not Found"}
    assert http(stranger).get("/projects", params={"membership": "true"}).json() == []
    answer = httpx.get(f"{scene.forge.url}/api/v4/user", headers={"PRIVATE-TOKEN": "no"})
    assert (answer.status_code, answer.json()) == (401, {"message": "401 Unauthorized"})
    with pytest.raises(gitlab.GitlabAuthenticationError):
        connect(User(0, "nobody", "wrong")).auth()


def test_a_bearer_token_works_too(scene: Scene):
    headers = {"Authorization": f"Bearer {scene.bot.token}"}
    answer = httpx.get(f"{scene.forge.url}/api/v4/user", headers=headers)
    assert answer.json()["username"] == "bot"


def test_unknown_things_are_not_found(scene: Scene, http: Http):
    base = f"/projects/{scene.project.id}"
    for url in (
        "/projects/no%2Fsuch",
        "/nonsense",
        base + "/merge_requests/99",
        scene.api + "/notes/99",
        scene.api + "/versions/99",
        scene.api + "/discussions/99",
        scene.api + "/draft_notes/99",
        base + "/repository/commits/" + "0" * 40,
    ):
        assert http(scene.alice).get(url).status_code == 404


def test_a_reporter_may_not_edit_what_others_opened(scene: Scene, http: Http):
    assert http(scene.reporter).put(scene.api, json={"title": "Mine"}).status_code == 403
    assert scene.merge_request.title == "Topic"


def test_projects_are_found_by_number_and_path(scene: Scene, connect: Connect):
    client = connect(scene.bot)
    assert client.projects.get("bank/app").id == scene.project.id
    listed = client.projects.list(membership=True)
    assert [p.path_with_namespace for p in listed] == ["bank/app"]
    assert client.version()[0].startswith("19.")
