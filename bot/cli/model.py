"""`strop model`: list, get, check and convert models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.config import load
from bot.errors import UnusableModel

if TYPE_CHECKING:
    from bot.integrations.model_store import ModelStore

DAMAGED = 1
MEGA = 1_000_000


@click.group(help="List, get, check and convert models.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file.")
@click.pass_context
def command(context: click.Context, path: Path | None) -> None:
    """Every subcommand works on the model directory of the settings."""
    context.obj = path


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a model.")
@click.pass_obj
def list_models(config: Path | None, as_json: bool) -> None:
    """Show the models that can be named, and which are here."""
    for model in _store(config).list():
        entry = model.entry
        if as_json:
            facts = entry.model_dump(mode="json", exclude={"sources"})
            click.echo(json.dumps({**facts, "state": model.state, "path": str(model.path)}))
        else:
            size = f"{entry.bytes / MEGA:.0f} MB"
            row = f"{entry.name:20} {model.state:8} {size:>8}  {entry.licence:12} {entry.notes}"
            click.echo(row)


@command.command()
@click.argument("name")
@click.pass_obj
def pull(config: Path | None, name: str) -> None:
    """Get a model, or what an interrupted pull left to get; prints its path."""
    with _progress(name) as (report, say):
        file = _store(config).pull(name, report, say)
    click.echo(file)


@command.command("path")
@click.argument("name")
@click.pass_obj
def show_path(config: Path | None, name: str) -> None:
    """Print where the file of a model is, if it is here and whole."""
    click.echo(_store(config).path(name))


@command.command()
@click.argument("name", required=False)
@click.pass_obj
def verify(config: Path | None, name: str | None) -> None:
    """Read a model, or all that are here, to the last byte and compare the hashes."""
    store = _store(config)
    here = [model.entry.name for model in store.list() if model.path.is_file()]
    failed = False
    for each in [name] if name else here:
        try:
            click.echo(f"{each}: whole ({store.verify(each)})")
        except UnusableModel as error:
            failed = True
            click.echo(f"{each}: {error}")
    sys.exit(DAMAGED if failed else 0)


@command.command()
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def convert(config: Path | None, source: str, target: Path) -> None:
    """Rewrite SOURCE (a name or a file) as TARGET, for the engine ctransformers."""
    from bot import wiring  # noqa: PLC0415 - its libraries take a second to load

    wiring.convert_model(_store(config).path(source), target)
    click.echo(target)


def _store(config: Path | None) -> ModelStore:
    from bot import wiring  # noqa: PLC0415 - keeps `strop --help` light

    return wiring.model_store(load(config))


@contextmanager
def _progress(
    name: str,
) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """How a download is shown on stderr: a bar on a terminal, else a line every tenth."""
    if not sys.stderr.isatty():
        yield _tenths(name), lambda line: click.echo(line, err=True)
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=None)
        yield (
            lambda done, total: bars.update(task, completed=done, total=total),
            lambda line: bars.console.print(line, markup=False, highlight=False),
        )


def _tenths(name: str) -> Callable[[int, int], None]:
    shown = -1

    def report(done: int, total: int) -> None:
        nonlocal shown
        if (tenth := done * 10 // total) > shown:
            shown = tenth
            click.echo(f"{name}: {done // MEGA} of {total // MEGA} MB", err=True)

    return report
