"""How we talk HTTP to GitLab: only to the configured address, and every failure becomes the
error that says what to do about it.

python-gitlab never sees a failed answer, so that its own retries, which repeat a POST and
sleep without a limit, do not begin.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from gitlab import Gitlab

from bot.errors import GiveUp, Gone, Misconfigured, RetryLater, Unplaceable
from bot.integrations.retry import retry_after
from bot.untrusted import one_line

# 409: "Resource lock", another request is changing the same thing.
TRANSIENT = frozenset({408, 409, 425, 429})
PAGE = 100
QUOTE = 200


class Connection(threading.local):
    """A python-gitlab client for each thread: its session is not made to be shared.

    `url` may have a path (a relative root). Proxies come from the environment; without
    `ca_file`, certificates are checked against the usual authorities, and they always are.
    Raises Misconfigured if `url` is no web address or `ca_file` no file.
    """

    def __init__(self, url: str, token: str, ca_file: Path | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise Misconfigured("gitlab.url has to be like https://gitlab.example.com")
        if ca_file is not None and not ca_file.is_file():
            raise Misconfigured(f"gitlab.ca_file: {ca_file} is not a file")
        self.url = url.rstrip("/")
        self.gitlab = Gitlab(
            self.url,
            private_token=token,
            ssl_verify=True if ca_file is None else str(ca_file),
            timeout=timeout_s,
            per_page=PAGE,
            keep_base_url=True,
            session=Session(self.url),
        )


class Forbidden(Misconfigured):
    """The token is good but may not do this."""


class Session(requests.Session):
    """A session that never leaves `base_url`: it follows no redirect and refuses any other
    address, because the token would go with the request."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/") + "/"

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """The answer, if it is one of GitLab's and good; else the error it stands for."""
        if not (request.url or "").startswith(self._base_url):
            raise Misconfigured(f"GitLab names an address outside {self._base_url}: check it")
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            raise _unreachable(error) from None
        _judge(response)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed."""
        del resp


def _unreachable(error: requests.RequestException) -> Misconfigured | RetryLater:
    said = one_line(str(error), QUOTE)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Misconfigured(f"GitLab's certificate is not trusted; set gitlab.ca_file: {said}")
    return RetryLater(f"GitLab does not answer; check gitlab.url and the network: {said}")


def _judge(response: requests.Response) -> None:
    status = response.status_code
    if status < requests.codes.multiple_choices:
        _check_form(response)
    elif status < requests.codes.bad_request:
        target = one_line(response.headers.get("Location", "elsewhere"), QUOTE)
        raise Misconfigured(f"GitLab redirects to {target}; set gitlab.url to its real address")
    elif status in TRANSIENT or status >= requests.codes.server_error:
        message = f"GitLab is busy or down, try again later: {_request(response)}"
        raise RetryLater(message, after_s=_asked_wait(response))
    else:
        raise _refusal(response)


def _check_form(response: requests.Response) -> None:
    """A proxy's login page is no answer of GitLab's, whatever its status."""
    if not response.content:
        return
    try:
        response.json()
    except ValueError:
        where = f"no GitLab API answers at {urlsplit(response.url).path}"
        raise Misconfigured(f"{where}; check gitlab.url and any proxy") from None


def _refusal(response: requests.Response) -> GiveUp | Misconfigured:
    said = _said(response)
    match response.status_code:
        case requests.codes.unauthorized:
            return Misconfigured(
                "GitLab does not know the token (wrong, expired or revoked); make one with "
                "scope api and set gitlab.token or gitlab.token_file"
            )
        case requests.codes.forbidden:
            return Forbidden(
                "the token may not do this; it takes scope api and the role Developer "
                f"(for webhooks: Maintainer): {_request(response)}: {said}"
            )
        case requests.codes.not_found:
            return Gone(f"GitLab has no such thing, or hides it from us: {_request(response)}")
        case requests.codes.bad_request if "line_code" in said or "position" in said:
            return Unplaceable(f"GitLab refuses the position: {said}")
        case _:
            return GiveUp(f"GitLab refuses {_request(response)}: {said}")


def _request(response: requests.Response) -> str:
    """Method, path (without the query) and status."""
    path = one_line(urlsplit(response.url).path, QUOTE)
    return f"{response.request.method} {path} ({response.status_code})"


def _said(response: requests.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return one_line(response.text, QUOTE)
    told = body.get("message") or body.get("error") if isinstance(body, dict) else body
    return one_line(str(told), QUOTE)


def _asked_wait(response: requests.Response) -> float | None:
    """Seconds GitLab wants us to wait. Some limits come without `Retry-After`; then the
    general one's reset, in Unix time, is late enough."""
    asked = retry_after(response.headers.get("Retry-After"))
    reset = response.headers.get("RateLimit-Reset", "")
    limited = response.status_code == requests.codes.too_many_requests
    if asked is None and limited and reset.isdecimal():
        return max(int(reset) - time.time(), 0.0)
    return asked
