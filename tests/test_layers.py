"""Import directions: which room may reach which. Read from the source, so a lazy import counts too."""

from __future__ import annotations

import ast
from collections import deque
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bulkops"

IO_MODULES = {
    "aiohttp", "asyncio", "sqlite3", "socket", "subprocess", "pandas", "openpyxl", "filelock", "requests",
    "urllib", "http", "shutil", "tempfile",
}  # fmt: skip
PURE = (
    "mapping", "change", "retry", "estimate", "safety", "record", "schema", "errors",
    "targets.autotask.rules",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside a function; type-checking imports left out."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


MODULES = modules()
GRAPH = {name: imports_of(path) for name, path in MODULES.items()}


def reaches(start: str) -> set[str]:
    """Everything a module imports, directly or through our own modules."""
    seen: set[str] = set()
    queue = deque([start])
    while queue:
        for name in GRAPH.get(queue.popleft(), ()):
            if name not in seen:
                seen.add(name)
                queue.append(name)
    return seen


def rooms(prefix: str) -> list[str]:
    return [name for name in MODULES if name == prefix or name.startswith(prefix + ".")]


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_cannot_reach_io(room: str) -> None:
    """Deciding is pure: these rooms reach no socket, no file, no database, no event loop."""
    roots = {name.split(".")[0] for name in reaches(f"bulkops.{room}")}
    assert not roots & IO_MODULES


def test_planner_cannot_reach_the_journal() -> None:
    """Planning only reads, so it has no use for the story of what was written."""
    for name in rooms("bulkops.planner"):
        assert "bulkops.journal" not in reaches(name)


@pytest.mark.parametrize("room", ["applier", "settle"])
def test_applier_trusts_only_the_plan(room: str) -> None:
    """Applying cannot reach the sources, the mapping or the job the plan was made from."""
    reached = {name for module in rooms(f"bulkops.{room}") for name in reaches(module)}
    assert not {
        name for name in reached if name.startswith(("bulkops.sources", "bulkops.job", "bulkops.mapping"))
    }


def test_targets_know_no_job() -> None:
    """A target is written to; why is not its matter."""
    for name in rooms("bulkops.targets"):
        assert "bulkops.job" not in reaches(name)


def test_simulator_is_a_building_of_its_own() -> None:
    """The simulator shares the file of facts with the engine and no code."""
    for name in rooms("bulkops.simulator"):
        ours = {item for item in GRAPH[name] if item.startswith("bulkops")}
        assert all(item.startswith("bulkops.simulator") for item in ours), name


def test_engine_does_not_know_the_simulator() -> None:
    """Only the command line starts the simulator; the engine is never built against it."""
    for name in MODULES:
        if not name.startswith(("bulkops.simulator", "bulkops.cli")):
            assert not any(item.startswith("bulkops.simulator") for item in GRAPH[name]), name


def test_only_the_command_line_imports_the_command_line() -> None:
    """Nothing depends on how it is called."""
    for name in MODULES:
        if not name.startswith("bulkops.cli") and name != "bulkops.__main__":
            assert not any(item.startswith("bulkops.cli") for item in GRAPH[name]), name


def test_only_the_command_line_prints() -> None:
    """Standard output belongs to the command line (and to the simulator's one line)."""
    allowed = ("bulkops.cli", "bulkops.simulator", "bulkops.data.generate")
    for name, path in MODULES.items():
        if name.startswith(allowed):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), name
