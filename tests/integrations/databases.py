"""Every test that asks for `engine` runs on SQLite and on PostgreSQL; and patience."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.integrations.database_engine import make_engine, migrate
from tests import postgres

PATIENCE_S = 60.0


def until(what: Callable[[], bool]) -> None:
    """Wait for something that happens soon, in another thread or process."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    with postgres.cluster() as socket_folder:
        yield socket_folder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'strop.sqlite'}"
        return
    with postgres.new_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = make_engine(url)
    migrate(engine)
    yield engine
    engine.dispose()
