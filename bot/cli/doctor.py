"""`strop doctor`: is everything there that Strop needs?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bot.config import load


@click.command(help="Check that everything Strop needs is there, and say what to do.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a check.")
def command(path: Path | None, as_json: bool) -> None:
    """Exit 1 if a check fails."""
    from bot.doctor import Health, diagnose  # noqa: PLC0415 - keeps `strop --help` light

    failed = False
    for found in diagnose(load(path)):
        failed = failed or found.health is Health.BAD
        if as_json:
            row = {"check": found.name, "health": found.health.value, "words": found.words}
            click.echo(json.dumps(row))
        else:
            click.echo(f"{found.health.value:4}  {found.name:9} {found.words}")
    sys.exit(1 if failed else 0)
