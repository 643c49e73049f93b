"""The table of who may import whom (`README.md`, How it works) holds."""

import ast
from pathlib import Path

import pytest

BOT = Path(__file__).parent.parent / "bot"
VALUES = {"domain", "errors", "untrusted"}
PURE = ("events", "context", "tasks", "findings")
CORRIDOR = {"pipeline.py", "reviewing.py", "asking.py"}
EDGE = {"cli", "web", "__main__.py", "wiring.py", "doctor.py"}
IO_MODULES = {
    "asyncio", "http", "httpx", "io", "multiprocessing", "os", "pathlib.Path", "requests",
    "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "urllib.request",
}  # fmt: skip


def modules(folder):
    return sorted((BOT / folder).rglob("*.py"))


def imports(path):
    """Names of the modules a file imports when it runs, anywhere in it, in full."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(path):
    """The parts of `bot` that a file imports, by their first name."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("bot.")} - {
        "__version__"
    }


@pytest.mark.parametrize("folder", PURE)
def test_pure_packages_import_only_themselves_and_values(folder):
    for path in modules(folder):
        assert rooms(path) <= {folder, *VALUES}, path


@pytest.mark.parametrize("folder", PURE)
def test_pure_packages_do_no_io(folder):
    for path in modules(folder):
        assert not IO_MODULES & set(imports(path)), path
        calls = {n.func.id for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}  # fmt: skip
        assert not calls & {"open", "print", "input", "exec", "eval"}, path


@pytest.mark.parametrize("name", sorted(CORRIDOR))
def test_the_corridor_reaches_the_outside_only_through_ports(name):
    corridor = {Path(name).stem for name in CORRIDOR}
    assert rooms(BOT / name) <= {*PURE, *VALUES, *corridor, "ports", "config"}


def test_integrations_do_not_know_each_other_nor_the_core():
    for path in modules("integrations"):
        assert rooms(path) <= {"integrations", "ports", *VALUES}, path
        family = path.stem.split("_")[0]
        neighbours = {
            name.split(".")[2] for name in imports(path) if name.startswith("bot.integrations.")
        } - {"retry"}
        assert all(name.split("_")[0] == family for name in neighbours), path


def test_only_wiring_constructs_integrations():
    users = {path for path in BOT.rglob("*.py") if "integrations" in rooms(path)}
    assert {path for path in users if "integrations" not in path.parts} == {BOT / "wiring.py"}


def test_the_command_line_and_the_web_stay_at_the_edge():
    for path in BOT.rglob("*.py"):
        if not EDGE & set(path.relative_to(BOT).parts):
            assert not {"cli", "web", "wiring", "doctor"} & rooms(path), path
