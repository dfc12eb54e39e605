"""Planning many rows: memory does not grow with them."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from bulkops.job import load_job
from bulkops.planner import build_plan
from bulkops.targets.memory import MemoryTarget

JOB = """
version: 1
name: many
tenant: acme
steps:
  - name: groups
    entity: ContactGroups
    action: create
    source: {file: many.csv}
    match: [name]
    fields: {name: Name, isActive: {value: "true"}}
"""


async def peak_bytes(folder: Path, rows: int) -> int:
    """Peak memory of planning `rows` rows, above what stood before."""
    (folder / "many.yaml").write_text(JOB, "utf-8")
    with (folder / "many.csv").open("w", encoding="utf-8") as file:
        file.write("Name\n")
        file.writelines(f"Group number {n}\n" for n in range(rows))
    gc.collect()
    tracemalloc.start()
    try:
        plan = await build_plan(load_job(folder / "many.yaml"), MemoryTarget(), folder / f"{rows}.plan")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plan.header.counts["create"] == plan.total == rows
    return peak


@pytest.mark.parametrize(
    ("few", "many"), [(1_500, 7_500), pytest.param(20_000, 200_000, marks=pytest.mark.slow)]
)
async def test_memory_is_flat(tmp_path: Path, few: int, many: int) -> None:
    """Several times the rows take no more memory: neither rows, nor keys, nor changes are kept."""
    await peak_bytes(tmp_path, 10)  # what is loaded once is loaded now
    small, large = await peak_bytes(tmp_path, few), await peak_bytes(tmp_path, many)
    assert large < small + 20 * (many - few)  # bytes: less than the digest of a key and its place
