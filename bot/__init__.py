"""Strop: a Git-native bot that reviews changes with a local model."""

__version__ = "0.1.0"
