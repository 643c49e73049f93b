"""The log: one line an event, and no secrets in it."""

from __future__ import annotations

import logging

from bot.context.redaction import redact


class Redacting(logging.Formatter):
    """Formats a record and then takes secret values out, wherever they came from: messages,
    arguments, tracebacks of libraries."""

    def format(self, record: logging.LogRecord) -> str:
        """The finished text of a record."""
        return redact(super().format(record))
