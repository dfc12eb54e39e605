"""The second row of a key, fed back uncorrected, would overwrite what the first one made: that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.report.results import write_results
from bulkops.targets.memory import MemoryTarget

JOB = """version: 1
name: a
tenant: acme
steps:
  - name: one
    entity: Companies
    action: upsert
    source: {file: one.csv}
    match: [companyNumber]
    fields: &fields
      companyNumber: Id
      companyName: Name
      phone: {value: "5"}
      companyType: {value: "1"}
      ownerResourceID: {value: "4"}
  - name: two
    entity: Companies
    action: upsert
    source: {file: two.csv}
    match: [companyNumber]
    fields: *fields
"""
OWNER: Mapping[str, Scalar] = {"id": 4, "email": "kim@acme.test", "isActive": True}
WARNING = "rejected because of another row with the same key"


class Desk:
    """A folder with a job of two steps, and a tenant that is as if the first plan had been applied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "job.yaml").write_text(JOB, "utf-8")

    def source(self, step: str, *rows: str) -> None:
        (self.folder / f"{step}.csv").write_text("\n".join(("Id,Name", *rows, "")), "utf-8")

    async def plan(self, companies: Sequence[Mapping[str, Scalar]], **sources: Path) -> Plan:
        target = MemoryTarget({"Resources": [OWNER], "Companies": list(companies)})
        job = load_job(self.folder / "job.yaml", sources=sources)
        return await build_plan(job, target, self.folder / "x.plan")

    async def again(self, *companies: tuple[int, str, str], change: str = "", to: str = "") -> list[str]:
        """Warnings of the plan of what the first one rejected, with `change` in both files put right."""
        first = await self.plan([])
        write_results(first, self.folder)
        for step in ("one", "two"):
            path = self.folder / step / "rejected.csv"
            path.write_text(path.read_text("utf-8-sig").replace(change, to), "utf-8-sig")
        rest: dict[str, Scalar] = {"phone": "5", "companyType": 1, "ownerResourceID": 4}
        made = [{"id": id, "companyNumber": key, "companyName": name, **rest} for id, key, name in companies]
        sources = {step: self.folder / step / "rejected.csv" for step in ("one", "two")}
        return list((await self.plan(made, **sources)).header.warnings)


async def test_it_is_named_with_the_record_that_it_would_overwrite(tmp_path: Path) -> None:
    """Also where the first row stands in another step."""
    desk = Desk(tmp_path)
    desk.source("one", "A,Alpha", "A,Other")
    desk.source("two", "A,Third", "B,Beta")
    (one, two) = await desk.again((7, "A", "Alpha"), (8, "B", "Beta"))
    assert one.startswith(f"one: 1 row was {WARNING}")
    assert one.endswith("one/rejected.csv:2 (update Companies 7)")
    assert two.startswith(f"two: 1 row was {WARNING}") and two.endswith("(update Companies 7)")


async def test_what_was_put_right_is_not_warned_of(tmp_path: Path) -> None:
    """A key of its own makes it a record of its own; what is as the record is changes nothing."""
    desk = Desk(tmp_path)
    desk.source("one", "A,Alpha", "A,Other")
    desk.source("two", "B,Beta")
    assert await desk.again((7, "A", "Alpha"), change="A,Other", to="C,Other") == []
    assert await desk.again((7, "A", "Other")) == []


async def test_what_was_rejected_for_something_else_is_not_warned_of(tmp_path: Path) -> None:
    """A row that is corrected and updates a record that was there all along is what feeding back is for."""
    desk = Desk(tmp_path)
    desk.source("one", f"A,{'x' * 300}")
    desk.source("two", "B,Beta")
    assert await desk.again((7, "A", "Old"), change="x" * 300, to="New") == []


async def test_many_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    """One sentence a step, however many rows it is about."""
    desk = Desk(tmp_path)
    keys = [f"K{n}" for n in range(5)]
    desk.source("one", *(f"{key},Alpha" for key in keys), *(f"{key},Other" for key in keys))
    desk.source("two", "B,Beta")
    (told,) = await desk.again(*((n, key, "Alpha") for n, key in enumerate(keys, 10)))
    assert told.startswith(f"one: 5 rows were {WARNING}")
    assert told.endswith("rejected.csv:4 (update Companies 12) and others")
