"""Connections to the one database, and the revisions of its tables.

The settings of SQLite are those the job engine was tested with: WAL, so that readers and the
writer do not wait for each other; FULL, so that what was acknowledged survives a power cut;
IMMEDIATE, so that a transaction that will write queues for the lock when it begins.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.command import upgrade
from alembic.config import Config
from filelock import FileLock, Timeout
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.errors import Misconfigured, RetryLater
from bot.integrations.database_schema import METADATA

MIGRATIONS = Path(__file__).parents[1] / "migrations"
LOCK_WAIT_S = 30
CONNECT_WAIT_S = 10
POOL_SIZE = 20
PRAGMAS = (
    f"busy_timeout={LOCK_WAIT_S * 1000}",
    "synchronous=FULL",
    "foreign_keys=ON",
)
# Any number that other users of a shared PostgreSQL are unlikely to lock.
MIGRATION_LOCK = 0x5374726F70


def make_engine(url: str) -> sa.Engine:
    """An engine for `sqlite:///path` (file and folder are created, for the owner only) or
    `postgresql://…`. Raises Misconfigured for any other URL."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise Misconfigured("database.url: not a database URL") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql":
            return sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_size=POOL_SIZE,
                pool_pre_ping=True,
                connect_args={"connect_timeout": CONNECT_WAIT_S},
            )
        case other:
            raise Misconfigured(f"database.url: use sqlite or postgresql, not {other}")


def migrate(
    engine: sa.Engine, move: Callable[[Config], None] = lambda config: upgrade(config, "head")
) -> None:
    """Bring our tables to the newest revision, or wherever `move` takes them. Several
    processes may try at once. Raises Misconfigured if the database cannot be used."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            _lock_out_other_migrations(connection)
            config.attributes.update(connection=connection, metadata=METADATA)
            move(config)
    except DBAPIError as error:
        raise Misconfigured(f"database.url: cannot use the database: {error.orig}") from error


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction; raises RetryLater where the database is away, locked or full."""
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        raise RetryLater(f"the database does not answer: {error.orig}") from error
    except PoolTimeoutError as error:
        raise RetryLater("the database does not answer: all connections are busy") from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise Misconfigured("database.url: name a file, sqlite:////path/to/strop.sqlite")
    _private_file(Path(url.database))
    _switch_to_wal(Path(url.database))
    engine = sa.create_engine(
        url, pool_size=POOL_SIZE, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _private_file(path: Path) -> None:
    """Prompts hold source code: nobody but the owner reads them. SQLite gives its journal
    files the mode of the database."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise Misconfigured(f"database.url: cannot write {path}: {error.strerror}") from None


def _switch_to_wal(path: Path) -> None:
    """Once and for all: the mode is kept in the file. SQLite does not wait in good order for
    the lock that switching needs (https://sqlite.org/wal.html), so processes that start at
    the same time do."""
    try:
        with (
            FileLock(f"{path}.lock", timeout=LOCK_WAIT_S),
            closing(sqlite3.connect(path)) as db,
        ):
            db.execute("PRAGMA journal_mode=WAL")
    except (sqlite3.Error, Timeout) as error:
        raise Misconfigured(f"database.url: cannot use the database: {error}") from error


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _lock_out_other_migrations(connection: sa.Connection) -> None:
    """sqlite3 begins no transaction before DDL by itself; PostgreSQL would run two side by
    side."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
