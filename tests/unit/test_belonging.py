"""Lookups of what belongs to something: a phase of the task's project, a contact of the ticket's company."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.belonging import BONDS
from bulkops.planner.build import build_plan
from bulkops.record import Created, Scalar
from bulkops.references import HOMES
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import Filter, RecordData
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

PHASES: Rows = [
    {"id": 70, "projectID": 7, "title": "Design"},
    {"id": 80, "projectID": 8, "title": "Design"},
    {"id": 81, "projectID": 8, "title": "Build"},
    {"id": 82, "projectID": 8, "title": "Twice"},
    {"id": 83, "projectID": 8, "title": "Twice"},
    {"id": 90, "projectID": 9, "title": "Twice"},
]
PROJECTS: Rows = [
    {"id": 7, "projectName": "Seven", "companyID": 1},
    {"id": 8, "projectName": "Eight", "companyID": 2},
]
PEOPLE: Rows = [
    {"id": 11, "companyID": 1, "firstName": "Jo", "lastName": "Lee", "isActive": 1},
    {"id": 21, "companyID": 2, "firstName": "Jo", "lastName": "Lee", "isActive": 1},
    {"id": 22, "companyID": 2, "firstName": "Al", "lastName": "Aal", "isActive": 0},
]


class Desk:
    """Writes one job and its file, and plans it; counts the reads by entity."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def plan(self, target: MemoryTarget, steps: str, **files: str) -> Plan:
        for name, text in files.items():
            (self.folder / f"{name}.csv").write_text(text, "utf-8", newline="")
        job = self.folder / "job.yaml"
        job.write_text(f"version: 1\nname: trial\ntenant: acme\nsteps:\n{steps}", "utf-8")
        (self.folder / "x.plan").unlink(missing_ok=True)
        return await build_plan(load_job(job), target, self.folder / "x.plan")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def task_step(action: str = "create", *, project: str = "projectID: Project, ") -> str:
    match = "" if action == "create" else "    match: [externalID]\n"
    return (
        f"  - name: tasks\n    entity: Tasks\n    action: {action}\n    source: {{file: tasks.csv}}\n{match}"
        f"    fields: {{externalID: Key, title: Key, {project}status: {{value: New}}, "
        "taskType: {value: 1}, phaseID: {column: Phase, lookup: title}}\n"
    )


def fates(plan: Plan, field: str = "phaseID") -> list[object]:
    """What each row sends in the field, or why the row is rejected."""
    return [
        change.reason or (change.fields[field].after if field in change.fields else None)
        for change in plan.changes()
    ]


async def test_a_phase_is_looked_for_in_the_project_of_its_task(desk: Desk) -> None:
    """The same title in two projects finds each task's own; no row has to name the project twice."""
    rows = "Key,Project,Phase\nA,7,Design\nB,8,design\nC,8,Build\n"
    plan = await desk.plan(MemoryTarget({"Phases": PHASES, "Projects": PROJECTS}), task_step(), tasks=rows)
    assert fates(plan) == [70, 80, 81]


async def test_a_child_of_another_parent_is_never_taken(desk: Desk) -> None:
    """What is only there in other projects rejects the row, and the reason names them."""
    rows = "Key,Project,Phase\nA,7,Build\nB,7,Twice\nC,8,Twice\nD,7,Nowhere\n"
    plan = await desk.plan(MemoryTarget({"Phases": PHASES, "Projects": PROJECTS}), task_step(), tasks=rows)
    assert fates(plan) == [
        "column Phase 'Build': Phases 81 (Build) is of projectID 8, and the row's projectID is 7",
        "column Phase 'Twice': 3 Phases records have this title: 82 (Twice), 83 (Twice), 90 (Twice); "
        "none of them is of projectID 7",
        "column Phase 'Twice': 2 Phases records have this title and projectID: 82 (Twice), 83 (Twice)",
        "column Phase 'Nowhere': no Phases record has this title",
    ]


async def test_where_the_parent_is_about_to_be_made_nothing_is_in_it_yet(desk: Desk) -> None:
    """A phase that exists belongs to a project that exists; `from` is what refers to one that does not."""
    projects = (
        "  - name: projects\n    entity: Projects\n    action: create\n    source: {file: projects.csv}\n"
        "    match: [extProjectNumber]\n    fields: {extProjectNumber: Id, projectName: Id, "
        "companyID: {value: 1}, status: {value: New}, projectType: {value: Client}, "
        "startDateTime: {value: 2026-01-01}, endDateTime: {value: 2026-02-01}}\n"
    )
    step = task_step(project="projectID: {column: Project, from: projects}, ")
    plan = await desk.plan(
        MemoryTarget({"Phases": PHASES, "Projects": PROJECTS}), projects + step,
        projects="Id\nP1\n", tasks="Key,Project,Phase\nA,P1,Build\nB,P1,Design\nC,P1,\n",
    )  # fmt: skip
    assert fates(plan)[1:] == [
        "column Phase 'Build': Phases 81 (Build) is of projectID 8, and the row's projectID is what row 1 "
        "creates",
        "column Phase 'Design': 2 Phases records have this title: 70 (Design), 80 (Design); none of them is "
        "of what row 1 creates",
        None,
    ]
    assert plan.change(4).fields["projectID"].after == Created(change=1)


@pytest.mark.parametrize("action", ["update", "upsert"])
async def test_the_record_that_a_row_meets_says_where_it_belongs(desk: Desk, action: str) -> None:
    """An update that does not name the project finds the phase in the project that its task is in."""
    there: Rows = [
        {"id": 31, "externalID": "A", "title": "A", "status": 1, "taskType": 1, "projectID": 7},
        {"id": 32, "externalID": "B", "title": "B", "status": 1, "taskType": 1, "projectID": 8},
    ]
    target = MemoryTarget({"Phases": PHASES, "Projects": PROJECTS, "Tasks": there})
    step = task_step(action, project="" if action == "update" else "projectID: Project, ")
    rows = ("A,,Design", "B,,Design", "A2,,Design") if action == "update" else ("A,7,Design", "B,8,Design")
    if action == "update":
        step = step.replace("    fields:", "    ignore: [Project]\n    fields:")
    plan = await desk.plan(target, step, tasks="\n".join(("Key,Project,Phase", *rows, "")))
    assert fates(plan)[:2] == [70, 80]
    if action == "update":
        assert plan.change(3).reason == (
            "column Phase 'Design': 2 Phases records have this title: 70 (Design), 80 (Design)"
        )


def ticket_step(lookup: str) -> str:
    return (
        "  - name: tickets\n    entity: Tickets\n    action: create\n    source: {file: tickets.csv}\n"
        "    fields: {companyID: Company, title: Key, status: {value: New}, priority: {value: 1}, "
        f"{lookup}}}\n"
    )


async def test_a_contact_is_one_of_the_tickets_company(desk: Desk) -> None:
    """By name, by a key of two columns, by id: never somebody of another company; who is inactive is told."""
    target = MemoryTarget({"Contacts": PEOPLE})
    step = ticket_step("contactID: {column: Name, lookup: lastName}")
    plan = await desk.plan(target, step, tickets="Key,Company,Name\nA,1,Lee\nB,2,lee\nC,1,Aal\nD,2,Aal\n")
    assert fates(plan, "contactID") == [
        11, 21,
        "column Name 'Aal': Contacts 22 (Al Aal) is of companyID 2, and the row's companyID is 1",
        "column Name 'Aal': Contacts 22 (Al Aal) is inactive; set `inactive: allow` to use it all the same",
    ]  # fmt: skip
    step = ticket_step("contactID: {columns: [Of, Name], lookup: [companyID, lastName]}")
    plan = await desk.plan(target, step, tickets="Key,Company,Of,Name\nA,1,1,Lee\nB,1,2,Lee\n")
    assert fates(plan, "contactID") == [
        11,
        "column Of, Name '2 / Lee': Contacts 21 (Jo Lee) is of companyID 2, and the row's companyID is 1",
    ]
    step = ticket_step("contactID: {column: Name, lookup: id}")
    plan = await desk.plan(target, step, tickets="Key,Company,Name\nA,1,11\nB,1,21\n")
    assert fates(plan, "contactID") == [
        11,
        "column Name '21': Contacts 21 (Jo Lee) is of companyID 2, and the row's companyID is 1",
    ]


async def test_a_location_is_one_of_the_company_of_the_tasks_project(desk: Desk) -> None:
    """Two steps away: the task names its project, the project is of a company, the location of another."""
    sites: Rows = [
        {"id": 5, "companyID": 1, "name": "Head office", "isActive": True},
        {"id": 6, "companyID": 2, "name": "Head office", "isActive": True},
        {"id": 7, "companyID": 2, "name": "Depot", "isActive": True},
    ]
    target = MemoryTarget({"CompanyLocations": sites, "Projects": PROJECTS})
    step = task_step().replace(
        "phaseID: {column: Phase, lookup: title}", "companyLocationID: {column: Site, lookup: name}"
    )
    rows = "Key,Project,Site\nA,7,Head office\nB,8,Head office\nC,7,Depot\n"
    assert fates(await desk.plan(target, step, tasks=rows), "companyLocationID") == [
        5, 6,
        "column Site 'Depot': CompanyLocations 7 (Depot) is of companyID 2, and the row's projectID is of "
        "companyID 1",
    ]  # fmt: skip


async def test_all_that_is_wrong_with_a_row_is_told_at_once(desk: Desk) -> None:
    """A reference to somebody else's child stands beside the row's other faults."""
    rows = f"Key,Project,Phase\n{'x' * 300},7,Build\n"
    plan = await desk.plan(MemoryTarget({"Phases": PHASES, "Projects": PROJECTS}), task_step(), tasks=rows)
    (reason,) = fates(plan)
    assert "300 characters" in str(reason) and "Phases 81 (Build) is of projectID 8" in str(reason)


async def test_a_row_that_is_rejected_unmet_is_told_only_what_is_certain(desk: Desk) -> None:
    """Whose record is not looked for has no known project: what is nowhere is wrong, the rest not."""
    step = task_step("update", project="").replace("    fields:", "    ignore: [Project]\n    fields:")
    long = "x" * 300
    rows = "".join(f"{long},,{phase}\n" for phase in ("Nowhere", "Build", "Twice"))
    target = MemoryTarget({"Phases": PHASES, "Projects": PROJECTS, "Tasks": []})
    plan = await desk.plan(target, step, tasks=f"Key,Project,Phase\n{rows}")
    assert ["Phase" in str(reason) for reason in fates(plan)] == [True, False, False]


async def test_children_are_looked_up_in_bulk(desk: Desk) -> None:
    """1,200 tasks with a phase cost three reads of phases, in batches of 500 rows: never one a row."""
    phases: Rows = [{"id": n, "projectID": n % 40, "title": f"Phase {n}"} for n in range(1, 1201)]

    class Counting(MemoryTarget):
        asked = 0

        def read(
            self, entity: str, where: Filter, *, fields: Sequence[str] | None = None
        ) -> AsyncIterator[RecordData]:
            Counting.asked += entity == "Phases"
            return super().read(entity, where, fields=fields)

    rows = "".join(f"T{n},{n % 40},Phase {n}\n" for n in range(1, 1201))
    plan = await desk.plan(Counting({"Phases": phases}), task_step(), tasks=f"Key,Project,Phase\n{rows}")
    assert fates(plan) == list(range(1, 1201))
    assert Counting.asked == 3


async def test_what_cannot_be_read_narrows_nothing(desk: Desk) -> None:
    """Where the tenant does not let the parent's field be asked for, the lookup stands as it is."""
    phases = load_catalog().entities["Phases"]
    blind = replace(phases.fields["projectID"], is_queryable=False)
    shape = replace(phases, fields={**phases.fields, "projectID": blind})
    target = MemoryTarget({"Phases": PHASES, "Projects": PROJECTS}, entities={"Phases": shape})
    plan = await desk.plan(target, task_step(), tasks="Key,Project,Phase\nA,7,Build\n")
    assert fates(plan) == [81]


def test_the_table_names_what_there_is() -> None:
    """Every field of every bond is in the catalog, and every home is a field that can be asked for."""
    entities = load_catalog().entities
    for entity, bonds in BONDS.items():
        for name, bond in bonds.items():
            fields = entities[entity].fields
            assert fields[name].reference in HOMES and fields[bond.own].name == bond.own
            assert not bond.through or fields[bond.own].reference in (bond.through, "")
    for entity, name in HOMES.items():
        assert entities[entity].fields[name].is_queryable
