"""Real git repositories for tests, untouched by the settings of whoever runs them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, bytes | Path | None]

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "LC_ALL": "C",
}


def git(directory: Path, *arguments: str) -> bytes:
    """What git writes."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env={**environment, **ENVIRONMENT},
        check=True,
        capture_output=True,
    )
    return done.stdout


class Repository:
    """A working repository that makes one commit after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        git(self.directory, "init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> bytes:
        return git(self.directory, *arguments)

    def write(self, files: Files) -> None:
        """Put bytes at paths; None deletes, a Path makes a symbolic link."""
        for name, content in files.items():
            path = self.directory / name
            path.unlink(missing_ok=True)
            if content is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content)
            else:
                path.write_bytes(content)

    def commit(self, files: Files | None = None) -> str:
        """Write, add everything, commit; the new commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").decode().strip()
