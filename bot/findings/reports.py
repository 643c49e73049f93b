"""A review as data for other programs: our own JSON, and GitLab Code Quality. Pure."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from bot.domain import Finding, Review, Side
from bot.untrusted import one_line

_LONGEST = 1000  # characters of a sentence in a report


def as_json(review: Review) -> str:
    """One JSON object that holds all of a review but the diff itself."""
    report = {
        "complete": review.complete,
        "base": review.diff.base,
        "head": review.diff.head,
        "model": dataclasses.asdict(review.model),
        "files": [dataclasses.asdict(outcome) for outcome in review.files],
        "findings": [_finding(finding) for finding in review.findings],
        "held_back": [
            {"path": held.path, "claim": held.claim, "reason": held.reason}
            for held in review.held_back
        ],
        "usage": dataclasses.asdict(review.usage),
    }
    return json.dumps(report, indent=2)


def as_codequality(review: Review) -> str:
    """The array that GitLab takes as `artifacts:reports:codequality`
    (https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format).

    Its lines count in the new file, so a remark on removed lines stands on the line that
    follows them.
    """
    return json.dumps([_issue(finding) for finding in review.findings], indent=2)


def line_in_new_file(finding: Finding) -> int:
    """The first line of a finding, counted in the file after the change, from 1."""
    return max(finding.anchor.first.new, 1)


def sentence(finding: Finding) -> str:
    """What a finding says, on one line without control characters."""
    return one_line(f"{finding.claim} {finding.why}", _LONGEST)


def _finding(finding: Finding) -> dict[str, Any]:
    anchor = finding.anchor
    return {
        "path": anchor.path,
        "side": anchor.side,
        "first_line": anchor.first.number,
        "last_line": anchor.last.number,
        "severity": finding.severity,
        "category": finding.category,
        "claim": finding.claim,
        "why": finding.why,
        "code": finding.code,
        "replacement": finding.replacement,
        "fingerprint": finding.fingerprint,
    }


def _issue(finding: Finding) -> dict[str, Any]:
    lines = {"begin": line_in_new_file(finding)}
    if finding.anchor.side is Side.NEW:
        lines["end"] = finding.anchor.last.number
    return {
        "description": sentence(finding),
        "check_name": f"strop-{finding.category}",
        "fingerprint": finding.fingerprint,
        "severity": finding.severity,
        "location": {"path": finding.anchor.new_path, "lines": lines},
    }
