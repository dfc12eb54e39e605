"""How fast rows are planned and a plan is shown, against a target in memory: the engine's own time.

    uv run python benchmarks/planning.py [--rows 20000] [--rounds 3]

Prints one JSON document; each figure is the median of the rounds, in processor time:

    rows_a_second  planning creates with a key (plain), below a row of an earlier step (below), and in one
                   chain in which each row needs the one above (chain); and printing a plan (show)
    ratio          the same ÷ rows a second of reading the file and mapping it, and nothing else
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bulkops.job import load_job
from bulkops.job.model import Job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.precheck import prepare
from bulkops.render import print_plan
from bulkops.targets.memory import MemoryTarget

STEP = """  - name: {name}
    entity: Companies
    action: create
    source: {{file: {name}.csv}}
    match: [companyNumber]
    fields:
      companyNumber: No
      companyName: No
      companyType: {{value: 1}}
      phone: No
      ownerResourceID: {{value: 4}}
"""
PARENT = "      parentCompanyID: {{column: Above, from: {step}}}\n"


def jobs(folder: Path, rows: int) -> dict[str, tuple[Job, int]]:
    """By name: the job, and how many rows it has in all."""
    chain = "".join(f"C-{n},{f'C-{n - 1}' if n else ''}\n" for n in range(rows))
    (folder / "chain.csv").write_text(f"No,Above\n{chain}", "utf-8")
    (folder / "plain.csv").write_text("No\n" + "".join(f"C-{n}\n" for n in range(rows)), "utf-8")
    below = "".join(f"D-{n},C-{n // 10}\n" for n in range(rows))
    (folder / "below.csv").write_text(f"No,Above\n{below}", "utf-8")
    plain = STEP.format(name="plain")
    steps = {
        "plain": plain,
        "below": plain + STEP.format(name="below") + PARENT.format(step="plain"),
        "chain": STEP.format(name="chain") + PARENT.format(step="chain"),
    }
    made = {}
    for name, text in steps.items():
        path = folder / f"{name}.yaml"
        path.write_text(f"version: 1\nname: {name}\ntenant: bench\nsteps:\n{text}", "utf-8")
        made[name] = (load_job(path), rows * text.count("  - name"))
    return made


def seconds(act: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    act()
    return time.process_time() - started


def planned(job: Job, path: Path) -> Plan:
    path.unlink(missing_ok=True)
    return asyncio.run(build_plan(job, MemoryTarget(), path))


def mapped(job: Job) -> None:
    for ready in asyncio.run(prepare(job, MemoryTarget())):
        for row in ready.source.rows():
            ready.mapper.parts(row)


def shown(plan: Plan) -> None:
    print_plan(plan, Console(file=io.StringIO(), soft_wrap=True, highlight=False), most=None)


def measure(folder: Path, rows: int) -> dict[str, float]:
    """Rows a second by question, one round."""
    made = jobs(folder, rows)
    found = {}
    for name, (job, count) in made.items():
        found[name] = count / seconds(lambda job=job: planned(job, folder / "x.plan"))  # type: ignore[misc]
    plan = planned(made["plain"][0], folder / "x.plan")
    found["show"] = rows / seconds(lambda: shown(plan))
    found["mapped"] = rows / seconds(lambda: mapped(made["plain"][0]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [measure(Path(folder), given.rows) for _ in range(given.rounds)]
    rates = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    mapping = rates.pop("mapped")
    print(
        json.dumps(
            {
                "rows": given.rows,
                "rows_a_second": {name: round(rate) for name, rate in rates.items()},
                "ratio": {name: round(rate / mapping, 3) for name, rate in rates.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
