"""A bot, a person and a merge request on the stand-in, seen through the real client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.context.diff import parse
from bot.domain import Anchor, Diff, FileDiff, LinePoint, MergeRequest
from bot.findings import rendering
from bot.integrations.git import GitRepository
from bot.integrations.gitlab import GitLabForge
from bot.ports import Remark
from tests.sandbox import MergeRequest as Served
from tests.sandbox import Note, Project, Role, SandboxGitLab, User

BEFORE = [f"line {number}" for number in range(1, 31)]
# Line 3 is replaced by two, line 10 removed, and one added after line 20.
AFTER = [
    *BEFORE[:2], "third", "third and a half", *BEFORE[3:9], *BEFORE[10:20], "new", *BEFORE[20:],
]  # fmt: skip
TALE = "\n".join(f"tale {number}" for number in range(1, 21))


def lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


OLD: dict[str, str | bytes | None] = {
    "app.py": lines(BEFORE),
    "gone.py": "one\ntwo\nthree\n",
    "old name.py": f"{TALE}\n",
    "pic.png": b"\x89PNG\x00",
}
NEW: dict[str, str | bytes | None] = {
    "app.py": lines(AFTER),
    "gone.py": None,
    "old name.py": None,
    "nëw name.py": f"first\n{TALE}\n",
    "added.py": "a\nb\nc\n",
    "pic.png": b"\x89PNG\x00\x00",
}


@dataclass
class Scene:
    sandbox: SandboxGitLab
    project: Project
    alice: User
    bot: User
    served: Served
    slept: list[float] = field(default_factory=list)

    def forge(self, **changes: Any) -> GitLabForge:
        """Our client; what it would have slept is noted in `slept`."""
        settings: dict[str, Any] = {
            "token": self.bot.token,
            "markers": rendering.markers,
            "is_summary": lambda body: rendering.SUMMARY in rendering.markers(body),
            "timeout_s": 10.0,
            "max_wait_s": 60.0,
            "post_gap_s": 0.0,
            "sleep": self.slept.append,
        }
        return GitLabForge(self.sandbox.url, **(settings | changes))

    @property
    def merge_request(self) -> MergeRequest:
        return self.forge().merge_request(self.project.id, self.served.iid)

    @property
    def diff(self) -> Diff:
        version = self.served.version
        repository = GitRepository(self.project.repository.path, parse)
        return repository.diff(version.base, version.head)

    @property
    def notes(self) -> list[Note]:
        """All there are, by anybody."""
        return self.served.notes

    def asked(self, method: str, path: str) -> int:
        """How many requests so far went to a path."""
        return sum(r.method == method and path in r.path for r in self.sandbox.requests)


@contextmanager
def scene(directory: Path, **settings: Any) -> Iterator[Scene]:
    with SandboxGitLab(directory, **settings) as sandbox:
        alice, bot = sandbox.add_user("alice"), sandbox.add_user("strop")
        members = {alice: Role.MAINTAINER, bot: Role.DEVELOPER}
        project = sandbox.create_project("bank/app", members=members)
        sandbox.commit(project, "main", OLD, user=alice)
        sandbox.commit(project, "topic", NEW, user=alice, start="main")
        served = sandbox.open_merge_request(project, alice, source="topic", title="A change")
        yield Scene(sandbox, project, alice, bot, served)


def anchor(diff: Diff, path: str, first: str, last: str | None = None) -> Anchor:
    """The lines of a file from one label to another."""
    file = next(file for file in diff.files if file.path == path)
    return Anchor(
        file.old_path, file.new_path, _point(file, first), _point(file, last or first)
    )


def _point(file: FileDiff, label: str) -> LinePoint:
    found = (line for hunk in file.hunks for line in hunk.lines if line.label == label)
    line = next(found)
    return LinePoint(line.kind, line.old, line.new)


def remark(where: Anchor, fingerprint: str = "f1") -> Remark:
    mark = rendering.marker(fingerprint)
    return Remark(where, fingerprint, f"Is this right?\n\n{mark}", f"Is `x` right?\n\n{mark}")
