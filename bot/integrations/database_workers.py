"""Which workers are alive, by the database's own clock, and which of them leads."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bot.integrations.database_engine import transaction
from bot.integrations.database_schema import LEASES, WORKERS

REAPER = "reaper"
# Seconds since the epoch. SQLite has no `unixepoch('subsec')` before 3.42.
NOW = {
    "sqlite": sa.literal_column("(julianday('now') - 2440587.5) * 86400.0", sa.Double),
    "postgresql": sa.literal_column("extract(epoch from clock_timestamp())", sa.Double),
}


class Workers:
    """The heartbeats of all workers of one database. All verbs raise RetryLater if the
    database is away."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._now = NOW[engine.dialect.name]
        self._dialect = sqlite if engine.dialect.name == "sqlite" else postgresql

    def beat(self, executor: str) -> None:
        """Say that this worker is alive now."""
        row = {"executor": executor, "beat_at": self._now}
        statement = self._dialect.insert(WORKERS).values(row)
        with transaction(self._engine) as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[WORKERS.c.executor], set_={"beat_at": self._now}
                )
            )

    def leads(self, executor: str, lease_s: float) -> bool:
        """Whether this worker holds the lease, which it renews for `lease_s` seconds; of
        several that ask, one holds it."""
        row = {"name": REAPER, "holder": executor, "until": self._now + lease_s}
        statement = self._dialect.insert(LEASES).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=[LEASES.c.name],
            set_={"holder": executor, "until": self._now + lease_s},
            where=(LEASES.c.holder == executor) | (LEASES.c.until < self._now),
        )
        with transaction(self._engine) as connection:
            return connection.scalar(statement.returning(LEASES.c.holder)) is not None

    def dead(self, after_s: float) -> list[str]:
        """The workers that have been silent for `after_s` seconds."""
        query = sa.select(WORKERS.c.executor).where(WORKERS.c.beat_at < self._now - after_s)
        with transaction(self._engine) as connection:
            return list(connection.scalars(query))

    def forget(self, executors: Sequence[str]) -> None:
        """Take workers off the list and their leases away; one that lives will beat again."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.executor.in_(executors)))
            connection.execute(sa.delete(LEASES).where(LEASES.c.holder.in_(executors)))
