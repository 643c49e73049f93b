"""The one choke point: every text that is posted to a forge is made here. Pure.

Words from outside (model, diff, title, paths) may only come through `prose` and `code`.
Both give one line without markup, which stands behind words of ours, so that it cannot begin
a line and thereby a heading, a list, a fence or a quick action.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from bot.domain import FileOutcome, FileState, Finding, HeldBack, Review
from bot.findings.phrases import phrases
from bot.findings.suggestions import block
from bot.untrusted import one_line

SUMMARY = "summary"
LONGEST = 10_000  # characters of a body; GitLab takes 1,000,000
_SENTENCE = 500
_PATH = 200
_FILES_NAMED = 30

# Characters that mean something inside a line of GitLab Flavored Markdown.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>!|~@#$%&^:]")
# Where a forge makes a reference, a mention or a link out of plain text, even out of escaped
# text: a word joiner is not seen, and takes the trigger and its name apart.
# https://docs.gitlab.com/user/markdown/#gitlab-specific-references
_TRIGGER = re.compile(
    r"[@#!~%$&^:\[{](?!\s)|/(?=/)|(?<=www)\.(?=\S)|(?<=[A-Z0-9])-(?=\d)", re.IGNORECASE
)
_CODE = re.compile(r"`([^`]+)`")
_WORD_JOINER = "\N{WORD JOINER}"
_MARKER = re.compile(r"<!-- strop:([0-9a-z]{1,64}) -->")


def prose(text: str) -> str:
    """Words from outside as Markdown of one line: what stands in backticks becomes code, all
    else means nothing to a forge."""
    parts = _CODE.split(one_line(text, _SENTENCE))
    return "".join(code(part) if at % 2 else _inert(part) for at, part in enumerate(parts))


def code(text: str) -> str:
    """Words from outside as an inline code span."""
    line = one_line(text, _PATH) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def _inert(text: str) -> str:
    split = _TRIGGER.sub(lambda found: found[0] + _WORD_JOINER, text)
    return _MARKUP.sub(lambda found: "\\" + found[0], split)


def marker(fingerprint: str) -> str:
    """What a body ends with, so that we know our own comments again."""
    return f"<!-- strop:{fingerprint} -->"


def summary_marker() -> str:
    """The marker of the one summary note."""
    return marker(SUMMARY)


def markers(body: str) -> frozenset[str]:
    """The fingerprint in a body of ours (`SUMMARY` in the summary note). Only the last line
    is looked at, where no text from outside ever stands. The caller makes sure that the body
    is by our own account."""
    found = _MARKER.fullmatch(body.rstrip().rpartition("\n")[2].strip())
    return frozenset({found[1]} if found else ())


def inline(finding: Finding, language: str = "en") -> str:
    """The body of a comment on the lines of a finding."""
    return _comment(finding, language, place="", suggestion=block(finding))


def on_file(finding: Finding, language: str = "en") -> str:
    """The body of the same comment where it can only stand on the file: it names the lines,
    and suggests nothing, since a suggestion replaces the lines it stands on."""
    first, last = finding.anchor.first.number, finding.anchor.last.number
    lines = f"{first}" if first == last else f"{first}-{last}"
    place = code(f"{finding.anchor.path}:{lines}")
    return _comment(finding, language, place=f"{place} · ", suggestion="")


def _comment(finding: Finding, language: str, *, place: str, suggestion: str) -> str:
    say = phrases(language)
    kind = f"**{say[finding.severity]} · {say[finding.category]}:**"
    parts = [
        f"{place}{kind} {prose(finding.claim)}",
        f"**{say['why']}:** {prose(finding.why)}" if finding.why.strip() else "",
        suggestion,
        f"*{say['unverified']}*",
        marker(finding.fingerprint),
    ]
    return _body(parts)


def summary(review: Review, language: str = "en", unplaced: Iterable[Finding] = ()) -> str:
    """The body of the summary note. It never calls an incomplete review clean. `unplaced`
    are findings whose lines the forge refused: they are told here instead."""
    say = phrases(language)
    parts = [
        f"### Strop: {_verdict(review, language)}",
        "" if review.complete else say["unfinished_why"],
        _unplaced(unplaced, language),
        _files(review.files, language),
        _held_back(review.held_back, language),
        _cost(review, language),
        say["react"],
        summary_marker(),
    ]
    return _body(parts)


def notice(reason: str, language: str = "en") -> str:
    """The body of the summary note where there is no review, and why."""
    say = phrases(language)
    heading = f"### Strop: {say['unfinished']}"
    return _body([heading, f"{say['failed']} {prose(reason)}", summary_marker()])


def _verdict(review: Review, language: str) -> str:
    say = phrases(language)
    words = [] if review.complete else [say["unfinished"]]
    if review.findings:
        words.append(say["findings"].format(count=len(review.findings)))
    return " · ".join(words) or say["clean"]


def _unplaced(findings: Iterable[Finding], language: str) -> str:
    say = phrases(language)
    lines = [
        f"- {code(f'{finding.anchor.path}:{finding.anchor.last.number}')}: "
        f"**{say[finding.severity]}** {prose(finding.claim)} {prose(finding.why)}"
        for finding in findings
    ]
    return "\n".join([f"**{say['unplaced']}**", *lines]) if lines else ""


def _files(files: Iterable[FileOutcome], language: str) -> str:
    """Every file with its outcome; the unread ones first, long lists folded by count."""
    say = phrases(language)
    order = [FileState.INCOMPLETE, FileState.SKIPPED, FileState.REVIEWED]
    ranked = sorted(files, key=lambda outcome: order.index(outcome.state))
    lines = [f"**{say['files']}**"]
    for outcome in ranked[:_FILES_NAMED]:
        reason = f" ({prose(outcome.reason)})" if outcome.reason else ""
        lines.append(f"- {code(outcome.path)}: {_state(outcome.state, language)}{reason}")
    for state, count in Counter(outcome.state for outcome in ranked[_FILES_NAMED:]).items():
        lines.append("- " + say["more"].format(count=count, state=_state(state, language)))
    return "\n".join(lines) if ranked else ""


def _state(state: FileState, language: str) -> str:
    return phrases(language)[state]


def _held_back(held: Iterable[HeldBack], language: str) -> str:
    say = phrases(language)
    counts = Counter(one.reason for one in held)
    reasons = [say[reason].format(count=count) for reason, count in counts.items()]
    return f"**{say['held']}** · " + " · ".join(reasons) if reasons else ""


def _cost(review: Review, language: str) -> str:
    say, usage = phrases(language), review.usage
    head = f" · {say['head']} {code(review.diff.head[:12])}" if review.diff.head else ""
    return (
        say["cost"].format(
            model=code(review.model.name),
            calls=usage.calls,
            remembered=usage.remembered,
            read=usage.prompt_tokens,
            cached=usage.cached_tokens,
            written=usage.output_tokens,
            seconds=round(usage.seconds),
        )
        + head
    )


def _body(parts: Iterable[str]) -> str:
    """Paragraphs, the last one being the marker. Only a summary can be too long; it is cut
    between lines, each of which is whole in itself."""
    *said, mark = (part for part in parts if part)
    text, room = "\n\n".join(said), LONGEST - len(mark) - 2
    if len(text) > room:
        text = text[:room].rpartition("\n")[0]
    return f"{text}\n\n{mark}"
