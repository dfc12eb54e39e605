"""A plan of deletes keeps what goes: every field that can be read, to look at and to undo by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bulkops.change import UNKNOWN
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.schema import Field, FieldType
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

STEP = """  - name: people
    entity: Contacts
    action: delete
    source: {file: c.csv}
    match: [emailAddress]
    fields: {emailAddress: Mail}
"""
JO: Mapping[str, Scalar] = {
    "id": 11, "companyID": 7, "firstName": "Jo", "lastName": "Lee", "emailAddress": "jo@acme.test",
    "isActive": 1, "phone": "555", "title": None, "note": "", "lastActivityDate": "2026-01-02T03:04:05Z",
    "udf:Badge": "0017", "udf:Secret": "*****",
}  # fmt: skip


async def planned(folder: Path, *rows: Mapping[str, Scalar]) -> tuple[Plan, MemoryTarget]:
    (folder / "c.csv").write_text("Mail\n" + "".join(f"{row['emailAddress']}\n" for row in rows), "utf-8")
    (folder / "job.yaml").write_text(f"version: 1\nname: a\ntenant: acme\nsteps:\n{STEP}", "utf-8")
    contacts = load_catalog().entities["Contacts"]
    udfs = {name: Field(name=name, type=FieldType.STRING) for name in ("udf:Badge", "udf:Secret")}
    shape = replace(contacts, fields={**contacts.fields, **udfs}, is_live=True)
    target = MemoryTarget({"Contacts": rows}, entities={"Contacts": shape})
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan"), target


async def test_a_delete_keeps_every_field_that_can_be_read(tmp_path: Path) -> None:
    """Read-only fields and user-defined ones too; what is hidden is unknown; nothing stays nothing."""
    plan, _ = await planned(tmp_path, JO)
    change = plan.change(1)
    kept = {name: diff.before for name, diff in change.fields.items()}
    assert list(kept)[:3] == ["emailAddress", "firstName", "lastName"]  # the key and the name come first
    there = {name: value for name, value in JO.items() if name not in ("id", "title")}
    assert kept == {**there, "udf:Secret": UNKNOWN}
    assert all(diff.after is None for diff in change.fields.values())
    assert (change.action.value, change.id, change.parent) == ("delete", 11, 7)


async def test_what_is_kept_costs_no_read_more(tmp_path: Path) -> None:
    """1,000 records that go are read by two questions of 500 keys, as without their fields."""
    rows = [{**JO, "id": n, "emailAddress": f"m{n}@acme.test"} for n in range(1, 1001)]
    plan, target = await planned(tmp_path, *rows)
    assert plan.header.counts["delete"] == 1000
    assert {change.fields["phone"].before for change in plan.changes()} == {"555"}
    held = 2 * 5  # what may hold on to 500 contacts is five questions
    assert target.calls.read <= 4 + held  # two pages of records, and the count that the limits need
