"""Fields where the tenant's own metadata differs from the shipped catalog; and offline, without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bulkops.change import UNKNOWN, FieldDiff
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import RowCheck
from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline

HEAD = "version: 1\nname: trial\ntenant: acme\nsteps:\n"
COUNTS = "The shipped catalog says otherwise, but this tenant's own metadata is what counts"


def tenants(entity: str, **fields: Field | None) -> MemoryTarget:
    """A target whose entity has these fields in place of the catalog's; None: it has not got one."""
    shipped = load_catalog().entities[entity]
    kept: dict[str, Field] = {**shipped.fields, **{k: v for k, v in fields.items() if v is not None}}
    for name in [name for name, shape in fields.items() if shape is None]:
        del kept[name]
    return MemoryTarget(entities={entity: replace(shipped, fields=kept)})


def field(entity: str, name: str, **changes: object) -> Field:
    return replace(load_catalog().entities[entity].fields[name], **changes)  # type: ignore[arg-type]


async def plan(folder: Path, target: MemoryTarget, fields: str, rows: str, *, action: str = "create") -> Plan:
    (folder / "a.csv").write_text(rows, "utf-8")
    job = folder / "job.yaml"
    job.write_text(
        f"{HEAD}  - {{name: a, entity: Tickets, action: {action}, source: {{file: a.csv}},\n"
        f"     match: [externalID],\n     fields: {fields}}}\n",
        "utf-8",
    )
    return await build_plan(load_job(job), target, folder / "a.plan")


TICKET = "{externalID: K, title: T, status: {value: New}, priority: {value: '1'}, companyID: {value: '0'}}"
ELSE = (PicklistValue(value="1", label="Offen"),)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"queueID": field("Tickets", "queueID", is_required=True)},
            "queueID is required and not mapped. `create` of Tickets needs a value for each: a column, or a "
            "constant. This tenant requires `queueID`, the shipped catalog does not",
        ),
        (
            {"title": field("Tickets", "title", is_required=False, is_read_only=True)},
            f"title is read-only. {COUNTS}",
        ),
        ({"title": None}, f"Tickets has no field `title` in this tenant. {COUNTS}"),
        (
            {"status": field("Tickets", "status", picklist=ELSE)},
            "status: 'New' is no value of status in this tenant, though the shipped catalog has it. "
            "Known: Offen",
        ),
        (
            {"externalID": field("Tickets", "externalID", is_queryable=False)},
            f"Tickets.externalID cannot be queried, so `match` cannot name it. {COUNTS}",
        ),
    ],
)
async def test_a_job_that_the_tenant_contradicts_is_refused_naming_both(
    tmp_path: Path, changed: Mapping[str, Field | None], fault: str
) -> None:
    """Who wrote the job by the documentation learns what this tenant has instead."""
    with pytest.raises(JobError) as caught:
        await plan(tmp_path, tenants("Tickets", **changed), TICKET, "K,T\na,b\n")
    assert [str(found).partition(": ")[2] for found in caught.value.faults] == [fault]


async def test_a_row_that_is_too_long_for_this_tenant_names_both_lengths(tmp_path: Path) -> None:
    """Where the catalog's length is kept, only the tenant's is named."""
    target = tenants("Tickets", title=field("Tickets", "title", length=50))
    made = await plan(tmp_path, target, TICKET, f"K,T\na,{'x' * 60}\nb,{'x' * 300}\n")
    told = "the field takes 50 in this tenant (the shipped catalog says 255)"
    assert [(change.reason or "").partition("': ")[2] for change in made.changes()] == [
        f"has 60 characters, {told}",
        f"has 300 characters, {told}",
    ]
    made = await plan(tmp_path, MemoryTarget(), TICKET, f"K,T\na,{'x' * 300}\n")
    assert (made.change(1).reason or "").endswith("has 300 characters, the field takes 255")


async def test_a_field_that_cannot_be_queried_is_asked_for_nowhere(tmp_path: Path) -> None:
    """Neither in a filter nor among the fields of a read, which would both be errors; its row is sent."""
    asked: list[tuple[Filter, Sequence[str]]] = []

    class Listening(MemoryTarget):
        def read(
            self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
        ) -> AsyncIterator[RecordData]:
            asked.append((where, tuple(fields or ())))
            return super().read(entity, where, fields=fields)

    (tmp_path / "a.csv").write_text("K,H\nT-1,2.5\n", "utf-8")
    job = tmp_path / "job.yaml"
    job.write_text(
        f"{HEAD}  - {{name: a, entity: Tasks, action: update, source: {{file: a.csv}},\n"
        "     match: [externalID], fields: {externalID: K, remainingHours: H}}\n",
        "utf-8",
    )
    target = Listening({"Tasks": [{"id": 1, "externalID": "T-1", "remainingHours": 2.5, "projectID": 3}]})
    made = await build_plan(load_job(job), target, tmp_path / "x.plan")
    assert "remainingHours" not in str(asked)
    assert made.change(1).fields == {"remainingHours": FieldDiff(before=UNKNOWN, after=2.5)}


async def test_offline_what_only_the_tenant_knows_is_taken_as_described(tmp_path: Path) -> None:
    """User-defined fields in `udf` and `match`, lookups by them, who creates: nothing of it is a fault."""
    (tmp_path / "a.csv").write_text("K,T,H,C,W\na,b,1,x,y\n", "utf-8")
    job = tmp_path / "job.yaml"
    job.write_text(
        f"{HEAD}  - {{name: a, entity: Tickets, action: upsert, source: {{file: a.csv}},\n"
        "     match: ['udf:legacy id'], impersonate: {column: W, lookup: email, inactive: allow},\n"
        "     udf: {Legacy ID: K, Hours: {column: H, number: {decimal: '.'}, inactive: allow}},\n"
        "     fields: {title: T, status: {value: New}, priority: {value: '1'},\n"
        "       companyID: {column: C, lookup: 'udf:Legacy ID'}}}\n",
        "utf-8",
    )
    examined = await examine_offline(load_job(job))
    assert not examined.faults
    assert [fault async for fault in RowCheck(examined).found()] == []


async def test_a_user_defined_field_of_another_type_than_described_is_told_by_the_tenant(
    tmp_path: Path,
) -> None:
    """Offline its spec is believed; the tenant knows better."""
    companies = load_catalog().entities["Companies"]
    day = Field(name="udf:Since", type=FieldType.DATETIME, is_date_only=True)
    entity: Entity = replace(companies, fields={**companies.fields, day.name: day})
    (tmp_path / "a.csv").write_text("N,S\na,b\n", "utf-8")
    job = tmp_path / "job.yaml"
    job.write_text(
        f"{HEAD}  - {{name: a, entity: Companies, action: update, source: {{file: a.csv}},\n"
        "     match: [companyNumber], fields: {companyNumber: N},\n"
        "     udf: {Since: {column: S, date: '%d/%m/%Y', timezone: Europe/Madrid}}}\n",
        "utf-8",
    )
    loaded = load_job(job)
    examined = await examine_offline(loaded)
    assert examined.steps and not examined.faults
    with pytest.raises(JobError, match="udf:Since holds a calendar date without a time"):
        await build_plan(loaded, MemoryTarget(entities={"Companies": entity}), tmp_path / "x.plan")
