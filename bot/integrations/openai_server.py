"""An OpenAI-compatible server as HTTP: the one host that is ever called.

Redirects are not followed, and the proxy settings of the environment are not read: text of a
repository goes to the configured host and nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.errors import EngineFailed, GiveUp, Misconfigured, RetryLater
from bot.integrations.openai_protocol import trouble
from bot.integrations.retry import patiently, retry_after

CONNECT_S = 10.0


class Server:
    """Short questions are asked with patience; answers of the model are streamed once."""

    def __init__(
        self, url: str, *, api_key: str | None, ca_file: Path | None, timeout_s: float
    ) -> None:
        """`timeout_s` is how long the server may be silent. Raises Misconfigured."""
        self._url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._settings: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {api_key}"} if api_key else {},
            "verify": _trusted(ca_file),
            "timeout": httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            "trust_env": False,
            "follow_redirects": False,
        }
        self._client = httpx.Client(**self._settings)

    def get(self, path: str) -> Any:
        """The JSON at a path below the URL."""
        return self._asked("GET", self._url + path, None)

    def post_beside(self, path: str, body: Any) -> Any:
        """What a path beside the API (`/v1`) answers to a JSON body; None if the server has
        no such path or does not like the body."""
        try:
            return self._asked("POST", self._url.removesuffix("/v1") + path, body)
        except (GiveUp, Misconfigured):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @asynccontextmanager
    async def streaming(self) -> AsyncIterator[httpx.AsyncClient]:
        """Connections for `lines`."""
        async with httpx.AsyncClient(**self._settings) as client:
            yield client

    @asynccontextmanager
    async def lines(
        self, client: httpx.AsyncClient, path: str, body: Any
    ) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of the answer to a JSON body. Raises what the status stands for (see
        `openai_protocol.trouble`), and RetryLater if the connection breaks."""
        with _as_ours():
            async with client.stream("POST", self._url + path, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise _trouble(response)
                yield response.aiter_lines()

    def _asked(self, method: str, url: str, body: Any) -> Any:
        return patiently(self.timeout_s)(self._ask, method, url, body)

    def _ask(self, method: str, url: str, body: Any) -> Any:
        with _as_ours():
            response = self._client.request(method, url, json=body)
        if response.status_code != httpx.codes.OK:
            raise _trouble(response)
        try:
            return response.json()
        except ValueError:
            raise EngineFailed(
                "the model server answered with something that is not JSON; check openai.url"
            ) from None


def _trouble(response: httpx.Response) -> Exception:
    after_s = retry_after(response.headers.get("Retry-After"))
    return trouble(response.status_code, response.text, after_s)


@contextmanager
def _as_ours() -> Iterator[None]:
    """Turn the errors of httpx into ours."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise Misconfigured(
            "openai.url is no http:// or https:// address; correct it"
        ) from None
    except httpx.TransportError as error:
        cause = str(error) or type(error).__name__
        raise RetryLater(f"the model server does not answer ({cause}); start it") from None


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise Misconfigured(
            f"openai.ca_file: {ca_file} holds no readable certificates"
        ) from None
