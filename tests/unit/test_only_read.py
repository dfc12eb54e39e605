"""Columns of an export that are only to be read: what is typed there is told, and nothing else is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import equal
from bulkops.errors import RejectedError
from bulkops.export import Wanted, export
from bulkops.export.columns import Column, columns_of
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.draft import Draft
from bulkops.planner.onlyread import OnlyRead
from bulkops.planner.precheck import prepare
from bulkops.record import Record, Scalar
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

Values = Mapping[str, Scalar]
FIELDS = (
    "title", "assignedResourceID", "projectID", "taskNumber", "createDateTime", "hoursToBeScheduled",
    "isTaskBillable", "creatorResourceID", "creatorType", "lastActivityDateTime", "lastActivityResourceID",
)  # fmt: skip
TASK: Values = {
    "title": "Move", "assignedResourceID": 4, "projectID": 7, "taskNumber": "T-1", "status": 1,
    "createDateTime": "2026-01-31T08:00:00Z", "hoursToBeScheduled": 1.5, "isTaskBillable": True,
    "creatorResourceID": 4, "creatorType": 1, "lastActivityDateTime": "2026-02-01T08:00:00Z",
    "lastActivityResourceID": 5, "assignedResourceRoleID": 2, "billingCodeID": 3,
}  # fmt: skip
TOLD = "Tasks: column {}: {} something else than the record. It is only to be read, nothing of it is written"


class Desk:
    """A tenant with a few tasks, its export, and the job that brings it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.job = folder / "out.csv", folder / "back.yaml"
        self.tasks: list[dict[str, Scalar]] = []
        self.people: list[Values] = [
            {"id": 4, "firstName": "Iris", "lastName": "Calloway"},
            {"id": 5, "firstName": "Jo", "lastName": "Doe"},
        ]

    def target(self) -> MemoryTarget:
        projects: list[Values] = [{"id": 7, "projectName": "Rollout"}]
        return MemoryTarget({"Tasks": self.tasks, "Resources": self.people, "Projects": projects})

    async def export(self, *tasks: Values) -> None:
        self.tasks = [{**TASK, "id": n, **task} for n, task in enumerate(tasks, 1)]
        wanted = Wanted(entity="Tasks", path=self.file, job=self.job, fields=FIELDS, overwrite=True)
        await export(self.target(), wanted, tenant="acme")

    def edit(self, **changes: Mapping[str, str]) -> None:
        """Types over cells: `row_2={"taskNumber": "T-9"}`; a row is counted as records are."""
        with self.file.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        for name, cells in changes.items():
            row = rows[int(name.removeprefix("row_")) - 1]
            assert cells.keys() <= row.keys()
            row.update(cells)
        with self.file.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)

    def say(self, change: Callable[[str], str]) -> None:
        self.job.write_text(change(self.job.read_text("utf-8")), "utf-8")

    async def plan(self, target: MemoryTarget | None = None) -> Plan:
        return await build_plan(load_job(self.job), target or self.target(), self.folder / "x.plan")

    async def told(self) -> list[str]:
        """What the plan tells of such columns."""
        return [told for told in (await self.plan()).header.warnings if "only to be read" in told]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- what is told


async def test_an_export_that_nobody_edited_is_planned_without_a_word(desk: Desk) -> None:
    """With empty cells, people who are gone, and texts that a spreadsheet would run."""
    empty: Values = dict.fromkeys([*FIELDS[1:], "status"])
    await desk.export({}, {"taskNumber": "=1+1", "creatorResourceID": 99}, {**empty, "taskNumber": "'"})
    assert (await desk.plan()).header.warnings == ()


async def test_what_is_typed_there_is_told_once_a_column(desk: Desk) -> None:
    """With how many rows, the first three of them, and what to edit where that would do it."""
    await desk.export(*({"taskNumber": f"T-{n}"} for n in range(1, 6)))
    name = {"assignedResourceID (name)": "Jo Doe"}
    desk.edit(row_1={**name, "taskNumber": ""}, row_2=name, row_3={}, row_4=name, row_5=name)
    names, number = await desk.told()
    assert names == (
        f"{TOLD.format('assignedResourceID (name)', '4 rows say')}: edit assignedResourceID instead. "
        "out.csv:2 says `Jo Doe`, the record `Iris Calloway`; out.csv:3 says `Jo Doe`, the record "
        "`Iris Calloway`; out.csv:5 says `Jo Doe`, the record `Iris Calloway`; and 1 more"
    )
    assert number == f"{TOLD.format('taskNumber', '1 row says')}. out.csv:2 says nothing, the record `T-1`"


async def test_rows_are_named_in_their_order_whatever_they_say(desk: Desk) -> None:
    """Names are compared by what they say, and rows are told as they stand in the file."""
    await desk.export(*({} for _ in range(4)))
    key = "creatorResourceID (name)"
    desk.edit(row_1={key: "B"}, row_2={key: "A"}, row_3={key: "B"}, row_4={key: "A"})
    (told,) = await desk.told()
    assert [told.index(f"out.csv:{line}") for line in (2, 3, 4)] == sorted(
        told.index(f"out.csv:{line}") for line in (2, 3, 4)
    )
    assert "out.csv:5" not in told and told.endswith("and 1 more")
    assert "instead" not in told  # the id is only to be read as well


async def test_a_record_that_was_changed_since_is_told_in_words_that_are_true(desk: Desk) -> None:
    """Nobody edited the file: the sentence says what differs, not who did it."""
    await desk.export({})
    desk.tasks[0] |= {"taskNumber": "T-2", "assignedResourceID": 5}
    desk.edit(row_1={"assignedResourceID": "5"})
    assert await desk.told() == [
        f"{TOLD.format('assignedResourceID (name)', '1 row says')}: edit assignedResourceID instead. "
        "out.csv:2 says `Iris Calloway`, the record `Jo Doe`",
        f"{TOLD.format('taskNumber', '1 row says')}. out.csv:2 says `T-1`, the record `T-2`",
    ]


async def test_a_name_that_is_taken_out_alone_is_told(desk: Desk) -> None:
    """It clears nothing; with the id it does, and then there is nothing to tell."""
    await desk.export({}, {})
    gone = {"assignedResourceID (name)": ""}
    desk.edit(row_1=gone, row_2={**gone, "assignedResourceID": ""})
    (told,) = await desk.told()
    assert told.endswith(
        "edit assignedResourceID instead. out.csv:2 says nothing, the record `Iris Calloway`"
    )


# --- what is not told


async def test_a_name_that_fits_the_id_in_the_file_is_right(desk: Desk) -> None:
    """Whoever edits the id may edit the name as well, or leave it: the id is what counts, and is written."""
    await desk.export({}, {}, {})
    desk.edit(
        row_1={"assignedResourceID": "5"},
        row_2={"assignedResourceID": "5", "assignedResourceID (name)": "Jo Doe"},
        row_3={"assignedResourceID": "5", "assignedResourceID (name)": "Kim Lee"},
    )
    plan = await desk.plan()
    assert plan.header.counts["update"] == 3
    (told,) = await desk.told()
    assert TOLD.format("assignedResourceID (name)", "1 row says") in told and "out.csv:4 says `Kim" in told


async def test_who_changed_a_record_last_is_not_compared(desk: Desk) -> None:
    """Every write moves it, so after the first apply each row of the same file would be told."""
    await desk.export({})
    desk.edit(row_1={"lastActivityDateTime": "", "lastActivityResourceID": "4",
                     "lastActivityResourceID (name)": "Kim"})  # fmt: skip
    desk.tasks[0] |= {"lastActivityDateTime": "2026-03-01T08:00:00Z", "lastActivityResourceID": 4}
    assert await desk.told() == []


async def test_what_a_spreadsheet_writes_in_its_own_way_is_the_same(desk: Desk) -> None:
    """It knows true as TRUE, adds digits, and blanks at an end are nothing to the server."""
    await desk.export({})
    desk.edit(row_1={"isTaskBillable": "TRUE", "hoursToBeScheduled": "1.50", "taskNumber": "T-1 ",
                     "createDateTime": "2026-01-31T08:00:00.000Z", "projectID (name)": " Rollout",
                     "creatorType": "1"})  # fmt: skip
    assert await desk.told() == []


async def test_a_column_that_is_used_is_not_compared(desk: Desk) -> None:
    """Who looks the id up by the name has said what to make of it; a template may name any column."""
    await desk.export({})
    desk.edit(row_1={"assignedResourceID (name)": "Jo", "taskNumber": "T-9"})
    lookup = "{column: assignedResourceID (name), lookup: firstName}"
    desk.say(
        lambda text: text.replace(
            "assignedResourceID: {column: assignedResourceID, empty: clear}", f"assignedResourceID: {lookup}"
        ).replace("ignore: [", "ignore: [assignedResourceID, ")
    )
    (told,) = await desk.told()
    assert "taskNumber" in told
    desk.say(
        lambda text: text.replace("{column: title, empty: reject}", """{template: "{{ row[title] }}"}""")
    )
    assert await desk.told() == []


async def test_what_a_foreign_file_has_under_ignore_is_nobodys_matter(desk: Desk) -> None:
    """Without `exported` nothing is compared, whatever the columns are called, and nothing more is read."""
    await desk.export({})
    desk.edit(row_1={"assignedResourceID (name)": "Jo", "taskNumber": "T-9", "creatorResourceID": "5"})
    assert len(await desk.told()) == 3
    target = desk.target()
    await desk.plan(target)
    desk.say(lambda text: text.replace(", exported: csv", ""))
    assert await desk.told() == []
    plain = desk.target()
    await desk.plan(plain)
    assert target.calls.read - plain.calls.read == 2  # the people, the project


async def test_a_column_of_ones_own_is_not_compared(desk: Desk) -> None:
    """Also one with a field's name that the job would write: who ignores it has taken it out on purpose."""
    await desk.export({})
    desk.say(lambda text: text.replace("      title: {column: title, empty: reject}\n", ""))
    desk.say(lambda text: text.replace("ignore: [", "ignore: [Note, title, "))
    desk.file.write_text(desk.file.read_text("utf-8").replace("title", "title,Note").replace("Move", "x,y"))
    plan = await desk.plan()
    assert (plan.header.warnings, plan.header.counts["unchanged"]) == ((), 1)


# --- what it costs


async def test_names_cost_one_read_for_500_records_of_an_entity(desk: Desk) -> None:
    """However they are spread over the rows, and however many columns hold people."""
    desk.people = [{"id": n, "firstName": "P", "lastName": str(n)} for n in range(1, 1201)]
    await desk.export(
        *({"assignedResourceID": n % 1200 + 1, "creatorResourceID": (n * 7) % 1200 + 1} for n in range(1500))
    )
    with_names, without = desk.target(), desk.target()
    await desk.plan(with_names)
    desk.say(lambda text: text.replace(", exported: csv", ""))
    await desk.plan(without)
    assert with_names.calls.read - without.calls.read == 3 + 1  # 1,200 people, one project


async def test_many_names_are_compared_in_turn_and_told_as_one(desk: Desk) -> None:
    """So memory stays flat: what was compared is forgotten, but for how many rows differ and the first."""
    await desk.export(*({} for _ in range(6)))
    key = "assignedResourceID (name)"
    desk.edit(**{f"row_{n}": {key: f"No {n}"} for n in range(1, 7)})
    target = desk.target()
    (ready,) = await prepare(load_job(desk.job), target)
    looking = OnlyRead(ready, target, most=2)
    for n, row in enumerate(ready.source.rows(), 1):
        await looking.look([Draft(n=n, row=row, record=Record(values={}), found=[desk.tasks[n - 1]])])
    await looking.finish()
    (told,) = looking.told()
    assert "6 rows say" in told and "out.csv:2 says `No 1`" in told and told.endswith("and 3 more")


async def test_names_that_cannot_be_read_are_told_where_there_are_any(desk: Desk) -> None:
    """Nobody can say whether they were edited; an export that could not read them either left them empty."""
    await desk.export({}, {"assignedResourceID": None})
    target = desk.target()
    target.script("read Resources", [RejectedError("no permission", known=False, status=500)])
    warnings = (await desk.plan(target)).header.warnings
    assert warnings == tuple(
        f"Tasks: column {name} (name): the names of Resources cannot be read, so nobody has looked whether "
        "it was edited; it is only to be read, nothing of it is written"
        for name in ("assignedResourceID", "creatorResourceID")
    )
    desk.edit(**{f"row_{n}": dict.fromkeys(("assignedResourceID (name)", "creatorResourceID (name)"), "")
                 for n in (1, 2)})  # fmt: skip
    target.script("read Resources", [RejectedError("no permission", known=False, status=500)])
    assert (await desk.plan(target)).header.warnings == ()


async def test_rows_that_meet_no_record_say_nothing(desk: Desk) -> None:
    """There is nothing to compare them with; they are rejected for that."""
    await desk.export({}, {})
    desk.edit(row_1={"taskNumber": "T-9"}, row_2={"taskNumber": "T-9"})
    desk.tasks[0]["id"] = 9
    (told,) = await desk.told()
    assert "1 row says" in told and "out.csv:3" in told


# --- one equality


def column(name: str) -> Column:
    shape = load_catalog().entities["Tasks"]
    return next(c for c in columns_of(shape, (name,), lambda _: False) if c.header == name)


@given(
    st.sampled_from(["taskNumber", "hoursToBeScheduled", "isTaskBillable", "createDateTime", "creatorType"]),
    st.text(alphabet="T-1.50 trueTRUE", max_size=6),
    st.sampled_from(["T-1", 1, 1.5, True, None]),
)
def test_a_cell_says_what_the_server_would_store_the_same(name: str, text: str, held: Scalar) -> None:
    """Never more, never less: the equality of the plan decides, of labels by the value that they mean."""
    one = column(name)
    record = {"id": 1, name: held}
    if one.shape.picklist is None:
        assert one.says(text, record) == equal(one.shape, text, held)
    elif one.says(text, record):
        assert equal(one.shape, one.read(text, record), held)
