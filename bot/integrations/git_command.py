"""Runs git so that a repository we do not trust can neither run code nor fill the memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # a missing git is told when it is needed

from git import Git
from git.exc import GitCommandNotFound

from bot.errors import GiveUp, Misconfigured, RetryLater
from bot.untrusted import one_line

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
TIME_LIMIT_S = 120.0
MAX_REASON = 200
TIMED_OUT = "Timeout: "  # what GitPython says in place of git when it had to end it

# No hook, monitor, pager or editor of the repository runs; paths are bytes, not patterns.
HARDENED = (
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "--literal-pathspecs",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "diff.suppressBlankEmpty=false",
)  # fmt: skip

# Nothing asks a person, and nothing reaches a network unless the caller names a protocol.
QUIET: Mapping[str, str] = MappingProxyType(
    {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_EXTERNAL_DIFF": "",
    }
)


class GitFailed(GiveUp):
    """Git ended with an error that its caller did not expect. `stderr` are git's words as
    they came; the message holds their first line, shortened."""

    def __init__(self, stderr: str) -> None:
        first = next((line for line in stderr.splitlines() if line.strip()), "no reason given")
        super().__init__(f"Git cannot do this here: {one_line(first, MAX_REASON)}")
        self.stderr = stderr


@dataclass(slots=True)
class Output:
    """What git wrote, up to `limit` bytes; `cut` says that there was more."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    cut: bool = False

    def write(self, chunk: bytes) -> None:
        """Keep what still fits. Git is read to its end, so that it never blocks."""
        room = self.limit - len(self.kept)
        self.cut = self.cut or len(chunk) > room
        self.kept += chunk[:room]


@dataclass(frozen=True, slots=True)
class GitCommand:
    """Git in one directory. `environment` is added to our own; `time_limit_s` holds for each
    command, after which git and its children are killed."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    time_limit_s: float = TIME_LIMIT_S

    def run(self, *arguments: str) -> bytes:
        """What git writes to its standard output.

        Raises GitFailed, Misconfigured if there is no git, RetryLater if it ran too long,
        GiveUp if it wrote more than MAX_OUTPUT_BYTES.
        """
        output = self.read(*arguments, limit=MAX_OUTPUT_BYTES)
        if output.cut:
            raise GiveUp(f"Git's answer is longer than {MAX_OUTPUT_BYTES} bytes")
        return bytes(output.kept)

    def read(self, *arguments: str, limit: int, stdin: bytes = b"") -> Output:
        """As `run`, but what does not fit into `limit` bytes is left out."""
        output = Output(limit)
        with TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            try:
                status, _, stderr = Git(self.directory).execute(
                    ["git", *HARDENED, *arguments],
                    istream=source,
                    output_stream=output,
                    stdout_as_string=False,
                    with_extended_output=True,
                    with_exceptions=False,
                    kill_after_timeout=self.time_limit_s,
                    env={**QUIET, **self.environment},
                )
            except GitCommandNotFound:
                raise Misconfigured("There is no git here: install git first") from None
        if status and stderr.startswith(TIMED_OUT):
            raise RetryLater(f"Git did not finish within {self.time_limit_s:g} seconds")
        if status:
            raise GitFailed(stderr)
        return output
