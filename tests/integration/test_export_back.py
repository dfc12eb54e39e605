"""An exported file comes back: unedited it changes nothing, edited it changes what was edited and no more."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bulkops.change import Action, canonical
from bulkops.export import Wanted, export
from bulkops.export.jobfile import why_not
from bulkops.job import load_job
from bulkops.mapping.values import is_flag
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.secret import Secret
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.rules import RULES
from bulkops.targets.autotask.session import connect
from bulkops.targets.base import Target
from bulkops.tenant import Budget, Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUFFIXES = (".csv", ".xlsx", ".jsonl", ".parquet")
UPDATABLE = [
    entity.name
    for entity in load_catalog().entities.values()
    if entity.is_queryable and not why_not(entity) and "id" in entity.fields
]
TEXTS = (
    "=1+1", "#N/A", "+49 555 0134", "-5", "@home", "'s-Hertogenbosch", "'=1", "\tTab", "two\nlines",
    "two\r\nlines", "  blanks  ", "0012", "1e5", "NULL", "N/A", "true", 'say "hi", Łódź; 日本 😀',
    "_x0041_", "2026-01-31",
)  # fmt: skip
"""Texts that files are known to spoil."""

UDF_VALUES = {
    "Legacy ID": ("=1+1", "0012", None),
    "Customer Ranking": ("Golden", "Platinum", None),  # the list has no Platinum any more
    "Agreed Hours": ("1.500", "12", "-0.25", None),
    "Reviewed On": ("2/29/2016 12:00:00 AM", "2026-01-31T00:00:00", None),
}
STALE = 987_654  # a number that no picklist has any more

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Firm:
    """The simulator's firm, and a few records more of every entity, with texts that files spoil."""

    simulator: Running
    target: Target

    async def exported(self, entity: str, file: Path, job: Path) -> None:
        wanted = Wanted(entity=entity, path=file, job=job, overwrite=True)
        await export(self.target, wanted, tenant="acme")

    async def planned(self, job: Path) -> Plan:
        return await build_plan(load_job(job), self.target, job.with_suffix(".plan"))

    def edits(
        self, entity: Entity, mapped: Sequence[Field], number: int, rng: random.Random
    ) -> Iterator[Edit]:
        """Up to three fields of a record, of those that may change, typed over."""
        stored = _flat(self.simulator.store.table(entity.name)[number])
        fields = [shape for shape in mapped if not (shape.is_read_only or shape.is_fixed)]
        for shape in rng.sample(fields, min(len(fields), rng.randrange(4))):
            others = list(self.simulator.store.table(shape.reference).ids) if shape.reference else [4242]
            now = stored.get(shape.name)
            made = other_value(shape, now, others, rng)
            if made is not None and canonical(shape, made[1]) != canonical(shape, now):
                yield Edit(field=shape.name, cell=made[0], after=made[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def firm() -> AsyncIterator[Firm]:
    """Nothing here is written to the tenant, so that one serves all tests."""
    async with running(Options(release_ms=0, tiers=False)) as simulator:
        for name in UPDATABLE:
            _load_records(simulator, name)
        tenant = Tenant(
            name="acme",
            url=simulator.url,
            username="api@acme.test",
            secret=Secret("s"),
            integration_code=Secret("c"),
            budget=Budget(release_ms=0, requests=1_000_000),
        )
        async with connect(tenant) as target:
            yield Firm(simulator=simulator, target=target)


def _load_records(simulator: Running, name: str) -> None:
    """Records as they may stand in a tenant: every type of field, empty ones among them."""
    rng, table = random.Random(name), simulator.store.table(name)
    entity = load_catalog().entities[name]
    udfs = [item["name"] for item in simulator.store.udfs.get(name, ())]
    for _ in range(3):
        row = {shape.name: _value(shape, rng) for shape in entity.fields.values() if shape.name != "id"}
        own = [{"name": udf, "value": rng.choice(UDF_VALUES[udf])} for udf in udfs]
        table.insert({"id": None, **row, **({"userDefinedFields": own} if own else {})})


def _value(shape: Field, rng: random.Random) -> Any:
    if shape.is_path_only or shape.type is FieldType.BYTES or (not shape.is_required and rng.random() < 0.2):
        return None
    if shape.picklist is not None:
        values = [item.value for item in shape.picklist]  # none where only the tenant knows them
        value = rng.choice([*values, str(STALE)]) if values else None
        return int(value) if value and shape.type.is_whole else value
    if shape.reference:
        return rng.randrange(-1, 30_000)
    return _of_type(shape, rng)


def _of_type(shape: Field, rng: random.Random) -> Any:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=rng.randrange(10**10))
    day, text = moment.date().isoformat(), rng.choice(TEXTS)
    made: dict[FieldType, Any] = {
        FieldType.STRING: text[: shape.length or None],
        FieldType.BOOLEAN: rng.random() < 0.5,
        FieldType.DATETIME: f"{day}T00:00:00Z"
        if shape.is_date_only
        else f"{moment.isoformat(timespec='milliseconds')[:23]}Z",
        **dict.fromkeys(
            (FieldType.DECIMAL, FieldType.DOUBLE), rng.choice([0.1, -2.5, 1e-7, 1234567.891, 3.0, 0.0])
        ),
    }
    return made.get(shape.type, rng.randrange(2 if is_flag(shape) else 30_000))


def read_rows(file: Path) -> Rows:
    """The file as a user's own program sees it."""
    match file.suffix:
        case ".csv":
            return list(csv.DictReader(file.read_text("utf-8-sig").splitlines(keepends=True)))
        case ".jsonl":
            return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        case ".parquet":
            from pyarrow.parquet import read_table

            return list(read_table(file).to_pylist())
        case _:
            from openpyxl import load_workbook

            header, *rows = load_workbook(file).worksheets[0].iter_rows(values_only=True)
            return [dict(zip(map(str, header), cells, strict=True)) for cells in rows]


def write_cells(file: Path, cells: Mapping[tuple[int, str], Any]) -> None:
    """Types over single cells, as an editor of that kind of file does."""
    if file.suffix == ".xlsx":
        from openpyxl import load_workbook

        book = load_workbook(file)
        sheet = book.worksheets[0]
        columns = {str(cell.value): n for n, cell in enumerate(sheet[1], start=1)}
        for (n, header), value in cells.items():
            sheet.cell(n + 2, columns[header]).value = value
        book.save(file)
        return
    rows = read_rows(file)
    for (n, header), value in cells.items():
        rows[n][header] = value
    if file.suffix == ".csv":
        with file.open("w", encoding="utf-8-sig", newline="") as text:
            writer = csv.DictWriter(text, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        import pyarrow
        from pyarrow.parquet import read_schema, write_table

        schema = read_schema(file)
        rows = [{name: None if cell == "" else cell for name, cell in row.items()} for row in rows]
        write_table(pyarrow.Table.from_pylist(rows, schema=schema), file)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One cell that somebody types over: what it says then, and what its field is to hold."""

    field: str
    cell: Any
    after: Any


def other_value(shape: Field, now: Any, others: Sequence[int], rng: random.Random) -> tuple[Any, Any] | None:
    """A cell for a field that holds `now`, and what the field holds then; `others`: ids it may name."""
    is_flagged = shape.type is FieldType.BOOLEAN or is_flag(shape)
    if now is not None and not (shape.is_required or is_flagged) and rng.random() < 0.2:
        return "", None
    if shape.picklist is not None:
        return _other_choice(shape, rng)
    if shape.type is FieldType.DATETIME:
        is_date = shape.is_date_only
        return ("2027-02-03", "2027-02-03T00:00:00Z") if is_date else ("2027-02-03T04:05:06Z",) * 2
    values: dict[FieldType, Any] = {
        FieldType.BOOLEAN: not now,
        FieldType.STRING: "typed over"[: shape.length or None],
        **dict.fromkeys((FieldType.DECIMAL, FieldType.DOUBLE), 77.25),
    }
    number = int(not now) if is_flagged else rng.choice(others) if others else None
    value = values.get(shape.type, number)
    return None if value is None else (value, value)


def _other_choice(shape: Field, rng: random.Random) -> tuple[Any, Any] | None:
    def is_plain(item: PicklistValue) -> bool:
        twins = [other for other in shape.picklist or () if other.label == item.label]
        return item.is_active and bool(item.label) and len(twins) == 1 and not item.parent

    choices = [item for item in shape.picklist or () if is_plain(item)]
    if not choices:
        return None
    item = rng.choice(choices)
    value = shape.held(item)
    return item.label, int(value) if shape.type.is_whole and not shape.is_udf else value


@pytest.mark.parametrize("name", UPDATABLE)
async def test_an_exported_file_changes_what_was_edited_and_no_more(
    firm: Firm, name: str, tmp_path: Path
) -> None:
    """Of every entity that can be updated: at once nothing is written, later exactly the edited cells."""
    file = tmp_path / f"out{SUFFIXES[UPDATABLE.index(name) % len(SUFFIXES)]}"
    job, rng = tmp_path / "back.yaml", random.Random(name)
    await firm.exported(name, file, job)
    at_once = await firm.planned(job)
    changes = list(at_once.changes())
    assert [(change.id, change.fields, change.reason) for change in changes
            if change.action is not Action.UNCHANGED] == []  # fmt: skip
    assert [told for told in at_once.header.warnings if "only to be read" in told] == []
    rows = read_rows(file)
    assert len(changes) == len(rows) > 0

    entity = await firm.target.describe(name)
    mapped = [entity.fields[field] for field in load_job(job).steps[0].specs()]
    edits = {n: list(firm.edits(entity, mapped, int(row["id"]), rng)) for n, row in enumerate(rows)}
    write_cells(file, {(n, edit.field): edit.cell for n, some in edits.items() for edit in some})
    for n, change in enumerate((await firm.planned(job)).changes()):
        wanted = {edit.field: canonical(entity.fields[edit.field], edit.after) for edit in edits[n]}
        found = {field: canonical(entity.fields[field], diff.after) for field, diff in change.fields.items()}
        if change.action is Action.REJECTED:  # what the API's own rules speak against
            assert wanted and change.reason, change
            assert name in RULES, change
        else:
            assert found == wanted, change


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_what_is_typed_into_a_column_that_is_only_to_be_read_is_told(
    firm: Firm, suffix: str, tmp_path: Path
) -> None:
    """In every kind of file: the name beside an id, and what the API sets itself; nothing is written."""
    file, job = tmp_path / f"out{suffix}", tmp_path / "back.yaml"
    await firm.exported("Tasks", file, job)
    n, row = next((n, row) for n, row in enumerate(read_rows(file)) if row["assignedResourceID (name)"])
    held = str(row["taskNumber"])
    write_cells(file, {(n, "assignedResourceID (name)"): "Jo Doe", (n, "taskNumber"): "T-9"})
    plan = await firm.planned(job)
    assert {change.action for change in plan.changes()} == {Action.UNCHANGED}
    name, number = [told for told in plan.header.warnings if "only to be read" in told]
    start = (
        "Tasks: column {}: 1 row says something else than the record. It is only to be read, nothing of it"
    )
    assert name.startswith(start.format("assignedResourceID (name)"))
    assert "is written: edit assignedResourceID instead. " in name
    assert name.endswith(f"says `Jo Doe`, the record `{row['assignedResourceID (name)']}`")
    assert number.startswith(start.format("taskNumber"))
    assert number.endswith(f"says `T-9`, the record `{held}`")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    udfs = {f"udf:{item['name']}": item["value"] for item in row.get("userDefinedFields") or ()}
    return {**row, **udfs}
