"""What the bot answers over HTTP: three addresses and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web import health
from bot.web.paths import GITLAB_WEBHOOK
from bot.web.webhooks import GitLabWebhook

SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def application(
    *, webhook: GitLabWebhook | None, max_body_bytes: int, ready: Callable[[], None]
) -> Starlette:
    """The web application; without `webhook` it only tells how it is. A longer body than
    `max_body_bytes` is refused unread; `ready` raises a StropError if no work can be done."""
    routes = [
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", health.Ready(ready).answer, methods=["GET"]),
    ]
    if webhook is not None:
        routes.append(
            Route(
                GITLAB_WEBHOOK, webhook.answer, methods=["POST"], max_body_size=max_body_bytes
            )
        )
    return Starlette(routes=routes, middleware=[Middleware(_SecurityHeaders)])


class _SecurityHeaders:
    """Adds `SECURITY` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        await self._app(scope, receive, send_with_headers)
