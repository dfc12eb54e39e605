"""Projects are closed with the real command line: every record and field is compared before and after."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from tests.acceptance.conftest import Desk

JOB = """\
version: 1
name: close
tenant: acme
limits: {{update: {{percent: 100, count: 500}}}}
close_projects:
  {which}
  status: Complete
  open_tasks: {open_tasks}
  note: {{title: Closed, description: Year end clean-up}}
"""
ALL = "where: [{field: endDateTime, op: lt, value: 2027-01-01}]"
BY_NUMBER = "source: {file: projects.csv}\n  match: [extProjectNumber]\n  fields: {extProjectNumber: Number}"
ENTITIES = ("Companies", "Phases", "ProjectNotes", "Projects", "Tasks", "TaskSecondaryResources", "Tickets")
COMPLETE, INACTIVE = 5, 2
STAMPS = {"lastActivityDateTime", "lastActivityResourceID", "lastActivityPersonType"}
BY_THE_API = {"completedDateTime", "completedPercentage", "statusDateTime"}
"""What the API writes into a project by itself when it becomes complete."""

TASK_DONE = {"status", "remainingHours", "completedDateTime", "completedByResourceID", "completedByType"}

Snapshot = dict[str, dict[int, dict[str, Any]]]


def snapshot(desk: Desk) -> Snapshot:
    return {entity: {row["id"]: row for row in desk.simulator.rows(entity)} for entity in ENTITIES}


def changes(before: Snapshot, after: Snapshot) -> dict[str, dict[int, dict[str, Any]]]:
    """What is other than it was: by entity and record, the fields with what they hold now. A new record is
    there with all of its fields; none may be gone.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for entity, now in after.items():
        was = before[entity]
        assert set(was) <= set(now)
        for id, row in now.items():
            old = was.get(id, {})
            other = {name: value for name, value in row.items() if value != old.get(name)}
            if fields := {name: value for name, value in other.items() if name not in STAMPS}:
                found.setdefault(entity, {})[id] = fields
    return found


def named(desk: Desk) -> dict[str, dict[str, Any]]:
    return {row["projectName"]: row for row in desk.simulator.rows("Projects")}


def write(desk: Desk, which: str = ALL, open_tasks: str = "complete") -> None:
    desk.write("close.yaml", JOB.format(which=which, open_tasks=open_tasks))


def to_close(world: Snapshot) -> set[int]:
    """Neither complete already nor a Baseline."""
    frozen = {id for id, row in world["Projects"].items() if row["projectName"].endswith("(as agreed)")}
    assert len(frozen) == 1
    return {id for id, row in world["Projects"].items() if row["status"] != COMPLETE} - frozen


def open_tasks(world: Snapshot, projects: set[int]) -> dict[int, dict[str, Any]]:
    tasks = world["Tasks"].items()
    return {id: row for id, row in tasks if row["projectID"] in projects and row["status"] != COMPLETE}


def check_closed(before: Snapshot, after: Snapshot, projects: set[int]) -> None:
    """A note each, the status, and what the API does by itself; nothing else in any record."""
    done = changes(before, after)
    tasks = open_tasks(before, projects)
    assert set(done) == {"ProjectNotes", "Projects", "Tasks"}
    assert set(done["Projects"]) == projects and set(done["Tasks"]) == set(tasks)
    for fields in done["Projects"].values():
        assert fields["status"] == COMPLETE and set(fields) <= {"status", *BY_THE_API}
    for fields in done["Tasks"].values():
        assert fields["status"] == COMPLETE and set(fields) <= TASK_DONE
        assert fields.get("remainingHours", 0) == 0
    notes = sorted(
        (row["projectID"], row["title"], row["description"]) for row in done["ProjectNotes"].values()
    )
    assert notes == sorted((id, "Closed", "Year end clean-up") for id in projects)
    assert {row["publish"] for row in done["ProjectNotes"].values()} == {2}, "a note is for colleagues only"


def test_projects_are_closed_with_what_the_plan_said_and_no_more(desk: Desk) -> None:
    """The plan names tasks and hours, the writes are those of the plan, planning again finds nothing."""
    before = snapshot(desk)
    projects = to_close(before)
    tasks = open_tasks(before, projects)
    hours = sum(row["remainingHours"] for row in tasks.values())
    write(desk)
    planned = desk.plan("close.yaml")
    assert planned["counts"] == {"create": 5, "update": 5, "delete": 0, "unchanged": 2, "rejected": 1}
    told = " ".join(planned["warnings"])
    assert f"({len(tasks)} open tasks, {hours:g} remaining hours in all)" in told
    assert "sets its completedPercentage to 100" in told
    assert "(Practice server move): completes 4 open tasks and sets 22.5 remaining hours to 0" in told
    assert "any status but Inactive makes an inactive project active again, Complete too" in told
    said = desk.run("show", "close.plan").out
    assert f"{len(tasks)} open tasks that the API completes with Projects: opened again" in said
    assert "5 created ProjectNotes, which the API can neither delete nor set inactive" in said
    assert snapshot(desk) == before, "planning only reads"

    assert desk.apply("close.plan", code=4)["counts"]["applied"] == 10
    closed = snapshot(desk)
    check_closed(before, closed, projects)
    log = [entry["entity"] for entry in desk.simulator.log() if entry["method"] in ("POST", "PATCH")
           and not entry["path"].endswith(("/query", "/count"))]  # fmt: skip
    assert log == ["ProjectNotes"] * 5 + ["Projects"] * 5, "the note is added first, the status comes last"
    again = desk.plan("close.yaml", "-o", "again.plan")["counts"]
    assert (again["unchanged"], again["rejected"], sum(again.values())) == (7, 1, 8)


def edit(desk: Desk, entity: str, id: int, **fields: Any) -> None:
    """Somebody else changes a record."""
    desk.simulator.call(f"edit/{entity}", {"items": [{"id": id, **fields}]})


def closed(desk: Desk) -> tuple[Snapshot, set[int]]:
    """All that was to be closed is, and what there was before."""
    before = snapshot(desk)
    write(desk)
    desk.plan("close.yaml")
    desk.apply("close.plan", code=4)
    return before, to_close(before)


def test_undo_opens_projects_and_their_tasks_again(desk: Desk) -> None:
    """Every field of both is as it was, but for when they were touched; only the notes stay. Closing them
    again closes the very same, with the note that is there.
    """
    before, projects = closed(desk)
    tasks = open_tasks(before, projects)
    undo = desk.run("undo", "close.plan", "--json").json
    assert undo["sources"] == [
        {"step": "projects", "read": 5, "dropped": 0, "rows": 5},
        {"step": "projects-Tasks", "read": len(tasks), "dropped": 0, "rows": len(tasks)},
        {"step": "notes", "read": 5, "dropped": 0, "rows": 5},
    ]
    assert (undo["counts"]["update"], undo["counts"]["rejected"]) == (5 + len(tasks), 5)
    said = desk.run("show", "close.undo.plan").out
    titles = [task["title"] for task in tasks.values()]
    assert all(f'"{title}"' in said for title in titles) and "5 (Complete) → 1 (New)" in said
    desk.apply("close.undo.plan", code=4)
    left = changes(before, snapshot(desk))
    assert set(left) == {"ProjectNotes", "Projects"}
    assert set(left["Projects"]) <= projects
    assert all(set(fields) <= BY_THE_API for fields in left["Projects"].values())
    third = desk.plan("close.yaml", "-o", "third.plan")
    assert third["counts"]["create"] == 0 and third["counts"]["update"] == 5
    assert "5 projects with this very note: it is not added a second time" in " ".join(third["warnings"])
    desk.apply("third.plan", code=4)
    assert not open_tasks(snapshot(desk), projects)


@pytest.mark.parametrize("answer", ["frozen", "refuse"])
def test_what_the_api_does_not_give_back_is_told(desk: Desk, answer: str) -> None:
    """Hours that it keeps at 0, or tasks that it does not open again: the projects are open all the same."""
    before, projects = closed(desk)
    desk.simulator.call("switches", {"task_reopen": answer})
    assert "the API may keep its remainingHours at 0" in desk.run("undo", "close.plan").out
    done = desk.apply("close.undo.plan", code=4)["counts"]
    tasks = open_tasks(before, projects)
    left = changes(before, snapshot(desk))
    assert all("status" not in fields for fields in left["Projects"].values())
    if answer == "refuse":
        assert done["rejected"] == 5 + len(tasks) and set(left["Tasks"]) == set(tasks)
    else:
        assert done["rejected"] == 5
        assert all(fields == {"remainingHours": 0} for fields in left["Tasks"].values())


def test_a_project_that_cannot_be_opened_keeps_its_tasks_complete(desk: Desk) -> None:
    """The API refuses to: its tasks are not opened without it, and say why."""
    closed(desk)
    done = snapshot(desk)
    desk.run("undo", "close.plan")
    desk.simulator.call("switches", {"project_reopen": "refuse"})
    counts = desk.apply("close.undo.plan", code=4)["counts"]
    assert (counts["applied"], counts["pending"]) == (0, 0)
    assert snapshot(desk) == done
    desk.run("results", "close.undo.plan", "--dir", "out")
    rows = (desk.folder / "out" / "projects-Tasks" / "rejected.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) > 1 and all("which it needs, was rejected" in row for row in rows[1:])


def test_tasks_of_a_project_that_somebody_opened_are_opened_without_it(desk: Desk) -> None:
    """The project stays as they left it."""
    before, projects = closed(desk)
    edit(desk, "Projects", first := min(projects), status=9)
    desk.run("undo", "close.plan")
    counts = desk.apply("close.undo.plan", code=4)["counts"]
    assert (counts["rejected"], counts["held"]) == (6, 0), "its status, and five notes"
    left = changes(before, snapshot(desk))
    assert "Tasks" not in left and left["Projects"][first]["status"] == 9


def test_what_others_did_to_a_completed_task_is_left_alone(desk: Desk) -> None:
    """Opened again in the same way: only the hours that the API took come back, and the plan says so; with
    hours of their own: nothing to do; in another way: rejected, with both statuses.
    """
    before, projects = closed(desk)
    tasks = open_tasks(before, projects)
    same, given, other, *rest = sorted(tasks, key=lambda id: (not tasks[id]["remainingHours"], id))
    edit(desk, "Tasks", same, status=tasks[same]["status"])
    edit(desk, "Tasks", given, status=tasks[given]["status"], remainingHours=0.25)
    edit(desk, "Tasks", other, status=8)
    desk.run("undo", "close.plan")
    found = {row["id"]: row for row in desk.run("show", "close.undo.plan", "--json").rows}
    hours = {"remainingHours": {"before": 0, "after": tasks[same]["remainingHours"]}}
    assert (found[same]["action"], found[same]["fields"]) == ("update", hours)
    assert "status is as it was already: remainingHours comes back without it" in found[same]["notes"]
    assert found[given]["action"] == "unchanged"
    assert found[other]["reason"].startswith("status was set to 5 (Complete) and is 8")
    assert {found[id]["action"] for id in rest} == {"update"}
    desk.apply("close.undo.plan", code=4)
    after = {row["id"]: row for row in desk.simulator.rows("Tasks")}
    assert (after[same]["status"], after[same]["remainingHours"]) == (
        tasks[same]["status"],
        tasks[same]["remainingHours"],
    )
    assert after[given]["remainingHours"] == 0.25


def test_a_plain_job_that_completes_projects_is_undone_with_their_tasks(desk: Desk) -> None:
    """Without the recipe: held where another task came in between, undone with what the API completed, and
    both said by the plan.
    """
    before = snapshot(desk)
    projects = sorted(to_close(before))
    desk.table("done.csv", ("Id", "State"), *((id, "Complete") for id in projects))
    desk.write(
        "close.yaml",
        "version: 1\nname: close\ntenant: acme\nlimits: {update: {percent: 100}}\nsteps:\n"
        "  - {name: done, entity: Projects, action: update, source: {file: done.csv}, match: [id],"
        " fields: {id: Id, status: State}}\n",
    )
    planned = desk.plan("close.yaml")
    tasks = open_tasks(before, set(projects))
    told, *_ = planned["undo"]["altered"]
    assert told.startswith(f"{len(tasks)} open tasks that the API completes with Projects")
    one = before["Tasks"][min(tasks)]
    new = {**one, "id": one["id"] + 1000, "projectID": one["projectID"], "status": 1, "taskNumber": "T-new"}
    desk.simulator.load("Tasks", new)
    counts = desk.apply("close.plan", code=4)["counts"]
    assert (counts["applied"], counts["held"]) == (4, 1)
    desk.run("undo", "close.plan")
    desk.apply("close.undo.plan")
    left = changes(before, snapshot(desk))
    assert set(left.pop("Tasks")) == {new["id"]}
    assert all(set(fields) <= BY_THE_API for fields in left.get("Projects", {}).values())


def test_results_name_tasks_and_hours_of_each_project(desk: Desk) -> None:
    """As columns beside the project's name."""
    write(desk)
    desk.plan("close.yaml")
    desk.apply("close.plan", code=4)
    desk.run("results", "close.plan", "--dir", "out")
    text = (desk.folder / "out" / "projects" / "applied.csv").read_text("utf-8-sig")
    header, *rows = text.splitlines()
    assert header.startswith("projectID,projectName,open_tasks,open_hours,ends_later,")
    assert any("Practice server move,4,22.5,," in row for row in rows)


def test_refuse_keeps_projects_with_open_tasks_and_adds_no_note(desk: Desk) -> None:
    """With the numbers, for each and in all."""
    before = snapshot(desk)
    write(desk, open_tasks="refuse")
    planned = desk.plan("close.yaml")
    assert planned["counts"] == {"create": 0, "update": 0, "delete": 0, "unchanged": 2, "rejected": 6}
    assert "5 projects with 11 open tasks (56.5 hours) stay as they are" in " ".join(planned["warnings"])
    reasons = [row["reason"] for row in desk.run("show", "close.plan", "--json").rows if row["reason"]]
    assert "it has 4 open tasks (22.5 hours), and `open_tasks` says refuse" in reasons
    desk.apply("close.plan", code=4)
    assert snapshot(desk) == before


def test_projects_of_a_file_are_closed_and_bad_rows_are_named(desk: Desk) -> None:
    """One twice, one unknown, one without a number, one complete: each row has its fate and its line."""
    numbers = ["EXT-1", "EXT-6", "ext-2", "EXT-1", "", "EXT-99"]
    desk.table("projects.csv", ("Number", "Remark"), *((number, "x") for number in numbers))
    write(desk, BY_NUMBER)
    offline = desk.run("validate", "close.yaml", code=4).out
    assert "projects.csv:5: column Number 'EXT-1': projects.csv:2 has this key too" in offline
    assert "projects.csv:6: column Number: is empty" in offline and "4 of 6 rows can be planned" in offline
    before = snapshot(desk)
    planned = desk.plan("close.yaml")
    assert planned["counts"] == {"create": 2, "update": 2, "delete": 0, "unchanged": 1, "rejected": 3}
    rows = desk.run("show", "close.plan", "--json").rows
    told = {row["row"]["line"]: row["reason"] for row in rows if row["action"] == "rejected"}
    assert "projects.csv:2 has the same project" in told[5] and "only the first one is planned" in told[5]
    assert "column Number: is empty" in told[6]
    assert told[7] == "no Projects record has extProjectNumber 'EXT-99'"
    desk.apply("close.plan", code=4)
    found = named(desk)
    ids = {found["Practice server move"]["id"], found["Bakery wireless"]["id"]}
    check_closed(before, snapshot(desk), ids)
    said = desk.run("results", "close.plan", "--dir", "out").out
    rejected = desk.folder / "out" / "projects" / "rejected.csv"
    rejected.write_text(rejected.read_text("utf-8-sig").replace("EXT-99", "EXT-4"), "utf-8-sig")
    _, _, command = next(line for line in said.splitlines() if "plan JOB" in line).partition("plan JOB ")
    assert command == "-o rest.plan --source projects=out/projects/rejected.csv"
    fed = desk.plan("close.yaml", *command.split())["counts"]
    assert (fed["create"], fed["update"]) == (1, 1)


@pytest.mark.parametrize(("cells", "told"), [(("extra",), '["extra"]'), ((), "missing: ")])
def test_a_row_that_was_not_whole_is_refused_until_somebody_put_it_right(
    desk: Desk, cells: tuple[str, ...], told: str
) -> None:
    """What its header has no name for is in the results, and fed back as it is, it is rejected again."""
    line = ",".join(["EXT-1", *(["Server", *cells] if cells else [])])
    desk.write("projects.csv", f"Number,Name\nEXT-2,Bakery\n{line}\nEXT-6,Other\n")
    write(desk, BY_NUMBER)
    assert desk.plan("close.yaml")["counts"]["rejected"] == 1
    desk.apply("close.plan", code=4)
    desk.run("results", "close.plan", "--dir", "out")
    path = desk.folder / "out" / "projects" / "rejected.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, row = csv.reader(file)
    at = header.index("bulkops_surplus")
    assert row[0] == "EXT-1" and row[at].startswith(told)
    assert "the header has 2" in row[header.index("bulkops_reason")]
    fed = ("--source", f"projects={path}")
    assert desk.plan("close.yaml", *fed, "-o", "again.plan")["counts"]["rejected"] == 1
    row[at] = ""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, row])
    assert desk.plan("close.yaml", *fed, "-o", "right.plan")["counts"]["update"] == 1


def test_a_limit_on_complete_holds_and_is_released_by_its_number(desk: Desk) -> None:
    """`limits: {status=Complete: …}` is asked like any other."""
    text = JOB.format(which=ALL, open_tasks="complete")
    desk.write("close.yaml", text.replace("count: 500}}", "count: 500}, status=Complete: {count: 3}}"))
    desk.plan("close.yaml")
    told = desk.refused("apply", "close.plan", "--yes", code=5)
    assert "status=Complete" in told and desk.simulator.writes() == 0
    done = desk.apply("close.plan", "--allow", "status=Complete=5", code=4)
    assert done["counts"]["applied"] == 10


EDITS = [
    ({"status": 9}, "status was 1 (New) and is 9 (On Hold) now"),
    ({"status": COMPLETE}, "status was 1 (New) and is 5 (Complete) now"),
    ({"endDateTime": "2027-12-31T00:00:00Z"}, "endDateTime was "),
]


@pytest.mark.parametrize(("edit", "told"), EDITS)
def test_a_project_that_somebody_changed_gets_no_note(desk: Desk, edit: dict[str, Any], told: str) -> None:
    """Neither the note nor the status, whichever of the fields it was that the plan looked at; the others are
    closed. Field, values and who are named.
    """
    write(desk)
    desk.plan("close.yaml")
    id = named(desk)["Bakery wireless"]["id"]
    desk.simulator.call("edit/Projects", {"items": [{"id": id, **edit}]})
    before = snapshot(desk)
    counts = desk.apply("close.plan", code=4)["counts"]
    assert (counts["held"], counts["applied"]) == (2, 8)
    desk.run("results", "close.plan", "--dir", "out")
    held = (desk.folder / "out" / "notes" / "held.csv").read_text("utf-8-sig")
    assert f'Projects {id} ""Bakery wireless"": {told}' in held
    assert "it was changed since the plan was made" in held
    check_closed(before, snapshot(desk), to_close(before) - {id})


def test_notes_stop_or_go_as_asked_where_a_project_changed(desk: Desk) -> None:
    """`--on-drift stop` writes nothing at all; `overwrite`, on the same plan, closes all of them."""
    write(desk)
    desk.plan("close.yaml")
    id = named(desk)["Bakery wireless"]["id"]
    desk.simulator.call("edit/Projects", {"items": [{"id": id, "status": 9}]})
    before = snapshot(desk)
    status = desk.apply("close.plan", "--on-drift", "stop", code=1)
    assert "status was 1 (New) and is 9 (On Hold) now" in status["waiting"]
    assert desk.simulator.writes() == 0
    assert desk.apply("close.plan", "--on-drift", "overwrite", code=4)["counts"]["applied"] == 10
    check_closed(before, snapshot(desk), to_close(before))


def test_open_tasks_that_the_plan_had_not_seen_are_named_where_they_are_overwritten(desk: Desk) -> None:
    """How many there were and how many it saw, by apply and in the results; undo opens what was open then."""
    write(desk)
    desk.plan("close.yaml")
    world = snapshot(desk)
    id = named(desk)["Bakery wireless"]["id"]
    mine = open_tasks(world, {id})
    done = min(mine)
    desk.simulator.call("edit/Tasks", {"items": [{"id": done, "status": COMPLETE, "remainingHours": 0}]})
    before = snapshot(desk)
    run = desk.run("apply", "close.plan", "--yes", "--on-drift", "overwrite", code=4)
    now = f"{len(mine) - 1} open task{'s' if len(mine) > 2 else ''}" if len(mine) > 1 else "no open tasks"
    told = f"overwritten: it had {now}, and not {len(mine)}"
    assert told in run.err and run.err.count("overwritten:") == 1
    desk.run("results", "close.plan", "--dir", "out")
    assert told in (desk.folder / "out" / "projects" / "applied.csv").read_text("utf-8-sig")
    desk.run("undo", "close.plan")
    desk.apply("close.undo.plan", code=4)
    assert open_tasks(snapshot(desk), {id}).keys() == open_tasks(before, {id}).keys()


def test_an_empty_result_is_no_fault(desk: Desk) -> None:
    """Exit code 0 and a sentence."""
    write(desk, "where: [{field: endDateTime, op: lt, value: 1999-01-01}]")
    out = desk.run("plan", "close.yaml").out
    assert "found no project, so there is nothing to close" in out
    assert desk.apply("close.plan")["state"] == "finished"
    assert desk.simulator.writes() == 0


def test_what_cannot_be_understood_is_told_before_any_write(desk: Desk) -> None:
    """A status that is none, a `where` that the API would misread, a note without title, no such file."""
    job = JOB.format(which=ALL, open_tasks="complete")
    faults = {
        job.replace("status: Complete", "status: Compleet"): "'Compleet' is no value of status",
        job.replace("op: lt", "op: contains"): "`contains` is for texts",
        job.replace("field: endDateTime", "field: endDate"): "endDate",
        job.replace("title: Closed, ", ""): "`note` needs `title`",
        JOB.format(which=BY_NUMBER, open_tasks="complete"): "projects.csv",
    }
    for text, told in faults.items():
        desk.write("close.yaml", text)
        assert told in desk.refused("plan", "close.yaml"), told
    assert desk.simulator.writes() == 0
