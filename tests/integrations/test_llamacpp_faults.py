"""What can go wrong around the model's process, and how it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import pytest

from bot.domain import ModelIdentity
from bot.errors import EngineFailed, UnusableModel
from bot.integrations import llamacpp
from bot.integrations.llamacpp import LlamaCppEngine
from bot.integrations.llamacpp_wire import read
from bot.integrations.llamacpp_worker import cores
from tests.contracts.engine import ENDLESS, ask, prompt
from tests.models import smollm2

TEMPLATE = b"tokenizer.chat_template"
PARENT = """
import os, sys, threading
from pathlib import Path
from bot.domain import ModelIdentity
from bot.integrations.llamacpp import LlamaCppEngine
from tests.contracts.engine import ENDLESS, prompt

engine = LlamaCppEngine(Path(sys.argv[1]), model=ModelIdentity("m", "d"),
                        context_tokens=1024, parallel=1, threads=1)
print(engine._process.pid, flush=True)
engine.complete([prompt(ENDLESS, max_tokens=900)] * 50, time_limit_s=600)
"""


def start(path: Path, *, parallel: int = 1) -> LlamaCppEngine:
    return LlamaCppEngine(
        path,
        model=ModelIdentity("m", "d"),
        context_tokens=512,
        parallel=parallel,
        threads=1,
    )


@pytest.fixture
def engine() -> Iterator[LlamaCppEngine]:
    running = start(smollm2())
    yield running
    running.close()


def worker(engine: LlamaCppEngine) -> int:
    process = engine._process
    assert process
    return process.pid


def killed_at_first_ask(engine: LlamaCppEngine, number: int) -> bool:
    os.kill(worker(engine), number)
    return False


@pytest.mark.model
def test_a_worker_killed_while_it_computes_fails_the_call_and_is_replaced(engine):
    before = worker(engine)
    with pytest.raises(EngineFailed, match="code -9"):
        engine.complete(
            [prompt(ENDLESS, max_tokens=300)],
            time_limit_s=60,
            cancelled=lambda: killed_at_first_ask(engine, signal.SIGKILL),
        )
    assert ask(engine, prompt("Hi."))[0].text
    assert worker(engine) != before


@pytest.mark.model
def test_a_worker_killed_while_it_waits_is_replaced_unnoticed(engine):
    os.kill(worker(engine), signal.SIGKILL)
    os.waitid(os.P_PID, worker(engine), os.WEXITED | os.WNOWAIT)
    assert ask(engine, prompt("Hi."))[0].text


@pytest.mark.model
def test_a_worker_that_hangs_is_ended(engine, monkeypatch):
    monkeypatch.setattr(llamacpp, "GRACE_S", 0.5)
    with pytest.raises(EngineFailed):
        engine.complete(
            [prompt(ENDLESS, max_tokens=300)],
            time_limit_s=0.1,
            cancelled=lambda: killed_at_first_ask(engine, signal.SIGSTOP),
        )
    assert ask(engine, prompt("Hi."))[0].text


@pytest.mark.model
def test_the_worker_ends_with_its_parent(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(smollm2())], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    for _ in range(600):
        if not alive(pid):
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")


def alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return state.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.model
def test_nothing_is_imported_from_the_folder_it_is_started_in(tmp_path, monkeypatch):
    (tmp_path / "bot").mkdir()
    for name in ("bot/__init__.py", "json.py", "llama_cpp.py"):
        (tmp_path / name).write_text("raise SystemExit('imported from an untrusted folder')\n")
    monkeypatch.chdir(tmp_path)
    engine = start(smollm2())
    assert engine.count_tokens("fine") > 0
    engine.close()


def cut_short(path: Path) -> None:
    path.write_bytes(smollm2().read_bytes()[:5_000_000])


def of_no_known_kind(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "nonesuch")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.mark.model
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot read the model: No such file"),
        (Path.mkdir, "cannot read the model: Is a directory"),
        (Path.touch, "not a GGUF file; get a model"),
        (lambda path: path.write_text("<html>404</html>"), "not a GGUF file; get a model"),
        (lambda path: path.write_bytes(b"GGUF"), "cannot load this model"),
        (cut_short, "cannot load this model"),
        (of_no_known_kind, "cannot load this model .*nonesuch"),
    ],
    ids=["missing", "folder", "empty", "html", "magic only", "cut short", "architecture"],
)
def test_a_file_that_is_no_usable_model_is_refused_in_one_sentence(make, says, tmp_path, capfd):
    path = tmp_path / "some.gguf"
    make(path)
    with pytest.raises(UnusableModel, match=says) as refusal:
        start(path)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
def test_more_contexts_than_the_library_can_have_are_refused():
    with pytest.raises(UnusableModel, match=r"no room for 300 contexts.*lower model\.parallel"):
        start(smollm2(), parallel=300)


@pytest.fixture
def with_template(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes copies of the model with another chat template of the same length."""
    path = tmp_path / "other.gguf"
    whole: bytes = smollm2().read_bytes()
    at = whole.index(TEMPLATE) + len(TEMPLATE) + 4
    size = int.from_bytes(whole[at : at + 8], "little")

    def make(template: str) -> Path:
        padded = (template + "{#" + " " * size)[: size - 2] + "#}"
        path.write_bytes(whole[: at + 8] + padded.encode() + whole[at + 8 + size :])
        return path

    yield make
    path.unlink(missing_ok=True)


@pytest.mark.model
@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ messages[0]['content'] }}", "loses a message"),
        ("{% for m in", "does not work"),
        ("{{ raise_exception('never') }}", "does not work"),
        ("{{ messages.pop() }}", "does not work"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_refused(template, says, with_template):
    with pytest.raises(UnusableModel, match=says):
        start(with_template(template))


@pytest.mark.model
def test_a_template_that_refuses_a_system_message_gets_it_before_the_users(with_template):
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "<|im_start|>user\n{{ messages[0].content }}<|im_end|>\n<|im_start|>assistant\n"
    )
    engine = start(with_template(template))
    short, long = (
        ask(engine, prompt("Hi.", system=s, max_tokens=1))[0] for s in ("A.", "A." * 9)
    )
    assert long.prompt_tokens > short.prompt_tokens
    engine.close()


@pytest.mark.model
def test_a_model_without_a_chat_template_is_refused(tmp_path):
    path = tmp_path / "base.gguf"
    path.write_bytes(smollm2().read_bytes().replace(TEMPLATE, b"tokenizer.chat_nothing1"))
    with pytest.raises(UnusableModel, match="has no chat template: choose"):
        start(path)
    path.unlink()


def test_a_message_that_was_not_finished_is_dropped():
    assert list(read(io.BytesIO(b'{"id": 1}\n{"id": 2'))) == [{"id": 1}]


def test_it_computes_on_no_more_cores_than_there_are():
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


def test_a_system_that_does_not_tell_cores_apart_has_its_processors(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == os.cpu_count()
