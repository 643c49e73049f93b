"""Reports for machines hold what their readers demand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from bot.domain import (
    Anchor,
    Category,
    FileOutcome,
    FileState,
    HeldBack,
    HoldReason,
    LineKind,
    LinePoint,
    Severity,
)
from bot.findings import reports, sarif
from tests.findings.samples import finding, review

UNREAD = FileOutcome("b.py", FileState.INCOMPLETE, "the time limit was reached")
REMOVED = LinePoint(LineKind.REMOVED, 7, 5)


def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
    log = json.loads(sarif.as_sarif(review(*args, **kwargs)))
    assert log["version"] == "2.1.0"
    [only] = log["runs"]
    return dict(only)


def test_json_holds_the_whole_review_and_says_whether_it_is_complete() -> None:
    held = HeldBack("a.py", "x", HoldReason.ECHO)
    report = json.loads(reports.as_json(review(finding(), files=(UNREAD,), held_back=[held])))
    assert report["complete"] is False
    assert report["files"] == [
        {"path": "b.py", "state": "incomplete", "reason": "the time limit was reached"}
    ]
    assert report["held_back"] == [{"path": "a.py", "claim": "x", "reason": "echo"}]
    assert report["model"] == {"name": "small-model", "digest": "f" * 64}
    [found] = report["findings"]
    assert (found["path"], found["side"], found["first_line"]) == ("pick.py", "new", 2)
    assert found["severity"] == "major"


def test_code_quality_has_every_field_gitlab_requires() -> None:
    text = reports.as_codequality(review(finding(first=2, last=4)))
    assert text.startswith("[")  # no byte order mark
    assert json.loads(text) == [
        {
            "description": "The bound is off by one The last item is lost",
            "check_name": "strop-correctness",
            "fingerprint": "0123456789abcdef0123456789abcdef",
            "severity": "major",
            "location": {"path": "pick.py", "lines": {"begin": 2, "end": 4}},
        }
    ]


def test_code_quality_knows_each_of_our_severities() -> None:
    known = {"info", "minor", "major", "critical", "blocker"}
    assert {str(severity) for severity in Severity} <= known


def test_a_review_without_findings_is_an_empty_list() -> None:
    assert json.loads(reports.as_codequality(review())) == []


def test_a_remark_on_removed_lines_stands_on_the_line_that_follows() -> None:
    removed = replace(finding(), anchor=Anchor("old.py", "new.py", REMOVED, REMOVED))
    [issue] = json.loads(reports.as_codequality(review(removed)))
    assert issue["location"] == {"path": "new.py", "lines": {"begin": 5}}
    [result] = run(removed)["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 5}


def test_words_in_a_report_are_one_visible_line() -> None:
    [issue] = json.loads(reports.as_codequality(review(finding("a\x1b[2J\nb\u202ec", ""))))
    assert issue["description"] == "a<U+001B>[2J b<U+202E>c"


def test_a_sarif_result_points_at_its_rule_its_place_and_its_fingerprint() -> None:
    one = run(finding(path="src/ä b.py", first=3, last=4, severity=Severity.CRITICAL))
    [result] = one["results"]
    rule = one["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "strop/correctness"
    place = result["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 3, "endLine": 4}
    assert place["artifactLocation"]["uri"].isascii()
    assert unquote(place["artifactLocation"]["uri"]) == "src/ä b.py"
    assert result["level"] == "error"
    assert result["partialFingerprints"] == {"strop/v1": finding().fingerprint}


def test_sarif_has_a_rule_for_each_category_and_a_level_for_each_severity() -> None:
    found = [
        finding(category=category, severity=severity)
        for category in Category
        for severity in Severity
    ]
    levels = {result["level"] for result in run(*found)["results"]}
    assert levels == {"note", "warning", "error"}


def test_sarif_says_when_a_review_is_not_complete() -> None:
    [invocation] = run(files=(UNREAD,))["invocations"]
    assert invocation["executionSuccessful"] is False
    [note] = invocation["toolExecutionNotifications"]
    assert note["level"] == "error"
    assert note["message"]["text"] == "incomplete: the time limit was reached"
    [clean] = run()["invocations"]
    assert clean == {"executionSuccessful": True, "toolExecutionNotifications": []}
