"""A PostgreSQL of our own for one test session: started from the machine's binaries, on a
Unix socket nobody else knows, thrown away afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def _initdb() -> Path:
    found = shutil.which("initdb") or (BINARIES and BINARIES[-1])
    if not found:
        pytest.skip("no PostgreSQL on this machine: initdb was not found")
    return Path(found)


def _somebody() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def cluster() -> Iterator[Path]:
    """The folder of the socket of a running server."""
    initdb, user = _initdb(), _somebody()
    folder = Path(tempfile.mkdtemp(prefix="strop-pg-"))
    if user:
        shutil.chown(folder, user)
    run = partial(subprocess.run, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run([initdb, "-D", folder / "data", "-U", "strop", "-A", "trust"])
    quick = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    options = f"-k {folder} -c listen_addresses='' {quick}"
    control = [initdb.with_name("pg_ctl"), "-D", folder / "data", "-w", "-l", folder / "log"]
    run([*control, "-o", options, "start"])
    try:
        yield folder
    finally:
        run([*control, "-m", "immediate", "stop"])
        shutil.rmtree(folder)


@contextmanager
def new_database(socket_folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"t{uuid.uuid4().hex}"
    admin = sa.create_engine(
        f"postgresql+psycopg://strop@/postgres?host={socket_folder}",
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield f"postgresql://strop@/{name}?host={socket_folder}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
