"""Questions are put in batches, within a time limit, and never twice."""

from dataclasses import replace

import pytest

from bot.asking import Asker
from bot.domain import Completion, Finish, Prompt
from bot.errors import Superseded
from tests.fakes import ScriptedEngine


class Memory:
    """Answers kept in a dictionary."""

    def __init__(self):
        self.kept = {}

    def completion(self, key):
        return self.kept.get(key)

    def remember(self, prompt, model, completion):
        self.kept[prompt.key(model)] = completion


def question(text):
    return Prompt(task="test", template="t", system="s", user=text, max_tokens=8)


def echo(prompt):
    return f"<{prompt.user}>"


def test_answers_come_in_the_order_of_the_questions_whatever_the_batch():
    engine = ScriptedEngine(echo, batch=2)
    answers = Asker(engine, time_limit_s=60).ask([question(str(n)) for n in range(5)])
    assert [answer.text for answer in answers] == ["<0>", "<1>", "<2>", "<3>", "<4>"]


def test_progress_counts_every_answer_once():
    seen: list[int] = []
    memory = Memory()
    asker = Asker(ScriptedEngine(echo, batch=2), memory, time_limit_s=60)
    asker.ask([question("a"), question("b"), question("c")], seen.append)
    asker.ask([question("a"), question("d")], seen.append)
    assert sum(seen[:3]) == 3
    assert sum(seen) == 5


def test_a_remembered_answer_costs_no_call():
    memory = Memory()
    first = ScriptedEngine(echo)
    Asker(first, memory, time_limit_s=60).ask([question("a"), question("b")])
    second = ScriptedEngine(echo)
    asker = Asker(second, memory, time_limit_s=60)
    answers = asker.ask([question("b"), question("c"), question("a")])
    assert [answer.text for answer in answers] == ["<b>", "<c>", "<a>"]
    assert [prompt.user for prompt in second.asked] == ["c"]
    assert (asker.usage.calls, asker.usage.remembered) == (1, 2)


def test_another_model_is_asked_again():
    memory = Memory()
    first = ScriptedEngine(echo)
    Asker(first, memory, time_limit_s=60).ask([question("a")])
    second = ScriptedEngine(echo)
    second.model = replace(second.model, digest="1" * 64)
    Asker(second, memory, time_limit_s=60).ask([question("a")])
    assert len(second.asked) == 1


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.TIMEOUT])
def test_an_answer_that_is_not_whole_is_not_remembered(finish):
    memory = Memory()
    engine = ScriptedEngine(lambda _: Completion("half", finish, 1, 0, 1, 0.1))
    (answer,) = Asker(engine, memory, time_limit_s=60).ask([question("a")])
    assert answer.finish is finish
    assert memory.kept == {}


def test_after_the_time_limit_nothing_more_is_asked():
    now = [0.0]

    def slow(prompt):
        now[0] += 10
        return echo(prompt)

    engine = ScriptedEngine(slow, batch=1)
    asker = Asker(engine, time_limit_s=25, clock=lambda: now[0])
    answers = asker.ask([question(str(n)) for n in range(5)])
    assert [answer.finish for answer in answers] == [Finish.STOP] * 3 + [Finish.TIMEOUT] * 2
    assert len(engine.asked) == 3


def test_cancelled_work_ends_and_keeps_what_was_answered():
    memory = Memory()
    engine = ScriptedEngine(echo, batch=1)
    asker = Asker(engine, memory, time_limit_s=60, cancelled=lambda: len(engine.asked) >= 2)
    with pytest.raises(Superseded):
        asker.ask([question(str(n)) for n in range(5)])
    assert len(memory.kept) == 2


def test_usage_adds_up_calls_and_tokens_and_counts_waiting_once_a_batch():
    now = [0.0]

    def answer(_prompt):
        now[0] += 0.5
        return Completion("x", Finish.STOP, 100, 60, 7, 99.0)

    asker = Asker(ScriptedEngine(answer), time_limit_s=60, clock=lambda: now[0])
    asker.ask([question("a"), question("b")])
    usage = asker.usage
    assert (usage.calls, usage.prompt_tokens, usage.cached_tokens) == (2, 200, 120)
    assert (usage.output_tokens, usage.seconds) == (14, 1.0)
