from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.sandbox import Project, User
from tests.sandbox.conftest import Scene

Http = Callable[[User], httpx.Client]


def _suggest(scene: Scene, http: Http, body: str, **lines: Any) -> dict[str, Any]:
    position = scene.position(**(lines or {"new_line": 11}))
    answer = http(scene.bot).post(
        scene.api + "/discussions", json={"body": body, "position": position}
    )
    note: dict[str, Any] = answer.json()["notes"][0]
    return note


def _on_branch(project: Project) -> list[str]:
    content = project.repository.read("refs/heads/topic", "a.py")
    assert content is not None
    return content.decode().splitlines()


@pytest.mark.parametrize(
    ("block", "lines", "text"),
    [
        ("```suggestion\nnew\n```", (11, 11), "new\n"),
        ("```suggestion:-0+0\nnew\n```", (11, 11), "new\n"),
        ("```suggestion:-1+2\na\nb\n```", (10, 13), "a\nb\n"),
        ("````suggestion:-0+0\n```\n````", (11, 11), "```\n"),
        ("```suggestion:-0+0\n```", (11, 11), ""),
        ("```suggestion:-200+0\nx\n```", (1, 11), "x\n"),
    ],
)
def test_a_suggestion_replaces_lines_around_its_own(
    scene: Scene, http: Http, block: str, lines: tuple[int, int], text: str
):
    _suggest(scene, http, f"Try\n\n{block}")
    made = scene.merge_request.notes[0].suggestions[0]
    assert (made.from_line, made.to_line, made.to_content) == (*lines, text)
    first, last = lines
    assert made.from_content.splitlines() == _on_branch(scene.project)[first - 1 : last]


@pytest.mark.parametrize("body", ["```python\nx\n```", "```suggestion:0+0\nx\n```", "text"])
def test_other_blocks_are_no_suggestions(scene: Scene, http: Http, body: str):
    assert _suggest(scene, http, body)["suggestions"] == []


def test_a_removed_line_has_no_suggestions(scene: Scene, http: Http):
    assert _suggest(scene, http, "```suggestion\nx\n```", old_line=20)["suggestions"] == []


def test_applying_commits_resolves_and_answers_stale(scene: Scene, http: Http):
    _suggest(scene, http, "```suggestion:-0+1\nbetter\n```")
    thread = scene.merge_request.discussions[0]
    number, old = thread.notes[0].suggestions[0].id, _on_branch(scene.project)
    answer = http(scene.alice).put(f"/suggestions/{number}/apply", json={})
    assert (answer.status_code, answer.json()["applied"]) == (200, False)
    assert _on_branch(scene.project) == [*old[:10], "better", *old[12:]]
    made = scene.project.repository.commits("refs/heads/topic", 1)[0]
    assert (made.author.name, made.committer.name) == ("bot", "alice")
    assert scene.merge_request.version.head == made.sha
    assert thread.resolved_by == scene.alice
    shown = http(scene.bot).get(f"{scene.api}/discussions/{thread.id}").json()["notes"][0]
    assert (shown["suggestions"][0]["applied"], shown["suggestions"][0]["appliable"]) == (
        True,
        False,
    )
    assert http(scene.alice).put(f"/suggestions/{number}/apply", json={}).status_code == 400


def test_what_cannot_be_applied(scene: Scene, http: Http):
    same = _suggest(scene, http, "```suggestion\nline ten and a half\n```")
    beyond = _suggest(scene, http, "```suggestion:-0+90\nx\n```")
    good = _suggest(scene, http, "```suggestion\nx\n```")
    flags = [note["suggestions"][0]["appliable"] for note in (same, beyond, good)]
    assert flags == [False, False, True]
    number = good["suggestions"][0]["id"]
    assert http(scene.reporter).put(f"/suggestions/{number}/apply", json={}).status_code == 403
    scene.forge.close(scene.merge_request, scene.alice)
    assert http(scene.bot).put(f"/suggestions/{number}/apply", json={}).status_code == 400
    assert http(scene.bot).put("/suggestions/0/apply", json={}).status_code == 404


def test_editing_a_note_makes_its_suggestions_new(scene: Scene, http: Http):
    note = _suggest(scene, http, "```suggestion\nx\n```")
    body = {"body": "```suggestion\ny\n```"}
    http(scene.bot).put(f"{scene.api}/notes/{note['id']}", json=body)
    assert [s.to_content for s in scene.merge_request.notes[0].suggestions] == ["y\n"]
