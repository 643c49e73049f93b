"""`strop doctor`: each check says what it saw, or what to do."""

import json
import shutil

import pytest
from click.testing import CliRunner

from bot import doctor
from bot.cli.doctor import command
from bot.config import load
from bot.doctor import Health, diagnose
from tests.integrations.gitlab_scene import scene
from tests.model_server import ModelServer


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a machine where nothing was set up but a model server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_DATABASE__URL", f"sqlite:///{tmp_path / 'strop.sqlite'}")
    monkeypatch.setenv("STROP_MODEL__ENGINE", "openai")
    with ModelServer() as server:
        monkeypatch.setenv("STROP_OPENAI__URL", server.url)
        yield monkeypatch.setenv


def found():
    return {one.name: one for one in diagnose(load())}


def test_a_workstation_needs_no_forge(settings):
    seen = found()
    assert seen["git"].health is Health.GOOD
    assert seen["model"].health is Health.GOOD
    assert seen["model"].words.startswith("known answers")
    assert seen["database"].health is Health.GOOD
    assert seen["forge"].health is Health.UNUSED
    assert seen["webhook"].health is Health.UNUSED


def test_a_server_that_is_away_is_told_with_what_to_do(settings):
    settings("STROP_OPENAI__URL", "http://127.0.0.1:9/v1")
    assert found()["model"].health is Health.BAD


def test_a_missing_model_names_the_command_that_gets_it(settings, tmp_path):
    settings("STROP_MODEL__ENGINE", "llamacpp")
    settings("STROP_MODEL__DIRECTORY", str(tmp_path))
    seen = found()["model"]
    assert seen.health is Health.BAD
    assert "strop model pull" in seen.words


def test_a_forge_is_asked_who_we_are_and_where_we_may_work(settings, tmp_path):
    with scene(tmp_path / "forge") as at:
        settings("STROP_GITLAB__URL", at.sandbox.url)
        settings("STROP_GITLAB__TOKEN", at.bot.token)
        settings("STROP_GITLAB__WEBHOOK_SECRET", "s" * 32)
        seen = found()
        assert "@strop, 1 project(s)" in seen["forge"].words
        assert seen["webhook"].health is Health.GOOD
        settings("STROP_GITLAB__TOKEN", "glpat-wrong")
        assert found()["forge"].health is Health.BAD


def test_a_forge_without_projects_says_which_role_is_missing(settings, tmp_path):
    with scene(tmp_path / "forge") as at:
        settings("STROP_GITLAB__URL", at.sandbox.url)
        settings("STROP_GITLAB__TOKEN", at.sandbox.add_user("stranger").token)
        assert "Developer role" in found()["forge"].words


def test_an_old_git_or_none_is_told(settings, monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST_GIT", (99, 0))
    assert "install git 99.0" in found()["git"].words
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    seen = found()
    assert seen["git"].health is Health.BAD
    assert seen["sandbox"].health is Health.UNUSED


def test_a_sandbox_that_does_not_work_is_told(settings, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", "")
    assert "`bwrap" in found()["sandbox"].words


def test_the_command_prints_a_line_a_check_and_fails_if_one_does(settings):
    good = CliRunner().invoke(command)
    assert good.exit_code == 0
    assert "ok    git" in good.output
    settings("STROP_OPENAI__URL", "http://127.0.0.1:9/v1")
    bad = CliRunner().invoke(command, ["--json"])
    assert bad.exit_code == 1
    rows = [json.loads(row) for row in bad.output.splitlines()]
    assert {"check": "model", "health": "FAIL"}.items() <= rows[1].items()
