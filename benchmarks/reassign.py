"""What it costs to plan the handing over of one person's open tasks to three colleagues.

    uv run python benchmarks/reassign.py [--tasks 50000] [--divide round_robin]

Prints one JSON document; planning runs as a process of its own, against a simulator in another one:

    reads         calls that planning made, all of them
    tasks_a_read  tasks ÷ reads
    seconds       of planning, by the clock
    peak_mb       the most memory that planning held, in MB; null where the system does not tell
    lines         what `plan` prints
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TENANT = """[tenants.bench]
url = "{url}"
username = "api@bench.test"
secret = "simulated"
integration_code = "simulated"
[tenants.bench.budget]
release_ms = 0
"""
JOB = """version: 1
name: leave
tenant: bench
reassign:
  from: daniel.osei@northgate.test
  to: [tomas.lindqvist@northgate.test, maria.santos@northgate.test, priya.raman@northgate.test]
  divide: {divide}
  entities: [Tasks]
"""


class Simulator:
    """A simulated firm, with `tasks` open tasks of Daniel Osei in 20 projects."""

    def __init__(self, url: str, control: str) -> None:
        self.url = url
        self._control = control

    def call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._control}/{path}", data=data)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        return list(self.call(f"rows/{entity}")["items"])

    def load(self, entity: str, items: Sequence[Mapping[str, Any]]) -> list[int]:
        return list(self.call(f"rows/{entity}", {"items": items})["ids"])

    def fill(self, tasks: int) -> None:
        daniel = next(row["id"] for row in self.rows("Resources") if row["userName"] == "daniel.osei")
        held = next(row for row in self.rows("ResourceRoleDepartments") if row["resourceID"] == daniel)
        open_ = next(row for row in self.rows("Projects") if row["extProjectNumber"] == "EXT-5")
        like = {key: value for key, value in open_.items() if key != "id"}
        projects = self.load("Projects", [{**like, "projectName": f"Project {n}"} for n in range(20)])
        some = next(row for row in self.rows("Tasks") if row["assignedResourceID"] == daniel)
        like = {key: value for key, value in some.items() if key != "id"}
        like |= {"status": 1, "assignedResourceRoleID": held["roleID"], "departmentID": held["departmentID"]}
        for first in range(0, tasks, 5_000):
            rows = [
                {
                    **like, "title": f"Task {n}", "projectID": projects[n % 20], "phaseID": None,
                    "estimatedHours": float(n % 9), "remainingHours": float(n % 7),
                }
                for n in range(first, min(first + 5_000, tasks))
            ]  # fmt: skip
            self.load("Tasks", rows)


@contextmanager
def simulator() -> Iterator[Simulator]:
    command = [sys.executable, "-m", "bulkops.simulator", "--release-ms", "0", "--no-tiers"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Simulator(**json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(timeout=20)


def peak_mb() -> float | None:
    """Of the largest process that ran and ended so far."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(kilobytes / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def measure(tasks: int, divide: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, simulator() as tenant:
        tenant.fill(tasks)
        Path(folder, "bulkops.toml").write_text(TENANT.format(url=tenant.url), "utf-8")
        Path(folder, "leave.yaml").write_text(JOB.format(divide=divide), "utf-8")
        command = [sys.executable, "-m", "bulkops", "plan", "leave.yaml"]
        started = time.perf_counter()
        subprocess.run([*command, "--json"], cwd=folder, check=True, capture_output=True, timeout=600)
        seconds = time.perf_counter() - started
        peak = peak_mb()
        told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
        shown = [sys.executable, "-m", "bulkops", "plan", "leave.yaml", "--json"]
        plan = json.loads(subprocess.run(shown, cwd=folder, check=True, capture_output=True).stdout)
    moved = plan["counts"]["update"]
    reads = plan["calls"]["read"]
    return {
        "tasks": moved,
        "reads": reads,
        "tasks_a_read": round(moved / reads),
        "seconds": round(seconds, 1),
        "peak_mb": peak,
        "lines": len(told.stdout.splitlines()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--divide", default="round_robin")
    given = parser.parse_args()
    print(json.dumps(measure(given.tasks, given.divide)))


if __name__ == "__main__":
    main()
