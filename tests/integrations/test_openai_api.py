"""The engine over HTTP, proven on a real model behind llama-cpp-python's own server."""

import subprocess
import sys
import time

import httpx
import pytest

from bot.integrations.openai_api import OpenAIEngine
from tests.bot_process import free_port
from tests.contracts.engine import ClosingContract, EngineContract
from tests.models import smollm2

pytestmark = pytest.mark.model
pytest.importorskip("sse_starlette", reason="the server extra of llama-cpp-python is missing")

CONTEXT = 2048
START_S = 120


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port = free_port()
    log = (tmp_path_factory.mktemp("server") / "log").open("wb")
    command = [
        *(sys.executable, "-m", "llama_cpp.server", "--model", str(smollm2())),
        *("--port", str(port), "--n_ctx", str(CONTEXT), "--model_alias", "smollm2"),
        *("--n_threads", "1", "--interrupt_requests", "False"),
    ]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _wait_for(server, f"http://127.0.0.1:{port}/v1/models")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _wait_for(server, url):
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the model server did not start")


def started(url):
    return OpenAIEngine(url, concurrency=2, context_tokens=CONTEXT)


@pytest.fixture(scope="module")
def engine(url):
    engine = started(url)
    yield engine
    engine.close()


@pytest.fixture
def spare(url):
    return started(url)


class TestOpenAI(EngineContract):
    def test_the_server_counts_and_heeds_schemas(self, engine):
        assert engine.capabilities.exact_tokens
        assert engine.capabilities.grammar


class TestClosing(ClosingContract):
    pass
