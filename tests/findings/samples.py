"""Small values to make findings and reviews from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.domain import (
    Anchor,
    Category,
    Context,
    Diff,
    DiffLine,
    FileDiff,
    FileKind,
    FileOutcome,
    FileState,
    FileStatus,
    Finding,
    HeldBack,
    Hunk,
    LineKind,
    LinePoint,
    ModelIdentity,
    RawFinding,
    Review,
    Severity,
    Usage,
)

CODE = """\
 def pick(items, at):
-    if at > len(items):
-        return None
+    if at >= len(items):
+        raise IndexError(at)
     return items[at]
"""


def hunk(patch: str = CODE, old: int = 1, new: int = 1) -> Hunk:
    """A hunk from the lines of a patch."""
    lines, old_at, new_at = [], old, new
    for row in patch.rstrip("\n").split("\n"):
        kind = LineKind(row[:1] or " ")
        lines.append(DiffLine(kind, row[1:], old_at, new_at))
        old_at += kind is not LineKind.ADDED
        new_at += kind is not LineKind.REMOVED
    return Hunk(old, old_at - old, new, new_at - new, "", tuple(lines))


def file_diff(*hunks: Hunk, path: str = "pick.py", encoding: str = "utf-8") -> FileDiff:
    return FileDiff(
        old_path=path,
        new_path=path,
        status=FileStatus.MODIFIED,
        kind=FileKind.TEXT,
        old_mode="100644",
        new_mode="100644",
        hunks=hunks or (hunk(),),
        encoding=encoding,
    )


def context(*hunks: Hunk, path: str = "pick.py", encoding: str = "utf-8") -> Context:
    file = file_diff(*hunks, path=path, encoding=encoding)
    text = "\n".join(
        f"{line.label} {line.kind} {line.text}" for hunk in file.hunks for line in hunk.lines
    )
    return Context(file, file.hunks, text, (), 100)


def raw(first: str = "2", last: str = "2", **fields: Any) -> RawFinding:
    values: dict[str, Any] = {
        "claim": "Asking for one past the end now raises instead of giving nothing back",
        "why": "A caller that passes the length gets an exception",
        "category": Category.CORRECTNESS,
        "severity": Severity.MAJOR,
        **fields,
    }
    return RawFinding(first, last, **values)


def finding(
    claim: str = "The bound is off by one",
    why: str = "The last item is lost",
    first: int = 2,
    last: int = 2,
    path: str = "pick.py",
    **fields: Any,
) -> Finding:
    values: dict[str, Any] = {
        "severity": Severity.MAJOR,
        "category": Category.CORRECTNESS,
        "fingerprint": "0123456789abcdef0123456789abcdef",
        "code": ("    if at >= len(items):",),
        **fields,
    }
    points = (LinePoint(LineKind.ADDED, 2, number) for number in (first, last))
    return Finding(anchor=Anchor(path, path, *points), claim=claim, why=why, **values)


def review(
    *findings: Finding,
    files: tuple[FileOutcome, ...] = (FileOutcome("pick.py", FileState.REVIEWED),),
    held_back: Iterable[HeldBack] = (),
    **fields: Any,
) -> Review:
    values: dict[str, Any] = {
        "diff": Diff("b" * 40, "a" * 40, (file_diff(),)),
        "model": ModelIdentity("small-model", "f" * 64),
        "usage": Usage(3, 1, 900, 600, 80, 12.4),
        **fields,
    }
    return Review(findings=findings, files=files, held_back=tuple(held_back), **values)
