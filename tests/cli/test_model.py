"""`strop model`."""

import json

import pytest
from click.testing import CliRunner

from bot.cli.model import command
from bot.errors import UnusableModel
from tests.integrations.model_scene import FILE, MODEL, write_catalog
from tests.integrations.test_gguf_convert import written


@pytest.fixture
def directory(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_MODEL__DIRECTORY", str(folder))
    (tmp_path / "share.gguf").write_bytes(MODEL)
    write_catalog(folder, {"kind": "path", "path": str(tmp_path / "share.gguf")})
    return folder


def run(*words):
    return CliRunner().invoke(command, list(words))


def test_the_list_shows_size_licence_and_what_is_here(directory):
    run("pull", "tiny")
    row = run("list").stdout.splitlines()[-1]
    assert row.split() == ["tiny", "ready", "0", "MB", "Apache-2.0"]


def test_the_list_is_json_for_scripts(directory):
    rows = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    (tiny,) = (row for row in rows if row["name"] == "tiny")
    assert tiny["state"] == "absent"
    assert tiny["path"] == str(directory / FILE)
    assert tiny["bytes"] == len(MODEL)
    assert "sources" not in tiny


def test_pull_prints_only_the_path_on_stdout_and_progress_on_stderr(directory):
    result = run("pull", "tiny")
    assert result.stdout == f"{directory / FILE}\n"
    assert result.stderr.splitlines()[-1] == "tiny: 0 of 0 MB"


def test_pull_draws_a_bar_on_a_terminal(directory, monkeypatch):
    import os
    import pty
    import subprocess
    import sys

    outer, inner = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "bot", "model", "pull", "tiny"],
        stdout=subprocess.PIPE, stderr=inner, env=os.environ | {"TERM": "xterm"}, check=True,
    )  # fmt: skip
    os.close(inner)
    drawn = os.read(outer, 65536).decode()
    os.close(outer)
    assert done.stdout.decode().strip() == str(directory / FILE)
    assert "━" in drawn


def test_path_prints_where_a_model_is(directory):
    run("pull", "tiny")
    assert run("path", "tiny").stdout == f"{directory / FILE}\n"


def test_path_of_a_model_that_is_not_here_says_how_to_get_it(directory):
    assert isinstance(run("path", "tiny").exception, UnusableModel)


def test_verify_checks_what_is_here_and_fails_if_it_is_damaged(directory):
    assert run("verify").stdout == ""
    run("pull", "tiny")
    whole = run("verify")
    assert (whole.exit_code, whole.stdout) == (0, f"tiny: whole ({directory / FILE})\n")
    (directory / FILE).write_bytes(MODEL[::-1])
    damaged = run("verify", "tiny")
    assert damaged.exit_code == 1
    assert "strop model pull tiny" in damaged.stdout


def test_convert_rewrites_a_file_for_ctransformers(directory, tmp_path):
    source = written(tmp_path / "source.gguf")
    result = run("convert", str(source), "target.gguf")
    assert result.stdout == "target.gguf\n"
    assert (tmp_path / "target.gguf").read_bytes()[:4] == b"GGUF"
