"""`from` inside a step and over several: parents below children, cycles, keys of many parts, refusals."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.applier import apply_plan
from bulkops.change import FieldDiff
from bulkops.errors import JobError
from bulkops.job import load_job
from bulkops.plan import Plan, Status
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import RowCheck
from bulkops.record import Created, Scalar
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]

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
"""
PARENT = "      parentCompanyID: {column: Parent, from: companies}\n"
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


class Desk:
    """Writes a job and its sources, plans and applies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans = 0

    def file(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")

    async def plan(self, target: MemoryTarget, *steps: str) -> Plan:
        self.plans += 1
        job = self.folder / "job.yaml"
        job.write_text("version: 1\nname: trial\ntenant: acme\nsteps:" + "".join(steps), "utf-8")
        return await build_plan(load_job(job), target, self.folder / f"{self.plans}.plan")

    async def apply(self, plan: Plan, target: MemoryTarget, **options: Any) -> Status:
        return await apply_plan(plan, target, rng=random.Random(1), **options)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fates(plan: Plan) -> list[tuple[str, int | None]]:
    return [(change.action.value, change.id) for change in plan.changes()]


def reason(plan: Plan, n: int) -> str:
    return plan.change(n).reason or ""


# --- rows of the same step ------------------------------------------------------------------------------


async def test_parents_may_stand_below_their_children(desk: Desk) -> None:
    """Rows keep the numbers and the order of the file; the graph says who goes first."""
    desk.file("companies.csv", "Id,Name,Parent", "c,Child,b", "b,Middle,A", "a,Top,", "d,Other,")
    target = MemoryTarget()
    plan = await desk.plan(target, COMPANIES + PARENT)
    assert [(c.n, c.line, c.waits_for) for c in plan.changes()] == [
        (1, 2, (2,)), (2, 3, (3,)), (3, 4, ()), (4, 5, ()),
    ]  # fmt: skip
    assert plan.change(1).fields["parentCompanyID"].after == Created(change=2)
    await desk.apply(plan, target)
    rows = {row["companyNumber"]: row for row in target.rows["Companies"].values()}
    assert rows["c"]["parentCompanyID"] == rows["b"]["id"]
    assert rows["b"]["parentCompanyID"] == rows["a"]["id"]
    assert "parentCompanyID" not in rows["a"]
    assert (await desk.plan(target, COMPANIES + PARENT)).header.counts["unchanged"] == 4


async def test_a_parent_that_exists_is_referred_to_by_its_id(desk: Desk) -> None:
    """Found below its child in the file: the child's diff is made with the id, and none where it agrees."""
    common: dict[str, Scalar] = {"companyType": 1, "phone": "1", "ownerResourceID": 4}
    target = MemoryTarget(
        {"Companies": [
            {"id": 7, "companyNumber": "a", "companyName": "A", **common},
            {"id": 8, "companyNumber": "b", "companyName": "B", "parentCompanyID": 7, **common},
            {"id": 9, "companyNumber": "c", "companyName": "C", "parentCompanyID": 8, **common},
        ]}
    )  # fmt: skip
    desk.file("companies.csv", "Id,Name,Parent", "b,B,a", "c,C,a", "a,A,")
    plan = await desk.plan(target, COMPANIES + PARENT)
    assert fates(plan) == [("unchanged", 8), ("update", 9), ("unchanged", 7)]
    assert plan.change(2).fields == {"parentCompanyID": FieldDiff(before=8, after=7)}


async def test_a_cycle_rejects_its_rows_and_names_them(desk: Desk) -> None:
    """None of its rows can be first; what hangs on them falls too, and nothing else does."""
    desk.file(
        "companies.csv", "Id,Name,Parent", "a,A,c", "b,B,a", "c,C,b", "d,D,a", "e,E,e", "f,F,", "g,G,nobody"
    )
    plan = await desk.plan(MemoryTarget(), COMPANIES + PARENT)
    assert [fate for fate, _ in fates(plan)] == ["rejected"] * 5 + ["create", "rejected"]
    ring = "row 1 (companies.csv:2), row 3 (companies.csv:4) and row 2 (companies.csv:3) need each other"
    assert all(reason(plan, n).startswith(f"{ring} in a cycle") for n in (1, 2, 3))
    assert reason(plan, 4).startswith("row 1 (companies.csv:2), which it needs, was rejected: row 1")
    assert "names itself" in reason(plan, 5)
    assert "cycle" in reason(plan, 5)
    assert "no row of the step companies (companies.csv) has this Id" in reason(plan, 7)


async def test_the_first_row_of_a_key_is_the_first_of_the_file(desk: Desk) -> None:
    """Also where the second one, which needs nobody, could be planned sooner."""
    desk.file("companies.csv", "Id,Name,Parent", "x,First,top", "X,Second,", "top,Top,", "y,Child,X")
    plan = await desk.plan(MemoryTarget(), COMPANIES + PARENT)
    assert [fate for fate, _ in fates(plan)] == ["create", "rejected", "create", "create"]
    assert reason(plan, 2) == (
        "row 1 (companies.csv:2) has companyNumber 'X' too: only the first one is planned"
    )
    assert plan.change(4).waits_for == (1,)


async def test_a_long_line_of_descent_is_planned_and_applied(desk: Desk) -> None:
    """A thousand generations, youngest first, more than may be in memory: no recursion, one write each."""
    count = 1200
    desk.file(
        "companies.csv", "Id,Name,Parent",
        *(f"{n},N{n},{n + 1 if n + 1 < count else ''}" for n in range(count)),
    )  # fmt: skip
    target = MemoryTarget()
    plan = await desk.plan(target, COMPANIES + PARENT)
    assert plan.header.counts["create"] == count
    owner = 1  # whether they may own companies is asked once
    assert plan.header.calls_read <= count // 500 + 1 + owner
    status = await desk.apply(plan, target)
    assert status.counts["applied"] == count
    assert [write.values["companyNumber"] for write in target.writes] == [
        str(n) for n in reversed(range(count))
    ]


PROJECTS = """
  - name: projects
    entity: Projects
    action: upsert
    source: {file: projects.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: No
      projectName: No
      companyID: {value: "0"}
      projectType: {value: "5"}
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
      projectID: {column: Project, from: projects}
      title: Phase
      parentPhaseID: {columns: [Project, Under], from: phases}
    ignore: [Note]
"""
TASKS = """
  - name: tasks
    entity: Tasks
    action: create
    source: {file: tasks.csv}
    match: [phaseID, title]
    fields:
      projectID: {column: Project, from: projects}
      phaseID: {columns: [Project, Phase], from: phases}
      title: Task
      status: {value: "1"}
      taskType: {value: "1"}
"""


async def test_a_phase_is_unique_only_inside_its_project(desk: Desk) -> None:
    """Composite keys: of two phases of one name each task gets that of its own project, made or found."""
    target = MemoryTarget(
        {
            "Projects": [
                {"id": 5, "extProjectNumber": "P1", "projectName": "P1", "companyID": 0, "projectType": 5,
                 "status": 1, "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-12-31T00:00:00Z"}
            ],
            "Phases": [{"id": 50, "projectID": 5, "title": "Build"}],
        }
    )  # fmt: skip
    desk.file("projects.csv", "No", "P1", "P2")
    desk.file(
        "phases.csv", "Project,Phase,Under,Note", "P2,Build,All,x", "P1,Build,,", "P2,All,,", "P1,Test,,"
    )
    desk.file("tasks.csv", "Project,Phase,Task", "P1,Build,A", "P2,Build,A", "P2,build,a ", "P1,All,B")
    plan = await desk.plan(target, PROJECTS, PHASES, TASKS)
    assert fates(plan) == [
        ("unchanged", 5), ("create", None),
        ("create", None), ("unchanged", 50), ("create", None), ("create", None),
        ("create", None), ("create", None), ("rejected", None), ("rejected", None),
    ]  # fmt: skip
    build = plan.change(3)
    assert build.key == {"projectID": Created(change=2), "title": "Build"}
    assert (build.parent, build.waits_for) == (Created(change=2), (2, 5))
    assert [plan.change(n).fields["phaseID"].after for n in (7, 8)] == [50, Created(change=3)]
    assert "row 8 (tasks.csv:3) has phaseID what row 3 creates and title 'a ' too" in reason(plan, 9)
    assert "column Project, Phase 'P1 / All': no row of the step phases" in reason(plan, 10)
    await desk.apply(plan, target)
    again = await desk.plan(target, PROJECTS, PHASES)
    assert again.header.counts["unchanged"] == 6


async def test_rows_cannot_be_matched_by_other_rows_of_their_step(desk: Desk) -> None:
    """A row would have to be known before it can be known: refused, with a way out."""
    phases = PHASES.replace("[projectID, title]", "[projectID, parentPhaseID, title]")
    desk.file("projects.csv", "No", "P1")
    desk.file("phases.csv", "Project,Phase,Under,Note", "P1,x,,")
    with pytest.raises(JobError, match=r"`match` names parentPhaseID\. Match by other fields"):
        await desk.plan(MemoryTarget(), PROJECTS, phases)


# --- what a job may say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{column: Client, from: companies}", "{column: Client, from: contacts}",
         "companyID refers to Companies, and the step `contacts`, which `from` names, makes Contacts"),
        ("{column: Client, from: companies}", "{columns: [Client, First], from: companies}",
         "`from` compares 2 columns with the 1 column that `match` of the step `companies` reads. "
         "Give one for each of `Id`."),
        ("{column: Client, from: companies}", "{column: Client, from: notes}",
         "`from` names the step `notes`, which comes later"),
    ],
)  # fmt: skip
async def test_a_from_that_cannot_work_is_refused_at_its_line(
    desk: Desk, old: str, new: str, said: str
) -> None:
    """Entity, columns and order are looked at before any row, and both sides are named."""
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal")
    notes = "  - {name: notes, entity: Companies, action: update, source: {file: companies.csv},\n"
    notes += "     match: [companyNumber], fields: {companyNumber: Id, companyName: Name}}\n"
    with pytest.raises(JobError) as caught:
        await desk.plan(MemoryTarget(), COMPANIES, CONTACTS.replace(old, new), notes)
    told = [str(fault) for fault in caught.value.faults]
    assert any(said in text and "job.yaml:23" in text for text in told), told


async def test_a_step_that_deletes_or_matches_by_constants_cannot_be_referred_to(desk: Desk) -> None:
    """What is gone is nobody's parent, and a constant tells no rows apart."""
    gone = "  - {name: gone, entity: ContactGroups, action: delete, source: {file: g.csv}, match: [name],\n"
    gone += "     fields: {name: Name}}\n"
    same = "  - {name: same, entity: ContactGroups, action: update, source: {file: g.csv}, match: [name],\n"
    same += "     fields: {name: {value: One}}, ignore: [Name]}\n"
    members = (
        "  - {name: m, entity: ContactGroupContacts, action: create, source: {file: m.csv},\n"
        "     fields: {contactGroupId: {column: Group, from: STEP}, contactId: Person}}\n"
    )
    desk.file("g.csv", "Name", "Old")
    desk.file("m.csv", "Group,Person", "Old,5")
    with pytest.raises(JobError, match="`gone`, which deletes its records"):
        await desk.plan(MemoryTarget(), "\n", gone, members.replace("STEP", "gone"))
    with pytest.raises(JobError, match="`same` reads no column"):
        await desk.plan(MemoryTarget(), "\n", same, members.replace("STEP", "same"))


async def test_the_columns_of_a_template_are_what_its_rows_are_known_by(desk: Desk) -> None:
    """A key that the mapping makes up is referred to by the source's own text; constants are left out."""
    companies = COMPANIES.replace("companyNumber: Id", "companyNumber: {template: 'OLD-{{ Id }}'}").replace(
        "match: [companyNumber]", "match: [companyType, companyNumber]"
    )
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "a1,Al,Aal", "OLD-A1,Bo,Berg")
    plan = await desk.plan(MemoryTarget(), companies, CONTACTS)
    assert [fate for fate, _ in fates(plan)] == ["create", "create", "rejected"]


async def test_all_that_is_wrong_with_the_steps_is_told_at_once(desk: Desk) -> None:
    """A mapping of one step, a reference of another; and every file that cannot be read."""
    desk.file("companies.csv", "Id,Name", "A1,Acme")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal")
    wrong = COMPANIES.replace("companyName: Name", "companyName: Nam")
    with pytest.raises(JobError) as caught:
        await desk.plan(
            MemoryTarget(), wrong, CONTACTS.replace("{column: Client,", "{columns: [Client, First],")
        )
    assert [fault.where.rpartition(":")[2] for fault in caught.value.faults] == ["12", "23"]
    files = COMPANIES.replace("companies.csv", "no.csv"), CONTACTS.replace("contacts.csv", "none.csv")
    with pytest.raises(JobError, match=r"(?s)no\.csv.*\n.*none\.csv"):
        await desk.plan(MemoryTarget(), *files)


async def test_rows_left_out_by_distinct_are_counted_and_not_planned(desk: Desk) -> None:
    """Read, dropped and rows add up, step by step, and a reference finds the row that is kept."""
    companies = COMPANIES.replace("{file: companies.csv}", "{file: companies.csv, distinct: {by: [Id]}}")
    desk.file("companies.csv", "Id,Name", "A1,Old", "B2,Beta", "A1,New")
    desk.file("contacts.csv", "Client,First,Last", "A1,Al,Aal")
    plan = await desk.plan(MemoryTarget(), companies, CONTACTS)
    assert [(s.read, s.dropped, s.rows) for s in plan.header.steps] == [(3, 1, 2), (1, 0, 1)]
    assert plan.total == 3
    needed = plan.change(plan.change(3).waits_for[0])
    assert needed.fields["companyName"].after == "New"


# --- without a tenant -----------------------------------------------------------------------------------


async def offline_faults(desk: Desk, *steps: str) -> list[str]:
    job = desk.folder / "job.yaml"
    job.write_text("version: 1\nname: trial\ntenant: acme\nsteps:" + "".join(steps), "utf-8")
    examined = await examine_offline(load_job(job))
    assert not examined.faults
    return [str(fault) async for fault in RowCheck(examined).found()]


async def test_rows_that_refer_to_no_row_are_told_offline(desk: Desk) -> None:
    """The job's own files say enough: a parent in no file, a cycle. A parent at fault is told once."""
    desk.file("companies.csv", "Id,Name,Parent", "a,A,b", "b,B,a", f"c,{'x' * 200},", "d,D,nobody", "e,E,c")
    desk.file("contacts.csv", "Client,First,Last", "C,Al,Aal", "zz,Bo,Berg", "a,Cy,Cern")
    both = "row 1 (companies.csv:2) and row 2 (companies.csv:3)"
    ring = f"{both} need each other in a cycle: none can be the first"
    nowhere = "no row of the step companies (companies.csv) has this Id"
    assert await offline_faults(desk, COMPANIES + PARENT, CONTACTS) == [
        f"companies.csv:4: column Name '{'x' * 57}...': has 200 characters, the field takes 100",
        f"companies.csv:5: column Parent 'nobody': {nowhere}",
        f"companies.csv:2: {ring}",
        f"companies.csv:3: {ring}",
        f"contacts.csv:3: column Client 'zz': {nowhere}",
    ]


async def test_a_job_whose_references_fit_is_faultless_offline(desk: Desk) -> None:
    """Over many batches, parents below their children."""
    rows = 1100
    desk.file(
        "companies.csv", "Id,Name,Parent", *(f"{n},N,{n + 700 if n < 400 else ''}" for n in range(rows))
    )
    desk.file("contacts.csv", "Client,First,Last", *(f"{n},F,L{n}" for n in range(rows)))
    assert await offline_faults(desk, COMPANIES + PARENT, CONTACTS) == []
