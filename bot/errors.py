"""One tree of errors, each named after the decision it causes.

Whoever catches one knows what to do from its class alone; the words are for a person and
always say what to do next. No other exception is meant to reach a person.
"""

from __future__ import annotations


class StropError(Exception):
    """Base of every error Strop raises on purpose.

    The first argument is one sentence that a person can act on. It holds no secret and no
    text from an untrusted source that was not shortened first.
    """


class Misconfigured(StropError):
    """The operator has to change a setting, a file or a right; trying again will not help."""


class RetryLater(StropError):
    """Something outside is down or busy; the same work may succeed later.

    `after_s` is the number of seconds the other side asked us to wait, if it did.
    """

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class GiveUp(StropError):
    """This piece of work can never succeed as asked: stop, keep the reason, tell people."""


class Skip(StropError):
    """There is nothing to do here, and that is fine: keep the reason."""


class Superseded(Skip):
    """Newer work replaces this one: stop quietly, post nothing."""


class Unplaceable(GiveUp):
    """The forge refused the position of a comment: place it one level higher."""


class Gone(GiveUp):
    """What the work was about (merge request, branch, note) does not exist any more."""


class PromptTooLong(GiveUp):
    """A prompt does not fit the context of the model: split it or say that it was not read."""


class EngineFailed(RetryLater):
    """The engine died or broke its protocol; it has been put back into a usable state."""


class UnusableModel(Misconfigured):
    """The model file is missing, cut short, has the wrong hash, or the engine cannot run it."""


class BadSettings(Misconfigured):
    """A settings file has an unknown key or a bad value; the message names the key."""


class Unauthenticated(StropError):
    """A webhook did not prove that it comes from the configured forge: refuse it."""


class Malformed(StropError):
    """Text from outside does not have the agreed form: ask again, or record and go on."""
