"""What must outlive the process: the same facts on SQLite and on PostgreSQL."""

import dataclasses
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade, upgrade
from alembic.migration import MigrationContext

from bot.domain import (
    Anchor,
    Category,
    Completion,
    Diff,
    Event,
    EventKind,
    FileOutcome,
    FileState,
    Finding,
    Finish,
    HeldBack,
    HoldReason,
    Job,
    JobKind,
    LineKind,
    LinePoint,
    ModelIdentity,
    Prompt,
    Review,
    Severity,
    Usage,
)
from bot.errors import Misconfigured, RetryLater
from bot.events.decisions import jobs
from bot.integrations.database import SqlDatabase
from bot.integrations.database_engine import make_engine, migrate
from bot.integrations.database_schema import COMPLETIONS, EVENTS, FINDINGS, METADATA, REVIEWS
from bot.integrations.jobs_queue import JobQueue
from tests.integrations.databases import engine, postgres_server, until, url

__all__ = ["engine", "postgres_server", "url"]

A, B = "a" * 40, "b" * 40
MODEL = ModelIdentity("small", "digest")
PROMPT = Prompt("review", "template", "Be brief.", "+ x = 1", 100, schema='{"type":"object"}')
ANSWER = Completion("{}", Finish.STOP, 20, 10, 2, 0.5)


def opened(head: str | None = A, delivery: str = "d1", iid: int = 1) -> Event:
    return Event(
        delivery, EventKind.MERGE_REQUEST, "open", 7, "group/project", 3, head, iid=iid
    )


def pushed(head: str = A, delivery: str = "p1") -> Event:
    return Event(
        delivery, EventKind.PUSH, "push", 7, "group/project", 3, head, branch="feature/x"
    )


@pytest.fixture
def queue(engine: sa.Engine) -> Iterator[JobQueue]:
    queue = JobQueue(engine)
    yield queue
    queue.close()


@pytest.fixture
def database(engine: sa.Engine, queue: JobQueue) -> SqlDatabase:
    return SqlDatabase(engine, enqueue=queue.enqueue, active=queue.active, cancel=queue.cancel)


def hear(database: SqlDatabase, event: Event) -> bool:
    return database.record(event, jobs(event))


def rows(engine: sa.Engine, table: sa.Table) -> Sequence[sa.RowMapping]:
    with engine.begin() as connection:
        return connection.execute(sa.select(table)).mappings().all()


class TestRecord:
    def test_an_event_and_its_job_are_stored_together(
        self, database: SqlDatabase, queue: JobQueue, engine: sa.Engine
    ) -> None:
        assert hear(database, opened())
        (row,) = rows(engine, EVENTS)
        assert (row["delivery"], row["iid"], row["head_sha"]) == ("d1", 1, A)
        assert queue.active() == [f"review:7:mr:1:{A}:d1"]

    def test_a_delivery_that_comes_again_changes_nothing(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        assert hear(database, opened())
        assert not hear(database, opened())
        assert not hear(database, opened(head=B))
        assert len(queue.active()) == 1

    def test_the_same_head_told_twice_is_one_job(
        self, database: SqlDatabase, queue: JobQueue, engine: sa.Engine
    ) -> None:
        assert hear(database, opened(delivery="webhook"))
        assert hear(database, opened(delivery="poll"))
        assert queue.active() == [f"review:7:mr:1:{A}:webhook"]
        assert len(rows(engine, EVENTS)) == 2

    def test_a_newer_head_cancels_the_older(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        hear(database, opened(A, "d1"))
        hear(database, opened(B, "d2"))
        until(lambda: queue.cancelled(f"review:7:mr:1:{A}:d1"))
        assert queue.active() == [f"review:7:mr:1:{B}:d2"]

    def test_a_head_that_comes_back_is_queued_again(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        for number, head in enumerate((A, B, A)):
            hear(database, opened(head, f"d{number}"))
        until(lambda: queue.active() == [f"review:7:mr:1:{A}:d2"])

    def test_merge_requests_do_not_cancel_each_other(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        hear(database, opened(A, "d1", iid=1))
        hear(database, opened(B, "d2", iid=10))
        hear(database, opened(B, "d3", iid=1))
        kept = [f"review:7:mr:10:{B}:d2", f"review:7:mr:1:{B}:d3"]
        until(lambda: queue.active() == kept)

    def test_a_push_does_not_cancel_an_earlier_one(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        hear(database, pushed(A, "p1"))
        hear(database, pushed(B, "p2"))
        queue.close()
        assert len(queue.active()) == 2

    def test_an_event_without_work_is_kept(
        self, database: SqlDatabase, queue: JobQueue, engine: sa.Engine
    ) -> None:
        assert hear(database, opened(head=None))
        assert queue.active() == []
        assert len(rows(engine, EVENTS)) == 1

    def test_if_the_job_cannot_be_queued_the_event_is_not_stored(
        self, engine: sa.Engine, queue: JobQueue
    ) -> None:
        def refuse(connection: sa.Connection, job: Job) -> None:
            queue.enqueue(connection, job)
            raise sa.exc.OperationalError("insert", {}, Exception("disk full"))

        database = SqlDatabase(engine, enqueue=refuse, active=queue.active, cancel=queue.cancel)
        with pytest.raises(RetryLater, match="disk full"):
            hear(database, opened())
        assert rows(engine, EVENTS) == []
        assert queue.active() == []

    def test_deliveries_at_the_same_time_make_one_job(
        self, database: SqlDatabase, queue: JobQueue
    ) -> None:
        start = threading.Barrier(8)
        heard = []

        def deliver(number: int) -> None:
            start.wait()
            heard.append(hear(database, opened(delivery=f"d{number % 4}")))

        threads = [threading.Thread(target=deliver, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(heard) == [False] * 4 + [True] * 4
        assert len(queue.active()) == 1


class TestAnswers:
    def test_an_answer_is_remembered_with_its_exact_prompt(
        self, database: SqlDatabase, engine: sa.Engine
    ) -> None:
        database.remember(PROMPT, MODEL, ANSWER)
        assert database.completion(PROMPT.key(MODEL)) == ANSWER
        (row,) = rows(engine, COMPLETIONS)
        for name, value in dataclasses.asdict(PROMPT).items():
            assert row[name] == value
        assert (row["model_name"], row["model_digest"]) == ("small", "digest")

    def test_another_prompt_or_model_is_not_answered(self, database: SqlDatabase) -> None:
        database.remember(PROMPT, MODEL, ANSWER)
        other = dataclasses.replace(PROMPT, user="+ x = 2")
        assert database.completion(other.key(MODEL)) is None
        assert database.completion(PROMPT.key(ModelIdentity("small", "other"))) is None

    def test_remembering_twice_keeps_one(
        self, database: SqlDatabase, engine: sa.Engine
    ) -> None:
        database.remember(PROMPT, MODEL, ANSWER)
        database.remember(PROMPT, MODEL, ANSWER)
        assert len(rows(engine, COMPLETIONS)) == 1

    @pytest.mark.parametrize("finish", [Finish.TIMEOUT, Finish.CANCELLED])
    def test_a_cut_off_answer_is_kept_but_never_given_again(
        self, database: SqlDatabase, engine: sa.Engine, finish: Finish
    ) -> None:
        database.remember(PROMPT, MODEL, dataclasses.replace(ANSWER, finish=finish))
        assert len(rows(engine, COMPLETIONS)) == 1
        assert database.completion(PROMPT.key(MODEL)) is None
        database.remember(PROMPT, MODEL, ANSWER)
        assert database.completion(PROMPT.key(MODEL)) == ANSWER

    @pytest.mark.parametrize("text", ["nul \x00 in it", "half a pair \ud800", "字 \U0001f600"])
    def test_any_text_can_be_kept(self, database: SqlDatabase, text: str) -> None:
        prompt = dataclasses.replace(PROMPT, user=text)
        database.remember(prompt, MODEL, dataclasses.replace(ANSWER, text=text))
        kept = database.completion(prompt.key(MODEL))
        assert kept is not None
        assert kept.text == text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


def point(number: int) -> LinePoint:
    return LinePoint(LineKind.ADDED, 0, number)


FINDING = Finding(
    anchor=Anchor("old.py", "new.py", point(3), point(4)),
    severity=Severity.MAJOR,
    category=Category.CORRECTNESS,
    claim="x is never used.",
    why="It hides a mistake.",
    fingerprint="f1",
    code=("x = 1", "y = 2"),
    replacement=("y = 2",),
)


def review(
    *findings: Finding,
    held_back: tuple[HeldBack, ...] = (),
    state: FileState = FileState.REVIEWED,
) -> Review:
    outcome = FileOutcome("new.py", state)
    diff = Diff(A, B, ())
    return Review(diff, MODEL, (outcome,), findings, held_back, Usage(calls=2))


def job(head: str = A, delivery: str = "d1") -> Job:
    return Job(JobKind.REVIEW, 7, head, delivery, iid=1)


class TestReviews:
    def test_a_review_is_kept_with_what_it_showed_and_held_back(
        self, database: SqlDatabase, engine: sa.Engine
    ) -> None:
        held = (
            HeldBack("new.py", "Same again.", HoldReason.DUPLICATE, FINDING),
            HeldBack("gone.py", "Nowhere.", HoldReason.UNANCHORED),
        )
        database.save_review(job(), review(FINDING, held_back=held))
        (kept,) = rows(engine, REVIEWS)
        assert kept["complete"] is True
        assert kept["files"] == [{"path": "new.py", "state": "reviewed", "reason": ""}]
        assert kept["usage"]["calls"] == 2
        shown, duplicate, unanchored = rows(engine, FINDINGS)
        assert shown["held_back"] is None
        assert (shown["path"], shown["side"]) == ("new.py", "new")
        assert (shown["first_line"], shown["last_line"]) == (3, 4)
        assert (shown["code"], shown["replacement"]) == (["x = 1", "y = 2"], ["y = 2"])
        assert (duplicate["held_back"], duplicate["claim"]) == ("duplicate", "Same again.")
        assert (unanchored["held_back"], unanchored["first_line"]) == ("unanchored", None)

    def test_saving_again_replaces(self, database: SqlDatabase, engine: sa.Engine) -> None:
        database.save_review(job(), review(FINDING, FINDING))
        database.save_review(job(), review(state=FileState.INCOMPLETE))
        (kept,) = rows(engine, REVIEWS)
        assert kept["complete"] is False
        assert rows(engine, FINDINGS) == []

    def test_the_reviewed_head_is_that_of_the_last_review(
        self, engine: sa.Engine, queue: JobQueue
    ) -> None:
        now = iter(range(100))
        database = SqlDatabase(
            engine,
            enqueue=queue.enqueue,
            active=queue.active,
            cancel=queue.cancel,
            clock=lambda: float(next(now)),
        )
        assert database.reviewed_head(7, 1) is None
        database.save_review(job(A), review())
        database.save_review(job(B, "d2"), review())
        assert database.reviewed_head(7, 1) == B
        assert database.reviewed_head(7, 2) is None


class TestEngine:
    def test_the_newest_revision_is_the_schema(self, engine: sa.Engine) -> None:
        def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
            return kind != "table" or (
                (name or "").startswith("bot_") and name != "bot_alembic_version"
            )

        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_object": ours})
            assert compare_metadata(context, METADATA) == []

    def test_revisions_go_up_and_down_on_data(
        self, database: SqlDatabase, engine: sa.Engine
    ) -> None:
        hear(database, opened())
        database.save_review(job(), review(FINDING))
        migrate(engine)
        assert len(rows(engine, FINDINGS)) == 1
        migrate(engine, lambda config: downgrade(config, "base"))
        tables = sa.inspect(engine).get_table_names()
        assert [t for t in tables if t.startswith("bot_")] == ["bot_alembic_version"]
        migrate(engine, lambda config: upgrade(config, "head"))
        assert rows(engine, EVENTS) == []
        assert hear(database, opened())

    def test_processes_that_migrate_at_once_do_not_disturb_each_other(self, url: str) -> None:
        failures = []

        def first_start() -> None:
            engine = make_engine(url)
            try:
                migrate(engine)
            except Misconfigured as error:
                failures.append(error)
            finally:
                engine.dispose()

        threads = [threading.Thread(target=first_start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_the_file_is_for_its_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "strop.sqlite"
        engine = make_engine(f"sqlite:///{path}")
        migrate(engine)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.with_name("strop.sqlite-wal").stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        engine.dispose()

    def test_sqlite_is_durable_and_does_not_block_readers(self, tmp_path: Path) -> None:
        engine = make_engine(f"sqlite:///{tmp_path / 'strop.sqlite'}")
        with engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert pragmas == ["wal", 2, 1]
        engine.dispose()

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("nonsense", "not a database URL"),
            ("mysql://localhost/strop", "use sqlite or postgresql, not mysql"),
            ("sqlite://", "name a file"),
            ("sqlite:////proc/no/strop.sqlite", "cannot write"),
        ],
    )
    def test_a_url_we_cannot_use_is_explained(self, url: str, words: str) -> None:
        with pytest.raises(Misconfigured, match=words):
            make_engine(url)

    def test_a_server_that_is_not_there_is_explained(self, tmp_path: Path) -> None:
        engine = make_engine(f"postgresql://strop@/strop?host={tmp_path}")
        with pytest.raises(Misconfigured, match="cannot use the database"):
            migrate(engine)
        with pytest.raises(Misconfigured, match="cannot prepare the job queue"):
            JobQueue(engine)
        with pytest.raises(RetryLater, match="does not answer"):
            SqlDatabase(engine, enqueue=print, active=list, cancel=print).ping()

    def test_a_file_that_is_no_database_is_explained(self, tmp_path: Path) -> None:
        path = tmp_path / "strop.sqlite"
        path.write_bytes(b"not a database" * 100)
        with pytest.raises(Misconfigured, match="cannot use the database"):
            make_engine(f"sqlite:///{path}")

    def test_a_database_that_answers_is_pinged(self, database: SqlDatabase) -> None:
        database.ping()
