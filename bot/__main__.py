"""`strop` and `python -m bot`: turn errors meant for people into words and exit codes."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import click

from bot.cli import main as commands
from bot.errors import StropError
from bot.untrusted import one_line

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
LONGEST_REASON = 300


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
    except Exception as error:  # noqa: BLE001 - exit code 1 means findings, and stops a commit
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"{Path(last.filename).name}:{last.lineno}"
        click.echo(
            "strop: an error inside Strop, please report it: "
            f"{type(error).__name__} at {where}: "
            f"{one_line(str(error), LONGEST_REASON)}",
            err=True,
        )
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
