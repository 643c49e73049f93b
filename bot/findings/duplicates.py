"""Say a thing once, and not too much: fingerprints, repeats and quotas. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bot.domain import Category, Finding, HeldBack, HoldReason


def fingerprint(path: str, code: Sequence[str], category: Category) -> str:
    """What a remark is about, as 32 hex digits.

    Made of the file, the kind of trouble and the anchored code without its white space. So
    it survives a rebase, moved or re-indented lines and another wording; it changes when the
    code does. The path is part of it because lines such as `return None` are everywhere.
    """
    normalised = "\n".join(line for line in map(_without_space, code) if line)
    return hashlib.sha256(f"{path}\0{category}\0{normalised}".encode()).hexdigest()[:32]


def select(
    findings: Iterable[Finding], *, per_file: int, total: int
) -> tuple[tuple[Finding, ...], tuple[HeldBack, ...]]:
    """The findings to show, worst first, and those held back as repeats or over a quota.

    A repeat is a remark on the same code, or the same sentence said of another place: a
    small model likes to say one sentence everywhere.
    """
    shown: list[Finding] = []
    held: list[HeldBack] = []
    said: set[str] = set()
    in_file: Counter[str] = Counter()
    for finding in sorted(findings, key=lambda f: -f.severity.rank):
        keys = {finding.fingerprint, words(finding.claim)}
        path = finding.anchor.path
        if keys & said:
            held.append(HeldBack(path, finding.claim, HoldReason.DUPLICATE, finding))
        elif in_file[path] >= per_file or len(shown) >= total:
            held.append(HeldBack(path, finding.claim, HoldReason.QUOTA, finding))
        else:
            said |= keys
            in_file[path] += 1
            shown.append(finding)
    return tuple(shown), tuple(held)


def words(text: str) -> str:
    """The words of a text, lower case, one space between them: equal for equal wording."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _without_space(line: str) -> str:
    return "".join(line.split())
