"""Text from outside, made safe to look at. Pure.

A terminal obeys escape sequences, an editor obeys bidirectional controls, and readers end a
line at more characters than git does. Such characters are shown as their code point, so that
nothing is hidden and nothing is obeyed ("Trojan Source", CVE-2021-42574).
"""

from __future__ import annotations

import unicodedata

# What stands where we took something out of a text before a model saw it. Code that a model
# writes with one of these in it is not code.
REDACTED = "[redacted]"
CUT = "…[cut]"

# Cc controls, Cf format (bidi, zero width, tags), Cs surrogates, Zl and Zp separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS = frozenset("\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")


def visible(text: str) -> str:
    """The text with every invisible or line-breaking character as `<U+202E>`; tabs and the
    joiners that scripts and emoji need stay. The result is one line."""
    return "".join(c if _plain(c) else f"<U+{ord(c):04X}>" for c in text)


def is_visible(text: str) -> bool:
    """Whether `visible` would leave the text as it is."""
    return all(map(_plain, text))


def is_whole(text: str) -> bool:
    """Whether nothing of ours stands in the text in place of what was taken out."""
    return REDACTED not in text and CUT not in text


def one_line(text: str, limit: int) -> str:
    """Prose on one line: white space collapsed, made visible, cut to `limit` characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _plain(character: str) -> bool:
    return character in _HARMLESS or unicodedata.category(character) not in _INVISIBLE
