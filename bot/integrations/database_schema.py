"""The tables that are ours; the prefix keeps them apart from the job engine's own.

Pure data: no I/O. Times are seconds since the epoch (UTC). A change here needs a revision
in `bot/migrations/versions`.
"""

from __future__ import annotations

import re

import sqlalchemy as sa


class AnyText(sa.types.TypeDecorator[str]):
    """Text from outside, which may hold what databases refuse: NUL (PostgreSQL) and halves
    of surrogate pairs (both). They become U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """The text as it is stored."""
        del dialect
        return None if value is None else UNSTORABLE.sub("\ufffd", value)


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

EVENTS = sa.Table(
    "bot_events",
    METADATA,
    sa.Column("delivery", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("project_id", sa.BigInteger, nullable=False),
    sa.Column("project_path", sa.String, nullable=False),
    sa.Column("actor_id", sa.BigInteger),
    sa.Column("head_sha", sa.String),
    sa.Column("iid", sa.BigInteger),
    sa.Column("branch", sa.String),
    sa.Column("received_at", sa.Double, nullable=False),
)

# The newest job of each subject (`Job.subject`).
SUBJECTS = sa.Table(
    "bot_subjects",
    METADATA,
    sa.Column("subject", AnyText, primary_key=True),
    sa.Column("head_sha", sa.String, nullable=False),
    sa.Column("job", AnyText, nullable=False),
)

COMPLETIONS = sa.Table(
    "bot_completions",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("task", sa.String, nullable=False),
    sa.Column("template", sa.String, nullable=False),
    sa.Column("system", AnyText, nullable=False),
    sa.Column("user", AnyText, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("max_tokens", sa.Integer, nullable=False),
    sa.Column("temperature", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("model_name", sa.String, nullable=False),
    sa.Column("model_digest", sa.String, nullable=False),
    sa.Column("text", AnyText, nullable=False),
    sa.Column("finish", sa.String, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("cached_tokens", sa.Integer, nullable=False),
    sa.Column("output_tokens", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("completed_at", sa.Double, nullable=False),
)

REVIEWS = sa.Table(
    "bot_reviews",
    METADATA,
    sa.Column("job", sa.String, primary_key=True),
    sa.Column("project_id", sa.BigInteger, nullable=False),
    sa.Column("iid", sa.BigInteger),
    sa.Column("head_sha", sa.String, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("usage", sa.JSON, nullable=False),
    sa.Column("model_name", sa.String, nullable=False),
    sa.Column("model_digest", sa.String, nullable=False),
    sa.Column("saved_at", sa.Double, nullable=False),
    sa.Index(None, "project_id", "iid", "saved_at"),
)

# A finding that was shown has no `held_back`; one that never had a place has no lines.
FINDINGS = sa.Table(
    "bot_findings",
    METADATA,
    sa.Column(
        "review",
        sa.ForeignKey("bot_reviews.job", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("held_back", sa.String),
    sa.Column("path", AnyText, nullable=False),
    sa.Column("claim", AnyText, nullable=False),
    sa.Column("fingerprint", sa.String, index=True),
    sa.Column("side", sa.String),
    sa.Column("first_line", sa.Integer),
    sa.Column("last_line", sa.Integer),
    sa.Column("severity", sa.String),
    sa.Column("category", sa.String),
    sa.Column("why", AnyText),
    sa.Column("code", sa.JSON(none_as_null=True)),
    sa.Column("replacement", sa.JSON(none_as_null=True)),
)

WORKERS = sa.Table(
    "bot_workers",
    METADATA,
    sa.Column("executor", sa.String, primary_key=True),
    sa.Column("beat_at", sa.Double, nullable=False),
)

LEASES = sa.Table(
    "bot_leases",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
