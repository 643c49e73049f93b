"""`strop` and `python -m bot`: turn errors meant for people into words and exit codes."""

from __future__ import annotations

import sys

import click

from bot.cli import main as commands
from bot.errors import StropError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; no traceback reaches a person."""
    try:
        sys.exit(commands(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("strop: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except StropError as error:
        click.echo(f"strop: {error}", err=True)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
