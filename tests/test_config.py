"""Settings: where they come from, and what a mistake in them says."""

import re

import pytest
from pydantic import SecretStr

from bot.config import RepositorySettings, load, repository_settings, secret
from bot.errors import BadSettings


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STROP_CONFIG", raising=False)
    return tmp_path


def test_without_a_file_everything_has_a_default():
    settings = load()
    assert settings.model.name == "qwen2.5-coder-1.5b"
    assert settings.database.url.startswith("sqlite:///")


def test_the_environment_wins_over_the_file(empty_directory, monkeypatch):
    (empty_directory / "strop.toml").write_text(
        '[gitlab]\nurl = "https://file.invalid"\ntimeout_s = 7\n'
    )
    monkeypatch.setenv("STROP_GITLAB__URL", "https://environment.invalid")
    settings = load()
    assert settings.gitlab.url == "https://environment.invalid"
    assert settings.gitlab.timeout_s == 7


def test_a_file_can_be_named_by_the_environment(empty_directory, monkeypatch):
    (empty_directory / "other.toml").write_text("[server]\nport = 1234\n")
    monkeypatch.setenv("STROP_CONFIG", "other.toml")
    assert load().server.port == 1234


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1\n", "unknown key server.prot"),
        ("[server]\nport = 70000\n", "server.port"),
        ('[model]\nengine = "magic"\n', "model.engine"),
        ("[server\n", "not valid TOML"),
        ("extra = 1\n", "unknown key extra"),
    ],
)
def test_a_mistake_names_the_key(empty_directory, text, words):
    (empty_directory / "strop.toml").write_text(text)
    with pytest.raises(BadSettings, match=words) as caught:
        load()
    assert "strop.toml" in str(caught.value)


def test_a_named_file_that_is_absent_is_a_mistake(empty_directory):
    with pytest.raises(BadSettings, match="no such settings file"):
        load(empty_directory / "absent.toml")


@pytest.mark.parametrize("variable", ["STROP_GITLABB__URL", "STROP_SERVER__PROT"])
def test_a_misspelt_variable_is_a_mistake(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(BadSettings, match="unknown"):
        load()


def test_secrets_do_not_show(monkeypatch):
    monkeypatch.setenv("STROP_GITLAB__TOKEN", "glpat-very-secret")
    monkeypatch.setenv("STROP_DATABASE__URL", "postgresql://strop:hunter2@db/strop")
    shown = str(load().model_dump(mode="json"))
    assert "very-secret" not in shown
    assert "hunter2" not in shown
    assert "strop:**********@db/strop" in shown


def test_a_secret_comes_from_a_value_or_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert secret(SecretStr("direct"), None, "gitlab.token") == "direct"
    assert secret(None, file, "gitlab.token") == "from-file"
    assert secret(None, None, "gitlab.token") is None
    with pytest.raises(BadSettings, match=r"gitlab\.token_file"):
        secret(None, tmp_path / "absent", "gitlab.token")


def test_a_repository_without_settings_gets_the_defaults():
    assert repository_settings(None) == RepositorySettings()


def test_a_repository_sets_language_limits_and_rules():
    settings = repository_settings(
        b'language = "zh-CN"\n[review]\nignore = ["gen/**"]\nlimits = {findings = 2}\n'
        b'[[rules]]\npaths = ["**/*.py"]\ntext = "cents"\n'
    )
    assert settings.language == "zh-CN"
    assert settings.review.limits.findings == 2
    assert settings.rules[0].text == "cents"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[reviw]\n", ".strop.toml: unknown key reviw"),
        (b"[review]\nlimits = {findings = -1}\n", "review.limits.findings"),
        (b'language = "no such language!"\n', "language"),
        (b"\xff\xfe", "not valid TOML"),
    ],
)
def test_a_repositorys_mistake_names_the_key(text, words):
    with pytest.raises(BadSettings, match=re.escape(words)):
        repository_settings(text)
