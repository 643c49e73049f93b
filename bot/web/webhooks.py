"""Webhooks: prove where a delivery comes from, read it, keep it, answer.

GitLab disables a hook that is answered with errors, so whatever is genuine is answered with
success, also if there is nothing to do or we cannot read it. Two answers are errors on
purpose: 401 to whoever does not hold the secret, and 503 if a delivery could not be stored:
GitLab then shows it as failed and may send it again, and the poll finds what it was about.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from bot.domain import Event
from bot.errors import Malformed, RetryLater, Unauthenticated
from bot.events import gitlab, signatures
from bot.events.decisions import Ignored

log = logging.getLogger(__name__)

# GitLab itself waits ten seconds for an answer.
BODY_TIME_LIMIT_S = 10.0
TRY_AGAIN_S = "60"
# SQLite has one writer at a time; deliveries that wait here do so in order and without the
# naps of its lock.
WRITERS = 1


@dataclass(frozen=True)
class GitLabWebhook:
    """The address GitLab sends its events to.

    `hear` stores an event with its work and says whether it is new; it may raise RetryLater.
    `own_account` is our id on the forge, whose events are ignored.
    """

    hear: Callable[[Event], bool]
    secret: str | None
    signing_token: str | None
    own_account: int
    clock: Callable[[], float] = time.time
    _writers: anyio.CapacityLimiter = field(
        default_factory=lambda: anyio.CapacityLimiter(WRITERS)
    )

    async def answer(self, request: Request) -> Response:
        """Answer one delivery; how long it may be is the route's business."""
        try:
            with anyio.fail_after(BODY_TIME_LIMIT_S):
                body = await request.body()
        except (TimeoutError, ClientDisconnect):
            return _reply(408, "refused", "the body did not arrive in time")
        headers = dict(request.headers)
        return await run_sync(self._judged, headers, body, limiter=self._writers)

    def _judged(self, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            signatures.verify(
                headers,
                body,
                secret=self.secret,
                signing_token=self.signing_token,
                now=self.clock(),
            )
            event = gitlab.parse(headers, body, own_account=self.own_account)
        except Unauthenticated as error:
            log.warning("webhook refused: %s", error)
            return _reply(401, "refused", "unauthenticated")
        except Malformed as error:
            event = Ignored(str(error))
        if isinstance(event, Ignored):
            log.info("webhook ignored: %s", event.reason)
            return _reply(200, "ignored", event.reason)
        return self._kept(event)

    def _kept(self, event: Event) -> Response:
        try:
            new = self.hear(event)
        except RetryLater as error:
            log.warning("webhook %s not stored: %s", event.delivery, error)
            return _reply(503, "failed", "try again later", {"retry-after": TRY_AGAIN_S})
        status = "accepted" if new else "duplicate"
        log.info("webhook %s %s: %s", event.delivery, status, event.kind)
        return _reply(202 if new else 200, status, "")


def _reply(
    status: int, word: str, reason: str, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"status": word, "reason": reason}, status, headers)
