"""Whether a webhook comes from the configured GitLab. Pure.

Two ways, either of which may be configured: the secret token GitLab repeats in
`X-Gitlab-Token`, and a signature after the Standard Webhooks specification
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from bot.errors import Misconfigured, Unauthenticated

WINDOW_S = 300
SIGNING_PREFIX = "whsec_"
SIGNATURE_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
TIMESTAMP_DIGITS = 12


def verify(
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: str | None,
    signing_token: str | None,
    now: float,
) -> None:
    """Return if the delivery proves where it comes from, else raise Unauthenticated.

    `headers` hold values decoded as Latin-1, as web servers do; `body` is the body as it
    was sent, byte for byte; `now` is in seconds since the epoch. With a signing token
    configured, a delivery that has signature headers stands or falls with them; otherwise
    the token header has to equal `secret`. With neither configured nothing is let in.
    Raises Misconfigured if the signing token is not of the form `whsec_<base64>`.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    if signing_token and any(name in lower for name in SIGNATURE_HEADERS):
        _verify_signature(lower, body, signing_token, now)
    elif not secret or not _equal(lower.get("x-gitlab-token", ""), secret):
        raise Unauthenticated("the webhook's secret token is missing or wrong")


def _verify_signature(
    headers: Mapping[str, str], body: bytes, signing_token: str, now: float
) -> None:
    key = _key(signing_token)
    identity, sent_at, signatures = (headers.get(name, "") for name in SIGNATURE_HEADERS)
    if not _recent(sent_at, now):
        raise Unauthenticated("the webhook's timestamp is missing or too far from our clock")
    signed = f"{identity}.{sent_at}.".encode("latin-1", "replace") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    if not any(_equal(signature, wanted) for signature in signatures.split()):
        raise Unauthenticated("the webhook's signature is missing or wrong")


def _recent(sent_at: str, now: float) -> bool:
    plain = sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= TIMESTAMP_DIGITS
    return plain and abs(now - int(sent_at)) <= WINDOW_S


def _key(signing_token: str) -> bytes:
    try:
        key = base64.b64decode(signing_token.removeprefix(SIGNING_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key or not signing_token.startswith(SIGNING_PREFIX):
        raise Misconfigured(
            "gitlab.signing_token has to be copied whole from GitLab: whsec_ and base64"
        )
    return key


def _equal(given: str, wanted: str) -> bool:
    """Compared in constant time, and as bytes: a secret need not be ASCII."""
    return hmac.compare_digest(given.encode("latin-1", "replace"), wanted.encode())
