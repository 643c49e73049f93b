"""Killed with -9 at every step of a job, and started again: each merge request has exactly
the comments of one run.

A job touches the outside at each API request, each git request and each question to the
model. A first run without trouble lists them; then, for each one, a bot of its own is killed
before that touch has an effect, and another after the effect, when the answer never arrives.
"""

import sqlite3
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.bot_process import BotProcess
from tests.model_server import ModelServer
from tests.sandbox import Dropped, Role, SandboxGitLab

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1500)]

PHASES = ("before", "after")
ENDS_WITHIN_S = 90.0
ACTIVE = ("ENQUEUED", "PENDING", "DELAYED")
OLD = {"a.py": "def a(x):\n    return x\n", "b.py": "B = 1\n", "c.js": "let c = 1;\n"}
NEW = {"a.py": "def a(x):\n    return x + 1\n", "b.py": "B = 2\n", "c.js": "let c = 2;\n"}


@dataclass
class Bench:
    """A forge, a model and one bot, with a trap that kills the bot at a chosen touch."""

    forge: SandboxGitLab
    model: ModelServer
    directory: Path
    touches: list[str] = field(default_factory=list)
    trap: tuple[int, str] | None = None
    armed: bool = False
    sprung: threading.Event = field(default_factory=threading.Event)
    bot: BotProcess = field(init=False)

    def touch(self, name, phase):
        """Called around everything the bot does to the outside."""
        if not self.armed:
            return
        if phase == "before":
            self.touches.append(name)
        if self.trap == (len(self.touches) - 1, phase) and not self.sprung.is_set():
            self.armed = False
            self.bot.kill()
            self.sprung.set()
            raise Dropped

    def run(self, name):
        """Open a merge request under a running bot; returns it once all work has ended."""
        project, alice, robot = self._project(name)
        self.bot = BotProcess(self.directory, self._settings(robot))
        self.forge.observe(
            lambda _i, phase, method, path: self.touch(_short(method, path), phase)
        )
        self.model.watch = partial(self.touch, "question")
        try:
            with self.bot:
                self._connect(project, robot)
                self.armed = True
                merge_request = self.forge.open_merge_request(
                    project, alice, source="topic", title="Change"
                )
                self._wait(merge_request)
                return merge_request
        finally:
            self.armed = False
            self.forge.observe(None)

    def _project(self, name):
        alice, robot = self.forge.add_user("alice"), self.forge.add_user("strop")
        project = self.forge.create_project(
            f"crash/{name}", members={alice: Role.DEVELOPER, robot: Role.MAINTAINER}
        )
        self.forge.commit(project, "main", OLD, user=alice)
        self.forge.commit(project, "topic", NEW, user=alice, start="main")
        return project, alice, robot

    def _settings(self, robot):
        return {
            "STROP_GITLAB__URL": self.forge.url,
            "STROP_GITLAB__TOKEN": robot.token,
            "STROP_GITLAB__WEBHOOK_SECRET": "s" * 32,
            "STROP_MODEL__ENGINE": "openai",
            "STROP_OPENAI__URL": self.model.url,
            "STROP_OPENAI__MODEL": "known",
            "STROP_OPENAI__CONCURRENCY": "1",
        }

    def _connect(self, project, robot):
        httpx.post(
            f"{self.forge.url}/api/v4/projects/{project.id}/hooks",
            headers={"PRIVATE-TOKEN": robot.token},
            json={
                "url": f"{self.bot.url}/webhooks/gitlab",
                "token": "s" * 32,
                "merge_requests_events": True,
                "push_events": False,
            },
        ).raise_for_status()

    def _wait(self, merge_request):
        """Until the summary stands and no job is left, starting the bot again if it died."""
        deadline = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < deadline:
            if self.sprung.is_set() and self.trap:
                self.trap = None
                self.bot.start()
            if (
                any("### Strop" in note.body for note in merge_request.notes)
                and not self._active()
            ):
                return
            time.sleep(0.05)
        raise AssertionError(f"not done in time:\n{self.bot.log.read_text()}")

    def _active(self):
        with sqlite3.connect(self.directory / "strop.sqlite") as database:
            question = "select count(*) from workflow_status where status in (?, ?, ?)"
            return database.execute(question, ACTIVE).fetchone()[0]


def _short(method, path):
    """What a request is, without the numbers that differ between projects."""
    words = path.partition("?")[0].split("/")
    return f"{method} {'/'.join(word for word in words[3:] if not word.isdigit())}"


def comments(merge_request):
    """What a reader sees: inline comments word for word, and how many summaries."""
    seen: Counter[str] = Counter()
    for discussion in merge_request.discussions:
        for note in discussion.notes:
            seen[note.body if note.position else "summary"] += 1
    return seen


@pytest.fixture
def stand(tmp_path):
    with SandboxGitLab(tmp_path / "forge") as forge, ModelServer() as model:

        def bench(name, trap=None):
            directory = tmp_path / name
            directory.mkdir()
            return Bench(forge, model, directory, trap=trap)

        yield bench


@pytest.mark.parametrize("phase", PHASES)
def test_after_a_kill_at_any_step_the_comments_are_those_of_one_run(stand, capsys, phase):
    calm = stand("calm")
    expected = comments(calm.run("calm"))
    assert sum(expected.values()) == len(NEW) + 1
    table = {}
    for number, name in enumerate(calm.touches):
        bench = stand(f"{phase}-{number}", (number, phase))
        found = comments(bench.run(f"{phase}-{number}"))
        assert bench.sprung.is_set(), f"nothing was killed {phase} {name}"
        table[f"{number:2} killed {phase} {name}"] = found == expected
    lines = [f"{'ok  ' if same else 'FAIL'} {point}" for point, same in table.items()]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert all(table.values()), "\n".join(lines)


def test_a_delivery_that_finds_no_bot_is_made_up_for_after_the_start(stand):
    bench = stand("late")
    project, alice, robot = bench._project("late")
    bench.bot = BotProcess(bench.directory, bench._settings(robot))
    with bench.bot:
        bench._connect(project, robot)
        bench.bot.kill()
        merge_request = bench.forge.open_merge_request(
            project, alice, source="topic", title="Change"
        )
        bench.forge.wait_for_deliveries()
        bench.bot.start()
        bench._wait(merge_request)
    assert comments(merge_request)["summary"] == 1
    assert sum(comments(merge_request).values()) == len(NEW) + 1
