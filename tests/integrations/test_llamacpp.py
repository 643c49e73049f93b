"""The default engine on a real model: the contract, and what is its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.domain import Finish, ModelIdentity
from bot.errors import Misconfigured
from bot.integrations.llamacpp import LlamaCppEngine
from tests.contracts.engine import (
    ENDLESS,
    SCHEMA,
    ClosingContract,
    EngineContract,
    ask,
    prompt,
)
from tests.models import smollm2

pytestmark = pytest.mark.model


def start(*, parallel: int = 4) -> LlamaCppEngine:
    return LlamaCppEngine(
        smollm2(),
        model=ModelIdentity("smollm2-135m", "sha256:test"),
        context_tokens=1024,
        parallel=parallel,
        threads=1,  # two on a busy machine wait for each other
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaCppEngine]:
    running = start()
    yield running
    running.close()


@pytest.fixture
def spare() -> Iterator[LlamaCppEngine]:
    running = start(parallel=2)
    yield running
    running.close()


class TestContract(EngineContract):
    pass


class TestClosing(ClosingContract):
    pass


def test_instructions_are_evaluated_once_for_all_prompts_of_a_call(engine):
    answers = ask(
        engine, *(prompt(f"Say {n}.", system="New one.", max_tokens=1) for n in range(6))
    )
    cached = sorted(answer.cached_tokens for answer in answers)
    assert cached[0] == 0
    assert len(set(cached[1:])) == 1
    assert cached[1] >= engine.count_tokens("New one.")


def test_instructions_stay_evaluated_between_calls_of_several_tasks(spare):
    review, message = (
        prompt("Hi.", system=text, max_tokens=1) for text in ("Review.", "Describe.")
    )
    assert [ask(spare, p)[0].cached_tokens for p in (review, message)] == [0, 0]
    assert all(ask(spare, p)[0].cached_tokens > 0 for p in (review, message, review))


def test_the_least_recently_used_instructions_make_room(spare):
    first, second, third = (
        prompt("Hi.", system=text, max_tokens=1) for text in ("One.", "Two.", "Three.")
    )
    for one in (first, second, first, third):
        ask(spare, one)
    assert ask(spare, first)[0].cached_tokens > 0
    assert ask(spare, second)[0].cached_tokens == 0


def test_an_answer_is_the_same_whether_its_instructions_were_cached_or_not(spare):
    question = prompt("Describe a lake.", max_tokens=40)
    first, again = ask(spare, question)[0], ask(spare, question)[0]
    assert (first.cached_tokens == 0) and again.cached_tokens
    assert again.text == first.text


def test_nothing_is_printed(capfd):
    quiet = start(parallel=1)
    ask(quiet, prompt("Hi."))
    quiet.close()
    assert capfd.readouterr() == ("", "")


def test_threads_of_the_parent_keep_running_while_the_model_computes(engine):
    done, beats = threading.Event(), 0

    def beat():
        nonlocal beats
        while not done.wait(0.001):
            beats += 1

    heart = threading.Thread(target=beat)
    heart.start()
    (answer,) = ask(engine, prompt(ENDLESS, max_tokens=60))
    done.set()
    heart.join()
    assert beats > answer.output_tokens


def test_calls_of_several_threads_each_get_their_own_answers(engine):
    lengths = [3, 9, 5, 7]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: ask(engine, *[prompt(ENDLESS, max_tokens=n)] * 2), lengths)
        )
    assert [[a.output_tokens for a in pair] for pair in answers] == [[n, n] for n in lengths]


def test_a_call_that_waits_for_another_still_keeps_its_time_limit_and_tokens_are_counted(
    engine,
):
    enough = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(
            engine.complete,
            [prompt(ENDLESS, max_tokens=900)] * 9,
            time_limit_s=250,
            cancelled=enough.is_set,
        )
        while not long.running():
            pass
        (waited,) = ask(engine, prompt("Hi."), time_limit_s=0.3)
        tokens = engine.count_tokens("still counting")
        busy = not long.done()
        enough.set()
        assert {answer.finish for answer in long.result()} >= {Finish.CANCELLED}
    assert busy
    assert tokens > 1
    assert (waited.finish, waited.output_tokens, waited.seconds) == (Finish.TIMEOUT, 0, 0.0)
    assert waited.prompt_tokens > 0


def test_a_schema_that_cannot_be_enforced_is_refused_not_ignored(engine):
    with pytest.raises(Misconfigured, match=r'cannot be enforced.*"not"'):
        ask(engine, prompt("Hi.", schema='{"type": "object", "not": {"required": ["a"]}}'))


def test_a_schema_holds_for_warm_sampling_too(engine):
    answers = ask(
        engine,
        *(
            prompt("Red.", schema=SCHEMA, temperature=2.0, seed=n, max_tokens=150)
            for n in (1, 2)
        ),
    )
    assert {answer.finish for answer in answers} == {Finish.STOP}
    assert len({answer.text for answer in answers}) == 2


def test_a_question_about_cancellation_that_fails_stops_the_work(engine):
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.complete(
            [prompt(ENDLESS, max_tokens=900)] * 9, time_limit_s=250, cancelled=broken
        )
    assert ask(engine, prompt("Hi."), time_limit_s=60)[0].finish is not Finish.TIMEOUT
