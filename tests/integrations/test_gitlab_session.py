from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event
from time import time

import pytest
import trustme

from bot.errors import GiveUp, Gone, Misconfigured, RetryLater, StropError, Unplaceable
from bot.integrations.gitlab_session import Connection
from tests.integrations.scripted import Answer, Asked, Server, serving

TOKEN = "glpat-secret"
USER = {"id": 5, "username": "strop"}


def connection(url: str, ca_file: Path | None = None, timeout_s: float = 5.0) -> Connection:
    return Connection(url, TOKEN, ca_file, timeout_s)


def refused(answer: Answer) -> tuple[StropError, Server]:
    """What asking raises if GitLab answers like this, and what GitLab was asked."""
    with serving(lambda _: answer) as server, pytest.raises(StropError) as caught:
        connection(server.url).gitlab.auth()
    assert len(server.asked) == 1, "python-gitlab tried again by itself"
    assert TOKEN not in str(caught.value)
    return caught.value, server


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520])
def test_trouble_that_passes_is_tried_later(status: int) -> None:
    error, _ = refused(Answer(status, b"Retry later", {"Content-Type": "text/plain"}))
    assert type(error) is RetryLater and error.after_s is None
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_asked_for_in_seconds_is_kept(status: int) -> None:
    error, _ = refused(Answer(status, headers={"Retry-After": "7"}))
    assert isinstance(error, RetryLater) and error.after_s == 7.0


def test_the_wait_asked_for_as_a_date_is_kept() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    error, _ = refused(Answer(429, headers={"Retry-After": date}))
    assert isinstance(error, RetryLater) and error.after_s == pytest.approx(600, abs=60)


def test_without_a_wait_the_reset_of_the_limit_is_waited_for() -> None:
    error, _ = refused(Answer(429, headers={"RateLimit-Reset": str(int(time()) + 600)}))
    assert isinstance(error, RetryLater) and error.after_s == pytest.approx(600, abs=60)


def test_a_reset_that_has_passed_is_no_wait() -> None:
    error, _ = refused(Answer(429, headers={"RateLimit-Reset": "1"}))
    assert isinstance(error, RetryLater) and error.after_s == 0.0


def test_the_reset_of_a_limit_means_nothing_for_a_broken_server() -> None:
    error, _ = refused(Answer(500, headers={"RateLimit-Reset": str(int(time()) + 600)}))
    assert isinstance(error, RetryLater) and error.after_s is None


def test_an_unknown_token_says_what_to_make() -> None:
    error, _ = refused(Answer(401, {"message": "401 Unauthorized"}))
    assert isinstance(error, Misconfigured) and "scope api" in str(error)


def test_a_token_without_the_right_says_which_role_it_takes() -> None:
    error, _ = refused(Answer(403, {"error": "insufficient_scope"}))
    assert isinstance(error, Misconfigured)
    assert "Developer" in str(error) and "insufficient_scope" in str(error)


def test_what_is_not_there_is_gone() -> None:
    error, _ = refused(Answer(404, {"message": "404 Not found"}))
    assert type(error) is Gone and "/api/v4/user" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        '400 Bad request - Note {:line_code=>["can\'t be blank"]}',
        {"position": ["is incomplete"]},
    ],
)
def test_a_refused_position_is_unplaceable(message: object) -> None:
    error, _ = refused(Answer(400, {"message": message}))
    assert type(error) is Unplaceable


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_any_other_refusal_is_final_and_quoted_on_one_short_line(status: int) -> None:
    error, _ = refused(Answer(status, {"message": "body\nis too long\x1b[2J" + "x" * 9999}))
    assert type(error) is GiveUp
    assert "body is too long" in str(error) and len(str(error)) < 500
    assert str(error).isprintable()


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"{cut", b"\xff"])
def test_an_answer_that_is_no_json_is_not_gitlab(body: bytes) -> None:
    error, _ = refused(Answer(200, body, {"Content-Type": "text/html"}))
    assert isinstance(error, Misconfigured) and "proxy" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_stays_here(status: int) -> None:
    with serving(lambda _: Answer(200, USER)) as other:
        error, _ = refused(Answer(status, headers={"Location": f"{other.url}/api/v4/user"}))
    assert isinstance(error, Misconfigured) and other.url in str(error)
    assert other.asked == []


def test_the_next_page_is_asked_from_the_configured_address() -> None:
    def pages(asked: Asked) -> Answer:
        if "page=2" in asked.target:
            return Answer(200, [{"id": 2}])
        link = '<http://elsewhere.example/gitlab/api/v4/projects?page=2>; rel="next"'
        return Answer(200, [{"id": 1}], {"Link": link})

    with serving(pages) as server:
        found = connection(f"{server.url}/gitlab/").gitlab.projects.list(iterator=True)
        assert [project.id for project in found] == [1, 2]
    assert [asked.target for asked in server.asked] == [
        "/gitlab/api/v4/projects?per_page=100",
        "/gitlab/api/v4/projects?page=2&per_page=100",
    ]
    assert {asked.headers["private-token"] for asked in server.asked} == {TOKEN}


def test_a_next_page_that_is_no_gitlab_address_is_refused() -> None:
    with serving(lambda _: Answer(200, [])) as other:
        link = {"Link": f'<{other.url}/pages/2>; rel="next"'}
        with serving(lambda _: Answer(200, [{"id": 1}], link)) as server:
            found = connection(server.url).gitlab.projects.list(iterator=True)
            with pytest.raises(Misconfigured, match="outside"):
                list(found)
    assert other.asked == []


def test_a_server_that_hangs_up_is_tried_later() -> None:
    error, _ = refused(Answer(cut=True))
    assert type(error) is RetryLater


def test_a_server_that_is_not_there_is_tried_later() -> None:
    with serving(lambda _: Answer()) as server:
        url = server.url
    with pytest.raises(RetryLater, match=r"gitlab\.url"):
        connection(url).gitlab.auth()


def test_a_server_that_does_not_answer_in_time_is_tried_later() -> None:
    given_up = Event()

    def slow(asked: Asked) -> Answer:
        given_up.wait()
        return Answer(cut=True)

    with serving(slow) as server:
        with pytest.raises(RetryLater):
            connection(server.url, timeout_s=0.05).gitlab.auth()
        given_up.set()


@pytest.mark.parametrize(
    "url",
    ["", "gitlab.example.com", "ftp://gitlab.example.com", "https://", "https://me:pw@host"],
)
def test_a_url_that_is_no_web_address_is_a_setting_to_change(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"gitlab\.url"):
        connection(url)


class TestCertificates:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def tls(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    def test_an_unknown_authority_is_refused_with_the_setting_that_helps(
        self, tls: ssl.SSLContext
    ) -> None:
        with (
            serving(lambda _: Answer(200, USER), tls) as server,
            pytest.raises(Misconfigured, match=r"gitlab\.ca_file"),
        ):
            connection(server.url).gitlab.auth()
        assert server.asked == []

    def test_a_configured_authority_is_trusted(
        self, tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        with serving(lambda _: Answer(200, USER), tls) as server:
            connection(server.url, tmp_path / "ca.pem").gitlab.auth()
        assert len(server.asked) == 1

    def test_a_file_that_is_not_there_is_a_setting_to_change(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match=r"gitlab\.ca_file"):
            connection("https://gitlab.example.com", tmp_path / "none.pem")


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Answer(200, USER)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        connection("http://gitlab.example").gitlab.auth()
    assert [asked.target for asked in proxy.asked] == ["http://gitlab.example/api/v4/user"]
