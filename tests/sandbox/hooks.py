"""Delivering webhooks: headers, signature, retries, and giving up on a dead receiver.

Headers and the rule of four failures are in GitLab's "Webhooks" documentation; the signature
is that of Standard Webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from tests.sandbox.state import Hook, Json

TIMEOUT_S = 10.0
VERSION = "19.1.0"


@dataclass(frozen=True)
class Message:
    """One delivery. `event_id` is shared by all hooks told of one event, `key` belongs to
    this delivery and stays the same when it is sent again."""

    hook: Hook
    event: str
    event_id: str
    key: str
    payload: Json


@dataclass(frozen=True)
class Attempt:
    """One try to deliver a message: the answer's status, or what went wrong."""

    message: Message
    number: int
    headers: dict[str, str]
    body: bytes
    status: int | None
    error: str

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def headers(message: Message, body: bytes, instance: str, at: float) -> dict[str, str]:
    """Everything GitLab sends beside the body; `at` is the time in unix seconds."""
    sent = {
        "Content-Type": "application/json",
        "User-Agent": f"GitLab/{VERSION}",
        "Idempotency-Key": message.key,
        "X-Gitlab-Event": message.event,
        "X-Gitlab-Webhook-UUID": message.hook.uuid,
        "X-Gitlab-Instance": instance,
        "X-Gitlab-Event-UUID": message.event_id,
    }
    if message.hook.token:
        sent["X-Gitlab-Token"] = message.hook.token
    if message.hook.signing_token:
        moment = str(int(at))
        sent["webhook-id"] = message.key
        sent["webhook-timestamp"] = moment
        sent["webhook-signature"] = _sign(message.hook.signing_token, message.key, moment, body)
    return sent


def _sign(token: str, key: str, moment: str, body: bytes) -> str:
    secret = base64.b64decode(token.removeprefix("whsec_"))
    signed = f"{key}.{moment}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


class Sender:
    """Sends what is in the outbox, one message after the other, from a thread of its own.

    A failed attempt is repeated after each of `retry_delays_s` seconds. `attempts` is the
    log of everything sent.
    """

    def __init__(
        self,
        outbox: queue.Queue[Message | None],
        instance: Callable[[], str],
        retry_delays_s: tuple[float, ...],
    ) -> None:
        self.attempts: list[Attempt] = []
        self.retry_delays_s = retry_delays_s
        self._outbox = outbox
        self._instance = instance
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-hooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._outbox.put(None)
        self._thread.join()

    def send(self, message: Message) -> bool:
        """Try until it works, the retries are used up or the hook is disabled."""
        for number, delay in enumerate((0.0, *self.retry_delays_s), start=1):
            if self._stopping.wait(delay) or (number > 1 and message.hook.disabled):
                return False
            if self.attempt(message, number).ok:
                return True
        return False

    def attempt(self, message: Message, number: int = 1) -> Attempt:
        """Send a message once, log it, and count its failure or forget earlier ones."""
        body = json.dumps(message.payload).encode()
        sent = headers(message, body, self._instance(), time.time())
        status, error = _post(message.hook, body, sent)
        attempt = Attempt(message, number, sent, body, status, error)
        self.attempts.append(attempt)
        message.hook.failures = 0 if attempt.ok else message.hook.failures + 1
        return attempt

    def _run(self) -> None:
        while (message := self._outbox.get()) is not None:
            if not message.hook.disabled and not self._stopping.is_set():
                self.send(message)
            self._outbox.task_done()
        self._outbox.task_done()


def _post(hook: Hook, body: bytes, sent: dict[str, str]) -> tuple[int | None, str]:
    try:
        with httpx.Client(timeout=TIMEOUT_S, verify=hook.tls, trust_env=False) as client:
            return client.post(hook.url, content=body, headers=sent).status_code, ""
    except httpx.HTTPError as error:
        return None, f"{type(error).__name__}: {error}"
