"""Events, completions, reviews with their findings, and the workers' heartbeats.

The columns are spelt out here and not taken from `bot.integrations.database_schema`: a
revision says what was true when it was written, whatever the schema becomes later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_events()
    _create_completions()
    _create_reviews()
    _create_workers()


def downgrade() -> None:
    """Drop them, referring tables first."""
    for table in ("leases", "workers", "findings", "reviews", "completions"):
        op.drop_table(f"bot_{table}")
    op.drop_table("bot_subjects")
    op.drop_table("bot_events")


def _create_events() -> None:
    op.create_table(
        "bot_events",
        sa.Column("delivery", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("project_path", sa.String, nullable=False),
        sa.Column("actor_id", sa.BigInteger),
        sa.Column("head_sha", sa.String),
        sa.Column("iid", sa.BigInteger),
        sa.Column("branch", sa.String),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("delivery", name="pk_bot_events"),
    )
    op.create_table(
        "bot_subjects",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("head_sha", sa.String, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_bot_subjects"),
    )


def _create_completions() -> None:
    op.create_table(
        "bot_completions",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("template", sa.String, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("schema", sa.Text),
        sa.Column("max_tokens", sa.Integer, nullable=False),
        sa.Column("temperature", sa.Double, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("model_name", sa.String, nullable=False),
        sa.Column("model_digest", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("finish", sa.String, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("cached_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("completed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_bot_completions"),
    )


def _create_reviews() -> None:
    op.create_table(
        "bot_reviews",
        sa.Column("job", sa.String, nullable=False),
        sa.Column("project_id", sa.BigInteger, nullable=False),
        sa.Column("iid", sa.BigInteger),
        sa.Column("head_sha", sa.String, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("usage", sa.JSON, nullable=False),
        sa.Column("model_name", sa.String, nullable=False),
        sa.Column("model_digest", sa.String, nullable=False),
        sa.Column("saved_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_bot_reviews"),
    )
    op.create_index(
        "ix_bot_reviews_project_id_iid_saved_at",
        "bot_reviews",
        ["project_id", "iid", "saved_at"],
    )
    op.create_table(
        "bot_findings",
        sa.Column("review", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("held_back", sa.String),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("claim", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String),
        sa.Column("side", sa.String),
        sa.Column("first_line", sa.Integer),
        sa.Column("last_line", sa.Integer),
        sa.Column("severity", sa.String),
        sa.Column("category", sa.String),
        sa.Column("why", sa.Text),
        sa.Column("code", sa.JSON),
        sa.Column("replacement", sa.JSON),
        sa.PrimaryKeyConstraint("review", "number", name="pk_bot_findings"),
        sa.ForeignKeyConstraint(
            ["review"], ["bot_reviews.job"], name="fk_bot_findings_review", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_bot_findings_fingerprint", "bot_findings", ["fingerprint"])


def _create_workers() -> None:
    op.create_table(
        "bot_workers",
        sa.Column("executor", sa.String, nullable=False),
        sa.Column("beat_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("executor", name="pk_bot_workers"),
    )
    op.create_table(
        "bot_leases",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_bot_leases"),
    )
