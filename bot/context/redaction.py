"""Pure: secret values out of text, before a model, a log or a data set sees it.

Only values go, names stay: a reviewer that cannot see what a line is about invents what is
wrong with it. So there is no entropy detector here (hashes, fixtures and identifiers would
go), but formats that are secrets by their looks, and quoted or assigned values under names
that say so. The formats are those of detect-secrets, used offline; its verification is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector

from bot.untrusted import REDACTED

_VENDORS = (
    AzureStorageKeyDetector, GitHubTokenDetector, MailchimpDetector, OpenAIDetector,
    PypiTokenDetector, SendGridDetector, SlackDetector, SquareOAuthDetector, StripeDetector,
    TelegramBotTokenDetector,
)  # fmt: skip

# Formats that detect-secrets 1.5 lacks or cuts short: a JSON Web Token with its signature,
# GitLab's routable tokens (they have dots), and newer vendors' keys.
_NEWER = (
    r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?",
    r"\bgl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{20,}(?:\.[\w-]+)*",
    r"\bgithub_pat_\w{40,}",
    r"\bAIza[\w-]{35}",
    r"\bsk-(?:ant|proj|svcacct|or)-[\w-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bxapp-\d-[\w-]{20,}",
)
_RUNNER_TOKEN = GitLabTokenDetector.denylist[1]
_AWS_ID, _AWS_SECRET = AWSKeyDetector.denylist
_SECRETS = (
    *map(re.compile, _NEWER),
    _RUNNER_TOKEN,
    _AWS_ID,
    *(pattern for vendor in _VENDORS for pattern in vendor.denylist),
)
_URL_PASSWORD = re.compile(r"://[^\s:/@\"']*:([^\s@/{}$<>*\[\]\"']{3,})@")

# A value behind a name that says it is secret: quoted, or alone on its line. The number is
# the group of the value; whether it is one is for `_looks_secret` to say.
_ASSIGNED = re.compile(
    r"^[\s\d+-]*(?:export\s+)?[\"']?[\w.-]*(?:password|passwd|pwd|secret|token|api_?key)[\w.-]*"
    r"[\"']?(?:\s*=|:\s)\s*([^\s\"'`(){}\[\]<>$.,;*]{8,})\s*$",
    re.IGNORECASE,
)
_NAMED = {_ASSIGNED: 1, **QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP}
_WORTH_A_LOOK = re.compile(r"key|pass|pwd|secret|token|contrase", re.IGNORECASE)
_MIN_VALUE = 8
_CODE = re.compile(r"[\s(){}<>$%*]|\[|\]|^https?:")

_KEY_BEGINS = re.compile(
    r"BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File"
)
_KEY_ENDS = re.compile(r"END (?:[A-Z0-9]+ )*PRIVATE KEY|Private-MAC")
_KEY_ROW = re.compile(r"[A-Za-z0-9/][A-Za-z0-9+/=]{31,}")
_KEY_TAIL = re.compile(r"^([\s+\-\"']*)([A-Za-z0-9+/=]{1,31})((?:\\n)?[\s\"',;+\\]*)$")
_KEY_GONE = re.compile(r"^[\s+\-\"']*\[redacted\](?:\\n)?[\s\"',;+\\]*$")
_KEY_HEADER = re.compile(r"^[\s+\-\"']*(?:$|[A-Z][\w-]*: )")


def redact(text: str) -> str:
    """The text with each secret value as `[redacted]`, and nothing else changed.

    The number of lines stays, and doing it again changes nothing.
    """
    return "\n".join(redact_lines(text.split("\n")))


def redact_lines(lines: Iterable[str]) -> list[str]:
    """As `redact`, for lines of one file in their order (a private key spans many)."""
    return list(_without_keys(_redact_line(line) for line in lines))


def _without_keys(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        begins = _KEY_BEGINS.search(line)
        if begins:
            inside = not _KEY_ENDS.search(line, begins.end())
            yield line[: begins.end()] + _KEY_ROW.sub(REDACTED, line[begins.end() :])
        elif not inside:
            yield line
        else:
            inside = not _KEY_ENDS.search(line) and _may_be_of_key(line)
            yield (
                _KEY_TAIL.sub(rf"\1{REDACTED}\3", _KEY_ROW.sub(REDACTED, line))
                if inside
                else line
            )


def _may_be_of_key(line: str) -> bool:
    shapes = (_KEY_ROW, _KEY_TAIL, _KEY_GONE, _KEY_HEADER)
    return any(shape.search(line) for shape in shapes)


def _redact_line(line: str) -> str:
    for pattern in _SECRETS:
        line = pattern.sub(REDACTED, line)
    for pattern in (_AWS_SECRET, _URL_PASSWORD):
        line = pattern.sub(lambda match: _without(match, 1), line)
    if _WORTH_A_LOOK.search(line):
        for pattern, group in _NAMED.items():
            line = pattern.sub(partial(_without_secret, group=group), line)
    return line


def _without_secret(match: re.Match[str], group: int) -> str:
    return _without(match, group) if _looks_secret(match[group]) else match[0]


def _without(match: re.Match[str], group: int) -> str:
    start, end = match.start(group) - match.start(), match.end(group) - match.start()
    return f"{match[0][:start]}{REDACTED}{match[0][end:]}"


def _looks_secret(value: str) -> bool:
    """Letters and digits, and nothing of code, prose or a placeholder."""
    return (
        len(value) >= _MIN_VALUE
        and any(c.isdigit() for c in value)
        and any(c.isalpha() for c in value)
        and not _CODE.search(value)
    )
