"""Two rows with one key: the second is rejected, naming the first, also where the first is at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

STEP = """  - name: companies
    entity: Companies
    action: upsert
    source: {file: c.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: "1"}
      phone: {column: Phone, empty: reject}
      ownerResourceID: {column: Owner, lookup: email}
"""
OWNERS: Rows = [{"id": 4, "email": "kim@acme.test", "isActive": True}]
GOOD = "Acme,1,kim@acme.test"


async def planned(folder: Path, step: str, *rows: str, header: str = "Id,Name,Phone,Owner") -> Plan:
    (folder / "c.csv").write_text("\n".join((header, *rows, "")), "utf-8")
    (folder / "job.yaml").write_text(f"version: 1\nname: a\ntenant: acme\nsteps:\n{step}", "utf-8")
    there: Rows = [{"id": 7, "companyName": "Seven"}]
    target = MemoryTarget({"Resources": OWNERS, "Companies": there})
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(f"A,{'x' * 300},1,kim@acme.test", id="too long"),
        pytest.param("A,Acme,,kim@acme.test", id="empty and to be rejected"),
        pytest.param("A,Acme,1,nobody@acme.test", id="lookup finds none"),
    ],
)
async def test_a_row_that_is_at_fault_still_has_its_key(tmp_path: Path, first: str) -> None:
    """It is to be corrected and fed back, and then there would be two: no other row takes its place."""
    plan = await planned(tmp_path, STEP, first, f" a ,{GOOD}", f"B,{GOOD}")
    bad, double, other = plan.changes()
    assert bad.action == "rejected" and "c.csv:2" not in (bad.reason or "")
    row = f"row 1 (c.csv:2), which was rejected, has companyNumber {double.key['companyNumber']!r} too"
    assert double.reason == f"{row}: correct that one, or take it out"
    assert other.action == "create"


async def test_both_faults_of_a_second_row_are_told(tmp_path: Path) -> None:
    """What is wrong with the row itself, and that its key stands above already."""
    plan = await planned(tmp_path, STEP, f"A,{GOOD}", "A,Acme,,kim@acme.test")
    reason = plan.change(2).reason or ""
    assert "phone" in reason and reason.endswith("too: only the first one is planned")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(f"{'x' * 60},{GOOD}", id="the key itself is too long"),
        pytest.param(f",{GOOD}", id="empty"),
        pytest.param(f"A,{GOOD},surplus", id="which cell is which is not known"),
    ],
)
async def test_a_row_whose_key_is_at_fault_has_none(tmp_path: Path, first: str) -> None:
    """Nobody knows which key was meant, so it stands in no other row's way."""
    plan = await planned(tmp_path, STEP, first, first, f"A,{GOOD}")
    assert [change.action.value for change in plan.changes()] == ["rejected", "rejected", "create"]
    reason = plan.change(2).reason or ""
    assert "too:" not in reason and reason.count("empty") <= 1


async def test_a_key_that_was_looked_up_in_vain_is_none(tmp_path: Path) -> None:
    """A part of the key that names no record is no part that two rows can share."""
    step = """  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: c.csv}
    match: [companyID, lastName]
    fields:
      companyID: {column: Client, lookup: companyName}
      firstName: First
      lastName: Last
      isActive: {value: "1"}
"""
    rows = ("Nobody,Al,Lee", "Nobody,Bo,Lee", f"Seven,{'x' * 60},Lee", "seven,Di,Lee")
    plan = await planned(tmp_path, step, *rows, header="Client,First,Last")
    reasons = [change.reason or "" for change in plan.changes()]
    assert all(reason.startswith("column Client 'Nobody'") and "too:" not in reason for reason in reasons[:2])
    assert reasons[3].startswith(
        "row 3 (c.csv:4), which was rejected, has companyID 7 and lastName 'Lee' too"
    )


async def test_a_rejected_row_shows_the_key_it_has(tmp_path: Path) -> None:
    """So that it is found again; a key that could not be told is not half shown."""
    plan = await planned(tmp_path, STEP, "A,Acme,,kim@acme.test", f"{'x' * 60},{GOOD}")
    assert [dict(change.key) for change in plan.changes()] == [{"companyNumber": "A"}, {}]
