"""The webhook receiver over real HTTP, storing in a real database."""

import base64
import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import anyio
import httpx
import pytest
import sqlalchemy as sa
import uvicorn

from bot.errors import RetryLater
from bot.events.decisions import jobs
from bot.integrations.database import SqlDatabase
from bot.integrations.database_engine import make_engine, migrate
from bot.integrations.jobs_queue import JobQueue
from bot.web.app import SECURITY, application
from bot.web.paths import GITLAB_WEBHOOK
from bot.web.webhooks import GitLabWebhook

SECRET = "a long enough secret"
KEY = bytes(range(32))
SIGNING_TOKEN = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1_700_000_000
BOT = 99
LIMIT = 20_000
HEAD = "a" * 40

Json = dict[str, Any]


class Served:
    """The application behind a real server, with its queue."""

    def __init__(self, path: Path) -> None:
        self.engine = make_engine(f"sqlite:///{path}")
        migrate(self.engine)
        self.queue = JobQueue(self.engine)
        self.database = SqlDatabase(
            self.engine,
            enqueue=self.queue.enqueue,
            active=self.queue.active,
            cancel=self.queue.cancel,
        )
        self.broken: str | None = None
        webhook = GitLabWebhook(
            hear=lambda event: self.database.record(event, jobs(event)),
            secret=SECRET,
            signing_token=SIGNING_TOKEN,
            own_account=BOT,
            clock=lambda: NOW,
        )
        app = application(webhook=webhook, max_body_bytes=LIMIT, ready=self.ready)
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_config=None, server_header=False)
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))

    def ready(self) -> None:
        self.database.ping()
        if self.broken:
            raise RetryLater(self.broken)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
        self.queue.close()
        self.engine.dispose()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path / "strop.sqlite") as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def opened(**attributes: Any) -> bytes:
    return json.dumps(
        {
            "object_kind": "merge_request",
            "user": {"id": 3},
            "project": {"id": 7, "path_with_namespace": "group/project"},
            "object_attributes": {
                "iid": 1,
                "state": "opened",
                "action": "open",
                "draft": False,
                "last_commit": {"id": HEAD},
                **attributes,
            },
        }
    ).encode()


def headers(delivery: str = "d1", **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {
        "x-gitlab-event": "Merge Request Hook",
        "x-gitlab-token": SECRET,
        "idempotency-key": delivery,
        **named,
    }


def signed(body: bytes, delivery: str = "d1", at: int = NOW) -> dict[str, str]:
    message = f"{delivery}.{at}.".encode() + body
    signature = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
    return {
        "x-gitlab-event": "Merge Request Hook",
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


def post(client: httpx.Client, body: bytes, headers: dict[str, str]) -> tuple[int, Json]:
    answer = client.post(GITLAB_WEBHOOK, content=body, headers=headers)
    return answer.status_code, answer.json()


class TestGenuine:
    def test_a_delivery_is_accepted_and_its_job_queued(
        self, client: httpx.Client, served: Served
    ) -> None:
        assert post(client, opened(), headers()) == (202, {"status": "accepted", "reason": ""})
        assert served.queue.active() == [f"review:7:mr:1:{HEAD}:d1"]

    def test_a_signature_does_as_well_as_the_token(
        self, client: httpx.Client, served: Served
    ) -> None:
        assert post(client, opened(), signed(opened()))[0] == 202
        assert len(served.queue.active()) == 1

    def test_a_delivery_that_comes_again_is_a_success_and_changes_nothing(
        self, client: httpx.Client, served: Served
    ) -> None:
        post(client, opened(), headers())
        assert post(client, opened(), headers())[1]["status"] == "duplicate"
        assert post(client, opened(), headers())[0] == 200
        assert len(served.queue.active()) == 1

    def test_the_same_delivery_at_the_same_moment_is_accepted_once(
        self, client: httpx.Client, served: Served
    ) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(client, opened(), headers())[0], range(16)))
        assert sorted(answers) == [200] * 15 + [202]
        assert len(served.queue.active()) == 1

    @pytest.mark.parametrize(
        ("body", "event", "reason"),
        [
            (opened(action="close", state="closed"), "Merge Request Hook", ""),
            (b'{"object_kind": "wiki_page"}', "Wiki Page Hook", ""),
            (b"not json", "Merge Request Hook", "GitLab's form"),
            (b'{"user": "\xff"}', "Merge Request Hook", "GitLab's form"),
            (opened(iid="1; DROP TABLE bot_events"), "Merge Request Hook", "iid"),
            (b"[" * 15_000, "Merge Request Hook", "GitLab's form"),
            (b"", "Merge Request Hook", "GitLab's form"),
        ],
    )
    def test_what_causes_no_work_is_a_success_too(
        self, client: httpx.Client, served: Served, body: bytes, event: str, reason: str
    ) -> None:
        status, answer = post(client, body, headers(x_gitlab_event=event))
        assert (status, answer["status"]) == (200, "ignored")
        assert answer["reason"]
        assert reason in answer["reason"]
        assert served.queue.active() == []

    def test_a_log_line_names_the_delivery_and_holds_no_payload(
        self, client: httpx.Client, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot")
        post(client, opened(title="a secret title"), headers("d77"))
        (line,) = [r.getMessage() for r in caplog.records if r.name == "bot.web.webhooks"]
        assert "d77" in line
        assert "secret title" not in caplog.text


class TestRefused:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"x-gitlab-token": "guess"},
            {"x-gitlab-token": ""},
            {},
            signed(opened(), at=NOW - 301),
            signed(opened(), at=NOW + 301),
            signed(b"another body"),
            {**signed(opened()), "webhook-id": "d2"},
            {**signed(opened()), "webhook-signature": "v1,"},
        ],
        ids=[
            "wrong secret", "empty secret", "unsigned", "stale", "from the future",
            "body changed", "replayed under another id", "empty signature",
        ],
    )  # fmt: skip
    def test_what_does_not_prove_its_origin_is_refused(
        self, client: httpx.Client, served: Served, wrong: dict[str, str]
    ) -> None:
        named = {"x-gitlab-event": "Merge Request Hook", **wrong}
        refused = {"status": "refused", "reason": "unauthenticated"}
        assert post(client, opened(), named) == (401, refused)
        assert served.queue.active() == []

    def test_a_replay_within_the_window_changes_nothing(
        self, client: httpx.Client, served: Served
    ) -> None:
        assert post(client, opened(), signed(opened()))[0] == 202
        assert post(client, opened(), signed(opened()))[0] == 200
        assert len(served.queue.active()) == 1

    def test_a_body_of_just_the_limit_is_read(self, client: httpx.Client) -> None:
        body = opened().ljust(LIMIT)
        assert post(client, body, headers())[0] == 202

    def test_a_body_that_says_it_is_too_long_is_not_waited_for(self, served: Served) -> None:
        """Only the head is sent: an answer means that nobody read on."""
        head = (
            f"POST {GITLAB_WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
        )
        assert _raw(served, head.encode()).startswith(b"HTTP/1.1 413 ")

    def test_a_body_that_grows_too_long_is_not_read_on(self, served: Served) -> None:
        head = (
            f"POST {GITLAB_WEBHOOK} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = f"{LIMIT + 1:x}\r\n".encode() + b"x" * (LIMIT + 1) + b"\r\n"
        assert _raw(served, head.encode() + chunk).startswith(b"HTTP/1.1 413 ")

    def test_a_client_that_leaves_early_does_no_harm(
        self, client: httpx.Client, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        head = f"POST {GITLAB_WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
        with socket.create_connection(served.socket.getsockname()) as connection:
            connection.sendall(head.encode())
        assert post(client, opened(), headers())[0] == 202
        assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []

    def test_a_body_that_does_not_come_is_given_up(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.web.webhooks.BODY_TIME_LIMIT_S", 0.1)
        head = f"POST {GITLAB_WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        assert _raw(served, head.encode()).startswith(b"HTTP/1.1 408 ")


def _raw(served: Served, data: bytes) -> bytes:
    with socket.create_connection(served.socket.getsockname(), timeout=30) as connection:
        connection.sendall(data)
        return connection.recv(1000)


class TestDatabaseAway:
    def test_what_could_not_be_stored_is_not_acknowledged(
        self, client: httpx.Client, served: Served
    ) -> None:
        with served.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE bot_events RENAME TO hidden"))
        answer = client.post(GITLAB_WEBHOOK, content=opened(), headers=headers())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "60"
        with served.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE hidden RENAME TO bot_events"))
        assert post(client, opened(), headers())[0] == 202


class TestHealth:
    def test_a_process_that_answers_is_alive(self, client: httpx.Client) -> None:
        assert client.get("/healthz").status_code == 200

    def test_it_is_ready_while_work_is_done(
        self, client: httpx.Client, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert client.get("/readyz").status_code == 200
        served.broken = "the worker at 10.0.0.7 stands still"
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "10.0.0.7" not in answer.text
        assert "10.0.0.7" in caplog.text


class TestSurface:
    @pytest.mark.parametrize("path", ["/", "/docs", "/webhooks/gitlab/x", "/favicon.ico"])
    def test_there_are_no_other_addresses(self, client: httpx.Client, path: str) -> None:
        assert client.get(path).status_code == 404

    def test_the_webhook_only_takes_posts(self, client: httpx.Client) -> None:
        assert client.get(GITLAB_WEBHOOK).status_code == 405

    def test_without_a_webhook_nothing_is_received(self) -> None:
        app = application(webhook=None, max_body_bytes=LIMIT, ready=lambda: None)
        transport = httpx.ASGITransport(app)

        async def ask() -> int:
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return (await client.post(GITLAB_WEBHOOK, content=opened())).status_code

        assert anyio.run(ask) == 404

    @pytest.mark.parametrize("path", ["/healthz", "/nothing", GITLAB_WEBHOOK])
    def test_every_answer_is_guarded_and_names_no_server(
        self, client: httpx.Client, path: str
    ) -> None:
        answer = client.get(path)
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert "server" not in answer.headers
