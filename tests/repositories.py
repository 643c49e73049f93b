"""Real git repositories for tests, untouched by the settings of whoever runs them."""

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "LC_ALL": "C",
}


def git(directory, *arguments, **more):
    """What git writes, as bytes."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env={**environment, **ENVIRONMENT},
        check=True,
        capture_output=True,
        **more,
    )
    return done.stdout


class Repository:
    """A working repository that makes one commit after the other."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        git(self.directory, "init", "--quiet", "--initial-branch=main")

    def git(self, *arguments, **more):
        return git(self.directory, *arguments, **more)

    def write(self, files):
        """Put bytes at paths; None deletes, a Path makes a symbolic link."""
        for name, content in files.items():
            path = os.path.join(os.fsencode(self.directory), os.fsencode(name))
            if os.path.lexists(path):
                os.unlink(path)
            if content is None:
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(content, Path):
                os.symlink(content, path)
            else:
                with open(path, "wb") as file:
                    file.write(content)

    def commit(self, files=None, message="change"):
        """Write, add everything, commit; the new commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def head(self):
        return self.git("rev-parse", "HEAD").decode().strip()
