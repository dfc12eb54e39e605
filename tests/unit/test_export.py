"""Exported files: what stands in them, what they never do, and the job that brings them back."""

from __future__ import annotations

import csv
import json
import os
import stat
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.cli.export import _names
from bulkops.errors import JobError, RefusedError, RejectedError, StopError
from bulkops.export import Exported, Wanted, export
from bulkops.export.conditions import read_conditions
from bulkops.job import FileSource, load_job
from bulkops.record import Scalar
from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

SUFFIXES = (".csv", ".xlsx", ".jsonl", ".parquet")
Row = Mapping[str, Scalar]


def pick(value: str, label: str, *, active: bool = True, parent: str = "") -> PicklistValue:
    return PicklistValue(value=value, label=label, is_active=active, parent=parent)


KINDS = (
    pick("1", "New"), pick("2", "Same"), pick("3", "Same"), pick("4", "Old", active=False),
    pick("5", "6"), pick("6", "Six"), pick("7", ""), pick("8", "New", active=False),
)  # fmt: skip
SHAPES = (
    Field(name="id", type=FieldType.LONG, is_read_only=True, is_required=True),
    Field(name="title", type=FieldType.STRING, length=200, is_required=True),
    Field(name="kind", type=FieldType.INTEGER, picklist=KINDS),
    Field(name="sub", type=FieldType.INTEGER, picklist_parent="KIND", picklist=(
        pick("11", "Disk", parent="1"), pick("21", "Disk", parent="2"), pick("22", "Fan", parent="2"),
    )),
    Field(
        name="projectID", type=FieldType.INTEGER, reference="Projects", is_required=True, is_read_only=True
    ),
    Field(name="assignedResourceID", type=FieldType.INTEGER, reference="Resources"),
    Field(name="hours", type=FieldType.DECIMAL),
    Field(name="isBillable", type=FieldType.BOOLEAN),
    Field(name="isOpen", type=FieldType.INTEGER),
    Field(name="due", type=FieldType.DATETIME, is_date_only=True),
    Field(name="since", type=FieldType.DATETIME, is_fixed=True),
    Field(name="changed", type=FieldType.DATETIME, is_read_only=True),
    Field(name="secret", type=FieldType.STRING, is_queryable=False),
    Field(name="data", type=FieldType.BYTES),
    Field(name="udf:Rank, old: \"a\" ", type=FieldType.STRING),
)  # fmt: skip
FULL: Row = {
    "id": 1, "title": "=1+1", "kind": 1, "sub": 11, "projectID": 7, "assignedResourceID": 4, "hours": 1.5,
    "isBillable": True, "isOpen": 1, "due": "2026-01-31T00:00:00Z", "since": "2026-01-31T08:00:00.500",
    "changed": "2026-01-31T08:00:00Z", 'udf:Rank, old: "a" ': "Golden",
}  # fmt: skip


def tasks() -> Entity:
    shipped = load_catalog().entities["Tasks"]
    return replace(shipped, fields={field.name: field for field in SHAPES}, is_live=True)


def tenant(*records: Row, entity: Entity | None = None) -> MemoryTarget:
    people = [
        {"id": 4, "firstName": "Iris", "lastName": "Calloway"},
        {"id": 5, "firstName": "Jo", "lastName": ""},
    ]
    rows: dict[str, Any] = {
        "Tasks": records,
        "Resources": people,
        "Projects": [{"id": 7, "projectName": "Move"}],
    }
    return MemoryTarget(rows, entities={"Tasks": entity or tasks()})


class Room:
    """A folder to export into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def export(self, target: MemoryTarget, name: str = "out.csv", **wanted: Any) -> Exported:
        asked = {"entity": "Tasks", "path": self.folder / name, **wanted}
        return await export(target, Wanted(**asked), tenant="acme")

    def rows(self, name: str = "out.csv") -> list[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


# --- what stands in a file


async def test_a_file_holds_ids_and_labels_and_names(room: Room) -> None:
    """Picklists by label, references by id with the name beside it, dates as ISO, user-defined fields."""
    made = await room.export(tenant(FULL, {"id": 2, "title": "Two"}))
    assert (made.entity, made.records, made.warnings) == ("Tasks", 2, ())
    assert room.rows() == [
        {
            "id": "1", "title": "'=1+1", "kind": "New", "sub": "Disk", "projectID": "7",
            "projectID (name)": "Move", "assignedResourceID": "4",
            "assignedResourceID (name)": "Iris Calloway", "hours": "1.5", "isBillable": "true", "isOpen": "1",
            "due": "2026-01-31", "since": "2026-01-31T08:00:00.500Z", "changed": "2026-01-31T08:00:00Z",
            'udf:Rank, old: "a" ': "Golden", "bulkops_entity": "Tasks",
        },
        {**dict.fromkeys(room.rows()[0], ""), "id": "2", "title": "Two", "bulkops_entity": "Tasks"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sub", "texts"),
    [
        (1, 11, ("New", "Disk")),
        (2, 21, ("2", "Disk")),  # two values are called Same
        (4, None, ("Old", "")),  # no longer in use, and known all the same
        (5, None, ("5", "")),  # its label is the number of another one
        (6, None, ("Six", "")),
        (7, None, ("7", "")),  # without a label
        (8, None, ("8", "")),  # its label means the one that is in use
        (99, None, ("99", "")),  # on no list any more
        (1, 22, ("New", "22")),  # stands under another parent
    ],
)
async def test_a_label_stands_only_where_it_reads_back_as_its_value(
    room: Room, kind: int, sub: int | None, texts: tuple[str, str]
) -> None:
    """Else the number does, which says the same to every reader."""
    await room.export(tenant({**FULL, "kind": kind, "sub": sub}))
    (row,) = room.rows()
    assert (row["kind"], row["sub"]) == texts


async def test_fields_are_those_asked_for_and_the_id(room: Room) -> None:
    """In the order in which they were asked for, with the names that belong to them; no more is read."""
    await room.export(tenant(FULL), fields=("HOURS", "projectID", "hours"))
    (row,) = room.rows()
    assert list(row) == ["id", "hours", "projectID", "projectID (name)", "bulkops_entity"]


async def test_a_dependent_choice_is_told_where_its_parent_is_not_asked_for(room: Room) -> None:
    """Its label means a value inside the parent's, which the record has all the same."""
    await room.export(tenant({**FULL, "kind": 2, "sub": 21}), fields=("sub",))
    assert room.rows()[0]["sub"] == "Disk"


async def test_names_that_cannot_be_read_are_left_empty_and_told(room: Room) -> None:
    """Once, however many pages there are; a record that is gone has no name."""
    many = [{**FULL, "id": n, "projectID": n, "assignedResourceID": 5} for n in range(1, 1002)]
    target = tenant(*many)
    target.script("read Projects", [RejectedError("no permission", known=False, status=500)])
    made = await room.export(target, fields=("projectID", "assignedResourceID"))
    assert made.warnings == ("the names of Projects are left empty, they cannot be read: no permission",)
    assert {(row["projectID (name)"], row["assignedResourceID (name)"]) for row in room.rows()} == {
        ("", "Jo")
    }


async def test_records_that_this_user_may_not_see_are_told_to_be_missing(room: Room) -> None:
    """An export of some records is not taken for one of all."""
    made = await room.export(tenant(FULL, entity=replace(tasks(), is_restricted=True)))
    assert made.warnings == ("this API user sees only some Tasks records, so a query finds no others",)


async def test_names_are_read_500_a_call_and_remembered(room: Room) -> None:
    """1,001 records of two people and one project: three pages, a count, and a call for each kind of name."""
    target = tenant(*({**FULL, "id": n, "assignedResourceID": 4 + n % 2} for n in range(1, 1002)))
    made = await room.export(target)
    assert made.calls == target.calls.read == 3 + 1 + 2


async def test_more_values_than_a_query_may_hold_are_all_exported_once(room: Room) -> None:
    """Two queries may find one record: it stands in the file once."""
    records: list[Row] = [{"id": n, "title": f"t{n}"} for n in range(1, 1201)]
    values = json.dumps([f"t{n}" for n in range(1, 1201)] + [f"T{n}" for n in range(1, 1201)])
    where = read_conditions(f'{{"field": "title", "op": "in", "value": {values}}}', "--where")
    await room.export(tenant(*records), where=where, fields=("title",))
    assert sorted(int(row["id"]) for row in room.rows()) == list(range(1, 1201))


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_no_record_is_a_file_with_its_header(room: Room, suffix: str) -> None:
    """A program that waits for the file finds it."""
    made = await room.export(tenant(), f"out{suffix}")
    assert made.records == 0
    assert room.files == [f"out{suffix}"]
    if suffix == ".csv":
        assert (room.folder / "out.csv").read_text("utf-8-sig").startswith("id,title,kind,")


async def test_json_lines_and_parquet_know_types(room: Room) -> None:
    """Numbers are numbers, flags flags, nothing is null, and texts stand to the letter."""
    from pyarrow.parquet import read_table

    await room.export(tenant(FULL, {"id": 2}), "out.jsonl")
    await room.export(tenant(FULL, {"id": 2}), "out.parquet")
    first, second = map(json.loads, (room.folder / "out.jsonl").read_text("utf-8").splitlines())
    assert (first["id"], first["title"], first["hours"], first["isBillable"]) == (1, "=1+1", 1.5, True)
    assert second["title"] is None
    assert "bulkops_entity" not in first
    table = read_table(room.folder / "out.parquet")
    assert table.to_pylist() == [first, second]
    types = {
        name: str(table.schema.field(name).type) for name in ("id", "hours", "isBillable", "kind", "due")
    }
    assert list(types.values()) == ["int64", "double", "bool", "string", "string"]


async def test_a_workbook_runs_nothing_and_keeps_types(room: Room) -> None:
    """A text that looks like a formula is a text, also when somebody edits it; numbers are numbers."""
    from openpyxl import load_workbook

    big = 2**53 + 1
    await room.export(tenant({**FULL, "assignedResourceID": big}), "out.xlsx")
    sheet = load_workbook(room.folder / "out.xlsx").worksheets[0]
    assert sheet.title == "Tasks"
    cells = {str(name.value): cell for name, cell in zip(sheet[1], sheet[2], strict=True)}
    title = cells["title"]
    assert (title.value, title.data_type, bool(title.quotePrefix)) == ("=1+1", "s", True)
    assert (cells["id"].value, cells["hours"].value, cells["isBillable"].value) == (1, 1.5, True)
    assert cells["assignedResourceID"].value == str(big)
    assert not cells["kind"].quotePrefix


# --- what is refused, and what is left


@pytest.mark.parametrize(
    ("suffix", "changed", "told"),
    [
        (
            ".xlsx",
            {"title": "x" * 40_000},
            "a cell of a sheet holds 32,767 characters, and a text of Tasks has",
        ),
        (
            ".parquet",
            {"assignedResourceID": "many"},
            "Tasks.assignedResourceID holds what is no int64: export",
        ),
        (".parquet", {"hours": "many"}, "Tasks.hours holds what is no double"),
    ],
)
async def test_what_a_file_cannot_hold_is_refused(room: Room, suffix: str, changed: Row, told: str) -> None:
    """With what to do instead; no file is left."""
    with pytest.raises(RefusedError) as caught:
        await room.export(tenant({**FULL, **changed}), f"out{suffix}")
    assert str(caught.value).startswith(f"{room.folder / 'out'}{suffix}: ")
    assert told in str(caught.value)
    assert room.files == []


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_a_file_is_whole_or_not_there(room: Room, suffix: str) -> None:
    """The network ends on the second page: nothing is left, and a file that was there before stays."""
    target = tenant(*({**FULL, "id": n} for n in range(1, 1002)))
    target.script("read Tasks", [None, StopError("the network is gone")])
    with pytest.raises(StopError):
        await room.export(target, f"out{suffix}", job=room.folder / "back.yaml")
    assert room.files == []
    (room.folder / f"out{suffix}").write_text("mine")
    target.script("read Tasks", [None, StopError("the network is gone")])
    with pytest.raises(StopError):
        await room.export(target, f"out{suffix}", overwrite=True)
    assert (room.folder / f"out{suffix}").read_text() == "mine"


async def test_a_file_that_exists_is_never_overwritten_unasked(room: Room) -> None:
    """Neither the export nor its job; and nothing is asked for."""
    target, job = tenant(FULL), room.folder / "back.yaml"
    for name in ("out.csv", "back.yaml"):
        (room.folder / name).write_text("mine")
        with pytest.raises(RefusedError, match=r"exists already\. Name another file, or add --force"):
            await room.export(target, job=job)
        assert (room.folder / name).read_text() == "mine"
        (room.folder / name).unlink()
    assert target.calls.read == 0
    await room.export(target, job=job)
    await room.export(target, job=job, overwrite=True)
    assert room.files == ["back.yaml", "out.csv"]


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
async def test_only_the_owner_can_read_what_was_exported(room: Room) -> None:
    """It is customer data; a file that stood there open to all does not stay so."""
    (room.folder / "out.csv").write_text("mine")
    (room.folder / "out.csv").chmod(0o644)
    await room.export(tenant(FULL), job=room.folder / "back.yaml", overwrite=True)
    assert {stat.S_IMODE((room.folder / name).stat().st_mode) for name in room.files} == {0o600}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"path": "out.xls"}, "out.xls: the file must end in `.csv`, `.xlsx`, `.jsonl` or `.parquet`"),
        ({"job": Path("back.txt")}, "back.txt: a job file ends in `.yaml` or `.yml`"),
        ({"entity": "Taskz"}, "`Taskz` is no entity. Did you mean `Tasks`"),
        ({"entity": "ResourceTimeOffAdditional"}, "`ResourceTimeOffAdditional` cannot be queried"),
        ({"fields": ("titel",)}, "--fields: Tasks has no field `titel`. Did you mean `title`?"),
        ({"fields": ("secret",)}, "--fields: Tasks.secret cannot be read. Leave it out."),
        ({"entity": "ActionTypes", "job": None}, ""),
        ({"entity": "AttachmentInfo", "job": Path("b.yaml")}, "--job: AttachmentInfo cannot be updated"),
        (
            {"entity": "ArticlePlainTextContent", "job": Path("b.yaml")},
            "--job: ArticlePlainTextContent are written through their KnowledgeBaseArticles record, which",
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_exported_is_refused(room: Room, wanted: dict[str, Any], told: str) -> None:
    """Each with a sentence; no file is written then."""
    wanted = dict(wanted)
    if wanted.get("job"):
        wanted["job"] = room.folder / wanted["job"]
    if "path" in wanted:
        wanted["path"] = room.folder / wanted["path"]
    if not told:
        await room.export(tenant(FULL), **wanted)
        return
    with pytest.raises(RefusedError) as caught:
        await room.export(tenant(FULL), **wanted)
    assert told in str(caught.value)
    assert room.files == []


async def test_faults_of_fields_and_conditions_are_told_together(room: Room) -> None:
    """And those of lookups, which had to be asked for."""
    where = read_conditions(
        '[{"field": "titel", "op": "exist"},'
        ' {"field": "assignedResourceID", "op": "eq", "value": {"lookup": "email", "key": "x@acme.test"}}]',
        "--where",
    )
    with pytest.raises(JobError) as caught:
        await room.export(tenant(FULL), fields=("hour",), where=where)
    assert [str(fault) for fault in caught.value.faults] == [
        "--fields: Tasks has no field `hour`. Did you mean `hours`?",
        "--where:1: Tasks has no field `titel`, which `where` names. Did you mean `title`?",
        "--where:1: email 'x@acme.test': no Resources record has this email",
    ]


def test_names_between_commas_may_hold_commas_in_quotes() -> None:
    """Each once, blanks at their ends gone."""
    assert _names('id, title ,"udf:Rank, old",title,,') == ("id", "title", "udf:Rank, old")
    assert _names(" ") == ()


# --- the job that brings it back


async def test_the_job_names_every_field_that_can_be_written(room: Room) -> None:
    """By id; what a create sets for good is mapped so that an edit of it is refused; the rest is ignored."""
    job = room.folder / "jobs" / "back again!.yaml"
    job.parent.mkdir()
    await room.export(tenant(FULL, {**FULL, "id": 2, "isBillable": None, "due": None}), job=job)
    made = load_job(job)
    (step,) = made.steps
    assert (made.name, made.tenant, step.name, step.match) == ("back again", "acme", "Tasks", ("id",))
    assert isinstance(step.source, FileSource)
    assert step.source.display == "../out.csv"
    assert {name: (spec.column, spec.empty.value) for name, spec in step.specs().items()} == {
        "id": ("id", "skip"),
        "title": ("title", "reject"),  # required: it cannot be cleared
        "kind": ("kind", "clear"),
        "sub": ("sub", "clear"),
        "projectID": ("projectID", "skip"),
        "assignedResourceID": ("assignedResourceID", "clear"),
        "hours": ("hours", "clear"),
        "isBillable": ("isBillable", "skip"),  # empty in a record: it must not be rejected for that
        "isOpen": ("isOpen", "reject"),
        "due": ("due", "clear"),
        "since": ("since", "skip"),
        'udf:Rank, old: "a" ': ('udf:Rank, old: "a"', "clear"),
    }
    assert step.ignore == ("projectID (name)", "assignedResourceID (name)", "changed")


# --- many records


class Endless(MemoryTarget):
    """A tenant with more tasks than anybody keeps in memory: they are made as they are read."""

    size = 0

    async def read(self, entity: str, where: Any, *, fields: Any = None) -> Any:
        for number in range(1, self.size + 1):
            yield {**FULL, "id": number, "title": f"Task number {number} of a great many"}

    async def count(self, entity: str, where: Any = None) -> int:
        return self.size


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_memory_stays_flat(room: Room, suffix: str) -> None:
    """Ten times as many records take no more memory, whatever they are written to."""
    target = Endless(entities={"Tasks": tasks()})

    async def peak(count: int) -> int:
        target.size = count
        tracemalloc.start()
        made = await room.export(target, f"out{suffix}", overwrite=True, fields=("title", "kind", "hours"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert made.records == count
        return most

    await peak(1000)
    assert await peak(50_000) < 1.5 * await peak(10_000)
