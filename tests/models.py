"""The model of the tests, got the way users get theirs: through the model store."""

from __future__ import annotations

from pathlib import Path

from bot.config import ModelSettings
from bot.integrations.model_store import ModelStore


def smollm2() -> Path:
    """SmolLM2-135M-Instruct, downloaded once into the user's own store."""
    return ModelStore(ModelSettings().directory).pull("smollm2-135m")
