"""A git repository, read through plumbing: objects and the index, never a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bot.domain import Diff, FileDiff, FileKind
from bot.errors import GiveUp, Gone, Misconfigured, Skip
from bot.integrations.git_command import MAX_OUTPUT_BYTES, GitCommand, GitFailed
from bot.untrusted import one_line

MAX_FILE_BYTES = 1024 * 1024
NOT_IN_A_TREE = frozenset({"", ".", ".."})  # parts that no path in a tree has
REGULAR_FILES = ("100644", "100755")

# Renames as GitLab finds them (Gitaly, diff service: 30 %), since a comment on a renamed file
# must name both of its paths as GitLab does. The rest keeps a user's settings out.
DIFF_OPTIONS = (
    "--raw", "-z", "--no-abbrev", "--patch", "--full-index", "--unified=3",
    "--find-renames=30%", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative",
    "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=none", "--submodule=short",
)  # fmt: skip

# Where a clone remembers the branch that changes are merged into, best answer first.
DEFAULT_BRANCHES = (
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)


class DiffParser(Protocol):
    """What turns the two parts of git's answer into a `Diff`: `bot.context.diff.parse`."""

    def __call__(
        self, raw: bytes, patch: bytes, *, base: str, head: str | None, cut: bool
    ) -> Diff:
        """The diff; `cut` says that `patch` is not whole."""


class GitRepository:
    """A repository on this machine; implements `ports.Repository`.

    `directory` is the top of a working tree or a bare repository. Files of more than
    `max_file_bytes` and what comes after `max_bytes` of patch are of kind OVERSIZED.
    """

    def __init__(
        self,
        directory: Path,
        parse: DiffParser,
        *,
        environment: Mapping[str, str] | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_bytes: int = MAX_OUTPUT_BYTES,
    ) -> None:
        self.directory = directory
        self._parse = parse
        self._git = GitCommand(directory, environment or {})
        self._max_file_bytes = max_file_bytes
        self._max_bytes = max_bytes

    @classmethod
    def discover(cls, inside: Path, parse: DiffParser) -> GitRepository:
        """The repository that `inside` belongs to. Raises Misconfigured if there is none, or
        if git does not trust its owner."""
        git = GitCommand(inside)
        try:
            bare = git.run("rev-parse", "--is-bare-repository") == b"true\n"
            where = "--absolute-git-dir" if bare else "--show-toplevel"
            top = (
                git.run("rev-parse", where).removesuffix(b"\n").decode(errors="surrogateescape")
            )
        except GitFailed as failed:
            raise Misconfigured(_explain(inside, failed.stderr)) from None
        return cls(Path(top), parse)

    def diff(self, base: str, head: str) -> Diff:
        """What changed from `base` to `head`, which are commits by any name git knows.

        Raises Gone if one of them is not here.
        """
        old, new = self._object(base), self._object(head)
        return self._diff(old, new, "diff-tree", "-r", *DIFF_OPTIONS, old, new)

    def staged(self) -> Diff:
        """What is in the index, against HEAD, or against nothing before the first commit.

        Raises Malformed if the index holds a merge conflict.
        """
        try:
            old = self._object("HEAD")
        except Gone:
            old = self._git.run("hash-object", "-t", "tree", "/dev/null").decode().strip()
        return self._diff(old, None, "diff-index", "--cached", *DIFF_OPTIONS, old)

    def read(self, commit: str | None, path: str) -> bytes | None:
        """The bytes of a regular file at a commit, or in the index if `commit` is None; None
        if there is no such file.

        Raises Gone if there is no such commit, GiveUp if the file is larger than can be kept.
        """
        if not _fits_argv(path) or not NOT_IN_A_TREE.isdisjoint(path.split("/")):
            return None
        if commit is None:
            listed = self._git.run("ls-files", "--stage", "-z", "--", path)
        else:
            tree = self._object(commit)
            listed = self._git.run("ls-tree", "-z", "--full-tree", tree, "--", path)
        blob = _blob(listed, path)
        return None if blob is None else self._git.run("cat-file", "blob", blob)

    def resolve_range(self, text: str | None) -> tuple[str, str]:
        """The two commits that a range of the command line means, read as `git diff` does.

        `A..B` is from A to B; `A...B` from where B left A; `A` alone is `A..HEAD` (what is
        not committed is never read; see `staged`); an end left out is HEAD. Without a range
        it is from where HEAD left the default branch.

        Raises Gone if a commit is not here, GiveUp if two have no common ancestor, Skip if
        nothing is ahead of the default branch, Misconfigured if that branch is unknown.
        """
        if not text:
            return self._since_default_branch()
        for dots in ("...", ".."):
            left, found, right = text.partition(dots)
            if found:
                base, head = self._object(left or "HEAD"), self._object(right or "HEAD")
                return (self._merge_base(base, head) if dots == "..." else base), head
        return self._object(text), self._object("HEAD")

    def default_branch_commit(self) -> str | None:
        """The tip of the branch that changes are merged into: what `origin` says, else a
        branch called main or master; None if there is none."""
        for name in DEFAULT_BRANCHES:
            try:
                return self._object(name)
            except Gone:
                continue
        return None

    def _since_default_branch(self) -> tuple[str, str]:
        trunk, head = self.default_branch_commit(), self._object("HEAD")
        if trunk is None:
            raise Misconfigured("The default branch is unknown: name a range like HEAD~1..HEAD")
        base = self._merge_base(trunk, head)
        if base == head:
            raise Skip(
                "HEAD has nothing that the default branch lacks: name a range like"
                " HEAD~1..HEAD, or use --staged"
            )
        return base, head

    def _merge_base(self, one: str, other: str) -> str:
        try:
            return self._git.run("merge-base", one, other).decode().strip()
        except GitFailed:
            raise GiveUp("The two commits have no common ancestor: name them as A..B") from None

    def _object(self, name: str) -> str:
        """The id of a commit, or of a tree (a diff can start from the empty one)."""
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        try:
            if name and _fits_argv(name):
                return self._git.run(*verify, f"{name}^{{}}").decode().strip()
        except GitFailed:
            pass
        raise Gone(f"There is no commit {one_line(name, 80)!r} in this repository")

    def _diff(self, base: str, head: str | None, *command: str) -> Diff:
        limit = f"core.bigFileThreshold={self._max_file_bytes}"
        output = self._git.read("-c", limit, *command, "--", limit=self._max_bytes)
        raw, separator, patch = bytes(output.kept).partition(b"\0\0")
        if output.cut and not separator:
            raise GiveUp("This change touches more files than can be listed")
        diff = self._parse(raw, patch, base=base, head=head, cut=output.cut)
        return replace(diff, files=self._measured(diff.files))

    def _measured(self, files: tuple[FileDiff, ...]) -> tuple[FileDiff, ...]:
        """Git calls a file above the threshold binary without looking into it."""
        shown = [file for file in files if file.kind is FileKind.BINARY]
        blobs = {blob for file in shown for blob in (file.old_blob, file.new_blob) if blob}
        if not blobs:
            return files
        check = ("cat-file", "--batch-check=%(objectsize) %(objectname)")
        answer = self._git.read(
            *check, limit=MAX_OUTPUT_BYTES, stdin="\n".join(blobs).encode() + b"\n"
        )
        sizes = (line.split(" ") for line in answer.kept.decode().splitlines())
        large = {
            blob for size, blob in sizes if size.isdigit() and int(size) > self._max_file_bytes
        }
        return tuple(
            replace(file, kind=FileKind.OVERSIZED)
            if file.kind is FileKind.BINARY and large & {file.old_blob, file.new_blob}
            else file
            for file in files
        )


def _blob(listed: bytes, path: str) -> str | None:
    """The blob of `path` in what `ls-tree -z` or `ls-files --stage -z` listed."""
    for entry in listed.split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        if name == path.encode(errors="surrogateescape"):
            mode, *rest = facts.decode().split(" ")
            blob = rest[1] if rest[0] == "blob" else rest[0]
            return blob if mode in REGULAR_FILES else None
    return None


def _fits_argv(text: str) -> bool:
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _explain(directory: Path, stderr: str) -> str:
    if "dubious ownership" in stderr:
        return (
            f"{directory} belongs to another user: if you trust it, run"
            f" git config --global --add safe.directory {directory}"
        )
    return f"{directory} is not inside a git repository: change to one, or run git init"
