"""Every request the stand-in can answer, made once, over any client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.sandbox.conftest import Scene

Ask = Callable[..., Any]


def everything(ask: Ask, scene: Scene, hook_url: str) -> None:
    """Call `ask(method, path, body)` for each route, with the rights of a Maintainer; the
    path begins below /api/v4, and `ask` returns the answer's JSON."""
    project = f"/projects/{scene.project.path.replace('/', '%2F')}"
    _people_and_projects(ask, project)
    _repository(ask, project, scene.merge_request.version.head)
    _hooks(ask, f"{project}/hooks", hook_url)
    which = f"{project}/merge_requests/{scene.merge_request.iid}"
    _reading(ask, which, scene.merge_request.version.id)
    _threads(ask, which, scene)
    _notes(ask, f"{which}/notes")
    _drafts(ask, f"{which}/draft_notes", scene)
    _emoji(ask, f"{which}/award_emoji")
    _suggestion(ask, which, scene)
    _ending(ask, project, which)


def _people_and_projects(ask: Ask, project: str) -> None:
    for path in ("/user", "/version", "/metadata", "/projects?membership=true", project):
        ask("GET", path)


def _repository(ask: Ask, project: str, head: str) -> None:
    commit, branches = f"{project}/repository/commits/{head}", f"{project}/repository/branches"
    comment = {"note": "Nice.", "path": "a.py", "line": 11, "line_type": "new"}
    ask("POST", f"{commit}/comments", comment)
    ask("POST", f"{project}/statuses/{head}", {"state": "success", "name": "strop"})
    for path in (commit, f"{commit}/diff", f"{commit}/comments", f"{commit}/statuses"):
        ask("GET", path)
    ask("POST", branches, {"branch": "other", "ref": "main"})
    ask("GET", branches)
    ask("GET", f"{branches}/other")
    ask("DELETE", f"{branches}/other")
    ask("GET", f"{project}/repository/files/new%20name.py/raw?ref=topic")
    ask("GET", f"{project}/repository/compare?from=main&to=topic")


def _hooks(ask: Ask, hooks: str, url: str) -> None:
    hook = f"{hooks}/{ask('POST', hooks, {'url': url, 'note_events': True})['id']}"
    ask("PUT", hook, {"url": url, "push_events": True})
    ask("GET", hooks)
    ask("GET", hook)
    ask("POST", f"{hook}/test/push_events", {})
    ask("DELETE", hook)


def _reading(ask: Ask, which: str, version: int) -> None:
    ask("GET", which.rpartition("/")[0] + "?state=opened&source_branch=topic")
    for part in ("", "/versions", f"/versions/{version}", "/diffs", "/changes", "/commits"):
        ask("GET", which + part)


def _threads(ask: Ask, which: str, scene: Scene) -> None:
    position = scene.position(new_line=11)
    thread = ask("POST", f"{which}/discussions", {"body": "Why?", "position": position})
    url = f"{which}/discussions/{thread['id']}"
    reply = ask("POST", f"{url}/notes", {"body": "Because."})
    note = f"{url}/notes/{reply['id']}"
    ask("PUT", note, {"body": "No reason."})
    ask("PUT", url, {"resolved": True})
    for path in (f"{which}/discussions", url, f"{url}/notes", note):
        ask("GET", path)
    ask("DELETE", note)


def _notes(ask: Ask, notes: str) -> None:
    note = f"{notes}/{ask('POST', notes, {'body': 'Summary'})['id']}"
    ask("PUT", note, {"body": "Better summary"})
    ask("GET", notes)
    ask("GET", note)
    _emoji(ask, f"{note}/award_emoji")
    ask("DELETE", note)


def _emoji(ask: Ask, awards: str) -> None:
    given = ask("POST", awards, {"name": "thumbsup"})
    ask("GET", awards)
    ask("DELETE", f"{awards}/{given['id']}")


def _drafts(ask: Ask, drafts: str, scene: Scene) -> None:
    numbers = [
        ask("POST", drafts, {"note": "Hm.", "position": scene.position(new_line=11)})["id"],
        ask("POST", drafts, {"note": "A reply", "in_reply_to_discussion_id": _newest(scene)})[
            "id"
        ],
        ask("POST", drafts, {"note": "On all of it"})["id"],
    ]
    first, second, _ = (f"{drafts}/{number}" for number in numbers)
    ask("GET", drafts)
    ask("GET", first)
    ask("PUT", first, {"note": "Hm!"})
    ask("PUT", f"{first}/publish")
    ask("DELETE", second)
    ask("POST", f"{drafts}/bulk_publish", {})


def _newest(scene: Scene) -> str:
    return scene.merge_request.discussions[-1].id


def _suggestion(ask: Ask, which: str, scene: Scene) -> None:
    body = {"body": "```suggestion\nx\n```", "position": scene.position(new_line=11)}
    made = ask("POST", f"{which}/discussions", body)["notes"][0]["suggestions"][0]
    ask("PUT", f"/suggestions/{made['id']}/apply", {})


def _ending(ask: Ask, project: str, which: str) -> None:
    ask("POST", f"{project}/repository/branches", {"branch": "next", "ref": "topic"})
    body = {"source_branch": "next", "target_branch": "main", "title": "Next"}
    ask("POST", f"{project}/merge_requests", body)
    ask("PUT", which, {"title": "Another title", "add_labels": ["bug"]})
    ask("POST", f"{which}/approve", {})
    ask("GET", f"{which}/approvals")
    ask("POST", f"{which}/unapprove", {})
    ask("PUT", f"{which}/merge", {})
