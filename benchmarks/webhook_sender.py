"""The sender of `webhooks.py`: signed deliveries at a steady rate, each over a connection of
its own as GitLab does it. Prints [status, milliseconds] of each, from the moment it was due
until its answer was read.

The deliveries are updates of a hundred merge requests, each with a new head, so that most
supersede an earlier job; every tenth is the one before it, sent again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

import click

from bot.web.paths import GITLAB_WEBHOOK

MERGE_REQUESTS = 100
REPEAT_EVERY = 10
DESCRIPTION = "x" * 20_000


@click.command(help=__doc__)
@click.argument("port", type=int)
@click.argument("rate", type=float)
@click.argument("seconds", type=float)
def main(port: int, rate: float, seconds: float) -> None:
    key = base64.b64decode(os.environ["SIGNING_TOKEN"].removeprefix("whsec_"))
    requests = [request(number, key) for number in range(int(rate * seconds))]
    click.echo(json.dumps(asyncio.run(send(requests, port, rate))))


async def send(requests: list[bytes], port: int, rate: float) -> list[tuple[int, float]]:
    start = time.perf_counter() + 0.5
    due = [start + number / rate for number in range(len(requests))]
    return await asyncio.gather(*(one(r, port, d) for r, d in zip(requests, due, strict=True)))


async def one(request: bytes, port: int, due: float) -> tuple[int, float]:
    await asyncio.sleep(due - time.perf_counter())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    took = time.perf_counter() - due
    writer.close()
    return int(answer.split(b" ", 2)[1]), took * 1000


def request(number: int, key: bytes) -> bytes:
    number -= number % REPEAT_EVERY == REPEAT_EVERY - 1
    body = json.dumps(payload(number)).encode()
    now = int(time.time())
    signed = f"delivery-{number}.{now}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    head = (
        f"POST {GITLAB_WEBHOOK} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
        "X-Gitlab-Event: Merge Request Hook",
        f"Content-Length: {len(body)}",
        f"webhook-id: delivery-{number}",
        f"webhook-timestamp: {now}",
        f"webhook-signature: v1,{signature}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def payload(number: int) -> dict[str, Any]:
    head = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    return {
        "object_kind": "merge_request",
        "user": {"id": 3},
        "project": {"id": 7, "path_with_namespace": "group/project"},
        "object_attributes": {
            "iid": number % MERGE_REQUESTS + 1,
            "state": "opened",
            "action": "update",
            "oldrev": "0" * 40,
            "draft": False,
            "description": DESCRIPTION,
            "last_commit": {"id": head},
        },
    }


if __name__ == "__main__":
    main()
