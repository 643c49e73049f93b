"""`strop serve` as a process of its own, as an operator runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

STARTS_WITHIN_S = 120.0
ENDS_WITHIN_S = 60.0


class BotProcess:
    """A bot with its state in `directory`; it can be killed and started again.

    `settings` are environment variables. A context: inside it the bot is ready.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str], *options: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / "strop.log"
        self.environment = {
            **os.environ,
            "STROP_SERVER__PORT": str(self.port),
            "STROP_SERVER__PUBLIC_URL": self.url,
            "STROP_DATABASE__URL": f"sqlite:///{directory / 'strop.sqlite'}",
            "STROP_DATABASE__EXECUTOR": "test:0",
            "STROP_MIRRORS__DIRECTORY": str(directory / "mirrors"),
            **settings,
        }
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return once the bot answers; raises with its log if it ends instead."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve", *self._options],
                env=self.environment,
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                time.sleep(0.05)
        raise RuntimeError(f"the bot did not start:\n{self.log.read_text(encoding='utf-8')}")

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is tidied up."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> int:
        """As an operator does; returns the exit code."""
        if self._process is None or self._process.poll() is not None:
            return -1
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=ENDS_WITHIN_S)

    def strop(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "bot", *words],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
