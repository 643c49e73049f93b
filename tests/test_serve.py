"""The whole bot as an operator runs it, with a real model and a real webhook."""

import time

import httpx
import pytest

from tests.bot_process import BotProcess
from tests.model_server import ModelServer
from tests.models import smollm2
from tests.sandbox import Role, SandboxGitLab

SECRET = "s" * 32
REVIEWED_WITHIN_S = 240.0


class Stage:
    """A forge with one project, and the settings of a bot for it."""

    def __init__(self, forge):
        self.forge = forge
        self.alice, self.robot = forge.add_user("alice"), forge.add_user("strop")
        members = {self.alice: Role.DEVELOPER, self.robot: Role.MAINTAINER}
        self.project = forge.create_project("bank/app", members=members)
        forge.commit(
            self.project, "main", {"a.py": "def a(x):\n    return x\n"}, user=self.alice
        )
        changed = {"a.py": "def a(x):\n    return x / 0\n"}
        forge.commit(self.project, "topic", changed, user=self.alice, start="main")
        self.settings = {
            "STROP_GITLAB__URL": forge.url,
            "STROP_GITLAB__TOKEN": self.robot.token,
            "STROP_GITLAB__WEBHOOK_SECRET": SECRET,
        }

    def open(self):
        return self.forge.open_merge_request(
            self.project, self.alice, source="topic", title="T"
        )


def summary(bot, merge_request):
    """The summary note, once it stands."""
    deadline = time.monotonic() + REVIEWED_WITHIN_S
    while time.monotonic() < deadline:
        for note in merge_request.notes:
            if note.body.startswith("### Strop"):
                return note.body
        time.sleep(0.1)
    raise AssertionError(bot.log.read_text())


@pytest.fixture
def stage(tmp_path):
    with SandboxGitLab(tmp_path / "forge") as forge:
        yield Stage(forge)


@pytest.fixture
def with_known_answers(stage):
    with ModelServer() as model:
        yield {
            **stage.settings,
            "STROP_MODEL__ENGINE": "openai",
            "STROP_OPENAI__URL": model.url,
        }


@pytest.mark.model
def test_a_merge_request_is_reviewed_by_a_model_on_this_machine(stage, tmp_path):
    smollm2()
    settings = {
        **stage.settings,
        "STROP_MODEL__NAME": "smollm2-135m",
        "STROP_MODEL__THREADS": "1",
    }
    with BotProcess(tmp_path, settings) as bot:
        connected = bot.strop("connect", "gitlab", "--project", "bank/app")
        assert connected.returncode == 0, connected.stderr
        assert "GitLab has delivered a test event" in connected.stdout
        assert "smollm2-135m" in summary(bot, stage.open())
        assert bot.stop() == 0
    assert "Traceback" not in bot.log.read_text()


def test_polling_alone_is_enough(stage, with_known_answers, tmp_path):
    merge_request = stage.open()
    del with_known_answers["STROP_GITLAB__WEBHOOK_SECRET"]
    with BotProcess(tmp_path, with_known_answers, "--poll") as bot:
        assert "Findings: 1" in summary(bot, merge_request)
        assert httpx.post(f"{bot.url}/webhooks/gitlab").status_code == 404


def test_after_sigterm_the_work_goes_on_with_the_next_start(
    stage, with_known_answers, tmp_path
):
    bot = BotProcess(tmp_path, with_known_answers)
    with bot:
        assert bot.strop("connect", "gitlab", "--project", "bank/app").returncode == 0
        merge_request = stage.open()
        stage.forge.wait_for_deliveries()
        assert bot.stop() == 0
    with bot:
        assert "Findings: 1" in summary(bot, merge_request)


def test_a_delivery_without_the_secret_is_refused(stage, with_known_answers, tmp_path):
    with BotProcess(tmp_path, with_known_answers) as bot:
        assert httpx.get(f"{bot.url}/healthz").text == "alive\n"
        hook = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "wrong"}
        assert httpx.post(f"{bot.url}/webhooks/gitlab", headers=hook).status_code == 401


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("STROP_GITLAB__WEBHOOK_SECRET", "webhook_secret_file"),
        ("STROP_GITLAB__TOKEN", "gitlab.token_file"),
        ("STROP_GITLAB__URL", "gitlab.url"),
    ],
)
def test_without_what_it_needs_it_does_not_start_and_says_why(
    with_known_answers, tmp_path, missing, words
):
    del with_known_answers[missing]
    refused = BotProcess(tmp_path, with_known_answers).strop("serve")
    assert refused.returncode == 2
    assert refused.stderr.startswith("strop: ")
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
