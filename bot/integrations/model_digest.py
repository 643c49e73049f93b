"""The SHA-256 of big files, remembered as long as the file stays the same."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

FOLDER = ".digests"


class Digests:
    """Remembers digests in a folder of `directory`, so that models may lie where we cannot
    write. What is known is known of a file's inode, size and time: renaming keeps it, and a
    file that was cut, replaced or touched is read again."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER

    def remembered(self, path: Path) -> str | None:
        """The digest of the file as it is now, if it was read before; else None."""
        with suppress(OSError):
            return self._record(path.stat()).read_text(encoding="ascii") or None
        return None

    def of(self, path: Path) -> str:
        """The digest of the file. Raises OSError if it cannot be read."""
        return self.remembered(path) or self.computed(path)

    def computed(self, path: Path) -> str:
        """The digest of the file, read anew. Raises OSError if it cannot be read."""
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with suppress(OSError):  # remembering only saves time
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = self._folder / f".{os.getpid()}"
            temporary.write_text(digest, encoding="ascii")
            temporary.replace(self._record(facts))
        return digest

    def _record(self, facts: os.stat_result) -> Path:
        parts = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        return self._folder / "-".join(f"{part:x}" for part in parts)
