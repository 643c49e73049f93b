"""`strop review` in a real repository, with an engine that answers from a script."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot import wiring
from bot.cli.review import command
from bot.config import Settings
from bot.domain import Completion, Finish
from bot.errors import Misconfigured
from tests.fakes import NOTHING, ScriptedEngine

BEFORE = (
    "def pick(items, at):\n    if at > len(items):\n        return None\n    return items[at]\n"
)
AFTER = BEFORE.replace("at > len", "at >= len")
FOUND = json.dumps(
    {
        "findings": [
            {
                "first": "2",
                "last": "2",
                "claim": "Asking for one past the end is refused",
                "why": "Callers that pass the length get nothing",
                "category": "correctness",
                "severity": "major",
                "replacement": ["    if at > len(items):"],
            }
        ]
    }
)


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit, and a second one that changes one line."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@x.test")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    commit(tmp_path, BEFORE)
    commit(tmp_path, AFTER)
    return tmp_path


def commit(directory: Path, text: str) -> None:
    (directory / "pick.py").write_text(text)
    git("add", ".")
    git("commit", "-qm", "x")


Run = Callable[..., Result]


@pytest.fixture
def run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with a scripted engine; `run.engines` has those that were made."""

    def call(*words: str, answer: str | Completion = FOUND) -> Result:
        engine = ScriptedEngine(lambda prompt: answer)
        monkeypatch.setattr(wiring, "engine", lambda settings: engine)
        result = CliRunner().invoke(command, words)
        assert engine.closed == bool(engine.asked)
        return result

    return call


def report(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_range_is_reviewed_and_its_findings_shown_with_code(run: Run) -> None:
    result = run("HEAD~1..HEAD")
    assert result.exit_code == 0
    assert "pick.py:2  major correctness" in result.stdout
    assert ">      2 +     if at >= len(items):" in result.stdout
    assert result.stderr == ""


def test_what_is_staged_is_reviewed(run: Run, repository: Path) -> None:
    (repository / "pick.py").write_text(BEFORE)
    git("add", ".")
    result = run("--staged", "--json", answer=NOTHING)
    assert report(result)["files"] == [{"path": "pick.py", "state": "reviewed", "reason": ""}]
    assert report(result)["head"] is None


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [("never", 0), ("info", 1), ("minor", 1), ("major", 1), ("critical", 0)],
)
def test_the_exit_code_tells_of_findings_that_bad_or_worse(
    run: Run, fail_on: str, code: int
) -> None:
    assert run("HEAD~1..HEAD", "--fail-on", fail_on).exit_code == code


def test_a_review_that_was_not_finished_exits_with_3(run: Run) -> None:
    cut = Completion('{"findings"', Finish.LENGTH, 9, 0, 9, 0.1)
    result = run("HEAD~1..HEAD", "--fail-on", "info", answer=cut)
    assert result.exit_code == 3
    assert "no findings" not in result.stdout


@pytest.mark.parametrize("form", ["json", "sarif", "codequality"])
def test_reports_go_to_a_file_and_nothing_else_is_printed(
    run: Run, form: str, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    result = run("HEAD~1..HEAD", "--format", form, "--output", str(target))
    assert result.output == ""
    assert "Asking for one past the end is refused" in target.read_text(encoding="utf-8")
    json.loads(target.read_text(encoding="utf-8"))


def test_nothing_staged_needs_no_model(run: Run) -> None:
    result = run("--staged", "--json", answer="the engine must not be asked")
    assert result.exit_code == 0
    assert report(result)["findings"] == report(result)["files"] == []


def test_a_branch_with_nothing_new_says_so_and_is_no_error(run: Run) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "HEAD~1..HEAD" in result.stderr


def test_a_branch_is_reviewed_from_where_it_left_the_default_branch(repository: Path) -> None:
    git("switch", "-qc", "topic")
    commit(repository, AFTER + "\n\nanswer = 42\n")
    assert "+answer = 42" in asked_by_default()


def asked_by_default() -> str:
    """What the model is asked by a plain `strop review`."""
    engine = ScriptedEngine(lambda prompt: NOTHING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "engine", lambda settings: engine)
        assert CliRunner().invoke(command, []).exit_code == 0
    return "".join(prompt.user for prompt in engine.asked)


def test_the_rules_of_the_default_branch_count_and_not_those_of_the_change(
    repository: Path,
) -> None:
    git("switch", "-qc", "topic")
    (repository / ".strop.toml").write_text('language = "zh"\n')
    commit(repository, BEFORE)
    assert "the code zh" not in asked_by_default()
    git("branch", "-f", "main", "topic")
    commit(repository, AFTER)
    assert "the code zh" in asked_by_default()


def test_a_range_and_staged_exclude_each_other(run: Run) -> None:
    result = run("HEAD~1..HEAD", "--staged")
    assert result.exit_code == 2
    assert "not both" in result.stderr


@pytest.mark.parametrize("words", [["nowhere..HEAD"], ["--config", "absent.toml"]])
def test_what_a_person_got_wrong_is_an_error_meant_for_people(
    run: Run, words: list[str]
) -> None:
    result = run(*words)
    assert result.exception is not None
    assert type(result.exception).__module__ == "bot.errors"


def test_outside_of_a_repository_it_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("bare"))
    result = CliRunner().invoke(command, ["HEAD~1..HEAD"])
    assert isinstance(result.exception, Misconfigured)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], ("llamacpp", "qwen2.5-coder-1.5b", "")),
        (["--model", "other"], ("llamacpp", "other", "")),
        (["--engine", "openai", "--model", "big"], ("openai", "qwen2.5-coder-1.5b", "big")),
    ],
)
@pytest.mark.usefixtures("repository")
def test_model_and_engine_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, words: list[str], chosen: tuple[str, str, str]
) -> None:
    seen: list[Settings] = []

    def engine(settings: Settings) -> ScriptedEngine:
        seen.append(settings)
        return ScriptedEngine(lambda prompt: NOTHING)

    monkeypatch.setattr(wiring, "engine", engine)
    assert CliRunner().invoke(command, ["HEAD~1..HEAD", *words]).exit_code == 0
    [settings] = seen
    assert (settings.model.engine, settings.model.name, settings.openai.model) == chosen
