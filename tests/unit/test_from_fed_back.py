"""`from` where what an earlier run left over is fed back: the parents that run made are in no row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.cells import RESULT_COLUMNS
from bulkops.errors import RefusedError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import RowCheck
from bulkops.record import Created, Scalar
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

HEAD = "version: 1\nname: trial\ntenant: acme\nsteps:"
COMPANIES = """
  - name: companies
    entity: Companies
    action: upsert
    source: {file: companies.csv}
    match: [companyNumber]
    fields:
      companyNumber: Id
      companyName: Name
      companyType: {value: "1"}
      phone: {value: "1"}
      ownerResourceID: {value: "4"}
      parentCompanyID: {column: Parent, from: companies}
"""
CONTACTS = """
  - name: contacts
    entity: Contacts
    action: upsert
    source: {file: contacts.csv}
    match: [companyID, lastName]
    fields:
      companyID: {column: Client, from: companies}
      firstName: First
      lastName: Last
      isActive: {value: "1"}
"""
PROJECTS = """
  - name: projects
    entity: Projects
    action: upsert
    source: {file: projects.csv}
    match: [extProjectNumber, projectType]
    fields:
      extProjectNumber: {template: "OLD-{{ No }}"}
      projectType: {column: Kind, labels: {Internal: "4", Paid: "5"}}
      projectName: No
      companyID: {value: "0"}
      status: {value: "1"}
      startDateTime: {value: "2026-01-01"}
      endDateTime: {value: "2026-12-31"}
"""
PHASES = """
  - name: phases
    entity: Phases
    action: upsert
    source: {file: phases.csv}
    match: [projectID, title]
    fields:
      projectID: {columns: [Project, Kind], from: projects}
      title: Phase
"""
TASKS = """
  - name: tasks
    entity: Tasks
    action: create
    source: {file: tasks.csv}
    match: [externalID]
    fields:
      externalID: Key
      projectID: {columns: [Project, Kind], from: projects}
      phaseID: {columns: [Project, Kind, Phase], from: phases}
      title: Key
      status: {value: "1"}
      taskType: {value: "1"}
"""
HELD: Mapping[str, Scalar] = {"companyType": 1, "phone": "1", "ownerResourceID": 4}
THERE: Rows = [
    {"id": 7, "companyNumber": "A1", "companyName": "Acme", **HELD},
    {"id": 8, "companyNumber": "B2", "companyName": "Beta", **HELD},
    {"id": 9, "companyNumber": "X", "companyName": "One"},
    {"id": 10, "companyNumber": "x", "companyName": "Two"},
]


class Counting(MemoryTarget):
    """Remembers which entity each read was of."""

    def __init__(self, rows: Mapping[str, Rows]) -> None:
        super().__init__(rows)
        self.asked: list[str] = []

    def read(
        self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
    ) -> AsyncIterator[RecordData]:
        self.asked.append(entity)
        return super().read(entity, where, fields=fields)


class Desk:
    """Writes a job, its files, and result files; plans with some of them fed back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans = 0

    def file(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return path

    def rejected(self, step: str, header: str, *lines: str) -> Path:
        """The result file `rejected` of a step, as somebody has corrected it."""
        ours = "," * len(RESULT_COLUMNS)
        head = f"{header},{','.join(RESULT_COLUMNS)}"
        return self.file(f"{step}-rejected.csv", head, *(line + ours for line in lines))

    async def plan(self, target: MemoryTarget, *steps: str, **sources: Path) -> Plan:
        self.plans += 1
        job = self.file("job.yaml", HEAD + "".join(steps))
        return await build_plan(load_job(job, sources=sources), target, self.folder / f"{self.plans}.plan")

    async def offline(self, *steps: str, **sources: Path) -> list[str]:
        job = self.file("job.yaml", HEAD + "".join(steps))
        examined = await examine_offline(load_job(job, sources=sources))
        return [str(fault) async for fault in RowCheck(examined).found()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fates(plan: Plan) -> list[tuple[str, int | None]]:
    return [(change.action.value, change.id) for change in plan.changes()]


def reason(plan: Plan, n: int) -> str:
    return plan.change(n).reason or ""


async def test_a_parent_that_was_made_before_is_found_by_the_match_of_its_step(desk: Desk) -> None:
    """Its id stands where no row of the file that was fed back has its key; a row that has it goes first."""
    companies = desk.rejected("companies", "Id,Name,Parent", "C3,Gamma,A1", "D4,Delta,C3", "E5,Eps,")
    contacts = desk.rejected("contacts", "Client,First,Last", " a1 ,Al,Aal", "C3,Cy,Cern")
    plan = await desk.plan(
        MemoryTarget({"Companies": THERE}), COMPANIES, CONTACTS, companies=companies, contacts=contacts
    )
    assert [fate for fate, _ in fates(plan)] == ["create"] * 5
    assert plan.change(1).fields["parentCompanyID"].after == 7
    assert plan.change(2).fields["parentCompanyID"].after == Created(change=1)
    assert (plan.change(4).parent, plan.change(4).waits_for) == (7, ())
    assert (plan.change(5).parent, plan.change(5).waits_for) == (Created(change=1), (1,))


async def test_what_is_not_found_says_both_where_it_was_looked_for(desk: Desk) -> None:
    """No row and no record, or no row and several: with the key as the target was asked for it."""
    companies = desk.rejected("companies", "Id,Name,Parent", "C3,Gamma,nobody")
    contacts = desk.rejected("contacts", "Client,First,Last", "Z9,Al,Aal", "X,Bo,Berg")
    plan = await desk.plan(
        MemoryTarget({"Companies": THERE}), COMPANIES, CONTACTS, companies=companies, contacts=contacts
    )
    nowhere = f"no row of the step companies ({companies}) has this Id, and"
    assert [reason(plan, n) for n in (1, 2, 3)] == [
        f"column Parent 'nobody': {nowhere} no Companies record has companyNumber 'nobody'",
        f"column Client 'Z9': {nowhere} no Companies record has companyNumber 'Z9'",
        f"column Client 'X': {nowhere} 2 Companies records have companyNumber 'X': 9 (One), 10 (Two)",
    ]


async def test_in_an_ordinary_source_a_missing_row_is_an_error_in_the_data(desk: Desk) -> None:
    """Whatever the target has; also in a new export that is given in place of the job's file."""
    desk.file("companies.csv", "Id,Name,Parent", "C3,Gamma,A1")
    contacts = desk.rejected("contacts", "Client,First,Last", "A1,Al,Aal")
    target = MemoryTarget({"Companies": THERE})
    said = "no row of the step companies ({}) has this Id"
    plan = await desk.plan(target, COMPANIES, CONTACTS, contacts=contacts)
    assert reason(plan, 1) == f"column Parent 'A1': {said.format('companies.csv')}"
    assert reason(plan, 2) == f"column Client 'A1': {said.format('companies.csv')}"
    fresh = desk.file("fresh.csv", "Id,Name,Parent", "C3,Gamma,A1")
    plan = await desk.plan(target, COMPANIES, CONTACTS, companies=fresh, contacts=contacts)
    assert reason(plan, 2) == f"column Client 'A1': {said.format(fresh)}"


async def test_a_key_is_looked_up_as_the_mapping_of_its_step_makes_it(desk: Desk) -> None:
    """Templates, labels, and parts that are records of other steps, down the whole chain."""
    projects: Rows = [
        {"id": 5, "extProjectNumber": "OLD-P1", "projectType": 5},
        {"id": 6, "extProjectNumber": "OLD-P1", "projectType": 4},
        {"id": 4, "extProjectNumber": "P1", "projectType": 5},
    ]
    phases: Rows = [
        {"id": 50, "projectID": 5, "title": "Build"}, {"id": 51, "projectID": 6, "title": "Build"},
        {"id": 52, "projectID": 4, "title": "Build"},
    ]  # fmt: skip
    target = MemoryTarget({"Projects": projects, "Phases": phases})
    plan = await desk.plan(
        target, PROJECTS, PHASES, TASKS,
        projects=desk.rejected("projects", "No,Kind", "P2,Paid"),
        phases=desk.rejected("phases", "Project,Kind,Phase", "P2,Paid,Dig", "p1,internal,Test"),
        tasks=desk.rejected(
            "tasks", "Key,Project,Kind,Phase",
            "a,P1,Paid,Build", "b,p1,internal,build", "c,P2,Paid,Dig", "d,P2,Paid,Build", "e,P1,Odd,Build",
        ),
    )  # fmt: skip
    assert [fate for fate, _ in fates(plan)] == ["create"] * 6 + ["rejected"] * 2
    assert plan.change(3).parent == 6
    after = [
        {name: plan.change(n).fields[name].after for name in ("projectID", "phaseID")} for n in (4, 5, 6)
    ]
    assert after == [
        {"projectID": 5, "phaseID": 50},
        {"projectID": 6, "phaseID": 51},
        {"projectID": Created(change=1), "phaseID": Created(change=2)},
    ]
    assert reason(plan, 7).endswith(
        "has this Project and Kind and Phase, and no Phases record has projectID what row 1 creates "
        "and title 'Build'"
    )
    assert "it cannot be looked up: column Kind 'Odd': is not among the `labels`" in reason(plan, 8)


async def test_many_parents_cost_one_read_for_five_hundred(desk: Desk) -> None:
    """Each key once, whatever number of rows names it, and whether it was found or not."""
    there: Rows = [{"id": n, "companyNumber": f"C{n}", "companyName": "x"} for n in range(100, 500)]
    companies = desk.rejected("companies", "Id,Name,Parent")
    rows = [f"C{100 + n % 400},F,L{n}" for n in range(1800)] + ["gone,F,L"] * 700
    contacts = desk.rejected("contacts", "Client,First,Last", *rows)
    target = Counting({"Companies": there})
    plan = await desk.plan(target, COMPANIES, CONTACTS, companies=companies, contacts=contacts)
    assert plan.header.counts["create"] == 1800
    assert plan.header.counts["rejected"] == 700
    assert (
        target.asked.count("Companies") == 2
    )  # 400 that are there, and the one that is not, of a later batch


async def test_a_step_without_left_over_rows_is_fed_back_with_the_others(desk: Desk) -> None:
    """All five files exist, so all can be given: the empty one says that its step is done."""
    companies = desk.rejected("companies", "Id,Name,Parent")
    contacts = desk.rejected("contacts", "Client,First,Last", "A1,Al,Aal")
    target = MemoryTarget({"Companies": THERE})
    plan = await desk.plan(target, COMPANIES, CONTACTS, companies=companies, contacts=contacts)
    assert [(step.name, step.read, step.rows) for step in plan.header.steps] == [
        ("companies", 0, 0), ("contacts", 1, 1),
    ]  # fmt: skip
    assert plan.change(1).parent == 7
    empty = desk.rejected("contacts", "Client,First,Last")
    with pytest.raises(RefusedError) as caught:
        await desk.plan(target, COMPANIES, CONTACTS, companies=companies, contacts=empty)
    assert f"{companies} and {empty}: hold no row after the header, so there is nothing to plan" in str(
        caught.value
    )
    with pytest.raises(RefusedError, match=r"rejected\.csv: holds no row after the header"):
        await desk.plan(target, COMPANIES, companies=companies)
    fresh = desk.file("fresh.csv", "Id,Name,Parent")
    with pytest.raises(RefusedError, match=r"fresh\.csv: holds no row after the header"):
        await desk.plan(target, COMPANIES, CONTACTS, companies=fresh, contacts=contacts)


async def test_rows_of_a_parent_that_exists_already_are_shown_the_way(desk: Desk) -> None:
    """A create rejects what is there, and the rows that need it fall with it; the message says what to do."""
    create = COMPANIES.replace("action: upsert", "action: create")
    desk.file("companies.csv", "Id,Name,Parent", "A1,Acme,")
    contacts = desk.rejected("contacts", "Client,First,Last", "A1,Al,Aal")
    target = MemoryTarget({"Companies": THERE})
    plan = await desk.plan(target, create, CONTACTS, contacts=contacts)
    assert fates(plan) == [("rejected", 7), ("rejected", None)]
    fallen = "row 1 ({}:2), which it needs, was rejected: Companies 7 has companyNumber 'A1' already; "
    assert reason(plan, 2) == (
        fallen.format("companies.csv")
        + "to refer to that record, feed what the step left over back: --source companies=FILE"
    )
    companies = desk.rejected("companies", "Id,Name,Parent", "A1,Acme,")
    plan = await desk.plan(target, create, CONTACTS, companies=companies, contacts=contacts)
    assert reason(plan, 2) == (
        fallen.format(companies) + f"to refer to that record, take the row out of {companies}"
    )
    companies = desk.rejected("companies", "Id,Name,Parent")
    plan = await desk.plan(target, create, CONTACTS, companies=companies, contacts=contacts)
    assert fates(plan) == [("create", None)]
    assert plan.change(1).parent == 7


async def test_offline_nothing_is_said_of_what_the_tenant_may_have(desk: Desk) -> None:
    """Where the parents' step is fed back; its own cycles are told all the same."""
    companies = desk.rejected("companies", "Id,Name,Parent", "a,A,b", "b,B,a", "c,C,gone")
    contacts = desk.rejected("contacts", "Client,First,Last", "A1,Al,Aal")
    faults = await desk.offline(COMPANIES, CONTACTS, companies=companies, contacts=contacts)
    assert len(faults) == 2
    assert all("need each other in a cycle" in fault for fault in faults)
    desk.file("companies.csv", "Id,Name,Parent", "c,C,gone")
    assert len(await desk.offline(COMPANIES, CONTACTS, contacts=contacts)) == 2
