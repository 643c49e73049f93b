"""The command line: one file a command, loaded only when it is called."""

from __future__ import annotations

import importlib

import click

from bot import __version__

COMMANDS = {
    "config": "bot.cli.config",
    "connect": "bot.cli.connect",
    "doctor": "bot.cli.doctor",
    "model": "bot.cli.model",
    "review": "bot.cli.review",
    "serve": "bot.cli.serve",
}
SUMMARIES = {
    "config": "Show the settings in force, secrets hidden.",
    "connect": "Make or repair the webhook of a project.",
    "doctor": "Check that everything Strop needs is there, and say what to do.",
    "model": "List, get, check and convert models.",
    "review": "Review a range of commits, or what is staged.",
    "serve": "Answer webhooks and review merge requests.",
}


class LazyGroup(click.Group):
    """Commands are imported when they run, so that `strop --help` and hooks start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing anything."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command; it holds the command as `command`."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in `--help`, from the summaries above."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(SUMMARIES.items()))


@click.group(
    cls=LazyGroup,
    help="Review changes with a model that runs on your own machine.",
    epilog="Settings: strop.toml or STROP_… variables; in a repository: .strop.toml.",
)
@click.version_option(__version__, prog_name="strop")
def main() -> None:
    """Entry point of the `strop` command."""
