"""A model server whose answers are known beforehand, for tests of everything but the model.

It speaks as much of the OpenAI protocol as the engine `openai` asks for. Each answer remarks
on the first changed line that the question's schema allows.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.bot_process import free_port

Watch = Callable[[str], None]


class ModelServer:
    """A context: inside it the server answers at `url`. `watch` is called with `before` and
    `after` around every question, and may kill whoever asked."""

    def __init__(self) -> None:
        self.port = free_port()
        self.watch: Watch = lambda phase: None
        self.questions = 0
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._answer, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            port=self.port,
            log_level="critical",
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "known", "object": "model"}]})

    async def _answer(self, request: Request) -> Response:
        asked = await request.json()
        return await run_in_threadpool(self._reply, asked)

    def _reply(self, asked: dict) -> Response:
        self.questions += 1
        self.watch("before")
        text = _remark(asked) if "response_format" in asked else "yes"
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        self.watch("after")
        if asked.get("stream"):
            return StreamingResponse(_events(text, usage), media_type="text/event-stream")
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "known",
                "choices": [choice],
                "usage": usage,
            }
        )


def _remark(asked: dict) -> str:
    form = asked["response_format"]
    schema = form.get("schema") or form["json_schema"]["schema"]
    label = schema["anyOf"][0]["properties"]["findings"]["items"]["properties"]["first"][
        "enum"
    ][0]
    file = next(
        w for w in asked["messages"][-1]["content"].splitlines() if w.startswith("File: ")
    )
    finding = {
        "first": label,
        "last": label,
        "claim": f"Line {label} of {file.split()[1]} deserves a second look",
        "why": "The test that reads this wants to see exactly one of it",
        "category": "correctness",
        "severity": "major",
        "replacement": None,
    }
    return json.dumps({"defect": "yes", "findings": [finding]})


def _events(text: str, usage: dict) -> Iterator[str]:
    base = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "known"}
    chunks = [
        {
            **base,
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": text},
                    "finish_reason": None,
                }
            ],
        },
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**base, "choices": [], "usage": usage},
    ]
    for chunk in chunks:
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"
