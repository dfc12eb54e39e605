"""What closing projects comes to: who gets a note, what is told, what it costs to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action, Change
from bulkops.errors import JobError, RejectedError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.planner.rowcheck import refusal
from bulkops.schema import Entity, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget
from bulkops.validate import examine_offline

HEAD = """\
version: 1
name: trial
tenant: acme
limits: {update: {percent: 100, count: 100000}}
close_projects:
"""
NOTE = "  note: {title: Closed, description: Clean-up}\n"
EVERY = "  where: [{field: id, op: gt, value: 0}]\n"
STATUSES = {"1": "New", "2": "Inactive", "5": "Complete", "7": "Cancelled"}
TYPES = {"4": "Internal", "5": "Client", "8": "Baseline"}

Rows = Sequence[Mapping[str, Any]]


def listed_as(entity: str, **lists: Mapping[str, str]) -> Entity:
    """The entity as a tenant with these picklists describes it."""
    shape = load_catalog().entities[entity]
    fields = dict(shape.fields)
    for name, values in lists.items():
        items = tuple(PicklistValue(value=value, label=label) for value, label in values.items())
        fields[name] = replace(fields[name], picklist=items)
    return replace(shape, fields=fields, is_live=True)


SHAPES = {
    "Projects": listed_as("Projects", status=STATUSES, projectType=TYPES),
    "ProjectNotes": listed_as("ProjectNotes", noteType={"9": "Report", "6": "Project Notes"},
                              publish={"1": "All Autotask Users", "2": "Internal Users Only"}),
}  # fmt: skip


def project(id: int, **more: Any) -> dict[str, Any]:
    held = {"projectName": f"P{id}", "status": 1, "projectType": 5, "endDateTime": "2026-01-31T00:00:00Z"}
    return {"id": id, **held, **more}


def task(id: int, of: int, **more: Any) -> dict[str, Any]:
    held = {"title": f"T{id}", "status": 1, "estimatedHours": 2.0, "endDateTime": "2026-01-15T00:00:00Z"}
    return {"id": id, "projectID": of, **held, **more}


class Desk:
    def __init__(self, folder: Path, **rows: Rows) -> None:
        self.folder = folder
        self.target = MemoryTarget(rows, entities=SHAPES)

    def job(self, text: str) -> Path:
        path = self.folder / "job.yaml"
        path.write_text(HEAD + text, "utf-8")
        return path

    async def plan(
        self, which: str = EVERY, *, status: str = "Complete", open_tasks: str = "complete", note: str = NOTE
    ) -> Plan:
        text = f"{which}  status: {status}\n  open_tasks: {open_tasks}\n{note}"
        return await build_plan(load_job(self.job(text)), self.target, self.folder / "x.plan")

    async def refused(self, **said: str) -> list[str]:
        with pytest.raises(JobError) as caught:
            await self.plan(**said)
        return [str(fault).removeprefix(f"{self.folder / 'job.yaml'}:") for fault in caught.value.faults]


def fates(plan: Plan) -> dict[int | None, tuple[str, str | None]]:
    """Of the projects' own rows, by id: action and reason."""
    return {one.id: (one.action.value, one.reason) for one in of_step(plan, "projects")}


def of_step(plan: Plan, step: str) -> list[Change]:
    return [change for change in plan.changes() if change.step == step]


def cells(plan: Plan) -> list[dict[str, str]]:
    """The rows of the step of projects as results have them."""
    columns = next(step.columns for step in plan.header.steps if step.name == "projects")
    rows = [row for change, row in plan.items() if change.step == "projects"]
    return [dict(zip(columns, row.cells, strict=True)) for row in rows]


async def test_a_project_waits_for_its_own_note(tmp_path: Path) -> None:
    """The note is written first; a note that fails keeps its project open and no other one."""
    plan = await Desk(tmp_path, Projects=[project(7), project(8)]).plan()
    notes = {one.fields["projectID"].after: one.n for one in of_step(plan, "notes")}
    for change in of_step(plan, "projects"):
        assert change.waits_for == (notes[change.id],)
        assert change.fields["status"].after == 5


async def test_a_project_whose_note_is_refused_stays_as_it_is(tmp_path: Path) -> None:
    """The status comes last; the other project is closed."""
    desk = Desk(tmp_path, Projects=[project(7), project(8)])
    plan = await desk.plan()
    desk.target.script("create ProjectNotes", [RejectedError("no such right", known=True)])
    status = await apply_plan(plan, desk.target)
    assert (status.counts["applied"], status.counts["rejected"]) == (2, 2)
    written = [(one.action, one.entity, one.id) for one in desk.target.writes]
    assert [one for one in written if one[0] == "update"] == [("update", "Projects", 8)]


async def test_a_note_takes_the_tenants_own_list_values(tmp_path: Path) -> None:
    """The value labelled as usual, whatever its number; for colleagues only."""
    (note,) = of_step(await Desk(tmp_path, Projects=[project(7)]).plan(), "notes")
    assert {name: diff.after for name, diff in note.fields.items()} == {
        "projectID": 7, "title": "Closed", "description": "Clean-up", "noteType": 6, "publish": 2,
        "isAnnouncement": False,
    }  # fmt: skip


async def test_complete_and_baseline_projects_get_no_note(tmp_path: Path) -> None:
    """The one is unchanged, the other is rejected with the reason."""
    rows = [project(7, status=5), project(8, projectType=8)]
    plan = await Desk(tmp_path, Projects=rows, Tasks=[task(1, 7)]).plan()
    assert fates(plan) == {
        7: ("unchanged", None),
        8: ("rejected", "the project is a Baseline, and the API keeps those as they are"),
    }
    assert not of_step(plan, "notes")
    assert "lasting" not in plan.header.extra or plan.header.extra["lasting"] == []


async def test_open_tasks_and_hours_stand_beside_each_project(tmp_path: Path) -> None:
    """What remains counts, else what was estimated; complete tasks do not."""
    tasks = [task(1, 7, remainingHours=0.5), task(2, 7), task(3, 7, status=5), task(4, 8, status=5)]
    plan = await Desk(tmp_path, Projects=[project(7), project(8)], Tasks=tasks).plan()
    found = {row["projectName"]: (row["open_tasks"], row["open_hours"]) for row in cells(plan)}
    assert found == {"P7": ("2", "2.5"), "P8": ("0", "0")}
    (told,) = [text for text in plan.header.extra["altered"] if "tasks" in text]
    assert told.startswith("2 open tasks that the API completes with Projects: opened again")


async def test_what_ends_after_its_project_is_named(tmp_path: Path) -> None:
    """Tasks and phases, the latest first; the project is closed all the same."""
    tasks = [task(1, 7, endDateTime="2026-02-03T00:00:00Z", status=5), task(2, 7)]
    phases = [{"id": 3, "title": "Last", "projectID": 7, "dueDate": "2026-03-01T00:00:00Z"}]
    plan = await Desk(tmp_path, Projects=[project(7)], Tasks=tasks, Phases=phases).plan()
    (row,) = cells(plan)
    assert row["ends_later"] == "Phases 3 (Last) on 2026-03-01, Tasks 1 (T1) on 2026-02-03"
    (change,) = of_step(plan, "projects")
    assert change.action is Action.UPDATE
    assert any("Phases 3 (Last) on 2026-03-01" in note for note in change.notes)


async def test_refused_projects_are_counted_once(tmp_path: Path) -> None:
    """With the tasks and hours of all of them."""
    rows, tasks = [project(7), project(8), project(9)], [task(1, 7), task(2, 8), task(3, 8)]
    plan = await Desk(tmp_path, Projects=rows, Tasks=tasks).plan(open_tasks="refuse")
    assert fates(plan) == {
        7: ("rejected", "it has 1 open task (2 hours), and `open_tasks` says refuse"),
        8: ("rejected", "it has 2 open tasks (4 hours), and `open_tasks` says refuse"),
        9: ("update", None),
    }
    assert [one.fields["projectID"].after for one in of_step(plan, "notes")] == [9]
    told = "close_projects: 2 projects with 3 open tasks (6 hours) stay as they are: `open_tasks` says refuse"
    assert told in plan.header.warnings


async def test_a_note_that_is_there_is_not_added_again(tmp_path: Path) -> None:
    """Of one title, only the very same text; another one stands in the way, and is named."""
    held = {"noteType": 6, "publish": 2, "isAnnouncement": False}
    notes = [
        {"id": 1, "projectID": 7, "title": "Closed", "description": "Clean-up", **held},
        {"id": 2, "projectID": 8, "title": "CLOSED", "description": "In a hurry", **held},
    ]
    plan = await Desk(tmp_path, Projects=[project(7), project(8)], ProjectNotes=notes).plan()
    found = fates(plan)
    assert found[7] == ("update", None) and not of_step(plan, "notes")
    assert found[8][0] == "rejected" and "(ProjectNotes 2), with another description" in str(found[8][1])


async def test_another_status_than_complete_says_what_it_leaves_alone(tmp_path: Path) -> None:
    """The API completes no task then; a complete project is not opened by closing it."""
    rows = [project(7), project(8, status=5)]
    plan = await Desk(tmp_path, Projects=rows, Tasks=[task(1, 7)]).plan(status="Cancelled", note="")
    assert fates(plan)[7] == ("update", None)
    assert "it is complete already, and the status `Cancelled` would open it again" in str(fates(plan)[8][1])
    assert any("the API completes no task with it" in text for text in plan.header.warnings)
    assert plan.header.extra["lasting"] == []


async def test_projects_are_looked_at_in_bulk(tmp_path: Path) -> None:
    """1,000 projects with 2,000 tasks: no read a project, and nothing is read twice."""
    rows = [project(n) for n in range(1, 1001)]
    tasks = [task(n, 1 + n % 1000) for n in range(1, 2001)]
    desk = Desk(tmp_path, Projects=rows, Tasks=tasks)
    plan = await desk.plan()
    assert plan.header.counts["update"] == 1000
    # 3 for the projects, 6 for tasks, 2 for phases, 4 for notes by title, and what every plan asks.
    assert desk.target.calls.read <= 20


async def test_a_file_names_projects_by_a_lookup_of_any_kind(tmp_path: Path) -> None:
    """By id and by name, from columns of any name; a column of our own name is not overwritten."""
    (tmp_path / "p.csv").write_text("open_tasks,Title,No\nmine,p7,7\nmine,P8,9\n", "utf-8")
    which = "  source: {file: p.csv}\n  match: [projectName, id]\n  fields: {projectName: Title, id: No}\n"
    plan = await Desk(tmp_path, Projects=[project(7), project(8)], Tasks=[task(1, 7)]).plan(which)
    first, second = cells(plan)
    assert (first["open_tasks"], first["open_tasks (Autotask)"], first["projectID"]) == ("mine", "1", "7")
    assert second["projectID"] == ""
    reasons = [one.reason for one in of_step(plan, "projects")]
    assert reasons == [None, "no Projects record has projectName 'P8' and id 9"]


async def test_a_file_that_names_one_project_twice_closes_it_once(tmp_path: Path) -> None:
    """Also where the two rows are far apart, and where the first one is refused."""
    (tmp_path / "p.csv").write_text("id\n" + "".join(f"{n}\n" for n in [*range(1, 700), 1, 2]), "utf-8")
    which = "  source: {file: p.csv}\n  match: [id]\n"
    rows = [project(n) for n in range(1, 700)]
    plan = await Desk(tmp_path, Projects=rows, Tasks=[task(1, 2)]).plan(which, open_tasks="refuse")
    last = of_step(plan, "projects")[-2:]
    assert [one.reason for one in last] == [
        "p.csv:2 has the same project, 1: only the first one is planned",
        "p.csv:3 has the same project, 2: only the first one is planned",
    ]
    assert len(of_step(plan, "notes")) == 698


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"status": "Compleet"}, "'Compleet' is no value of status"),
        ({"which": "  where: [{field: statuss, op: eq, value: 1}]\n"}, "statuss"),
        ({"which": "  where: [{field: extProjectType, op: eq, value: 1}]\n"}, "cannot be queried"),
        ({"which": "  source: {file: p.csv}\n  match: [id]\n"}, "p.csv"),
        ({"which": "  source: {file: q.csv}\n  match: [extProjectNumber]\n"}, "extProjectNumber"),
        ({"note": f"  note: {{title: {'x' * 251}, description: d}}\n"}, "250"),
    ],
)
async def test_faults_of_the_recipe_are_told_with_their_line(
    said: dict[str, str], told: str, tmp_path: Path
) -> None:
    """Before any record is read."""
    (tmp_path / "q.csv").write_text("Number\n1\n", "utf-8")
    desk = Desk(tmp_path, Projects=[project(7)])
    found = await desk.refused(**said)
    assert any(told in text and text[0].isdigit() for text in found), found


async def test_a_sound_job_passes_offline(tmp_path: Path) -> None:
    """What only the tenant knows, its statuses and its kinds of notes, is left to the plan."""
    desk = Desk(tmp_path)
    text = f"{EVERY}  status: Our own\n  open_tasks: refuse\n{NOTE}"
    examined = await examine_offline(load_job(desk.job(text)))
    assert examined.faults == () and [step.step.name for step in examined.steps] == ["notes", "projects"]
    assert not (await refusal(examined)).faults


async def test_what_projects_were_chosen_by_has_to_hold(tmp_path: Path) -> None:
    """Notes and projects rest on the fields of `where` and on what the plan looks at. A note of ours moves
    what the API keeps by itself (when something was last done), so the project's own change leaves that out.
    """
    where = (
        "  where:\n    - {field: lastActivityDateTime, op: lt, value: 2026-03-01}\n"
        "    - {op: or, items: [{field: department, op: notExist}, {field: sgda, op: gt, value: 1}]}\n"
    )
    held = {"lastActivityDateTime": "2026-02-01T00:00:00Z", "department": None, "sgda": 2.5}
    plan = await Desk(tmp_path, Projects=[project(7, **held)]).plan(where)
    premises = {one.step: one.premise for one in plan.changes()}
    always = {"status": 1, "projectType": 5, "startDateTime": None, "endDateTime": "2026-01-31T00:00:00Z"}
    chosen = {"department": None, "sgda": 2.5}
    note, own = premises["notes"], premises["projects"]
    assert note is not None and own is not None
    assert (note.entity, note.id, dict(note.values)) == ("Projects", 7, {**always, **held})
    assert (own.entity, own.id, dict(own.values)) == ("Projects", 7, {**always, **chosen})


async def test_without_a_note_the_project_rests_on_all_of_it(tmp_path: Path) -> None:
    """Somebody works on it after all: it is held, and nothing was announced."""
    where = "  where: [{field: lastActivityDateTime, op: lt, value: 2026-03-01}]\n"
    desk = Desk(tmp_path, Projects=[project(7, lastActivityDateTime="2026-02-01T00:00:00Z")])
    plan = await desk.plan(where, note="")
    desk.target.rows["Projects"][7]["lastActivityDateTime"] = "2026-03-02T00:00:00Z"
    status = await apply_plan(plan, desk.target)
    assert status.counts["held"] == 1 and desk.target.writes == []
    assert "lastActivityDateTime was" in (plan.fate(1).reason or "")
