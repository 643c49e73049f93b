"""No secret reaches the log, whichever way it takes."""

import logging

from bot.logs import Redacting

TOKEN = "glpat-" + "a1B2c3D4e5F6g7H8i9J0"


def line(message, *arguments, exc_info=None):
    record = logging.LogRecord("n", logging.INFO, "p", 1, message, arguments, exc_info)
    return Redacting("%(levelname)s %(message)s").format(record)


def test_a_line_without_secrets_stays_as_it_is():
    assert line("job %s: done", "review:1:mr:2:abc") == "INFO job review:1:mr:2:abc: done"


def test_secrets_in_arguments_are_taken_out():
    assert TOKEN not in line("asked with %s", TOKEN)


def test_secrets_in_tracebacks_are_taken_out():
    try:
        int(TOKEN)
    except ValueError as error:
        text = line("failed", exc_info=(type(error), error, error.__traceback__))
    assert "Traceback" in text
    assert TOKEN not in text
