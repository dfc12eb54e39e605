"""A year end in a firm of 23 people and 20 projects: somebody's work is handed over, finished projects are
closed, tasks are exported, edited and brought back, and all of it is undone, while others go on working.

After every step the whole tenant is compared with what the plan said, and in the end with the beginning. The
tasks are those of a real workbook, where that is beside this repository.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.acceptance.records import ENTRIES, Records, difference, snapshot

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Simulator

    OwnDesk = Callable[..., Desk]

WORKBOOK = Path(__file__).resolve().parents[3] / "shared" / "data" / "project-plan.xlsx"
PEOPLE, PROJECTS, FINISHED = 23, 20, 4
FEW, MANY = 460, 10_000  # tasks
NEW, RUNNING, HOLD, COMPLETE = 1, 8, 9, 5
STATES = (NEW, RUNNING, COMPLETE, RUNNING)
OURS = "R-"

LEAVE = """\
version: 1
name: leave
tenant: acme
reason: Person 0 leaves
limits: {delete: {percent: 60, count: 500}}
reassign:
  from: person00@northgate.test
  to: [{resource: person01@northgate.test, role: Engineer}, person02, "Relay, Person03"]
  divide: least_loaded
"""
CLOSE = """\
version: 1
name: close
tenant: acme
limits: {status=Complete: {count: 1}}
close_projects:
  where:
    - {field: endDateTime, op: lt, value: 2025-01-01}
    - {field: extProjectNumber, op: beginsWith, value: R-}
  status: Complete
  open_tasks: complete
  note: {title: Closed, description: Year end clean-up}
"""
THEIRS = (
    '{"field": "assignedResourceID", "op": "eq",'
    ' "value": {"lookup": "email", "key": "person05@northgate.test"}}'
)

BY_COMPLETION = {"completedDateTime", "completedPercentage"}
"""What the API writes into a project by itself, beside what it does to its open tasks."""

TASK_DONE = {"status", "remainingHours", "completedDateTime", "completedByResourceID", "completedByType"}

Changes = dict[tuple[str, int], dict[str, Any]]  # entity and id → field → value


# --- the firm ---


def real_tasks() -> list[tuple[str, float, str, str]]:
    """Title, hours, start and end: of the workbook; else invented ones."""
    if not WORKBOOK.exists():
        day = "2023-01-{:02}T00:00:00.000Z".format
        return [(f"Prüfung {n}; Größe {n} m²", 40.0 * n, day(n), day(n + 9)) for n in range(1, 20)]
    header, *rows = list(openpyxl.load_workbook(WORKBOOK, data_only=True).worksheets[0].values)
    tasks: list[dict[str, Any]] = [dict(zip(map(str, header), row, strict=True)) for row in rows]
    return [
        (str(task["Task"]).strip(), 40.0 * task["Duration"], told(task["Start Date"]), told(task["End Date"]))
        for task in tasks
        if task["Start Date"]
    ]


def told(day: Any) -> str:
    assert isinstance(day, datetime)
    return day.strftime("%Y-%m-%dT00:00:00.000Z")


@dataclass(kw_only=True)
class Firm:
    """The loaded tenant, and what somebody else does in it meanwhile."""

    simulator: Simulator
    people: list[int]
    projects: list[int]
    edited: Changes = field(default_factory=dict)

    def edit(self, entity: str, id: int, **fields: Any) -> None:
        self.edited.setdefault((entity, id), {}).update(fields)
        self.simulator.call(f"edit/{entity}", {"items": [{"id": id, **fields}]})

    def tasks(self, person: int) -> list[int]:
        """The open ones of somebody, in projects that go on."""
        finished = self.projects[:FINISHED]
        return [
            row["id"]
            for row in self.simulator.rows("Tasks")
            if row["assignedResourceID"] == self.people[person]
            and row["status"] != COMPLETE
            and row["projectID"] not in finished
        ]


def first(simulator: Simulator, entity: str, **wanted: Any) -> dict[str, Any]:
    """A record like that, as something to load others after."""
    rows = (row for row in simulator.rows(entity) if wanted.items() <= row.items())
    return {name: value for name, value in next(rows).items() if name != "id"}


def load_firm(simulator: Simulator, count: int) -> Firm:
    names = [f"person{n:02}" for n in range(PEOPLE)]
    people = simulator.staff(*(
        {"firstName": name.title(), "lastName": "Relay", "userName": name, "email": f"{name}@northgate.test"}
        for name in names
    ))  # fmt: skip
    role = next(row["id"] for row in simulator.rows("Roles") if row["name"] == "Engineer")
    place = simulator.rows("Departments")[0]["id"]
    simulator.load("ResourceRoles", *(
        {"resourceID": person, "roleID": role, "departmentID": place, "isActive": True} for person in people
    ))  # fmt: skip
    like = first(simulator, "Projects", extProjectNumber="EXT-5")
    projects = simulator.load("Projects", *(
        {**like, "projectName": f"Relay network {n}", "extProjectNumber": f"{OURS}{n:02}", "status": RUNNING,
         "projectLeadResourceID": people[n % 3], "startDateTime": "2023-01-02T00:00:00.000Z",
         "endDateTime": f"{2024 if n < FINISHED else 2027}-12-31T00:00:00.000Z"}
        for n in range(PROJECTS)
    ))  # fmt: skip
    work = next(row["id"] for row in simulator.rows("BillingCodes") if row["name"] == "Project Work")
    like = first(simulator, "Tasks", status=NEW)
    like |= {"phaseID": None, "taskType": 1, "departmentID": place, "billingCodeID": work,
             "assignedResourceRoleID": role}  # fmt: skip
    real, rows = real_tasks(), []
    for n in range(count):
        title, hours, start, end = real[n % len(real)]
        status = STATES[n // PROJECTS % len(STATES)]
        rows.append({
            **like, "title": title, "externalID": f"{OURS}{n:05}", "projectID": projects[n % PROJECTS],
            "status": status, "estimatedHours": hours, "startDateTime": start, "endDateTime": end,
            "remainingHours": 0.0 if status == COMPLETE else hours, "assignedResourceID": people[n % PEOPLE],
        })  # fmt: skip
    ids = [id for at in range(0, count, 2_000) for id in simulator.load("Tasks", *rows[at : at + 2_000])]
    helping = [(id, people[(n + 7) % PEOPLE]) for n, id in enumerate(ids) if n % 10 == 0]
    simulator.load("TaskSecondaryResources", *(
        {"taskID": id, "resourceID": person, "roleID": role} for id, person in helping
    ))  # fmt: skip
    return Firm(simulator=simulator, people=people, projects=projects)


# --- what a plan did ---


def rows_in(desk: Desk, plan: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a plan by how they ended, as `show --json` tells them."""
    folder = desk.folder / f"{plan}.results"
    desk.run("results", plan, "--dir", folder)
    ends: dict[int, str] = {}
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            ends |= {int(row["bulkops_row"]): path.stem for row in csv.DictReader(file)}
    found: dict[str, list[dict[str, Any]]] = {path.stem: [] for path in folder.rglob("*.csv")}
    for row in desk.run("show", plan, "--json").rows:
        found[ends[row["change"]]].append(row)
    return found


def updates(rows: list[dict[str, Any]]) -> Changes:
    return {
        (row["entity"], row["id"]): {name: diff["after"] for name, diff in row["fields"].items()}
        for row in rows
        if row["action"] == "update"
    }


def changes(before: Records, after: Records) -> Changes:
    """What is other than it was, with what it is now. No record may be gone."""
    plain = {entity: rows for entity, rows in before.items() if entity not in ENTRIES}
    assert all(rows.keys() <= after[entity].keys() for entity, rows in plain.items())
    return {
        key: {name: now for name, (_, now) in fields.items()}
        for key, fields in difference(plain, after).items()
    }


def made(before: Records, after: Records, entity: str) -> list[dict[str, Any]]:
    return [row for id, row in after[entity].items() if id not in before[entity]]


def together(*parts: Mapping[tuple[str, int], Mapping[str, Any]]) -> Changes:
    """All of these changes; of one field the last one counts."""
    whole: Changes = {}
    for part in parts:
        for key, fields in part.items():
            whole.setdefault(key, {}).update(fields)
    return whole


def killed_and_resumed(desk: Desk, plan: str, *, after: int) -> dict[str, int]:
    """Applies a plan with a `kill -9` once so many of its writes have arrived. Some row stays behind."""
    simulator, begin = desk.simulator, desk.simulator.writes()
    late = {"do": "delay", "ms": 50, "when": {"every": 1}}
    simulator.faults({**late, "method": "PATCH", "entity": "Tasks", "call": "update"})
    process = desk.start("apply", plan, "--yes")
    simulator.until(lambda _: simulator.writes() >= begin + after)
    process.kill()
    process.communicate()
    simulator.faults()
    told = desk.run("status", plan, "--json").json
    assert told["state"] == "stopped" and told["counts"]["pending"] > 0, "it was killed on its way"
    return dict(desk.apply(plan, code=4)["counts"])


# --- the tour ---


@dataclass(kw_only=True)
class Tour:
    """Its steps in order. `here` is the tenant after the last one; each tells what differs from before it."""

    desk: Desk
    firm: Firm
    start: Records
    here: Records
    is_long: bool  # a kill in every step, not only in one
    completed: set[int] = field(default_factory=set)  # tasks that the API completed

    def moved(self) -> tuple[Changes, Records]:
        """What changed since the last look, and what was there then."""
        before, self.here = self.here, snapshot(self.firm.simulator)
        return changes(before, self.here), before

    def _applied(self, plan: str, *, kill_after: int) -> dict[str, int]:
        if self.is_long:
            return killed_and_resumed(self.desk, plan, after=kill_after)
        return dict(self.desk.apply(plan, code=4)["counts"])

    def hand_over(self) -> None:
        desk, firm = self.desk, self.firm
        desk.write("leave.yaml", LEAVE)
        planned = desk.plan("leave.yaml")
        assert planned["counts"]["rejected"] == 0
        mine = firm.tasks(0)
        firm.edit("Tasks", mine[1], assignedResourceID=firm.people[9])
        firm.edit("Tasks", mine[2], title="Renamed while it was handed over")
        done = self._applied("leave.plan", kill_after=planned["counts"]["update"] // 2)
        assert (done["held"], done["pending"]) == (1, 0)
        ended = rows_in(desk, "leave.plan")
        assert [row["id"] for row in ended["held"]] == [mine[1]]
        found, before = self.moved()
        rows = ended["applied"]
        assert found == together(updates(rows), firm.edited)
        leader = {row["projectLeadResourceID"] for row in self.here["Projects"].values()}
        assert firm.people[0] not in leader and firm.tasks(0) == []
        gone = {row["row"]["line"] for row in rows if row["action"] == "delete"}
        assert len(gone) == len([row for row in rows if row["action"] == "create"]) > 0
        count = {name: len(self.here[name]) - len(before[name]) for name in ENTRIES}
        assert set(count.values()) == {0}, "for each entry that goes there is another one"

    def close(self) -> None:
        desk, firm = self.desk, self.firm
        desk.write("close.yaml", CLOSE)
        assert desk.plan("close.yaml")["counts"]["update"] == FINISHED
        finished = firm.projects[:FINISHED]
        tasks = self.here["Tasks"].items()
        inside = {id for id, row in tasks if row["projectID"] in finished and row["status"] != COMPLETE}
        hours = sum(self.here["Tasks"][id]["remainingHours"] for id in inside)
        shown = desk.run("show", "close.plan").out
        assert f"{len(inside):,} open tasks that the API completes with Projects: opened again" in shown
        assert f"({len(inside):,} open tasks, {hours:,g} remaining hours in all)" in shown
        assert f"{FINISHED} created ProjectNotes, which the API can neither delete nor set inactive" in shown
        writes = desk.simulator.writes()
        for words in ((), ("--allow", f"status=Complete={FINISHED - 1}")):
            said = desk.refused("apply", "close.plan", "--yes", *words, code=5)
            assert "status=Complete" in said and f"{FINISHED}" in said
        assert desk.simulator.writes() == writes
        firm.edit("Projects", finished[0], status=HOLD)
        firm.edit("Projects", finished[1], description="Theirs")
        done = desk.apply("close.plan", "--allow", f"status=Complete={FINISHED}", code=4)["counts"]
        assert (done["held"], done["pending"], done["rejected"]) == (2, 0, 0), "with its note"
        found, before = self.moved()
        self.completed = {id for id in inside if before["Tasks"][id]["projectID"] != finished[0]}
        written = updates(rows_in(desk, "close.plan")["applied"])
        assert {id for entity, id in written if entity == "Projects"} == {*finished[1:]}
        own, theirs = self._without_side_effects(found)
        assert own == together(written, {key: fields for key, fields in firm.edited.items() if key in own})
        assert {id for entity, id in theirs if entity == "Tasks"} == self.completed
        assert all(self.here["Tasks"][id]["status"] == COMPLETE for id in self.completed)
        notes = made(before, self.here, "ProjectNotes")
        assert sorted(row["projectID"] for row in notes) == sorted(finished[1:])

    def _without_side_effects(self, found: Changes) -> tuple[Changes, Changes]:
        """What was written or edited, and what the API did by itself when projects became complete."""
        own: Changes = {}
        theirs: Changes = {}
        for (entity, id), fields in found.items():
            by_itself = BY_COMPLETION if entity == "Projects" else set()
            if entity == "Tasks" and id in self.completed:
                by_itself = TASK_DONE
            for name, value in fields.items():
                part = theirs if name in by_itself else own
                part.setdefault((entity, id), {})[name] = value
        return own, theirs

    def bring_back(self) -> None:
        desk, firm = self.desk, self.firm
        fields = "title,status,estimatedHours,priorityLabel,projectID,description"
        words = ("--where", THEIRS, "--fields", fields, "-o", "t.csv", "--job", "back.yaml")
        desk.run("export", "Tasks", *words)
        assert desk.plan("back.yaml", "-o", "same.plan")["counts"]["update"] == 0
        mine = firm.tasks(5)
        edited = self._edit_file(desk.folder / "t.csv", set(mine))
        assert desk.plan("back.yaml")["counts"]["update"] == len(edited)
        firm.edit("Tasks", mine[0], title="Theirs as well")
        firm.edit("Tasks", mine[2], priority=77)
        done = killed_and_resumed(desk, "back.plan", after=len(edited) // 2)
        assert (done["held"], done["pending"]) == (1, 0) and done["applied"] == len(edited) - 1
        found, _ = self.moved()
        del edited["Tasks", mine[0]]
        meanwhile: Changes = {
            ("Tasks", mine[0]): {"title": "Theirs as well"},
            ("Tasks", mine[2]): {"priority": 77},
        }
        assert found == together(edited, meanwhile)

    def _edit_file(self, path: Path, mine: set[int]) -> Changes:
        """Titles, hours, lines of text, an emptied cell: what somebody does to the file, and means by it."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        edited: Changes = {}
        for n, row in enumerate(row for row in rows if int(row["id"]) in mine):
            row["title"] += " (checked)"
            fields = edited["Tasks", int(row["id"])] = {"title": row["title"]}
            if n % 3 == 1:
                row["estimatedHours"] = str(float(row["estimatedHours"]) + 1.5)
                row["description"] = 'Zeile 1\nLine 2; "quoted"'
                fields["estimatedHours"] = float(row["estimatedHours"])
                fields["description"] = row["description"]
            if n % 3 == 2:
                row["priorityLabel"] = ""
                fields["priorityLabel"] = None
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return edited

    def undo_all(self) -> None:
        """In reverse order. What cannot be taken back is what the plans said, and what others changed."""
        desk, firm = self.desk, self.firm
        mine = firm.tasks(5)
        firm.edit("Tasks", mine[3], title="Theirs before the way back")
        desk.run("undo", "back.plan")
        assert "'Theirs before the way back' now" in desk.run("show", "back.undo.plan").out
        firm.edit("Tasks", mine[6], title="Theirs on the way back")
        done = self._applied("back.undo.plan", kill_after=len(mine) // 3)
        assert (done["held"], done["pending"]) == (1, 0)
        undone(desk, "close", lasting=FINISHED - 1, allow=FINISHED - 1 + len(self.completed))  # its notes
        undone(desk, "leave")

    def check_end(self) -> None:
        """But for what others changed, notes, and what the API says of closed projects, all is as it was."""
        end = snapshot(self.firm.simulator)
        own, theirs = self._without_side_effects(changes(self.start, end))
        assert own == self.firm.edited
        assert {id for entity, id in theirs if entity == "Tasks"} == set(), "opened again, just as they were"
        assert {id for entity, id in theirs if entity == "Projects"} <= {*self.firm.projects[1:FINISHED]}
        for entity, rows in end.items():
            if entity in ENTRIES:
                assert rows == self.start[entity]
            elif entity != "ProjectNotes":
                assert rows.keys() == self.start[entity].keys()


def undone(desk: Desk, name: str, *, lasting: int = 0, allow: int = 0) -> None:
    """Plans the way back and applies it. Rejected is what cannot be taken back; what others had changed
    before it was sent needs no way back; nothing is left open. `allow`: how many updates are released."""
    desk.run("undo", f"{name}.plan")
    words = ("--allow", f"update={allow}") if allow else ()
    counts = desk.apply(f"{name}.undo.plan", *words, code=4 if lasting else 0)["counts"]
    assert (counts["rejected"], counts["held"], counts["pending"]) == (lasting, 0, 0)
    assert counts["applied"] > 0


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_year_end_with_others_at_work_leaves_every_record_as_it_was(own_desk: OwnDesk, count: int) -> None:
    """Handed over, closed, exported, edited and brought back with kills half-way, then undone in reverse
    order: after each step every field of every record is as the plan said; in the end only that differs
    which somebody else changed, and what the plans said would stay.
    """
    desk = own_desk("--threshold", "1000000")
    firm = load_firm(desk.simulator, count)
    start = snapshot(desk.simulator)
    tour = Tour(desk=desk, firm=firm, start=start, here=start, is_long=count == MANY)
    tour.hand_over()
    tour.close()
    tour.bring_back()
    tour.undo_all()
    tour.check_end()
