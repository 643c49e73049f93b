"""`strop config`."""

import json

import pytest
from click.testing import CliRunner

from bot.cli.config import command


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(command, list(words))


def test_show_prints_toml_that_can_be_read_back(run, tmp_path):
    import tomllib

    shown = run("show").output
    assert tomllib.loads(shown)["model"]["engine"] == "llamacpp"
    assert "# gitlab.token =" in shown


def test_show_prints_json_for_scripts(run, monkeypatch):
    monkeypatch.setenv("STROP_GITLAB__TOKEN", "glpat-secret")
    values = json.loads(run("show", "--json").output)
    assert values["server"]["port"] == 8080
    assert values["gitlab"]["token"] == "**********"


def test_check_reads_a_repositorys_settings_as_the_bot_would(run, tmp_path):
    (tmp_path / ".strop.toml").write_text('language = "zh"\n')
    assert run("check", ".strop.toml").output == ".strop.toml: correct\n"
    (tmp_path / ".strop.toml").write_text("nonsense = 1\n")
    assert "unknown key nonsense" in str(run("check", ".strop.toml").exception)
