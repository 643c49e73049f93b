"""Every request the client sends is legal by GitLab's own description of its API."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain import Anchor, LineKind, LinePoint
from bot.errors import Unplaceable
from tests.integrations.gitlab_scene import Scene, anchor, remark, scene
from tests.integrations.scripted import Answer, serving
from tests.sandbox import Note, Role
from tests.sandbox.notes import add_note

FORGE = Path(__file__).parents[3] / "shared" / "forge"
SUMMARY = "words\n\n<!-- strop:summary -->"
NOWHERE = LinePoint(LineKind.ADDED, old=900, new=900)

pytestmark = [
    pytest.mark.skipif(
        not FORGE.is_dir(), reason="needs GitLab's API description in ../shared/forge"
    ),
    # The checker warns of the kind of login that the description names; ours is a header.
    pytest.mark.filterwarnings("ignore:Unsupported scheme type"),
]


@pytest.fixture
def guard() -> Iterator[Any]:
    """Checks requests on their way out, whatever then answers them."""
    spec = importlib.util.spec_from_file_location("spec_guard", FORGE / "spec_guard.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not close the description it reads
        spec.loader.exec_module(module)
        guard = module.SpecGuard(gitlab=str(FORGE / "gitlab-slim.json")).install()
    yield guard
    guard.uninstall()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, preparing_reads=1) as made:
        made.sandbox.add_member(made.project, made.bot, Role.MAINTAINER)
        yield made


def everything(at: Scene) -> Note:
    """Each verb of the forge at least once, with every kind of position and note. Returns a
    second summary, which the client had to delete."""
    forge = at.forge()
    forge.account()
    project = forge.project("bank/app")
    forge.project(project.id)
    forge.projects()
    at.forge(projects=["bank/app"]).projects()
    forge.merge_request(project.id, at.served.iid)
    merge_request = forge.merge_request(project.id, at.served.iid)
    forge.open_merge_requests(project.id)
    forge.open_merge_requests(project.id, "topic")
    places = [("3", None), ("-3", None), ("1", None), ("2", "4"), ("1", "22")]
    for number, (first, last) in enumerate(places):
        where = anchor(at.diff, "app.py", first, last)
        forge.post_remark(merge_request, remark(where, f"f{number}"))
    forge.post_remark(merge_request, remark(anchor(at.diff, "nëw name.py", "1", "3"), "r"))
    forge.post_remark(merge_request, remark(anchor(at.diff, "gone.py", "-1", "-3"), "g"))
    forge.post_remark(merge_request, remark(Anchor("app.py", "app.py", NOWHERE, NOWHERE), "n"))
    with pytest.raises(Unplaceable):
        forge.post_remark(merge_request, remark(Anchor("no", "no", NOWHERE, NOWHERE), "x"))
    forge.posted(merge_request)
    forge.put_summary(merge_request, SUMMARY)
    spare = add_note(at.sandbox.world, at.served, at.bot, SUMMARY)
    forge.put_summary(merge_request, f"other {SUMMARY}")
    with serving(lambda _: Answer(202, {})) as receiver:
        for tls in (True, False):
            forge.connect(project, receiver.url, "s3cret", tls=tls)
    return spare


def test_no_request_of_any_verb_is_against_the_description(guard: Any, at: Scene) -> None:
    spare = everything(at)
    assert guard.violations == []
    here = f"/api/v4/projects/{at.project.id}"
    there = f"{here}/merge_requests/{at.served.iid}"
    hook = f"{here}/hooks/{at.project.hooks[0].id}"
    summary = at.notes[-1]
    assert set(guard.seen) == {
        ("GET", "/api/v4/user"),
        ("GET", "/api/v4/projects"),
        ("GET", "/api/v4/projects/bank%2Fapp"),
        ("GET", here),
        ("GET", f"{here}/merge_requests"),
        ("GET", there),
        ("GET", f"{there}/discussions"),
        ("POST", f"{there}/discussions"),
        ("GET", f"{there}/notes"),
        ("POST", f"{there}/notes"),
        ("PUT", f"{there}/notes/{summary.id}"),
        ("DELETE", f"{there}/notes/{spare.id}"),
        ("GET", f"{here}/hooks"),
        ("POST", f"{here}/hooks"),
        ("PUT", hook),
        ("POST", f"{hook}/test/push_events"),
    }


def test_the_guard_sees_a_request_that_is_against_it(guard: Any, at: Scene) -> None:
    client = at.forge()._connection.gitlab
    on = client.projects.get(at.project.id, lazy=True).mergerequests.get(1, lazy=True)
    on.discussions.create({"body": "words", "positoin": {}})
    assert len(guard.violations) == 1 and "positoin" in guard.violations[0]
