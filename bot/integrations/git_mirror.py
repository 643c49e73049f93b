"""Bare mirrors of a forge's projects, fetched over HTTP with a token that touches no disk.

A mirror has the whole history of the default branch and of each merge request it was asked
about: GitLab's `base_sha` is then always there, later fetches send only what is new, and
nothing depends on a server's rules for shallow clones. It is never checked out.
"""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from bot.domain import MergeRequest, Project
from bot.errors import Gone, Misconfigured, RetryLater, StropError
from bot.integrations.git import DiffParser, GitRepository
from bot.integrations.git_command import GitCommand, GitFailed

FETCH_LIMIT_S = 900.0
SLOW_BYTES_PER_S = 1000
PROTOCOLS = ("http", "https")

# What git says, and what it means for us; the first that fits counts.
MEANINGS: dict[str, tuple[type[StropError], str]] = {
    r"couldn't find remote ref|not our ref|unadvertised object": (
        Gone,
        "The commits are not in the project any more",
    ),
    r"no space left|disk quota": (
        RetryLater,
        "There is no room for the mirror: free some space in mirrors.directory",
    ),
    r"certificate|CAfile": (
        Misconfigured,
        "The certificate of GitLab is not trusted: set gitlab.ca_file to one that signed it",
    ),
    r"returned error: 30\d|redirect": (
        Misconfigured,
        "GitLab sends git to another address: set gitlab.url to the final one",
    ),
    r"authentication failed|access denied|could not read (username|password)"
    r"|repository .*not found|returned error: 40[134]": (
        Misconfigured,
        "GitLab does not show us the repository: the token needs the scope read_repository",
    ),
    r"could not resolve|connect|timed out|too slow|early eof|hung up|empty reply"
    r"|rpc failed|returned error: (429|5\d\d)": (
        RetryLater,
        "GitLab does not answer git: check gitlab.url and the network",
    ),
}


class GitMirrors:
    """The mirrors, in one directory, of the projects of the forge at `url`; implements
    `ports.Mirror`.

    `token` needs the right to read repositories. `ca_file` replaces the system's
    certificates. `stall_s` is how long, in seconds, a connection may be slower than 1 kB/s,
    and `time_limit_s` how long a whole fetch may take.
    """

    def __init__(
        self,
        directory: Path,
        url: str,
        token: str,
        parse: DiffParser,
        *,
        ca_file: Path | None = None,
        stall_s: float = 30.0,
        time_limit_s: float = FETCH_LIMIT_S,
    ) -> None:
        forge = urlsplit(url)
        self._directory = directory.absolute()
        self._site = f"{forge.scheme}://{forge.netloc}"
        self._name = re.sub(r"[^a-z0-9.-]", "_", forge.netloc.lower())
        self._parse = parse
        self._time_limit_s = time_limit_s
        self._environment = _environment(self._site, token, ca_file, stall_s)

    def refreshed(self, project: Project, merge_request: MergeRequest | None) -> GitRepository:
        """The mirror of a project, fetched now. Two workers never fetch the same one at the
        same time, and one that cannot be fetched into any more is made anew."""
        remote = self._remote(project)
        place = self._directory / f"{self._name}-{project.id}.git"
        own = {**self._environment, "GIT_DIR": str(place)}
        mirror = _Mirror(GitCommand(place, own, self._time_limit_s), remote)
        with self._locked(place):
            try:
                mirror.refresh(project, merge_request)
            except GitFailed as failed:
                if mirror.is_sound():
                    raise RetryLater(str(failed)) from None
                shutil.rmtree(place)
                mirror.refresh(project, merge_request)
        return GitRepository(place, self._parse, environment={"GIT_DIR": str(place)})

    def _remote(self, project: Project) -> str:
        """The project's address, on the forge that was configured and nowhere else: the
        token must not follow an address that came over the network."""
        given = urlsplit(project.clone_url)
        site = f"{given.scheme}://{given.netloc}"
        if site != self._site or given.scheme not in PROTOCOLS:
            raise Misconfigured(
                f"GitLab says that its repositories are at another address than {self._site}:"
                " set gitlab.url to the external URL of GitLab"
            )
        return f"{site}{given.path}"

    @contextmanager
    def _locked(self, place: Path) -> Iterator[None]:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with FileLock(f"{place}.lock", timeout=self._time_limit_s):
                yield
        except Timeout:
            raise RetryLater("Another worker is still fetching this project") from None


@dataclass(frozen=True, slots=True)
class _Mirror:
    """One mirror, while its lock is held."""

    git: GitCommand
    remote: str

    def refresh(self, project: Project, merge_request: MergeRequest | None) -> None:
        """Fetch the default branch and what the merge request needs.

        Raises GitFailed if the mirror is broken; see MEANINGS for all other troubles.
        """
        place = self.git.directory
        place.mkdir(exist_ok=True, mode=0o700)
        _clean(place)
        self.git.run("init", "--quiet", "--bare", "--template=")
        if project.default_branch:
            branch = f"refs/heads/{project.default_branch}"
            self._fetch(f"+{branch}:{branch}")
            for name in ("HEAD", "refs/remotes/origin/HEAD"):
                self.git.run("symbolic-ref", name, branch)
        if merge_request is not None:
            self._fetch_merge_request(merge_request)

    def is_sound(self) -> bool:
        """Whether every object that a ref needs is here and readable."""
        try:
            self.git.run("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
        except GitFailed:
            return False
        return True

    def _fetch_merge_request(self, merge_request: MergeRequest) -> None:
        """By its ref, which outlives its branch; what that has not (any more) by name."""
        needed = [sha for sha in (merge_request.base_sha, merge_request.head_sha) if sha]
        ref = f"refs/merge-requests/{merge_request.iid}/head"
        try:
            self._fetch(f"+{ref}:{ref}")
        except Gone:
            if not needed:
                raise
        missing = [sha for sha in needed if not self._has(sha)]
        if missing:
            self._fetch(*missing)

    def _fetch(self, *refs: str) -> None:
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        try:
            self.git.run("fetch", *options, "--end-of-options", self.remote, *refs)
        except GitFailed as failed:
            raise _meaning(failed, self.remote) from None

    def _has(self, sha: str) -> bool:
        try:
            self.git.run("cat-file", "-e", f"{sha}^{{commit}}")
        except GitFailed:
            return False
        return True


def _meaning(failed: GitFailed, remote: str) -> StropError:
    said = failed.stderr.replace(remote, "")  # it holds words of the forge's choice
    for words, (error, message) in MEANINGS.items():
        if re.search(words, said, re.IGNORECASE):
            return error(message)
    return failed


def _environment(
    site: str, token: str, ca_file: Path | None, stall_s: float
) -> Mapping[str, str]:
    """Git's settings for one forge, as variables: the token is in no argument, address or
    file, and is sent to that site alone. Nothing of the operator's own settings applies."""
    login = b64encode(f"oauth2:{token}".encode()).decode()
    settings = {
        f"http.{site}/.extraHeader": f"Authorization: Basic {login}",
        "http.followRedirects": "false",
        "http.sslVerify": "true",
        "http.lowSpeedLimit": str(SLOW_BYTES_PER_S),
        "http.lowSpeedTime": str(max(round(stall_s), 1)),
        "credential.helper": "",
        "fetch.unpackLimit": "1",
        "gc.autoDetach": "false",
        "maintenance.autoDetach": "false",
    }
    keys = {f"GIT_CONFIG_KEY_{number}": key for number, key in enumerate(settings)}
    values = {f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(settings.values())}
    return {
        **keys,
        **values,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": site.partition(":")[0],
        **({"GIT_SSL_CAINFO": str(ca_file)} if ca_file else {}),
    }


def _clean(place: Path) -> None:
    """Remove what a killed git left behind; we hold the lock, so nothing of it is in use."""
    for pattern in ("*.lock", "tmp_*", "gc.pid"):
        for left in place.rglob(pattern):
            left.unlink(missing_ok=True)
