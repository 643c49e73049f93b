"""Files that travel with the program: prompt templates and git hooks."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def resource(folder: str, name: str) -> Path:
    """A file of `prompts/` or `hooks/`: inside the installed package, or beside it in a
    clone, where the owner's layout keeps them at the top level."""
    installed = PACKAGE / folder / name
    return installed if installed.exists() else PACKAGE.parent / folder / name
