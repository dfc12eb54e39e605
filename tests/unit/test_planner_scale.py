"""Planning many rows: memory does not grow with them."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from bulkops.job import load_job
from bulkops.planner.build import build_plan
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


FAMILY = """
version: 1
name: family
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: create
    source: {file: many.csv}
    match: [companyNumber]
    fields:
      companyNumber: Name
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
      parentCompanyID: {column: Below, from: companies}
  - name: contacts
    entity: Contacts
    action: create
    source: {file: many.csv}
    match: [companyID, lastName]
    fields:
      companyID: {column: Name, from: companies}
      firstName: Name
      lastName: Name
      isActive: {value: "1"}
    ignore: [Below]
"""


async def peak_bytes(folder: Path, job: str, rows: int) -> int:
    """Peak memory of planning `rows` rows a step, above what stood before; most name one below as parent."""
    (folder / "many.yaml").write_text(job, "utf-8")
    with (folder / "many.csv").open("w", encoding="utf-8") as file:
        file.write("Name,Below\n" if job is FAMILY else "Name\n")
        for n in range(rows):
            below = f",Row {n + rows // 3}" if n < rows // 3 * 2 else ","
            file.write(f"Row {n}{below if job is FAMILY else ''}\n")
    gc.collect()
    tracemalloc.start()
    try:
        plan = await build_plan(load_job(folder / "many.yaml"), MemoryTarget(), folder / f"{rows}.plan")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plan.header.counts["create"] == plan.total == rows * len(plan.header.steps)
    return peak


@pytest.mark.parametrize(
    ("job", "few", "many"),
    [
        pytest.param(JOB, 2_500, 8_500, id="one step"),  # Python itself keeps 2,000 tuples of each length
        pytest.param(FAMILY, 1_500, 3_500, id="references"),
        pytest.param(JOB, 20_000, 200_000, marks=pytest.mark.slow, id="one long step"),
        pytest.param(FAMILY, 20_000, 200_000, marks=pytest.mark.slow, id="many references"),
    ],
)
async def test_memory_is_flat(tmp_path: Path, job: str, few: int, many: int) -> None:
    """Several times the rows take no more memory: neither rows, nor keys, nor references, nor changes."""
    await peak_bytes(tmp_path, job, 10)  # what is loaded once is loaded now
    small, large = await peak_bytes(tmp_path, job, few), await peak_bytes(tmp_path, job, many)
    assert large < small + 20 * (many - few)  # bytes: less than the digest of a key and its place
