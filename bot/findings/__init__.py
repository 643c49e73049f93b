"""Findings: where they point, which are repeats, and how they are said. Pure."""
