"""How the command ends: words for a person, and an exit code that says what happened."""

import click
import pytest

import bot.__main__ as program
from bot.errors import Misconfigured


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        (Misconfigured("set the thing"), 2, "strop: set the thing"),
        (click.UsageError("not so"), 2, "Error: not so"),
        (KeyboardInterrupt(), 130, "strop: interrupted"),
        (click.Abort(), 130, "strop: interrupted"),
        (
            ZeroDivisionError("by\x1b zero"),
            2,
            "please report it: ZeroDivisionError at test_main.py",
        ),
    ],
)
def test_no_trouble_ends_as_findings_do_nor_with_a_traceback(
    monkeypatch, capsys, trouble, code, words
):
    def fail(**_options):
        raise trouble

    monkeypatch.setattr(program, "commands", fail)
    with pytest.raises(SystemExit) as ended:
        program.main()
    said = capsys.readouterr().err
    assert ended.value.code == code
    assert words in said
    assert "Traceback" not in said
    assert "\x1b" not in said
