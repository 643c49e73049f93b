from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli.connect import command
from bot.errors import Misconfigured
from tests.integrations.gitlab_scene import Scene, scene
from tests.integrations.scripted import Answer, Server, serving
from tests.sandbox import Role


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene(tmp_path / "sandbox") as made:
        made.sandbox.add_member(made.project, made.bot, Role.MAINTAINER)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("STROP_GITLAB__URL", made.sandbox.url)
        monkeypatch.setenv("STROP_GITLAB__TOKEN", made.bot.token)
        monkeypatch.setenv("STROP_GITLAB__WEBHOOK_SECRET", "s3cret")
        yield made


@pytest.fixture
def receiver() -> Iterator[Server]:
    with serving(lambda _: Answer(202, {})) as server:
        yield server


def run(*words: str) -> Result:
    return CliRunner().invoke(command, ["gitlab", "--project", "bank/app", *words])


def test_a_project_is_connected_and_what_happened_is_told(at: Scene, receiver: Server) -> None:
    result = run("--url", receiver.url)
    (hook,) = at.project.hooks
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"bank/app: webhook {hook.id} to {receiver.url}/webhooks/gitlab created",
        "GitLab has delivered a test event",
    ]
    assert [asked.target for asked in receiver.asked] == ["/webhooks/gitlab"]


def test_the_public_url_of_the_settings_is_the_default(
    at: Scene, receiver: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_SERVER__PUBLIC_URL", f"{receiver.url}/strop/")
    result = run("--json")
    (hook,) = at.project.hooks
    assert json.loads(result.output) == {
        "project": "bank/app",
        "url": f"{receiver.url}/strop/webhooks/gitlab",
        "hook_id": hook.id,
        "outcome": "created",
        "proof": "GitLab has delivered a test event",
    }


def test_settings_may_come_from_a_file(at: Scene, receiver: Server, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'[server]\npublic_url = "{receiver.url}"\n')
    assert run("--config", str(file)).exit_code == 0
    assert len(at.project.hooks) == 1


def test_a_webhook_is_not_asked_for_where_nobody_could_reach_us(at: Scene) -> None:
    result = run()
    assert isinstance(result.exception, Misconfigured)
    assert "server.public_url" in str(result.exception)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("STROP_GITLAB__URL", "gitlab.url"),
        ("STROP_GITLAB__TOKEN", "gitlab.token"),
        ("STROP_GITLAB__WEBHOOK_SECRET", "gitlab.webhook_secret"),
    ],
)
def test_a_missing_setting_is_named(
    at: Scene, monkeypatch: pytest.MonkeyPatch, missing: str, named: str
) -> None:
    monkeypatch.delenv(missing)
    result = run("--url", "https://strop.example")
    assert isinstance(result.exception, Misconfigured)
    assert named in str(result.exception)
    assert at.project.hooks == []


def test_without_the_right_the_error_says_what_to_click(at: Scene) -> None:
    at.sandbox.add_member(at.project, at.bot, Role.DEVELOPER)
    result = run("--url", "https://strop.example")
    assert isinstance(result.exception, Misconfigured)
    assert "https://strop.example/webhooks/gitlab" in str(result.exception)
    assert "s3cret" not in str(result.exception)
