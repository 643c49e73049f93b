"""What a start does not load: nobody should wait for a database to read `--help`."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic", "ctransformers", "dbos", "github", "gitlab", "httpx", "huggingface_hub",
    "llama_cpp", "numpy", "psycopg", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip

MEASURING = {"coverage", "$coverage"}

WATCH = """
import json, sys
from bot.__main__ import main
sys.argv = json.loads(sys.argv[1])
try:
    main()
except SystemExit:
    pass
roots = sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names))
print("\\n" + json.dumps(roots))
"""


def loaded(*words, cwd):
    argv = json.dumps(["strop", *words])
    done = subprocess.run(
        [sys.executable, "-c", WATCH, argv], capture_output=True, text=True, check=True, cwd=cwd
    )
    names = json.loads(done.stdout.splitlines()[-1])
    return {name for name in names if not name.startswith("_")} - MEASURING


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["review", "--help"]])
def test_help_loads_neither_model_nor_web_nor_database(words, tmp_path):
    assert not loaded(*words, cwd=tmp_path) & HEAVY


def test_help_loads_little(tmp_path):
    assert loaded("--help", cwd=tmp_path) <= {"bot", "click", "typing_extensions"}


def test_the_hook_path_loads_neither_model_nor_web_nor_database(tmp_path):
    """A commit with nothing to read: the hook is through before any of them is needed."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert not loaded("review", "--staged", cwd=tmp_path) & HEAVY
