"""The one retry layer: vendors' own retries are switched off, and what may be tried again
is what was raised as RetryLater."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from bot.errors import RetryLater

ATTEMPTS = 6
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


def patiently(
    max_wait_s: float, *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
) -> Retrying:
    """A tenacity `Retrying` that repeats a call while it raises RetryLater.

    It waits as long as the other side asked for (`after_s`), else exponentially with full
    jitter, and gives up, raising the last RetryLater, after `attempts` calls or as soon as
    the waits together would exceed `max_wait_s` seconds: whoever is asked to wait for an
    hour must not hold a worker for an hour.
    """
    backoff = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after_s if isinstance(error, RetryLater) else None
        return backoff(state) if asked is None else max(asked, 0.0)

    def stop(state: RetryCallState) -> bool:
        return (
            state.attempt_number >= attempts
            or state.idle_for + state.upcoming_sleep > max_wait_s
        )

    return Retrying(
        retry=retry_if_exception_type(RetryLater),
        wait=wait,
        stop=stop,
        sleep=sleep,
        reraise=True,
    )


def retry_after(
    value: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float | None:
    """Seconds meant by a `Retry-After` header, which holds seconds or an HTTP date (RFC 9110,
    section 10.2.3); None if it is absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - now()).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
