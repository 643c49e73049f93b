"""The door every request comes through: it is logged, watched, limited, and made to fail.

Tests decide what goes wrong; nothing fails by itself.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Observer = Callable[[int, str, str, str], None]
WINDOW_S = 60


class Dropped(Exception):
    """Raised by an observer: close the connection without an answer."""


@dataclass(frozen=True)
class Request:
    """A request as it came in; `path` keeps its percent signs and its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Fault:
    """What to answer instead of the truth. `status` None drops the connection. With `after`
    the request is worked on first, and only its answer is lost."""

    method: str
    path: re.Pattern[str]
    status: int | None
    times: int
    headers: Mapping[str, str]
    body: bytes
    delay_s: float
    after: bool

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method == method and bool(self.path.search(path))


@dataclass
class RateLimit:
    """Requests a minute, as GitLab counts them: in fixed windows."""

    limit: int = 2000
    observed: int = 0
    window: int = 0

    def count(self) -> dict[str, str]:
        """Count a request; returns the headers that every answer carries."""
        window = int(time.time()) // WINDOW_S
        if window != self.window:
            self.window, self.observed = window, 0
        self.observed += 1
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Observed": str(self.observed),
            "RateLimit-Remaining": str(max(self.limit - self.observed, 0)),
            "RateLimit-Reset": str((window + 1) * WINDOW_S),
        }

    @property
    def exceeded(self) -> bool:
        return self.observed > self.limit

    @property
    def retry_after_s(self) -> int:
        return (self.window + 1) * WINDOW_S - int(time.time())


@dataclass
class Door:
    """ASGI middleware around the whole stand-in."""

    app: ASGIApp
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rate: RateLimit = field(default_factory=RateLimit)
    observe: Observer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in await self._answer(scope, receive):
                await send(message)
        except Dropped:
            receive.__self__.transport.abort()  # type: ignore[attr-defined]
            await receive()

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        request = Request(
            method=scope["method"],
            path=_target(scope),
            headers={k.decode(): v.decode("latin-1") for k, v in scope["headers"]},
            body=await _body(receive),
        )
        index, limits, fault = self._enter(request)
        await self._watch(index, "before", request)
        if fault:
            await asyncio.sleep(fault.delay_s)
        if fault and not fault.after:
            answer = _failure(fault)
        elif self.rate.exceeded:
            answer = _too_many(self.rate)
        else:
            answer = await self._inside(scope, request)
            await self._watch(index, "after", request)
        if fault and fault.after:
            answer = _failure(fault)
        answer[0]["headers"] += _raw(limits)
        return answer

    def _enter(self, request: Request) -> tuple[int, dict[str, str], Fault | None]:
        with self._lock:
            self.requests.append(request)
            fault = next((f for f in self.faults if f.fits(request.method, request.path)), None)
            if fault:
                fault.times -= 1
            return len(self.requests) - 1, self.rate.count(), fault

    async def _watch(self, index: int, phase: str, request: Request) -> None:
        if self.observe:
            await asyncio.to_thread(self.observe, index, phase, request.method, request.path)

    async def _inside(self, scope: Scope, request: Request) -> list[Message]:
        async def replay() -> Message:
            return {"type": "http.request", "body": request.body, "more_body": False}

        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, replay, keep)
        return messages


def _target(scope: Scope) -> str:
    path: str = scope["raw_path"].decode()
    query: str = scope["query_string"].decode()
    return f"{path}?{query}" if query else path


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Dropped
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _failure(fault: Fault) -> list[Message]:
    if fault.status is None:
        raise Dropped
    return _plain(fault.status, fault.headers, fault.body)


def _too_many(rate: RateLimit) -> list[Message]:
    headers = {"Retry-After": str(rate.retry_after_s), "Content-Type": "text/plain"}
    return _plain(429, headers, b"Retry later\n")


def _plain(status: int, headers: Mapping[str, str], body: bytes) -> list[Message]:
    sent = _raw({**headers, "Content-Length": str(len(body))})
    return [
        {"type": "http.response.start", "status": status, "headers": sent},
        {"type": "http.response.body", "body": body},
    ]


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(k.lower().encode(), v.encode()) for k, v in headers.items()]
