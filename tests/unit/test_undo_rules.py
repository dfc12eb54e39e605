"""The way back is judged like the way there: what the API would refuse is said before any write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action
from bulkops.errors import LimitError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget
from bulkops.undo import build_undo

Rows = Sequence[Mapping[str, Scalar]]

HEAD = "version: 1\nname: a\ntenant: acme\nlimits: {update: {percent: 100}, delete: {percent: 100}}\nsteps:\n"
OUT = (
    "  - {name: out, entity: TaskSecondaryResources, action: delete, source: {file: out.csv}, match: [id],"
    " fields: {id: Id}}\n"
)
HAND = (
    "  - {name: hand, entity: Tasks, action: update, source: {file: hand.csv}, match: [id],"
    " fields: {id: Id, assignedResourceID: Who}}\n"
)
ROLES = {1: 10, 2: 10, 3: 11}  # who has which role
FIRM: Mapping[str, Rows] = {
    "Resources": [
        {"id": n, "firstName": "Jane", "lastName": f"Doe{n}", "isActive": True, "licenseType": 1}
        for n in ROLES
    ],
    "Roles": [{"id": 10, "name": "Engineer", "isActive": True}, {"id": 11, "name": "Boss", "isActive": True}],
    "ResourceRoles": [
        {"id": n, "resourceID": n, "roleID": role, "departmentID": 90, "isActive": True}
        for n, role in ROLES.items()
    ],
    "Projects": [{"id": 60, "projectName": "Move", "companyID": 30, "projectType": 5, "status": 1}],
    "Tasks": [
        {
            "id": 3, "title": "T", "projectID": 60, "status": 1, "taskType": 1, "assignedResourceID": 1,
            "assignedResourceRoleID": 10, "billingCodeID": 20, "departmentID": 90, "description": "as it was",
        }
    ],
    "TaskSecondaryResources": [{"id": 90, "taskID": 3, "resourceID": 2, "roleID": 10}],
}  # fmt: skip


async def applied(folder: Path, target: MemoryTarget, steps: str, **files: str) -> Plan:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    (folder / "job.yaml").write_text(HEAD + steps, "utf-8")
    plan = await build_plan(load_job(folder / "job.yaml"), target, folder / "x.plan")
    status = await apply_plan(plan, target)
    assert status.counts["applied"] == plan.total
    return Plan.open(folder / "x.plan")


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget(FIRM)


async def test_a_link_whose_role_was_lost_is_rejected_in_the_undo_plan(
    tmp_path: Path, target: MemoryTarget
) -> None:
    """Who helped, and has that role no longer, is named with the roles that they have now."""
    plan = await applied(tmp_path, target, OUT, out="Id\n90\n")
    target.rows["ResourceRoles"][2]["roleID"] = 11
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    change = undo.change(1)
    assert change.action is Action.REJECTED
    assert change.reason == "resourceID 2 (Jane Doe2) does not have roleID 10 (Engineer). Theirs: 11 (Boss)"
    writes = len(target.writes)
    assert (await apply_plan(undo, target)).counts["rejected"] == 1
    assert len(target.writes) == writes


async def test_each_step_back_meets_what_the_one_before_left(tmp_path: Path, target: MemoryTarget) -> None:
    """A helper was taken out and became the primary resource: on the way back the task is given back first,
    and only then, by what it is then, the helper may be its helper again.
    """
    plan = await applied(tmp_path, target, OUT + HAND, out="Id\n90\n", hand="Id,Who\n3,2\n")
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    assert [(c.entity, c.action, c.reason) for c in undo.changes()] == [
        ("Tasks", Action.UPDATE, None), ("TaskSecondaryResources", Action.CREATE, None),
    ]  # fmt: skip
    assert (await apply_plan(undo, target)).counts["applied"] == 2
    assert target.rows["Tasks"][3]["assignedResourceID"] == 1
    assert [row["resourceID"] for row in target.rows["TaskSecondaryResources"].values()] == [2]


async def test_what_two_steps_changed_goes_back_in_two_steps(tmp_path: Path, target: MemoryTarget) -> None:
    """The same field of the same record: nobody but the plan itself has changed it since."""
    step = (
        "  - {name: %s, entity: Tasks, action: update, source: {file: %s.csv}, match: [id],"
        " fields: {id: Id, title: Title}}\n"
    )
    plan = await applied(
        tmp_path, target, step % ("a", "a") + step % ("b", "b"), a="Id,Title\n3,A\n", b="Id,Title\n3,B\n"
    )
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    titles = [(c.fields["title"].before, c.fields["title"].after) for c in undo.changes() if c.fields]
    assert titles == [("B", "A"), ("A", "T")]
    assert (await apply_plan(undo, target)).counts["applied"] == 2
    assert target.rows["Tasks"][3]["title"] == "T"


async def test_the_way_back_names_doubts_and_side_effects(tmp_path: Path, target: MemoryTarget) -> None:
    """Beside the row and once for all rows, as any plan does: also that rich text comes back plain."""
    step = (
        "  - {name: a, entity: Projects, action: update, source: {file: a.csv}, match: [id],"
        " fields: {id: Id, status: State}}\n"
        "  - {name: b, entity: Tickets, action: update, source: {file: b.csv}, match: [id],"
        " fields: {id: Id, description: Text}}\n"
    )
    target.rows["Tickets"] = {7: {"id": 7, "title": "T", "companyID": 30, "description": "as it was"}}
    plan = await applied(tmp_path, target, step, a="Id,State\n60,5\n", b="Id,Text\n7,new\n")
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    told = "\n".join(undo.header.warnings)
    assert "b: 1 update of description: the API writes plain text" in told
    assert "a: 1 update may be refused: a project that is complete is opened again" in told
    assert any(note.startswith("may be refused") for note in undo.change(2).notes)
    assert "workflow rules may fire" in told


async def test_the_way_back_is_estimated_by_how_fast_the_target_answers(tmp_path: Path) -> None:
    """As every plan is: a quick tenant needs about as long for the way back as for the way there."""
    rows: Rows = [{"id": n, "companyName": f"C{n}", "companyType": 1, "phone": "1"} for n in range(1, 401)]
    target = MemoryTarget({"Companies": rows})
    step = (
        "  - {name: a, entity: Companies, action: update, source: {file: a.csv}, match: [id],"
        " fields: {id: Id, phone: Phone}}\n"
    )
    cells = "".join(f"{n},2\n" for n in range(1, 401))
    plan = await applied(tmp_path, target, step, a=f"Id,Phone\n{cells}")
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    assert undo.header.counts["update"] == 400
    for share, seconds in plan.header.estimate_s.items():
        assert undo.header.estimate_s[share] <= 1.5 * seconds + 1


ADVICE = "A step of a job can say what they get instead"


@pytest.mark.parametrize(("entity", "fields", "is_told"), [
    ("Tickets", "title: Text, companyID: {value: 30}, status: {value: 1}, priority: {value: 1}", True),
    ("ProjectNotes", "title: Text, projectID: {value: 60}, noteType: {value: 5}, publish: {value: 1},"
     " description: Text, isAnnouncement: {value: 'false'}", False),
])  # fmt: skip
async def test_what_a_step_could_say_is_advised_where_there_is_something_to_say(
    tmp_path: Path, target: MemoryTarget, entity: str, fields: str, *, is_told: bool
) -> None:
    """A ticket could be completed instead of deleted; a note has nothing that a step could set."""
    target.rows["Companies"] = {30: {"id": 30, "companyName": "Acme"}}
    steps = (
        f"  - {{name: a, entity: {entity}, action: create, source: {{file: a.csv}}, fields: {{{fields}}}}}\n"
    )
    plan = await applied(tmp_path, target, steps, a="Text\nA\nB\n")
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    for change in undo.changes():
        assert change.action is Action.REJECTED
        assert f"{entity} records can neither be deleted nor set inactive" in (change.reason or "")
        assert (ADVICE in (change.reason or "")) == is_told


async def test_what_is_advised_is_a_job_that_can_be_planned(tmp_path: Path, target: MemoryTarget) -> None:
    """With a status that the tenant has; put into the job as it stands there, it is what undo sets."""
    target.rows["Companies"] = {30: {"id": 30, "companyName": "Acme"}}
    step = (
        "  - {name: a, entity: Tickets, action: create, source: {file: a.csv}, fields: {title: Text,"
        " companyID: {value: 30}, status: {value: 1}, priority: {value: 1}}%s}\n"
    )
    plan = await applied(tmp_path, target, step % "", a="Text\nA\n")
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    said = (undo.change(1).reason or "").rpartition("as in `")[2].rstrip("`")
    assert said == "undo: {status: {value: Complete}}"
    plan = await applied(tmp_path, target, step % f", {said}", a="Text\nB\n")
    undo = await build_undo(plan, target, tmp_path / "y.undo.plan")
    assert [change.fields["status"].after for change in undo.changes()] == [5]


async def test_the_way_back_is_within_the_limits_of_the_job_too(tmp_path: Path, target: MemoryTarget) -> None:
    """A limit on what a field is set to: undo sets it, and nobody has released that."""
    for id in (4, 5):
        target.load("Tasks", {**target.rows["Tasks"][3], "id": id})
    for row in target.rows["Tasks"].values():
        row["status"] = 5
    limited = HEAD.replace("limits: {", "limits: {status=Complete: {count: 2}, ")
    (tmp_path / "open.csv").write_text("Id,State\n3,New\n4,New\n5,New\n", "utf-8")
    step = HAND.replace("hand", "open").replace("assignedResourceID: Who", "status: State")
    (tmp_path / "job.yaml").write_text(limited + step, "utf-8")
    plan = await build_plan(load_job(tmp_path / "job.yaml"), target, tmp_path / "x.plan")
    assert (await apply_plan(plan, target)).counts["applied"] == 3
    undo = await build_undo(plan, target, tmp_path / "x.undo.plan")
    release = "If that is meant, release exactly these: --allow status=Complete=3"
    assert f"status=Complete: 3 rows, the limit is 2. {release}" in undo.header.warnings
    with pytest.raises(LimitError, match="status=Complete: 3 rows"):
        await apply_plan(undo, target)
    assert (await apply_plan(undo, target, allow={"status=Complete": 3})).counts["applied"] == 3


@pytest.mark.parametrize(("department", "told"), [(90, False), (91, True)])
async def test_a_department_that_undo_does_not_bring_back_is_told(
    tmp_path: Path, target: MemoryTarget, department: int, told: bool
) -> None:
    """A task that is not in that of its resource: given back, the API puts it there."""
    target.load("ResourceRoleDepartments", {
        "resourceID": 1, "roleID": 10, "departmentID": 90, "isActive": True, "isDefault": True,
    })  # fmt: skip
    target.rows["Tasks"][3]["departmentID"] = department
    del target.rows["TaskSecondaryResources"][90]
    plan = await applied(tmp_path, target, HAND, hand="Id,Who\n3,2\n")
    (altered,) = plan.header.extra["altered"] or [""]
    assert ("1 Tasks in another department than that of who has them" in altered) is told


@pytest.mark.parametrize("entity", ["Tasks", "Tickets", "Projects"])
async def test_what_was_complete_is_completed_anew_and_the_plan_says_so(tmp_path: Path, entity: str) -> None:
    """Who completed it and when is the API's own, and not kept: no plan says that all of it comes back."""
    target = MemoryTarget(FIRM)
    target.load("Tickets", {"id": 3, "title": "T", "companyID": 30, "status": 5, "queueID": 8})
    target.load("Projects", {**target.rows["Projects"][60], "id": 3})
    del target.rows["TaskSecondaryResources"][90]
    for status, is_told in ((5, True), (7, False)):
        target.rows[entity][3]["status"] = status
        step = HAND.replace("Tasks", entity).replace("assignedResourceID: Who", "status: State")
        plan = await applied(tmp_path, target, step, hand="Id,State\n3,New\n")
        (tmp_path / "x.plan").unlink()
        told = f"1 {entity} that are complete now: taken back, they are completed anew"
        assert any(text.startswith(told) for text in plan.header.extra["altered"]) is is_told
