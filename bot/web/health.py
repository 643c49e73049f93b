"""Whether the process lives, and whether it can work: for load balancers and supervisors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.errors import StropError

log = logging.getLogger(__name__)


async def alive(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("alive\n")


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether work is being done; `check` raises a StropError if it is not. What is wrong is
    for our log, not for whoever asks."""

    check: Callable[[], None]

    async def answer(self, _request: Request) -> Response:
        """Ask now."""
        try:
            await run_sync(self.check)
        except StropError as error:
            log.warning("not ready: %s", error)
            return PlainTextResponse("not ready\n", 503)
        return PlainTextResponse("ready\n")
