"""The models on this machine: getting them whole, finding them, proving them.

A file has its final name only after its size and SHA-256 were found to be the pinned ones,
so no half or foreign file is ever used under the name of a model.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from bot.domain import ModelIdentity
from bot.errors import GiveUp, UnusableModel
from bot.integrations.model_catalog import Entry, Source, catalog
from bot.integrations.model_digest import Digests
from bot.integrations.model_sources import fetch

GGUF_MAGIC = b"GGUF"


class State(StrEnum):
    """What the store holds of a model."""

    READY = "ready"
    PARTIAL = "partial"
    DAMAGED = "damaged"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Listing:
    """A model of the catalog, what we hold of it, and where it is or will be."""

    entry: Entry
    state: State
    path: Path


class ModelStore:
    """The model files in one directory, by the names of the catalog.

    Where a name is asked for, the path of a model file may be given as well; such a file is
    used as it is and identified by its own digest.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._catalog = catalog(directory)
        self._digests = Digests(directory)

    def list(self) -> tuple[Listing, ...]:
        """Every model of the catalog. Files are judged by their size, and by their digest
        if it is known."""
        return tuple(self._listing(entry) for entry in self._catalog.values())

    def path(self, name: str) -> Path:
        """The file of a model, proven to be the pinned one. Raises UnusableModel if it is
        missing or damaged, with the command that mends it."""
        return self._proven(name, self._digests.of)

    def identity(self, name: str) -> ModelIdentity:
        """Name and digest of the weights. Raises UnusableModel as `path` does."""
        return ModelIdentity(Path(name).name, self._digests.of(self.path(name)))

    def verify(self, name: str) -> Path:
        """As `path`, but the file is read from its first to its last byte."""
        return self._proven(name, self._digests.computed)

    def pull(
        self,
        name: str,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> Path:
        """Get a model unless it is here already, and return its file.

        `progress` is called with bytes so far and bytes in all, `say` with one line when a
        source failed or another process must be waited for. What was got before an
        interruption is kept and resumed. Raises UnusableModel if no source gave the file.
        """
        if _is_path(name):
            return self.path(name)
        entry = self._entry(name)
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._alone(entry, say):
            file = self._file(entry)
            if not file.is_file() or self._flaw(entry, file, self._digests.of):
                self._get(entry, progress, say)
        return file

    def _get(
        self,
        entry: Entry,
        progress: Callable[[int, int], None],
        say: Callable[[str], None],
    ) -> None:
        failures = []
        for source in entry.sources:
            try:
                self._get_from(source, entry, lambda done: progress(done, entry.bytes))
            except GiveUp as reason:
                failures.append(f"{source}: {reason}")
                say(failures[-1])
            else:
                return
        raise UnusableModel(
            f"no source gave the model {entry.name}; check the network and run "
            f"`strop model pull {entry.name}` again\n  " + "\n  ".join(failures)
        )

    def _get_from(self, source: Source, entry: Entry, progress: Callable[[int], None]) -> None:
        """Try one source; if the outcome is wrong and began with bytes of an earlier try,
        those may be to blame: once more from nothing."""
        partial = self._partial(entry)
        partial.touch()
        resumed = partial.stat().st_size > 0
        with self._room(entry, partial, source.scratch_bytes):
            fetch(source, entry.bytes, partial, progress)
        wrong = self._flaw(entry, partial, self._digests.computed)
        if wrong is None:
            _publish(partial, self._file(entry))
            progress(entry.bytes)
            return
        partial.unlink()
        if not resumed:
            raise GiveUp(wrong)
        self._get_from(source, entry, progress)

    @contextmanager
    def _room(self, entry: Entry, partial: Path, scratch_bytes: int) -> Iterator[None]:
        needed = entry.bytes - partial.stat().st_size + scratch_bytes
        full = UnusableModel(
            f"no room for {entry.name}: {needed} free bytes are needed in {self._directory}; "
            "make room, or set model.directory to a bigger disk"
        )
        if shutil.disk_usage(self._directory).free < needed:
            raise full
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full from None
            raise

    @contextmanager
    def _alone(self, entry: Entry, say: Callable[[str], None]) -> Iterator[None]:
        lock = FileLock(self._directory / f".{entry.file}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say(f"another process is getting {entry.name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _proven(self, name: str, digest: Callable[[Path], str]) -> Path:
        if _is_path(name):
            return _own_file(Path(name).expanduser())
        entry = self._entry(name)
        file = self._file(entry)
        if not file.is_file():
            raise UnusableModel(
                f"the model {name} is not here; get it with: strop model pull {name}"
            )
        if flaw := self._flaw(entry, file, digest):
            raise UnusableModel(
                f"{file} is damaged ({flaw}); get it again with: strop model pull {name}"
            )
        return file

    def _flaw(self, entry: Entry, file: Path, digest: Callable[[Path], str]) -> str | None:
        """What is wrong with a file, or None."""
        size = file.stat().st_size
        if size != entry.bytes:
            return f"{size} bytes, {entry.bytes} are expected"
        found = digest(file)
        if found != entry.sha256:
            return f"SHA-256 {found}, {entry.sha256} is expected"
        return None

    def _listing(self, entry: Entry) -> Listing:
        file = self._file(entry)
        state = State.PARTIAL if self._partial(entry).exists() else State.ABSENT
        if file.is_file():
            known = self._digests.remembered(file) in (None, entry.sha256)
            whole = file.stat().st_size == entry.bytes
            state = State.READY if known and whole else State.DAMAGED
        return Listing(entry, state, file)

    def _entry(self, name: str) -> Entry:
        if name not in self._catalog:
            raise UnusableModel(
                f"there is no model {name!r}; `strop model list` shows the names, "
                "and the path of a .gguf file works as well"
            )
        return self._catalog[name]

    def _file(self, entry: Entry) -> Path:
        return self._directory / entry.file

    def _partial(self, entry: Entry) -> Path:
        return self._directory / f".{entry.file}.partial"


def _is_path(name: str) -> bool:
    return os.sep in name or name.endswith(".gguf")


def _own_file(file: Path) -> Path:
    """A model file the operator named by its path."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(GGUF_MAGIC))
    except OSError as error:
        raise UnusableModel(f"cannot read the model {file}: {error.strerror}") from None
    if magic != GGUF_MAGIC:
        raise UnusableModel(f"{file} is not a GGUF file; give the path of a whole one")
    return file


def _publish(partial: Path, file: Path) -> None:
    """Give a finished file its name, in a way that survives a power cut."""
    _sync(partial)
    partial.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
