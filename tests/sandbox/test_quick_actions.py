from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox import User
from tests.sandbox.conftest import Scene
from tests.sandbox.quick_actions import COMMANDS, extract

RUNS = {
    "alone": "/merge",
    "in a text": "Looks good.\n/merge\nThanks.",
    "with an argument": "/merge now please",
    "in capitals": "/MERGE",
    "with trailing spaces": "/merge   ",
    "after a carriage return": "text\r\n/merge\r\n",
    "hidden by a carriage return": "text\n\r/merge",
    "in a tilde fence": "~~~\n/merge\n~~~",
    "in a fence that is never closed": "```\n/merge",
    "in details with text on the tag line": "<details><summary>x</summary>\n/merge\n</details>",
    "in a tag that is never closed": "<div>\n/merge",
    "in a quote that is never closed": ">>>\n/merge",
    "in inline code that is never closed": "`\n/merge",
    "after a closed fence": "```\ncode\n```\n/merge",
    "after a fence closed early by a shorter one": "````\n```\n/merge\n````",
    "in a comment whose row goes on": "<!-- a\n/merge\n-->",
}
HARMLESS = {
    "behind a space": " /merge",
    "in a sentence": "please /merge",
    "in a quote line": "> /merge",
    "in a list": "- /merge",
    "another word": "/merged",
    "with a dot": "/merge.",
    "unknown": "/teleport",
    "in a closed fence": "```\n/merge\n```",
    "in a suggestion": "```suggestion:-0+0\n/merge\n```",
    "in a longer fence": "````suggestion:-0+0\n/merge\n````",
    "in inline code on rows of its own": "`\n/merge\n`",
    "in inline code": "`/merge`",
    "in a tag": "<details>\n/merge\n</details>",
    "in a block quote": ">>>\n/merge\n>>>",
    "as an entity": "&#47;merge",
}


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS.keys())
def test_this_runs(text: str):
    rest, commands = extract(text)
    assert [command.name for command in commands] == ["merge"]
    assert "/merge" not in rest.lower().splitlines()


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_this_is_harmless(text: str):
    assert extract(text) == (text, [])


@given(st.text(), st.sampled_from(COMMANDS))
def test_a_command_on_the_first_line_always_runs(text: str, name: str):
    _, commands = extract(f"/{name}\n{text}")
    assert commands[0].name == name


@given(st.lists(st.text(st.characters(exclude_characters="/\r\n"))))
def test_text_without_a_slash_is_left_alone(rows: list[str]):
    text = "\n".join(rows)
    assert extract(text) == (text, [])


def test_several_commands_run_in_order_and_leave_the_text():
    rest, commands = extract('/label ~bug\nHello\n/assign @bob\n/title  A "title"')
    assert rest == "Hello"
    assert [(c.name, c.argument) for c in commands] == [
        ("label", "~bug"),
        ("assign", "@bob"),
        ("title", 'A "title"'),
    ]


def test_merge_in_a_note_really_merges(scene: Scene, http: Callable[[User], httpx.Client]):
    client, old = http(scene.bot), scene.project.repository.tip("main")
    answer = client.post(scene.api + "/notes", json={"body": "Fine.\n/merge"})
    assert answer.status_code == 201
    assert answer.json()["body"] == "Fine."
    assert answer.json()["commands_changes"] == {"merge": scene.merge_request.version.head}
    assert scene.merge_request.state == "merged"
    assert scene.project.repository.commits("main", 1)[0].parents[0] == old
    assert scene.forge.executed == [("bot", "merge")]


def test_a_note_of_commands_alone_is_no_note(
    scene: Scene, http: Callable[[User], httpx.Client]
):
    answer = http(scene.bot).post(scene.api + "/notes", json={"body": "/close"})
    assert answer.status_code == 202
    assert answer.json()["commands_changes"] == {"state_event": "close"}
    assert scene.merge_request.state == "closed"
    assert scene.merge_request.notes == []


def test_a_thread_of_commands_alone_is_refused_but_runs(
    scene: Scene, http: Callable[[User], httpx.Client]
):
    answer = http(scene.bot).post(scene.api + "/discussions", json={"body": "/close"})
    assert answer.status_code == 400
    assert scene.merge_request.state == "closed"


def test_commands_of_a_reporter_do_nothing(scene: Scene, http: Callable[[User], httpx.Client]):
    answer = http(scene.reporter).post(scene.api + "/notes", json={"body": "Hm\n/merge"})
    assert answer.json()["body"] == "Hm"
    assert scene.merge_request.state == "opened"
    assert scene.forge.executed == []


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("/title New", "title", "New"),
        ("/draft", "title", "Draft: Topic"),
        ("/label ~a ~b", "labels", ["~a", "~b"]),
        ("/lock", "locked", True),
        ("/spend 1h 30m", "seconds_spent", 5400),
    ],
)
def test_a_command_changes_the_merge_request(
    scene: Scene,
    http: Callable[[User], httpx.Client],
    line: str,
    attribute: str,
    value: object,
):
    answer = http(scene.bot).post(scene.api + "/notes", json={"body": line})
    assert answer.status_code == 202
    assert getattr(scene.merge_request, attribute) == value


def test_commands_undo_each_other(scene: Scene, http: Callable[[User], httpx.Client]):
    text = (
        "/draft\n/ready\n/label ~a\n/unlabel\n/lock\n/unlock\n/close\n/reopen\n/approve\n"
        "/unapprove\n/assign me\n/unassign\n/rebase\n/award :tada:\n/target_branch nowhere\n/title"
    )
    answer = http(scene.bot).post(scene.api + "/notes", json={"body": text})
    which = scene.merge_request
    assert answer.status_code == 202
    assert (which.title, which.labels, which.locked, which.state) == (
        "Topic",
        [],
        False,
        "opened",
    )
    assert (which.approvals, which.assignees, which.target_branch) == ([], [], "main")
    assert [award.name for award in which.awards] == ["tada"]


def test_a_draft_cannot_be_merged_by_a_command(
    scene: Scene, http: Callable[[User], httpx.Client]
):
    http(scene.bot).post(scene.api + "/notes", json={"body": "/draft\n/merge"})
    assert scene.merge_request.state == "opened"


def test_commands_in_a_description_run(scene: Scene, http: Callable[[User], httpx.Client]):
    scene.forge.commit(scene.project, "other", {"o.py": "1\n"}, user=scene.alice, start="main")
    body = {
        "source_branch": "other",
        "target_branch": "main",
        "title": "Other",
        "description": "Why\n/approve",
    }
    url = f"/projects/{scene.project.id}/merge_requests"
    answer = http(scene.alice).post(url, json=body)
    assert answer.json()["description"] == "Why"
    assert scene.forge.executed == [("alice", "approve")]
