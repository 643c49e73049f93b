"""Run a sandbox forge by hand: `python -m tests.sandbox --port P --directory D`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from tests.sandbox import Role, SandboxGitLab


@click.command()
@click.option("--port", default=0, show_default="a free one")
@click.option("--directory", type=click.Path(path_type=Path), required=True)
@click.option("--project", "path", default="bank/app", show_default=True)
def main(port: int, directory: Path, path: str) -> None:
    """Start a forge with one empty project, a Maintainer and a bot; stop it with Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with SandboxGitLab(directory, port=port) as forge:
        roles = {"alice": Role.MAINTAINER, "strop": Role.DEVELOPER}
        members = {forge.add_user(name): role for name, role in roles.items()}
        project = forge.create_project(path, members=members)
        click.echo(f"url {forge.url}")
        for user in members:
            click.echo(f"token {user.username} {user.token}")
            click.echo(f"git {user.username} {forge.git_url(project, user)}")
        stopped.wait()


main()
