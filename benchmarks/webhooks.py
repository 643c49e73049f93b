"""How long GitLab waits for an answer, alone and while a review is running.

    python -m benchmarks.webhooks --seconds 30 --rate 50

A server process is what `strop serve` is but for the forge: uvicorn, the application, the
queue and its worker over one SQLite file. A second process sends signed deliveries at a
steady rate, whether or not the last was answered. Both are fresh for each of the two runs,
which follow each other on the same machine.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

HERE = Path(__file__).parent
TARGET_MS = 50.0
START_S = 120.0
SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed: answers by status, and the times of all in milliseconds."""

    name: str
    accepted: int
    duplicates: int
    other: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@click.command(help=__doc__)
@click.option("--seconds", default=30.0, show_default=True)
@click.option("--rate", default=50.0, show_default=True, help="Deliveries a second.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(seconds: float, rate: float, as_json: bool) -> None:
    os.environ["SIGNING_TOKEN"] = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    idle = measured("idle", rate, seconds)
    busy = measured("a review is running", rate, seconds, "--review")
    ratio = busy.p99_ms / idle.p99_ms
    if as_json:
        runs = [asdict(idle), asdict(busy)]
        click.echo(json.dumps({"rate": rate, "seconds": seconds, "runs": runs, "ratio": ratio}))
        return
    click.echo("| run | 202 | 200 | other | p50 ms | p99 ms | max ms |\n" + "|---" * 7 + "|")
    for run in (idle, busy):
        counts = f"{run.accepted} | {run.duplicates} | {run.other}"
        times = f"{run.p50_ms:.1f} | {run.p99_ms:.1f} | {run.max_ms:.1f}"
        click.echo(f"| {run.name} | {counts} | {times} |")
    verdict = "met" if busy.p99_ms <= TARGET_MS else "missed"
    click.echo(f"\np99 busy / idle: {ratio:.2f}; target p99 <= {TARGET_MS:g} ms: {verdict}")


def measured(name: str, rate: float, seconds: float, *flags: str) -> Run:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), *flags) as port:
        time.sleep(SETTLE_S)
        send = [HERE / "webhook_sender.py", port, rate, seconds]
        argv = [sys.executable, *map(str, send)]
        answers = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    counts = Counter(status for status, _ in answers)
    times = sorted(ms for _, ms in answers)
    return Run(
        name,
        counts[202],
        counts[200],
        len(answers) - counts[202] - counts[200],
        statistics.median(times),
        times[int(len(times) * 0.99)],
        times[-1],
    )


@contextmanager
def server(folder: Path, *flags: str) -> Iterator[int]:
    """The port of a server that takes connections, which it does last of all."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    script = HERE / "webhook_server.py"
    argv = [sys.executable, str(script), str(folder / "strop.sqlite"), str(port), *flags]
    with subprocess.Popen(argv) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
