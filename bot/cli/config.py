"""`strop config`: the settings in force."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bot.config import load, repository_settings


@click.group()
def command() -> None:
    """Show or check settings."""


@command.command()
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(path: Path | None, as_json: bool) -> None:
    """Print every setting in force, as TOML, with secrets hidden."""
    values = load(path).model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for key, value in _flat(values):
        click.echo(f"{key} = {json.dumps(value)}" if value is not None else f"# {key} =")


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path) -> None:
    """Check a repository's .strop.toml, as the bot would read it."""
    repository_settings(file.read_bytes(), str(file))
    click.echo(f"{file}: correct")


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
