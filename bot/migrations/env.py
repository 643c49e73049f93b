"""Alembic's entry point. The caller gives the connection, whose transaction it owns, and the
tables as they are meant to be (`bot.integrations.database_schema`)."""

from alembic import context

given = context.config.attributes

context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table="bot_alembic_version",
    render_as_batch=True,
)
context.run_migrations()
