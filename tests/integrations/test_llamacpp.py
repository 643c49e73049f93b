"""The default engine on a real model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.domain import ModelIdentity
from bot.integrations.llamacpp import LlamaCppEngine
from tests.contracts.engine import ClosingContract, EngineContract
from tests.models import smollm2

pytestmark = pytest.mark.model
NAMED = ModelIdentity("smollm2-135m", "sha256:test")


def start(**changes: object) -> LlamaCppEngine:
    chosen = {"context_tokens": 1024, "parallel": 4, "threads": 0} | changes
    return LlamaCppEngine(chosen.pop("path", None) or smollm2(), model=NAMED, **chosen)


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaCppEngine]:
    running = start()
    yield running
    running.close()


@pytest.fixture
def spare() -> Iterator[LlamaCppEngine]:
    running = start()
    yield running
    running.close()


class TestContract(EngineContract):
    pass


class TestClosing(ClosingContract):
    pass
