"""What is wrong with rows, told without planning them: beside a refused job, and offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bulkops.errors import JobError, TenantError
from bulkops.job import load_job
from bulkops.planner.build import build_plan
from bulkops.planner.precheck import examine
from bulkops.planner.rowcheck import RowCheck
from bulkops.record import Scalar
from bulkops.schema import Entity, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline, told_with

HEAD = "version: 1\nname: trial\ntenant: acme\nsteps:\n"
TICKETS = """\
  - name: tickets
    entity: Tickets
    action: upsert
    source: {file: tickets.csv}
    match: [externalID]
    fields:
      externalID: Key
      assignedResourceID: {column: Who, lookup: email}
      subIssueType: Sub
      companyID: {value: 0}
      title: {value: t}
      status: {value: 1}
      priority: {value: 1}
"""
BROKEN = """\
  - name: broken
    entity: Companies
    action: update
    source: {file: gone.csv}
    match: [companyNumber]
    fields: {companyNumber: No}
"""
ROWS: Mapping[str, Sequence[Mapping[str, Scalar]]] = {
    "Resources": [
        {"id": 4, "email": "here@x.test", "isActive": True},
        {"id": 5, "email": "gone@x.test", "isActive": False},
    ],
    "Tickets": [
        {"id": 1, "externalID": "T-1", "assignedResourceID": 5, "issueType": 10, "subIssueType": 101},
        {"id": 2, "externalID": "T-2", "assignedResourceID": 4, "issueType": 13, "subIssueType": None},
    ],
}


def tickets() -> Entity:
    """Tickets with a small list of sub-issues, each under its issue."""
    shape = load_catalog().entities["Tickets"]
    values = (
        PicklistValue(value="101", label="Slow", parent="10"),
        PicklistValue(value="130", label="Installation", parent="13"),
    )
    field = replace(shape.fields["subIssueType"], picklist=values, picklist_parent="issueType")
    return replace(shape, fields={**shape.fields, "subIssueType": field})


class Counting(MemoryTarget):
    """A target that keeps what was asked, and cannot be written to."""

    def __init__(self) -> None:
        super().__init__(ROWS, entities={"Tickets": tickets()})
        self.asked: list[str] = []

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        self.asked.append(entity)
        return super().read(entity, where, fields=fields)

    async def _write(self, write: object, commit: object) -> int:
        raise AssertionError(f"looking at rows wrote: {write}")


class Desk:
    """A folder with a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def job(self, *steps: str) -> Path:
        path = self.folder / "job.yaml"
        path.write_text(HEAD + "".join(steps), "utf-8")
        return path

    async def refused(self, target: MemoryTarget, *steps: str) -> JobError:
        with pytest.raises(JobError) as caught:
            job = load_job(self.job(*steps), keep_faults=True)
            await build_plan(job, target, self.folder / "x.plan")
        assert not list(self.folder.glob("*.plan*"))
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_inactive_people_are_told_only_where_they_would_be_set(desk: Desk) -> None:
    """A record that has them already may keep them; one that has others, or is new, may not get them."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,gone@x.test,", "T-2,gone@x.test,", "T-3,gone@x.test,")
    target = Counting()
    error = await desk.refused(target, TICKETS, BROKEN)
    assert error.rows is not None
    assert (error.rows.read, error.rows.at_fault) == (3, 2)
    assert [line.partition(": ")[0] for line in error.rows.lines] == ["tickets.csv:3", "tickets.csv:4"]
    assert all("Resources 5 is inactive" in line for line in error.rows.lines)
    assert sorted(target.asked) == ["Resources", "Tickets"]


async def test_a_label_is_told_under_the_parent_that_its_record_has(desk: Desk) -> None:
    """The row does not name the parent: what the record has counts, and for a new record there is none."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,,Slow", "T-2,,Slow", "T-3,,Slow", "T-1x,,Nonsense")
    error = await desk.refused(Counting(), TICKETS, BROKEN)
    assert error.rows is not None
    assert [line.partition(": ")[0] for line in error.rows.lines] == [
        "tickets.csv:3", "tickets.csv:4", "tickets.csv:5",
    ]  # fmt: skip
    assert "where issueType is" in error.rows.lines[0] and "only where it is" in error.rows.lines[0]


async def test_of_a_label_whose_parent_is_wrong_nothing_is_said(desk: Desk) -> None:
    """Nobody knows what could be chosen there: one mistake in a row is told once."""
    with_issue = TICKETS.replace(
        "      subIssueType: Sub\n", "      issueType: Sub\n      subIssueType: Who\n"
    )
    with_issue = with_issue.replace("      assignedResourceID: {column: Who, lookup: email}\n", "")
    issues = (PicklistValue(value="10", label="Computer"),)
    shape = tickets()
    shape = replace(
        shape, fields={**shape.fields, "issueType": replace(shape.fields["issueType"], picklist=issues)}
    )
    desk.file("tickets.csv", "Key,Who,Sub", "T-8,Slow,Computer", "T-9,Slow,Komputer")
    for action in ("create", "upsert"):
        target = MemoryTarget(ROWS, entities={"Tickets": shape})
        error = await desk.refused(target, with_issue.replace("upsert", action), BROKEN)
        assert error.rows is not None
        assert [line.partition(".")[0] for line in error.rows.lines] == ["tickets"]
        assert "column Sub 'Komputer'" in error.rows.lines[0]


async def test_rows_without_a_doubt_cost_no_read_of_their_records(desk: Desk) -> None:
    """A refused job asks for what its lookups name and for nothing else: 500 values a call."""
    desk.file("tickets.csv", "Key,Who,Sub", *(f"T-{n},here@x.test," for n in range(700)))
    target = Counting()
    error = await desk.refused(target, TICKETS, BROKEN)
    assert error.rows is not None and error.rows.at_fault == 0
    assert target.asked == ["Resources"]


async def test_a_composite_key_is_a_key_in_two_rows_too(desk: Desk) -> None:
    """Lookups and references are compared by their texts where nobody can be asked."""
    contacts = """\
  - name: contacts
    entity: Contacts
    action: create
    source: {file: contacts.csv}
    match: [companyID, emailAddress]
    fields:
      companyID: {column: Firm, lookup: companyName}
      emailAddress: Mail
      firstName: {value: a}
      lastName: {value: b}
      isActive: {value: 1}
"""
    desk.file("contacts.csv", "Firm,Mail", "Acme,a@x", "Beta,a@x", " acme,A@x ", "Acme,b@x")
    check = RowCheck(await examine_offline(load_job(desk.job(contacts))))
    assert [str(fault) async for fault in check.found()] == [
        "contacts.csv:4: column Firm, Mail 'acme / A@x': contacts.csv:2 has this key too: "
        "only the first one is planned"
    ]
    assert (check.rows, check.at_fault) == (4, 1)


async def test_a_second_key_is_told_beside_what_else_is_wrong(desk: Desk) -> None:
    """With either row: who corrects it hears of everything, and of a first row that is at fault as well."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,nobody@x.test,", "t-1,nobody@x.test,")
    error = await desk.refused(Counting(), TICKETS, BROKEN)
    assert error.rows is not None and error.rows.at_fault == 2
    assert [line.partition(": column ")[2][:3] for line in error.rows.lines] == ["Who", "Who", "Key"]


async def test_a_tenant_that_cannot_be_asked_ends_the_run_as_such(desk: Desk) -> None:
    """Credentials and network are no fault of the job; beside its faults they are told in one error."""

    class Away(Counting):
        async def describe(self, entity: str) -> Entity:
            raise TenantError("the secret is wrong")

    desk.file("tickets.csv", "Key,Who,Sub", "T-1,,")
    job = load_job(desk.job(TICKETS, BROKEN))
    with pytest.raises(TenantError) as caught:
        await build_plan(job, Away(), desk.folder / "x.plan")
    both = await told_with(job, caught.value)
    assert isinstance(both, JobError)
    assert [fault.message.split(":")[0] for fault in both.faults] == ["gone.csv", "the secret is wrong"]
    good = load_job(desk.job(TICKETS))
    assert await told_with(good, caught.value) is caught.value


async def test_a_job_with_faults_is_never_planned(desk: Desk) -> None:
    """Kept faults count like any other, whoever calls."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,,")
    wrong = TICKETS.replace("action: upsert", "action: upsrt")
    error = await desk.refused(Counting(), wrong)
    assert [fault.message for fault in error.faults] == [
        "`action` must be `create`, `update`, `upsert` or `delete`, not `upsrt`"
    ]
    with pytest.raises(JobError):
        load_job(desk.job(wrong))


async def test_a_file_of_another_kind_is_one_fault_and_not_one_a_column(desk: Desk) -> None:
    """None of the columns is there, and none is like one: nobody wants to read that eight times."""
    desk.file("tickets.csv", "Report of 2026,,", "made by,somebody,", "T-1,,")
    examined = await examine(load_job(desk.job(TICKETS)), Counting())
    (fault,) = examined.faults
    assert fault.message.startswith(
        "tickets.csv has none of the 3 columns that the step names, such as `Key`"
    )
    assert "header_row" in fault.hint
    assert not examined.steps


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "other.csv",
            "A,B\n1,2\n",
            "lines stand above its header? What the job says of its own file (delimiter)",
        ),
        ("other.jsonl", '{"A": "1", "B": "2"}\n', "Is it another table?"),
    ],
)
async def test_what_is_advised_of_a_file_of_another_kind_can_be_done(
    desk: Desk, name: str, text: str, said: str
) -> None:
    """`header_row` is for the job's own file, and means nothing where there are no lines."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,,")
    other = desk.folder / name
    other.write_text(text, "utf-8")
    path = desk.job(TICKETS.replace("tickets.csv}", "tickets.csv, delimiter: ','}"))
    given = await examine(load_job(path, sources={"tickets": other}), Counting())
    (fault,) = given.faults
    assert fault.where == "--source tickets"
    assert said in fault.hint and "header_row" not in fault.hint
    own = await examine(load_job(desk.job(TICKETS.replace("tickets.csv", name))), Counting())
    assert ("`header_row`" in own.faults[0].hint) is name.endswith(".csv")


async def test_a_file_that_fails_on_the_way_accuses_no_row_of_another(desk: Desk) -> None:
    """What stands below the open quote may be the row that is meant; what stands above it is told."""
    companies = """\
  - name: companies
    entity: Companies
    action: update
    source: {file: companies.csv}
    match: [companyNumber]
    fields: {companyNumber: No, companyName: Name}
"""
    referring = TICKETS.replace("companyID: {value: 0}", "companyID: {column: Who, from: companies}")
    referring = referring.replace("      assignedResourceID: {column: Who, lookup: email}\n", "")
    long = "x" * 200
    desk.file("companies.csv", "No,Name", f"A,{long}", 'B,"Beta', "C,Cern")
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,A,", "T-2,C,", "T-3,Z,")
    error = await desk.refused(MemoryTarget(), companies, referring)
    assert [fault.message.partition(": ")[0] for fault in error.faults] == ["companies.csv:3"]
    assert error.rows is not None
    assert [line.partition(": ")[0] for line in error.rows.lines] == ["companies.csv:2"]


async def test_where_the_missing_texts_are_not_known_no_row_is_accused(desk: Desk) -> None:
    """A dash may mean nothing, or be a mail address that nobody has."""
    desk.file("tickets.csv", "Key,Who,Sub", "T-1,-,")
    path = desk.job(TICKETS)
    path.write_text(path.read_text("utf-8").replace("steps:", 'missing: "-"\nsteps:'), "utf-8")
    with pytest.raises(JobError) as caught:
        await build_plan(load_job(path, keep_faults=True), Counting(), desk.folder / "x.plan")
    assert len(caught.value.faults) == 1
    assert caught.value.rows is not None and caught.value.rows.read == 0
