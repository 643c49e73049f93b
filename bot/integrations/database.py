"""What must outlive the process, in SQLite or PostgreSQL (ports.Database)."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain import (
    Completion,
    Event,
    Finding,
    Finish,
    HeldBack,
    Job,
    JobKind,
    ModelIdentity,
    Prompt,
    Review,
)
from bot.integrations.database_engine import transaction
from bot.integrations.database_schema import COMPLETIONS, EVENTS, FINDINGS, REVIEWS, SUBJECTS

Enqueue = Callable[[sa.Connection, Job], None]
Active = Callable[[str], Sequence[str]]
Cancel = Callable[[Sequence[str]], None]

# Asked again, a model that had no time may well answer: only these are answers to keep.
ANSWERS = (Finish.STOP, Finish.LENGTH)


class SqlDatabase:
    """Our tables, and the job queue beside them in the same database.

    `enqueue` adds a job inside our transaction, `active` lists the ids of the queued and
    running jobs whose id begins with a prefix, `cancel` ends jobs by id if they have not
    ended by themselves.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        enqueue: Enqueue,
        active: Active,
        cancel: Cancel,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._enqueue = enqueue
        self._active = active
        self._cancel = cancel
        self._clock = clock

    def record(self, event: Event, jobs: Sequence[Job]) -> bool:
        """Store an event and its jobs together (see ports.Database.record).

        The older job is cancelled after the commit. Should that be lost, both are queued,
        and the older will find that its head is gone.
        """
        outdated: list[str] = []
        with transaction(self._engine) as connection:
            row = asdict(event) | {"received_at": self._clock()}
            insert = _insert(connection, EVENTS).values(row).on_conflict_do_nothing()
            if connection.scalar(insert.returning(EVENTS.c.delivery)) is None:
                return False
            for job in jobs:
                outdated += self._queue(connection, job)
        self._cancel(outdated)
        return True

    def completion(self, key: str) -> Completion | None:
        """The remembered answer to a prompt; an answer that was cut off by the clock or by a
        cancellation is none."""
        columns = [COMPLETIONS.c[name] for name in Completion.__slots__]
        query = sa.select(*columns).where(
            COMPLETIONS.c.key == key, COMPLETIONS.c.finish.in_(ANSWERS)
        )
        with transaction(self._engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return Completion(**{**row, "finish": Finish(row["finish"])}) if row else None

    def remember(self, prompt: Prompt, model: ModelIdentity, completion: Completion) -> None:
        """Keep an answer with the exact prompt; a later one to the same prompt replaces it."""
        row = asdict(prompt) | asdict(completion) | _identity(model)
        row |= {"key": prompt.key(model), "completed_at": self._clock()}
        with transaction(self._engine) as connection:
            connection.execute(
                _insert(connection, COMPLETIONS)
                .values(row)
                .on_conflict_do_update(index_elements=[COMPLETIONS.c.key], set_=row)
            )

    def save_review(self, job: Job, review: Review) -> None:
        """Keep what a review found and held back. Saving it again replaces it."""
        row = {
            "job": job.id,
            "project_id": job.project_id,
            "iid": job.iid,
            "head_sha": job.head_sha,
            "complete": review.complete,
            "files": [asdict(outcome) for outcome in review.files],
            "usage": asdict(review.usage),
            "saved_at": self._clock(),
        } | _identity(review.model)
        findings = [{"review": job.id, "number": n} | f for n, f in enumerate(_rows(review))]
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(REVIEWS).where(REVIEWS.c.job == job.id))
            connection.execute(sa.insert(REVIEWS).values(row))
            if findings:
                connection.execute(sa.insert(FINDINGS), findings)

    def reviewed_head(self, project_id: int, iid: int) -> str | None:
        """The head of the last review that was saved, be it complete or not: an incomplete
        one said so, and the same head would end the same way."""
        query = (
            sa.select(REVIEWS.c.head_sha)
            .where(REVIEWS.c.project_id == project_id, REVIEWS.c.iid == iid)
            .order_by(REVIEWS.c.saved_at.desc())
            .limit(1)
        )
        with transaction(self._engine) as connection:
            return connection.scalar(query)

    def ping(self) -> None:
        """Raises RetryLater if the database does not answer."""
        with transaction(self._engine) as connection:
            connection.execute(sa.select(1))

    def _queue(self, connection: sa.Connection, job: Job) -> Sequence[str]:
        """Add the job, unless the newest of its subject is at work on the same head; the ids
        of the jobs that this makes needless."""
        self._alone(connection, job.subject)
        query = sa.select(SUBJECTS).where(SUBJECTS.c.subject == job.subject)
        newest = connection.execute(query).one_or_none()
        same_head = newest is not None and newest.head_sha == job.head_sha
        if newest and same_head and newest.job in self._active(newest.job):
            return ()
        row = {"subject": job.subject, "head_sha": job.head_sha, "job": job.id}
        insert = _insert(connection, SUBJECTS).values(row)
        connection.execute(
            insert.on_conflict_do_update(index_elements=[SUBJECTS.c.subject], set_=row)
        )
        self._enqueue(connection, job)
        return (newest.job,) if newest and job.kind is JobKind.REVIEW else ()

    @staticmethod
    def _alone(connection: sa.Connection, subject: str) -> None:
        """Let no other transaction decide about this subject until we are done; on SQLite
        the insert of the event has already seen to that."""
        if connection.dialect.name == "postgresql":
            key = zlib.crc32(subject.encode())
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _identity(model: ModelIdentity) -> dict[str, str]:
    return {"model_name": model.name, "model_digest": model.digest}


def _rows(review: Review) -> Iterable[dict[str, Any]]:
    yield from (_shown(finding) for finding in review.findings)
    yield from (_held_back(held) for held in review.held_back)


def _held_back(held: HeldBack) -> dict[str, Any]:
    known = _shown(held.finding) if held.finding else dict.fromkeys(_UNPLACED)
    return known | {"held_back": held.reason, "path": held.path, "claim": held.claim}


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "held_back": None,
        "path": finding.anchor.path,
        "claim": finding.claim,
        "fingerprint": finding.fingerprint,
        "side": finding.anchor.side,
        "first_line": finding.anchor.first.number,
        "last_line": finding.anchor.last.number,
        "severity": finding.severity,
        "category": finding.category,
        "why": finding.why,
        "code": finding.code,
        "replacement": finding.replacement,
    }


_UNPLACED = (
    "fingerprint", "side", "first_line", "last_line", "severity", "category", "why", "code",
    "replacement",
)  # fmt: skip
