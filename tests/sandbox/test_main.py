from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx


def test_a_forge_is_run_by_hand_and_stopped_by_a_signal(tmp_path: Path):
    argv = [sys.executable, "-m", "tests.sandbox", "--directory", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [process.stdout.readline().split() for _ in range(5)]
        url, token = told[0][1], told[1][2]
        answer = httpx.get(f"{url}/api/v4/user", headers={"PRIVATE-TOKEN": token})
        process.send_signal(signal.SIGTERM)
    assert answer.json()["username"] == "alice"
    assert [line[:2] for line in told[1:]] == [
        ["token", "alice"], ["git", "alice"], ["token", "strop"], ["git", "strop"],
    ]  # fmt: skip
    assert process.returncode == 0
