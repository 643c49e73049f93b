"""How the tables of `bot.integrations.database_schema` came to be: Alembic revisions."""
