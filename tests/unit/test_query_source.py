"""Rows that are the tenant's own records: what they hold, what they cost, what becomes of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import RowCheck
from bulkops.record import Scalar, StoredText
from bulkops.report.results import write_results
from bulkops.schema import Entity, Field, FieldType
from bulkops.sources.query import QueryRows, query_columns
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline

HEAD = "version: 1\nname: trial\ntenant: acme\nlimits: {update: {percent: 100, count: 100000}}\nsteps:\n"
TASKS: list[Mapping[str, Any]] = [
    {"id": 31, "title": "One", "status": 1, "projectID": 7, "estimatedHours": 1.5, "isTaskBillable": True},
    {"id": 32, "title": "Two", "status": 5, "projectID": 7, "endDateTime": "2026-01-31T00:00:00Z"},
    {"id": 33, "title": "NULL", "status": 1, "projectID": 8, "createDateTime": "2026-01-31T08:00:00.123Z"},
]
PROJECTS: list[Mapping[str, Any]] = [
    {"id": 7, "projectName": "Move", "status": 1},
    {"id": 8, "projectName": "Audit", "status": 1},
]
COMPANIES = "source: {query: Companies}"
OPEN = "source: {query: Tasks, where: [{field: status, op: noteq, value: Complete}]}"


def step(
    fields: str,
    *,
    source: str = OPEN,
    entity: str = "Tasks",
    action: str = "update",
    more: str = "match: [id]",
) -> str:
    return f"  - {{name: a, entity: {entity}, action: {action}, {source}, {more}, fields: {{{fields}}}}}\n"


class Desk:
    """Plans jobs whose rows come from a target in memory."""

    def __init__(self, folder: Path, target: MemoryTarget) -> None:
        self.folder, self.target = folder, target

    async def plan(self, steps: str, *, head: str = HEAD, **options: Any) -> Plan:
        job = self.folder / "job.yaml"
        job.write_text(head + steps, "utf-8")
        return await build_plan(load_job(job, **options), self.target, self.folder / "x.plan")

    async def refused(self, steps: str) -> list[str]:
        with pytest.raises(JobError) as caught:
            await self.plan(steps)
        return [str(fault).removeprefix(f"{self.folder / 'job.yaml'}:") for fault in caught.value.faults]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    firms: list[Mapping[str, Any]] = [{"id": 100 + n, "companyName": f"Firm {n}"} for n in range(1200)]
    return Desk(tmp_path, MemoryTarget({"Tasks": TASKS, "Projects": PROJECTS, "Companies": firms}))


def written(plan: Plan) -> list[tuple[int | None, Mapping[str, Any]]]:
    return [(change.id, change.after()) for change in plan.changes() if change.action.is_write]


# --- rows are records


async def test_a_mass_update_takes_its_rows_from_the_tenant(desk: Desk) -> None:
    """The open tasks, each matched by its own id, with what a template makes of its other columns."""
    plan = await desk.plan(step('id: id, title: {template: "{{ title }} ({{ estimatedHours }} h)"}'))
    assert written(plan) == [(31, {"title": "One (1.5 h)"}), (33, {"title": "NULL ( h)"})]
    (info,) = plan.header.steps
    assert (info.read, info.dropped, info.rows) == (2, 0, 2)
    assert info.file == "query of Tasks where status noteq Complete"
    status = await apply_plan(plan, desk.target)
    assert status.counts["applied"] == 2
    assert desk.target.rows["Tasks"][31]["title"] == "One (1.5 h)"


async def test_a_row_is_known_by_the_id_of_its_record(desk: Desk) -> None:
    """In messages, in `show` and in result files."""
    plan = await desk.plan(step("id: id, title: title"))
    assert [(change.file, change.line, change.place) for change in plan.changes()] == [
        ("Tasks", 31, "Tasks:31"),
        ("Tasks", 33, "Tasks:33"),
    ]


async def test_rows_that_are_the_records_are_not_read_a_second_time(desk: Desk) -> None:
    """One call for 500 rows: what a query finds is what `match: [id]` would find."""
    plan = await desk.plan(step("id: id, companyName: {value: x}", source=COMPANIES, entity="Companies"))
    assert len(written(plan)) == 1200
    assert desk.target.calls.read == 4  # three pages, and a count for the limits


@pytest.mark.parametrize("key", ["{column: id, labels: {'31': '32', '33': '33'}}", "{template: '{{ id }}'}"])
async def test_rows_whose_key_is_made_are_looked_for(desk: Desk, key: str) -> None:
    """What the job makes of an id may be another one."""
    plan = await desk.plan(step(f"id: {key}, title: {{value: new}}"))
    assert [number for number, _ in written(plan)] == [32 if "labels" in key else 31, 33]


async def test_only_the_columns_that_a_step_needs_are_kept(desk: Desk) -> None:
    """The id, what people know the record by, and what the step names; in the entity's order."""
    plan = await desk.plan(step('id: id, description: {template: "{{ projectID }} {{ status }}"}'))
    (info,) = plan.header.steps
    assert info.columns == ("id", "projectID", "status", "title")
    assert [row.cells for row in plan.rows()] == [("31", "7", "1", "One"), ("33", "8", "1", "NULL")]


async def test_a_template_that_names_no_column_gets_them_all(desk: Desk) -> None:
    """`row` as a whole may be anything."""
    plan = await desk.plan(step('id: id, title: {template: "{{ row | length > 20 }}"}'))
    assert len(plan.header.steps[0].columns) > 20
    assert written(plan)[0] == (31, {"title": "True"})


async def test_what_stands_in_a_record_is_no_missing_cell(desk: Desk) -> None:
    """`missing` is about files: a task that is called NULL is called so."""
    plan = await desk.plan(
        step("id: id, description: title"), head=HEAD.replace("steps:", 'missing: ["", "NULL"]\nsteps:')
    )
    assert written(plan)[1] == (33, {"description": "NULL"})


async def test_a_step_may_write_another_entity_than_it_queries(desk: Desk) -> None:
    """A note for every open task; and the projects of open tasks, each once."""
    notes = step(
        "taskID: id, title: {value: Checked}, description: title, noteType: {value: 1}, publish: {value: 1}",
        entity="TaskNotes", action="create", more="ignore: []",
    )  # fmt: skip
    plan = await desk.plan(notes)
    assert [after["taskID"] for _, after in written(plan)] == [31, 33]
    source = "source: {query: Tasks, distinct: {by: [projectID]}}"
    plan = await desk.plan(
        step("id: projectID, description: title", source=source, entity="Projects", more="match: [id]")
    )
    assert [number for number, _ in written(plan)] == [7, 8]
    (info,) = plan.header.steps
    assert (info.read, info.dropped, info.rows) == (3, 1, 2)


async def test_from_may_name_a_step_that_queries(desk: Desk) -> None:
    """Rows of a file refer to records that a query found, by the columns of its `match`."""
    (desk.folder / "b.csv").write_text("Project,Name\nMove,New task\n", "utf-8")
    first = step(
        "projectName: projectName, description: {value: x}",
        source="source: {query: Projects}", entity="Projects", more="match: [projectName]",
    )  # fmt: skip
    second = (
        "  - name: b\n    entity: Tasks\n    action: create\n    source: {file: b.csv}\n    fields:\n"
        "      projectID: {column: Project, from: a}\n      title: Name\n      status: {value: 1}\n"
        "      taskType: {value: 1}\n"
    )
    plan = await desk.plan(first + second)
    creation = [change for change in plan.changes() if change.entity == "Tasks"]
    assert [change.after()["projectID"] for change in creation] == [7]


async def test_a_rejected_row_of_a_query_can_be_fed_back(desk: Desk) -> None:
    """Its file has columns that the job does not name, and cells that a query's rows have."""
    fields = "id: id, title: {template: '{{ title }}!'}, status: {column: projectID, labels: {'7': Complete}}"
    plan = await desk.plan(step(fields))
    assert plan.header.counts["rejected"] == 1
    write_results(plan, desk.folder)
    rejected = desk.folder / "rejected.csv"
    rejected.write_text(rejected.read_text("utf-8-sig").replace(",8,", ",7,"), "utf-8")
    again = await desk.plan(step(fields), sources={"a": rejected})
    assert written(again) == [(33, {"title": "NULL!", "status": 5})]


async def test_an_empty_result_is_a_plan_with_a_sentence(desk: Desk) -> None:
    """Nothing to do is no fault."""
    source = "source: {query: Tasks, where: [{field: title, op: eq, value: nothing}]}"
    plan = await desk.plan(step("id: id, title: {value: x}", source=source))
    assert plan.total == 0
    assert plan.header.warnings == ("a: the query of Tasks found no record, so there is nothing to do",)
    assert (await apply_plan(plan, desk.target)).state == "finished"


async def test_records_that_this_user_may_not_see_are_told_to_be_missing(tmp_path: Path) -> None:
    """A mass update of some records is not taken for one of all."""
    entity = replace(load_catalog().entities["Companies"], is_restricted=True)
    target = MemoryTarget({"Companies": [{"id": 1, "companyName": "A"}]}, entities={"Companies": entity})
    plan = await Desk(tmp_path, target).plan(
        step("id: id, phone: companyName", source=COMPANIES, entity="Companies")
    )
    told = "a: this API user sees only some Companies records, so a query finds no others"
    assert told in plan.header.warnings


async def test_more_values_than_a_query_may_hold_are_all_found_once(desk: Desk) -> None:
    """1,200 values in a list and their twins: five queries, no record lost, none twice."""
    values = ", ".join([*(f"Firm {n}" for n in range(1200)), *(f"FIRM {n}" for n in range(1200))])
    source = f"source: {{query: Companies, where: [{{field: companyName, op: in, value: [{values}]}}]}}"
    plan = await desk.plan(step("id: id, companyName: {value: x}", source=source, entity="Companies"))
    assert [number for number, _ in written(plan)] == list(range(100, 1300))
    assert (plan.header.steps[0].read, desk.target.calls.read) == (1200, 6)


# --- what is wrong


async def test_faults_of_query_and_mapping_are_told_together(desk: Desk) -> None:
    """With their lines, and a lookup that finds nobody beside what is wrong with a column."""
    steps = """\
  - name: a
    entity: Tasks
    action: update
    source:
      query: Tasks
      where:
        - {field: assignedResourceID, op: eq, value: {lookup: email, key: x@acme.test}}
        - {field: status, op: eq, value: Compleet}
    match: [id]
    fields:
      id: id
      title: titel
"""
    assert await desk.refused(steps) == [
        "12: email 'x@acme.test': no Resources record has this email",
        "13: status: `Compleet` is no value of status. Is it 'Complete'? Known: New, Complete",
        "17: query of Tasks has no column `titel`. Did you mean `title`?",
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{query: Taskz}", "`Taskz` is no entity. Did you mean `Tasks`"),
        ("{query: ResourceTimeOffAdditional}", "ResourceTimeOffAdditional cannot be queried"),
        ("{query: Tasks, distinct: {by: [Title]}}", "`by` names `Title`, and query of Tasks has no such"),
        ("{query: Tasks, where: [{field: title, op: ne, value: x}]}", "`op` must be `eq`, `noteq`"),
    ],
)
async def test_a_query_that_cannot_be_asked_is_refused(desk: Desk, source: str, told: str) -> None:
    """Before anything is read."""
    faults = await desk.refused(step("id: id, title: title", source=f"source: {source}"))
    assert len(faults) == 1
    assert told in faults[0]
    assert desk.target.calls.read == 0


async def test_offline_a_query_is_checked_without_its_rows(tmp_path: Path) -> None:
    """Columns, conditions and mapping are; the tenant's own user-defined fields pass; no row is there."""
    job = tmp_path / "job.yaml"
    job.write_text(HEAD + step("id: id, title: 'udf:Old name'"), "utf-8")
    examined = await examine_offline(load_job(job))
    assert examined.faults == ()
    check = RowCheck(examined)
    assert [fault async for fault in check.found()] == []
    assert check.rows == 0
    job.write_text(HEAD + step("id: id, title: titel"), "utf-8")
    (fault,) = (await examine_offline(load_job(job))).faults
    assert "query of Tasks has no column `titel`. Did you mean `title`?" in str(fault)


async def test_offline_rows_that_refer_to_a_query_are_not_at_fault(tmp_path: Path) -> None:
    """Which records a query finds is known to the tenant only."""
    (tmp_path / "b.csv").write_text("Project,Name\nMove,New task\n", "utf-8")
    job = tmp_path / "job.yaml"
    job.write_text(
        HEAD
        + step(
            "projectName: projectName, description: {value: x}",
            source="source: {query: Projects}", entity="Projects", more="match: [projectName]",
        )
        + "  - {name: b, entity: Tasks, action: create, source: {file: b.csv}, fields: {title: Name,"
        " projectID: {column: Project, from: a}, status: {value: 1}, taskType: {value: 1}}}\n",
        "utf-8",
    )  # fmt: skip
    examined = await examine_offline(load_job(job))
    assert examined.faults == ()
    check = RowCheck(examined)
    assert [fault async for fault in check.found()] == []
    assert check.rows == 1


# --- cells


def shaped(*fields: Field) -> Entity:
    return replace(
        load_catalog().entities["Tasks"], fields={field.name: field for field in fields}, is_live=True
    )


CELLS = [
    (FieldType.STRING, " =1+1 ", " =1+1 "),
    (FieldType.STRING, None, ""),
    (FieldType.STRING, 7, "7"),
    (FieldType.LONG, 9_007_199_254_740_993, "9007199254740993"),
    (FieldType.DOUBLE, 1.0, "1"),
    (FieldType.DOUBLE, 1e-7, "0.0000001"),
    (FieldType.BOOLEAN, False, "false"),
    (FieldType.DATETIME, "2026-01-31T08:00:00.000Z", "2026-01-31T08:00:00Z"),
    (FieldType.DATETIME, "2026-01-31T08:00:00.1237", "2026-01-31T08:00:00.123Z"),
    (FieldType.DATETIME, "some day", "some day"),
]


@pytest.mark.parametrize(("kind", "value", "cell"), CELLS)
async def test_cells_are_texts_as_a_file_would_hold_them(kind: FieldType, value: Any, cell: str) -> None:
    """Digits, ISO dates in UTC, true and false; numbers and dates are known to be no texts."""
    entity = shaped(Field(name="id", type=FieldType.LONG), Field(name="a", type=kind))
    target = MemoryTarget({"Tasks": [{"id": 1, "a": value}]}, entities={"Tasks": entity})
    rows = QueryRows(entity, ("id", "a"), step="s")
    await rows.fetch(target, [{"op": "exist", "field": "id"}])
    (row,) = rows.rows()
    assert row.cells == ("1", cell)
    assert isinstance(row.cells[1], StoredText) == (
        kind in (FieldType.LONG, FieldType.DOUBLE, FieldType.DATETIME)
    )
    rows.close()
    assert list(rows.rows()) == []


async def test_a_date_without_a_time_is_a_calendar_date(desk: Desk) -> None:
    """However the service spells a user-defined one."""
    entity = shaped(
        Field(name="id", type=FieldType.LONG),
        Field(name="endDateTime", type=FieldType.DATETIME, is_date_only=True),
        Field(name="udf:Since", type=FieldType.DATETIME, is_date_only=True),
    )
    record: dict[str, Scalar] = {
        "id": 1,
        "endDateTime": "2026-01-31T00:00:00Z",
        "udf:Since": "2/29/2016 12:00:00 AM",
    }
    target = MemoryTarget({"Tasks": [record]}, entities={"Tasks": entity})
    rows = QueryRows(entity, query_columns(entity, ["endDateTime", "udf:Since"]), step="s")
    await rows.fetch(target, [{"op": "exist", "field": "id"}])
    (row,) = rows.rows()
    assert row.cells == ("1", "2026-01-31", "2016-02-29")
    rows.close()


class Endless(MemoryTarget):
    """A tenant with more tasks than anybody keeps in memory: they are made as they are read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count_of = count

    async def read(self, entity: str, where: Any, *, fields: Any = None) -> Any:
        for number in range(1, self.count_of + 1):
            yield {"id": number, "title": f"Task number {number} of a great many", "status": 1}


@pytest.mark.slow
async def test_memory_stays_flat_at_200_000_rows() -> None:
    """Rows wait on disk: ten times as many take no more memory."""
    entity = await MemoryTarget().describe("Tasks")

    async def peak(count: int) -> int:
        rows = QueryRows(entity, ("id", "title", "status"), step="s")
        tracemalloc.start()
        await rows.fetch(Endless(count), [{"op": "exist", "field": "id"}], also=["id", "title", "status"])
        assert sum(1 for _ in rows.rows()) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows.close()
        return most

    await peak(1000)
    assert await peak(200_000) < 1.5 * await peak(20_000)


# --- what they were chosen by


async def test_what_no_longer_answers_the_query_is_held(desk: Desk) -> None:
    """Somebody completed a task since the plan was made: it is one of those no more, and is named."""
    plan = await desk.plan(step("id: id, title: {value: New}"))
    desk.target.rows["Tasks"][31] |= {"status": 5, "estimatedHours": 9}
    desk.target.rows["Tasks"][33]["estimatedHours"] = 9
    assert plan.total == 2
    status = await apply_plan(plan, desk.target)
    assert (status.counts["applied"], status.counts["held"]) == (1, 1)
    told = "status was 1 (New) and is 5 (Complete) now: it was changed since the plan was made"
    assert plan.fate(1).reason == told
    assert [one.id for one in desk.target.writes] == [33]


async def test_what_steps_before_did_holds_no_record_of_a_query(desk: Desk) -> None:
    """Both steps ask for open tasks, and the first one completes them."""
    second = step("id: id, title: {value: Done}").replace("name: a,", "name: b,", 1)
    plan = await desk.plan(step("id: id, status: {value: Complete}") + second)
    status = await apply_plan(plan, desk.target)
    assert (status.counts["applied"], status.counts["held"]) == (4, 0)
