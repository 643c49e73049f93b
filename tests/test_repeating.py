"""Work that is done again and again."""

import logging
import threading

from bot.errors import RetryLater
from bot.repeating import Repeating


def test_the_first_round_is_at_once_and_others_follow():
    rounds = []
    enough = threading.Event()

    def work():
        rounds.append(1)
        if len(rounds) == 3:
            enough.set()

    with Repeating("poll", 0.001, work):
        assert enough.wait(30)


def test_trouble_is_one_line_and_the_next_round_is_done(caplog):
    enough = threading.Event()
    troubles = iter([RetryLater("the forge is down"), ValueError("a bug")])

    def work():
        trouble = next(troubles, None)
        if trouble:
            raise trouble
        enough.set()

    with caplog.at_level(logging.WARNING), Repeating("poll", 0.001, work):
        assert enough.wait(30)
    first, second = caplog.records
    assert first.getMessage() == "poll: the forge is down"
    assert first.exc_info is None
    assert second.exc_info is not None


def test_leaving_ends_the_thread():
    with Repeating("a name of its own", 3600, lambda: None):
        pass
    assert all(thread.name != "a name of its own" for thread in threading.enumerate())
