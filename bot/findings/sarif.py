"""A review as SARIF 2.1.0, which code scanning of GitHub and others takes. Pure.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from bot import __version__
from bot.domain import Category, FileState, Finding, Review, Severity, Side
from bot.findings.reports import line_in_new_file, sentence

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {
    Severity.INFO: "note",
    Severity.MINOR: "note",
    Severity.MAJOR: "warning",
    Severity.CRITICAL: "error",
}


def as_sarif(review: Review) -> str:
    """One run. A review that is not complete says so as `executionSuccessful: false`, with a
    notification for every file that was not read to its end."""
    run = {
        "tool": {"driver": _driver()},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(review)],
        "results": [_result(finding) for finding in review.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _driver() -> dict[str, Any]:
    return {
        "name": "strop",
        "semanticVersion": __version__,
        "rules": [
            {
                "id": f"strop/{category}",
                "shortDescription": {
                    "text": f"A language model's unverified opinion on {category}"
                },
            }
            for category in Category
        ],
    }


def _invocation(review: Review) -> dict[str, Any]:
    return {
        "executionSuccessful": review.complete,
        "toolExecutionNotifications": [
            {
                "level": "note" if outcome.state is FileState.SKIPPED else "error",
                "message": {"text": f"{outcome.state}: {outcome.reason}"},
                "locations": [{"physicalLocation": {"artifactLocation": _file(outcome.path)}}],
            }
            for outcome in review.files
            if outcome.state is not FileState.REVIEWED
        ],
    }


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": line_in_new_file(finding)}
    if finding.anchor.side is Side.NEW:
        region["endLine"] = finding.anchor.last.number
    location = {"artifactLocation": _file(finding.anchor.new_path), "region": region}
    return {
        "ruleId": f"strop/{finding.category}",
        "ruleIndex": list(Category).index(finding.category),
        "level": _LEVELS[finding.severity],
        "message": {"text": sentence(finding)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"strop/v1": finding.fingerprint},
    }


def _file(path: str) -> dict[str, str]:
    return {"uri": quote(path)}
