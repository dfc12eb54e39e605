"""What somebody has filled in since is not deleted unseen: by a plan, or by the way back of a create."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.progress import OnDrift
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo
from tests.unit.test_drift import apply

GONE = """\
version: 1
name: gone
tenant: acme
limits: {delete: {percent: 100}}
steps:
  - {name: gone, entity: Contacts, action: delete, source: {file: gone.csv}, match: [id], fields: {id: Id}}
"""
MADE = """\
version: 1
name: made
tenant: acme
steps:
  - {name: made, entity: Contacts, action: create, source: {file: made.csv}, match: [lastName],
     fields: {lastName: Name, firstName: Name, companyID: {value: 7}, isActive: {value: 1}}}
"""
ANN: dict[str, Scalar] = {"id": 70, "firstName": "A", "lastName": "B", "companyID": 7, "isActive": 1}
CREATED = "2026-01-01T10:00:00.000Z"


async def planned(folder: Path, target: MemoryTarget) -> Plan:
    (folder / "gone.csv").write_text("Id\n70\n", "utf-8")
    (folder / "job.yaml").write_text(GONE, "utf-8")
    return await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")


@pytest.mark.parametrize(("on_drift", "is_there"), [(OnDrift.HOLD, True), (OnDrift.OVERWRITE, False)])
async def test_a_field_that_was_empty_holds_the_delete(
    tmp_path: Path, on_drift: OnDrift, is_there: bool
) -> None:
    """It would be lost for good: held with its name and value."""
    target = MemoryTarget({"Contacts": [ANN]})
    plan = await planned(tmp_path, target)
    target.rows["Contacts"][70]["note"] = "do not delete"
    await apply(plan, target, on_drift)
    assert (70 in target.rows["Contacts"]) is is_there
    if is_there:
        told = "note was empty and is 'do not delete' now: it was changed since the plan was made"
        assert plan.fate(1).reason == told


@pytest.mark.parametrize("field", ["lastActivityDate", "lastModifiedDate"])
async def test_what_the_api_notes_holds_no_delete(tmp_path: Path, field: str) -> None:
    """Fields that nobody can write."""
    target = MemoryTarget({"Contacts": [ANN]})
    plan = await planned(tmp_path, target)
    target.rows["Contacts"][70][field] = CREATED
    assert (await apply(plan, target)).counts["applied"] == 1


async def made(folder: Path) -> MemoryTarget:
    target = MemoryTarget({"Companies": [{"id": 7, "companyName": "Acme", "isActive": True}]})
    (folder / "made.csv").write_text("Name\nNew\n", "utf-8")
    (folder / "job.yaml").write_text(MADE, "utf-8")
    await apply(await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan"), target)
    return target


async def undone(folder: Path, target: MemoryTarget) -> Plan:
    return await build_undo(Plan.open(folder / "x.plan"), target, folder / "back.plan")


async def test_a_created_record_that_somebody_completed_is_not_deleted(tmp_path: Path) -> None:
    """A text that was not sent: the row names it, and says what to do."""
    target = await made(tmp_path)
    (contact,) = target.rows["Contacts"].values()
    contact["emailAddress"] = "n@example.com"
    (back,) = (await undone(tmp_path, target)).changes()
    assert back.action == "rejected"
    assert back.reason == (
        f"emailAddress is 'n@example.com' of Contacts {contact['id']}, which was not sent: it was filled in "
        "since, by somebody or by the API. Empty it, or delete the record in Autotask"
    )


@pytest.mark.parametrize(
    ("changed", "action"),
    [(CREATED, "delete"), ("2026-01-01T10:00:59.000Z", "delete"), ("2026-01-03T10:00:00.000Z", "rejected")],
)
async def test_what_the_api_filled_in_itself_goes_with_the_record(
    tmp_path: Path, changed: str, action: str
) -> None:
    """The record's own dates say that nobody has touched it since."""
    target = await made(tmp_path)
    (contact,) = target.rows["Contacts"].values()
    target.rows["Contacts"][int(contact["id"] or 0)] |= {
        "country": "USA", "createDate": CREATED, "lastModifiedDate": changed, "note": "default"
    }  # fmt: skip
    (back,) = (await undone(tmp_path, target)).changes()
    assert back.action == action


@pytest.mark.parametrize("value", [None, "", "  "])
async def test_an_empty_text_is_nobodys_doing(tmp_path: Path, value: Scalar) -> None:
    """As the server may show what holds nothing."""
    target = await made(tmp_path)
    (contact,) = target.rows["Contacts"].values()
    contact["note"] = value
    (back,) = (await undone(tmp_path, target)).changes()
    assert back.action == "delete"
