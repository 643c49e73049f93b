"""The stand-in against GitLab's official description, by two independent validators."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

from tests.sandbox import description
from tests.sandbox.conftest import Scene
from tests.sandbox.receiver import Receiver
from tests.sandbox.rest.routes import ROUTES
from tests.sandbox.walk import everything

ROOT = Path(__file__).parents[2]
PRISM = shutil.which(os.environ.get("STROP_PRISM") or str(ROOT / "node_modules/.bin/prism"))

pytestmark = [
    pytest.mark.skipif(
        not description.FILE.is_file(), reason="GitLab's API description is not on this machine"
    ),
    pytest.mark.filterwarnings("ignore:Unsupported scheme type"),
]

Check = Callable[[requests.Response], None]


def _walk(scene: Scene, receiver: Receiver, base: str, check: Check) -> set[tuple[str, str]]:
    """Make every request against `base`, `check` each answer; what was asked."""
    asked: set[tuple[str, str]] = set()
    with requests.Session() as session:
        session.headers["PRIVATE-TOKEN"] = scene.alice.token

        def ask(method: str, path: str, body: Any = None) -> Any:
            asked.add((method, path.partition("?")[0]))
            answer = session.request(method, f"{base}/api/v4{path}", json=body, timeout=30)
            check(answer)
            if answer.headers.get("Content-Type") == "application/json":
                return answer.json()
            return answer.content

        everything(ask, scene, receiver.url)
    return asked


def test_every_answer_is_as_described(scene: Scene, receiver: Receiver):
    api = _openapi()
    wrong: list[str] = []

    def check(answer: requests.Response) -> None:
        where = f"{answer.request.method} {answer.request.path_url}"
        try:
            asked = RequestsOpenAPIRequest(answer.request)
            api.validate_request(asked)
            api.validate_response(asked, RequestsOpenAPIResponse(answer))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a violation
            wrong.append(f"{where} {answer.status_code}: {_reason(error)}")

    asked = _walk(scene, receiver, scene.forge.url, check)
    assert wrong == []
    assert _unvisited(asked) == []


def _openapi() -> OpenAPI:
    """The description, not itself validated, which would take a minute."""
    config = Config(spec_validator_cls=None)  # type: ignore[arg-type]
    return OpenAPI.from_dict(description.corrected(), config=config)


def _reason(error: BaseException) -> str:
    cause = error.__cause__
    found = getattr(cause, "schema_errors", None) or [cause or error]
    return "; ".join(f"{list(getattr(e, 'absolute_path', []))} {e}"[:300] for e in found)


def _unvisited(asked: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The routes that no request of the walk went to."""
    return [
        (method, route)
        for method, route, _ in ROUTES
        if not any(
            verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path)
            for verb, path in asked
        )
    ]


def test_the_check_notices_a_wrong_answer():
    api = _openapi()
    answer = requests.Response()
    answer.status_code, answer._content = 200, json.dumps({"id": "one", "made_up": 1}).encode()
    answer.headers["Content-Type"] = "application/json"
    asked = requests.Request("GET", "http://127.0.0.1/api/v4/user").prepare()
    with pytest.raises(Exception, match="InvalidData") as caught:
        api.validate_response(RequestsOpenAPIRequest(asked), RequestsOpenAPIResponse(answer))
    assert "'one' is not of type 'integer'" in _reason(caught.value)
    assert "made_up" in _reason(caught.value)


@pytest.mark.prism
@pytest.mark.skipif(PRISM is None, reason="Prism is not installed (see STROP_PRISM)")
def test_prism_between_us_finds_no_violation(scene: Scene, receiver: Receiver, tmp_path: Path):
    file = tmp_path / "gitlab.json"
    file.write_text(json.dumps(description.corrected()), encoding="utf-8")
    wrong: list[str] = []

    def check(answer: requests.Response) -> None:
        violations = answer.headers.get("sl-violations")
        if violations or not answer.ok:
            where = f"{answer.request.method} {answer.request.path_url}"
            wrong.append(f"{where} {answer.status_code}: {violations or answer.text}"[:600])

    with _prism(file, scene.forge.url) as base:
        _walk(scene, receiver, base, check)
    assert wrong == []


@contextlib.contextmanager
def _prism(file: Path, upstream: str) -> Iterator[str]:
    """Prism as a proxy in front of `upstream`; yields where it listens."""
    assert PRISM
    argv = [PRISM, "proxy", "-h", "127.0.0.1", "-p", "0", "--errors", str(file), upstream]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        try:
            yield _listening(process.stdout)
        finally:
            process.terminate()


def _listening(output: IO[str]) -> str:
    """Wait until Prism says where it listens, and go on reading what it prints."""
    for line in output:
        if found := re.search(r"Prism is listening on (\S+)", line):
            threading.Thread(target=output.read, daemon=True).start()
            return found[1]
    raise AssertionError("Prism ended without listening")
