"""ctransformers, proven with SmolLM2 in the form that engines of 2023 can read."""

import subprocess
import sys
import threading

import pytest

from bot.domain import Finish, ModelIdentity
from bot.errors import EngineFailed, UnusableModel
from bot.integrations.ctransformers import CHUNK, CTransformersEngine
from bot.integrations.gguf_convert import convert
from tests.contracts.engine import ENDLESS, ClosingContract, EngineContract, ask, prompt
from tests.models import smollm2

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    target = tmp_path_factory.mktemp("models") / "smollm2.gguf"
    convert(smollm2(), target)
    return target


@pytest.fixture(scope="module")
def engine(converted):
    engine = started(converted)
    yield engine
    engine.close()


@pytest.fixture
def spare(converted):
    return started(converted)


def started(path):
    return CTransformersEngine(
        path, model=ModelIdentity("smollm2", "digest"), context_tokens=2048, threads=1
    )


class TestCTransformers(EngineContract):
    pass


class TestClosing(ClosingContract):
    def test_a_closed_engine_says_so(self, spare):
        spare.close()
        with pytest.raises(EngineFailed, match="closed"):
            ask(spare, prompt("Hi."))


def test_shared_instructions_are_evaluated_once(engine):
    system = "Say what is good about the text. " * 8
    ask(engine, prompt("A first text.", system=system, max_tokens=1))
    (second,) = ask(engine, prompt("Quite another.", system=system, max_tokens=1))
    assert second.cached_tokens >= engine.count_tokens(system) - CHUNK


def test_text_after_a_zero_byte_is_read(engine):
    assert engine.count_tokens("a\0b c d") > engine.count_tokens("a")


def test_emoji_do_not_overflow_the_token_buffer(engine):
    assert engine.count_tokens("🪒" * 200) >= 200


def test_two_threads_get_the_answers_they_get_alone(engine):
    questions = [prompt(f"Name something {c}.", max_tokens=16) for c in ("red", "blue")]
    alone = [answer.text for answer in ask(engine, *questions)]
    together = {}
    threads = [
        threading.Thread(
            target=lambda n=n: together.update({n: ask(engine, questions[n])[0].text})
        )
        for n in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == alone


def test_waiting_for_another_thread_can_time_out(engine):
    stop = threading.Event()
    begun = threading.Event()

    def cancelled():
        begun.set()
        return stop.is_set()

    busy = threading.Thread(
        target=engine.complete,
        args=([prompt(ENDLESS, max_tokens=1500)],),
        kwargs={"time_limit_s": 120, "cancelled": cancelled},
    )
    busy.start()
    begun.wait()
    (late,) = ask(engine, prompt("Hi."), time_limit_s=0.3)
    stop.set()
    busy.join()
    assert (late.finish, late.output_tokens) == (Finish.TIMEOUT, 0)


def test_a_model_without_chat_tokens_is_asked_under_headings(engine, monkeypatch):
    monkeypatch.setattr(engine, "_marks", None)
    (answer,) = ask(engine, prompt("Say hello.", max_tokens=8))
    assert answer.text
    assert answer.prompt_tokens > engine.count_tokens("Say hello.")


def test_a_model_it_cannot_run_is_refused_with_a_way_out():
    with pytest.raises(UnusableModel, match=r"strop model convert.*llamacpp"):
        started(smollm2())


def test_a_truncated_model_is_refused_and_the_process_lives(converted, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(converted.read_bytes()[:60_000_000])
    with pytest.raises(UnusableModel, match="not a whole GGUF file"):
        started(cut)


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(UnusableModel, match="cannot read"):
        started(tmp_path / "none.gguf")


def test_the_library_prints_nothing(converted):
    script = (
        "import sys; from pathlib import Path; from bot.domain import ModelIdentity, Prompt\n"
        "from bot.integrations.ctransformers import CTransformersEngine as E\n"
        "e = E(Path(sys.argv[1]), model=ModelIdentity('m', 'd'), context_tokens=512, threads=1)\n"
        "e.complete([Prompt('t', 't', 's', 'Hi.', 4)], time_limit_s=60); e.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(converted)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
