"""A bare git repository, driven by git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
CONFIG = """
[http]
    receivepack = true
[receive]
    hideRefs = refs/merge-requests
[uploadpack]
    allowAnySHA1InWant = true
"""


@dataclass(frozen=True)
class Person:
    """Who wrote or made a commit."""

    name: str
    email: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which git takes this person for author and committer."""
        roles = ("AUTHOR", "COMMITTER")
        return {f"GIT_{role}_NAME": self.name for role in roles} | {
            f"GIT_{role}_EMAIL": self.email for role in roles
        }


@dataclass(frozen=True)
class Commit:
    sha: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    authored_at: datetime
    committed_at: datetime
    message: str

    @property
    def title(self) -> str:
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True)
class Repository:
    """`path` is the bare repository's directory."""

    path: Path

    @classmethod
    def create(cls, path: Path, default_branch: str) -> Repository:
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--bare", f"--initial-branch={default_branch}")
        with (path / "config").open("a", encoding="utf-8") as config:
            config.write(CONFIG)
        return repository

    def git(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git here and return what it printed; CalledProcessError if it failed."""
        return subprocess.run(
            ["git", "-c", "core.quotePath=false", *args],
            cwd=self.path,
            input=stdin,
            env={**os.environ, **ENVIRONMENT, **(env or {})},
            capture_output=True,
            check=True,
        ).stdout

    def text(self, *args: str) -> str:
        return self.git(*args).decode("utf-8", "replace").strip()

    def resolve(self, revision: str) -> str | None:
        """The commit a revision names, or None."""
        try:
            return self.text(
                "rev-parse", "--verify", "--end-of-options", revision + "^{commit}"
            )
        except subprocess.CalledProcessError:
            return None

    def tip(self, branch: str) -> str | None:
        return self.resolve(f"refs/heads/{branch}")

    def branches(self) -> dict[str, str]:
        """The tip of every branch by name."""
        lines = self.text(
            "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"
        )
        return {
            name: sha for sha, _, name in (line.partition(" ") for line in lines.splitlines())
        }

    def merge_base(self, one: str, other: str) -> str | None:
        try:
            return self.text("merge-base", one, other)
        except subprocess.CalledProcessError:
            return None

    def point(self, ref: str, sha: str) -> None:
        self.git("update-ref", ref, sha)

    def delete_branch(self, branch: str) -> None:
        self.git("update-ref", "-d", f"refs/heads/{branch}")

    def read(self, commit: str, path: str) -> bytes | None:
        try:
            return self.git("cat-file", "blob", f"{commit}:{path}")
        except subprocess.CalledProcessError:
            return None

    def commits(self, revisions: str, limit: int = 100) -> list[Commit]:
        """The commits of a range like `base..head`, newest first."""
        fields = "%H%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%aI%x00%cI%x00%B"
        out = self.git("log", "-z", f"-n{limit}", f"--format={fields}", revisions, "--")
        parts = out.decode("utf-8", "replace").split("\0")
        return [_commit(parts[at : at + 9]) for at in range(0, len(parts) - 1, 9)]

    def commit(
        self,
        branch: str,
        files: Mapping[str, bytes | None],
        message: str,
        author: Person,
        committer: Person | None = None,
    ) -> str:
        """Commit on top of a branch (made if it is missing) without a checkout; a file whose
        content is None is removed. Returns the SHA."""
        parent = self.tip(branch)
        stream = [
            f"commit refs/heads/{branch}\n".encode(),
            f"author {author.name} <{author.email}> now\n".encode(),
            f"committer {(committer or author).name} <{(committer or author).email}> now\n".encode(),
            _data(message.encode()),
            f"from {parent}\n".encode() if parent else b"",
        ]
        modes = self._modes(parent, files) if parent else {}
        for path, content in files.items():
            stream.append(_change(path, modes.get(path, "100644"), content))
        self.git("fast-import", "--quiet", "--date-format=now", stdin=b"".join(stream))
        return self.text("rev-parse", f"refs/heads/{branch}")

    def _modes(self, commit: str, paths: Iterable[str]) -> dict[str, str]:
        """The modes of the files that are there."""
        entries = self.git("ls-tree", "-r", "-z", commit, "--", *paths).decode().split("\0")
        return {entry.partition("\t")[2]: entry.partition(" ")[0] for entry in entries}

    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """The tree of two commits merged, or None if they conflict."""
        try:
            return self.text("merge-tree", "--write-tree", ours, theirs)
        except subprocess.CalledProcessError:
            return None

    def commit_merge(
        self, branch: str, tree: str, theirs: str, message: str, by: Person
    ) -> str:
        """Put a merge commit of `theirs`, whose tree is known, on a branch."""
        ours = self.text("rev-parse", f"refs/heads/{branch}")
        parents = ["-p", ours, "-p", theirs]
        made = self.git(
            "commit-tree", tree, *parents, stdin=message.encode(), env=by.environment
        )
        sha = made.decode().strip()
        self.git("update-ref", f"refs/heads/{branch}", sha, ours)
        return sha


def _data(content: bytes) -> bytes:
    """Content in a stream of `git fast-import`."""
    return b"data %d\n%b\n" % (len(content), content)


def _change(path: str, mode: str, content: bytes | None) -> bytes:
    if content is None:
        return f"D {path}\n".encode()
    return f"M {mode} inline {path}\n".encode() + _data(content)


def _commit(fields: list[str]) -> Commit:
    sha, parents, author, author_mail, committer, committer_mail, at, done, message = fields
    return Commit(
        sha=sha,
        parents=tuple(parents.split()),
        author=Person(author, author_mail),
        committer=Person(committer, committer_mail),
        authored_at=datetime.fromisoformat(at),
        committed_at=datetime.fromisoformat(done),
        message=message,
    )
