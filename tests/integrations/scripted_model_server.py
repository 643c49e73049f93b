"""An OpenAI-compatible server that answers as a test has written down, badly if need be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def event(text=None, finish=None, **more):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **more})}\n\n"


@dataclass
class Reply:
    """A status with a body sent piece by piece, each after `pause_s`; if `whole` is not set,
    the connection is cut at the end of the pieces."""

    status: int = 200
    pieces: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    whole: bool = True


def said(text, **usage):
    more = {"usage": usage} if usage else {}
    return Reply(pieces=[event(text), event(finish="stop", **more), "data: [DONE]\n\n"])


class ScriptedServer:
    """Answers to chat requests with `replies` in turn, the last one for ever. `asked` holds
    the bodies, `dropped` is set when a client hung up on us."""

    def __init__(self):
        self.replies: list[Reply] = []
        self.asked: list[dict] = []
        self.keys: list[str | None] = []
        self.models: Reply | None = None
        self.served = [{"id": "m", "object": "model", "created": 1}]
        self.tokenizer: Callable[[str], int] | None = None
        self.busiest = 0
        self.dropped = threading.Event()
        self._now = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (Handler,), {"script": self})
        )
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.root = f"http://127.0.0.1:{self._http.server_port}"
        self.url = f"{self.root}/v1"

    def secure(self, context):
        """Speak TLS from now on."""
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def _next(self, body):
        with self._lock:
            self.asked.append(body)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    script: ScriptedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.script.keys.append(self.headers.get("Authorization"))
        listed = Reply(pieces=[json.dumps({"data": self.script.served})])
        self._send(self.script.models or listed)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            self._send(self.script._next(body))
        elif self.script.tokenizer and self.path == "/tokenize":
            tokens = list(range(self.script.tokenizer(body["prompt"])))
            self._send(Reply(pieces=[json.dumps({"tokens": tokens})]))
        else:
            self._send(Reply(404))

    def _send(self, reply):
        with self.script._lock:
            self.script._now += 1
            self.script.busiest = max(self.script.busiest, self.script._now)
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in reply.pieces:
                time.sleep(reply.pause_s)
                data = piece.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if reply.whole:
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.close_connection = True
        except OSError:
            self.script.dropped.set()
        finally:
            with self.script._lock:
                self.script._now -= 1

    def log_message(self, *args):
        pass
