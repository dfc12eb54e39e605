"""Handing somebody's work over, from the command line: every record and field, before, after and undone."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.records import ENTRIES, difference, snapshot

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Simulator

    OwnDesk = Callable[..., Desk]

HOLDERS = {"Tasks": "assignedResourceID", "Tickets": "assignedResourceID",
           "Projects": "projectLeadResourceID", "CompanyToDos": "assignedToResourceID",
           "Opportunities": "ownerResourceID"}  # fmt: skip
WORK_OF = {"TaskSecondaryResources": "Tasks", "TicketSecondaryResources": "Tickets"}
COMPLETE = 5

JOB = """\
version: 1
name: leave
tenant: acme
reason: Daniel leaves
limits: {{update: {{percent: 100, count: 100000}}, delete: {{percent: 100, count: 100000}}}}
reassign:
  from: {giver}
  to: [{takers}]
"""


def ids(simulator: Simulator) -> dict[str, int]:
    """People by user name."""
    return {row["userName"]: row["id"] for row in simulator.rows("Resources")}


def write(desk: Desk, giver: str, *takers: str, **more: str) -> str:
    text = JOB.format(giver=giver, takers=", ".join(takers))
    desk.write("leave.yaml", text + "".join(f"  {key}: {value}\n" for key, value in more.items()))
    return "leave.yaml"


def is_open(entity: str, row: Mapping[str, Any]) -> bool:
    match entity:
        case "CompanyToDos":
            return row["completedDate"] is None
        case "Opportunities":
            return row["status"] not in (2, 3, 4)
        case _:
            return bool(row["status"] != COMPLETE)


def held(simulator: Simulator, person: int) -> dict[str, list[int]]:
    """The open records of somebody, by entity, in the order of their ids."""
    return {
        entity: sorted(
            row["id"] for row in simulator.rows(entity) if row[field] == person and is_open(entity, row)
        )
        for entity, field in HOLDERS.items()
    }


EVERYTHING = (
    "[Tasks, Tickets, Projects, TaskSecondaryResources, TicketSecondaryResources, ServiceCalls, "
    "CompanyToDos, Opportunities]"
)


# --- the small firm ------------------------------------------------------------------------------------


def test_one_persons_work_of_a_small_firm_changes_hands_and_comes_back(desk: Desk) -> None:
    """All kinds at once: what is open goes, in a role that the colleague has; the rest of the firm stays to
    the letter; undone, every field is what it was.
    """
    simulator, people = desk.simulator, ids(desk.simulator)
    daniel, tomas = people["daniel.osei"], people["tomas.lindqvist"]
    before, his = snapshot(simulator), held(simulator, daniel)
    job = write(desk, "daniel.osei@northgate.test", "tomas.lindqvist@northgate.test", entities=EVERYTHING)
    told = desk.plan(job)
    assert snapshot(simulator) == before, "planning only reads"
    assert all(his.values()), "Daniel holds something of every kind"
    # Tomas is on one of his tasks and on one of his tickets already: the API would refuse both.
    refused = [row for row in desk.run("show", "leave.plan", "--json").rows if row["action"] == "rejected"]
    assert all("is a secondary resource of it already" in row["reason"] for row in refused)
    kept = {(row["entity"], row["row"]["line"]) for row in refused}
    assert kept == {
        (WORK_OF[entity], row[link])
        for entity, link in (("TaskSecondaryResources", "taskID"), ("TicketSecondaryResources", "ticketID"))
        for row in simulator.rows(entity)
        if row["resourceID"] == tomas and row[link] in his[WORK_OF[entity]]
    }
    done = desk.apply("leave.plan", code=4)["counts"]
    assert (done["rejected"], done["held"], done["pending"]) == (2, 0, 0)
    after = snapshot(simulator)
    changed = difference({e: r for e, r in before.items() if e not in ENTRIES}, after)
    assert set(changed) == {(entity, id) for entity, rows in his.items() for id in rows} - kept
    for (entity, id), fields in changed.items():
        assert fields[HOLDERS[entity]] == (daniel, tomas)
        assert set(fields) <= {HOLDERS[entity], "assignedResourceRoleID", "departmentID"}
        assert after[entity].keys() == before[entity].keys()
        assert id in his[entity]
    assert {row["entity"] for row in told["workload"]} >= set(HOLDERS)
    # Daniel helped with a task that Tomas does, and was sent on the call for it: only the call goes to Tomas.
    assert not [row for row in simulator.rows("TaskSecondaryResources") if row["resourceID"] == daniel]
    sent = [row["resourceID"] for row in simulator.rows("ServiceCallTaskResources")]
    assert sent == [tomas]
    desk.run("undo", "leave.plan")
    desk.apply("leave.undo.plan")
    assert snapshot(simulator) == before
    assert desk.plan(job)["counts"] == told["counts"], "forward again there is the same to do"


def test_what_somebody_did_meanwhile_is_not_handed_over(desk: Desk) -> None:
    """A task that is complete by now, a ticket that is, help with such a task, a to-do that is done: each is
    held, with field and values, and stays as it is; an edit of anything else holds nothing.
    """
    simulator, people = desk.simulator, ids(desk.simulator)
    daniel, tomas = people["daniel.osei"], people["tomas.lindqvist"]
    helped = next(row["id"] for row in simulator.rows("Tickets")
                  if row["status"] == 1 and row["assignedResourceID"] not in (daniel, tomas))  # fmt: skip
    (role, *_) = [row["roleID"] for row in simulator.rows("ResourceServiceDeskRoles")
                  if row["resourceID"] == daniel]  # fmt: skip
    simulator.load("TicketSecondaryResources", {"ticketID": helped, "resourceID": daniel, "roleID": role})
    job = write(desk, "daniel.osei@northgate.test", "tomas.lindqvist@northgate.test", entities=EVERYTHING)
    desk.plan(job)
    changes = desk.run("show", "leave.plan", "--json").rows
    first = {row["step"]: row for row in reversed(changes) if row["action"] in ("update", "create", "delete")}
    done = {"Tasks": first["Tasks"]["id"], "Tickets": first["Tickets"]["id"]}
    for entity, id in (*done.items(), ("Tickets", helped)):
        simulator.call(f"edit/{entity}", {"items": [{"id": id, "status": COMPLETE}]})
    todo = first["CompanyToDos"]["id"]
    simulator.call("edit/CompanyToDos", {"items": [{"id": todo, "completedDate": "2026-01-02T00:00:00Z"}]})
    project = first["Projects"]["id"]
    simulator.call("edit/Projects", {"items": [{"id": project, "description": "Another text"}]})
    before = snapshot(simulator)
    counts = desk.apply("leave.plan", code=4)["counts"]
    reasons = {(row["entity"], row["id"]): row["reason"] for row in fates(desk, "held")}
    told = "and is 5 (Complete) now: it was changed since the plan was made"
    assert all(told in reasons[entity, str(id)] for entity, id in done.items())
    assert "completedDate was empty and is" in reasons["CompanyToDos", str(todo)]
    help_told = reasons["TicketSecondaryResources", ""]
    assert help_told.startswith(f'Tickets {helped} "') and f'": status was 1 (New) {told}' in help_told
    assert counts["held"] == 5, "with the old entry, which waits for the new one"
    after = snapshot(simulator)
    for entity, id in (*done.items(), ("CompanyToDos", todo)):
        assert after[entity][id] == before[entity][id]
    assert after["Projects"][project]["projectLeadResourceID"] != daniel
    assert {row["resourceID"] for row in simulator.rows("TicketSecondaryResources")
            if row["ticketID"] == helped} >= {daniel}  # fmt: skip


def fates(desk: Desk, state: str) -> list[dict[str, str]]:
    """The rows of a result file of all steps, by what bulkops says of them."""
    desk.run("results", "leave.plan", "--dir", "out")
    rows = []
    for path in sorted((desk.folder / "out").glob(f"**/{state}.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows += [{"entity": row["bulkops_entity"], "id": row["bulkops_id"],
                      "reason": row["bulkops_reason"]} for row in csv.DictReader(file)]  # fmt: skip
    return rows


def test_what_the_plan_itself_does_holds_nothing(desk: Desk) -> None:
    """Work is chosen by whose it is and when it was last touched, and both change with the first step: what
    hangs on it changes hands all the same.
    """
    where = (
        "[{field: assignedResourceID, op: gt, value: 0}, {field: status, op: noteq, value: Complete}, "
        "{field: lastActivityDateTime, op: lt, value: 2100-01-01}]"
    )
    person, helper = "daniel.osei", ids(desk.simulator)["daniel.osei"]
    held_tasks = [row for row in desk.simulator.rows("Tasks") if row["assignedResourceID"] == helper]
    assert held_tasks
    entities = "[Tasks, TaskSecondaryResources]"
    job = write(
        desk, f"{person}@northgate.test", "tomas.lindqvist@northgate.test", entities=entities, where=where
    )
    planned = desk.plan(job)["counts"]
    assert planned["update"] and planned["delete"]
    counts = desk.apply("leave.plan", code=4)["counts"]
    assert (counts["held"], counts["pending"]) == (0, 0)


def test_the_plan_shows_people_and_roles_by_name(desk: Desk) -> None:
    """Nobody has to know ids: who had it, who gets it, in which role, and who will have how much."""
    job = write(desk, '"Osei, Daniel"', "maria.santos@northgate.test", entities="[Tasks]")
    text = desk.run("plan", job).out
    assert "(Daniel Osei) → " in text and "(Maria Santos)" in text
    assert "(Senior Engineer) → " in text and "(Engineer)" in text
    table = [line.split() for line in text.splitlines() if line.startswith("Tasks  ")]
    assert table and table[0][1:3] == ["Daniel", "Osei"]
    assert desk.run("validate", job).out.startswith("step Tasks: Tasks of Osei, Daniel\n")


def test_somebody_without_work_is_an_empty_plan(desk: Desk) -> None:
    """Nothing to hand over is no fault: exit 0 and a sentence."""
    job = write(desk, "lea.marchetti", "tomas.lindqvist")
    ran = desk.run("plan", job)
    assert "Lea Marchetti" in ran.out and "so there is nothing to hand over" in ran.out
    assert desk.run("plan", job, "--json", "--detailed-exitcode").json["rows"] == 0


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_written(desk: Desk) -> None:
    """People who cannot be given work, each with the reason, in one run of `plan`."""
    job = write(
        desk, "daniel.osei", '"Santos, Maria"', "nobody@northgate.test", "lea.marchetti", "jonas.weber",
        "import.service", "daniel.osei@northgate.test", "{resource: priya.raman, role: Engineer}",
        entities="[Tasks]", where="[{field: queueID, op: exist}]",
    )  # fmt: skip
    before = snapshot(desk.simulator)
    ran = desk.run("plan", job, code=1)
    for text in (
        "is what 2 resources are called",
        "`nobody@northgate.test` is no resource",
        "Lea Marchetti",
        "has no role in a department",
        "is no longer active",
        "is a user for the API only",
        "is whose work is handed over",
        "`Engineer` is a role that Priya Raman",
        "Tasks has no field `queueID`",
        "8 faults; nothing was planned",
    ):
        assert text in ran.err, ran.err
    assert "Traceback" not in ran.err and not (desk.folder / "leave.plan").exists()
    assert snapshot(desk.simulator) == before
    assert "Tasks has no field `queueID`" in desk.run("validate", job, code=1).err


def test_rows_that_cannot_go_are_put_right_in_the_tenant(desk: Desk) -> None:
    """There is no file to correct: results say what to do instead."""
    desk.plan(write(desk, "daniel.osei", "tomas.lindqvist", entities="[Tasks]"))
    desk.apply("leave.plan", code=4)
    ran = desk.run("results", "leave.plan", "--dir", "out")
    assert "Put right in the tenant what keeps the rejected rows from going" in ran.out
    assert "--source" not in ran.out


# --- a loaded tenant -----------------------------------------------------------------------------------

TASKS, TICKETS, PROJECTS, PEOPLE = 3_000, 600, 20, 23


class Tenant:
    """20 projects, 23 people who differ in their roles, some thousand tasks and tickets."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.random = random.Random(7)
        self.roles = {row["name"]: row["id"] for row in simulator.rows("Roles")}
        self.places = [row["id"] for row in simulator.rows("Departments")][:2]
        codes = simulator.rows("BillingCodes")
        self.work_type = next(row["id"] for row in codes if row["name"] == "Project Work")
        self.people = self._staff()
        self.projects = self._projects()
        self.tasks = self._work("Tasks", TASKS, self._task)
        self.tickets = self._work("Tickets", TICKETS, self._ticket)
        self._helpers("TaskSecondaryResources", "taskID", self.tasks)
        self._helpers("TicketSecondaryResources", "ticketID", self.tickets)

    def _staff(self) -> list[int]:
        some = next(row for row in self.simulator.rows("Resources") if row["firstName"] == "Daniel")
        like = {key: value for key, value in some.items() if key != "id"}
        rows = [
            {
                **like,
                "firstName": f"P{n}",
                "lastName": "Person",
                "email": f"p{n}@load.test",
                "userName": f"p{n}",
            }
            for n in range(PEOPLE)
        ]
        people = self.simulator.load("Resources", *rows)
        for n, person in enumerate(people):
            names = ["Engineer", "Senior Engineer"] if n % 3 == 0 else ["Engineer"]
            pairs = [{"resourceID": person, "roleID": self.roles[name], "isActive": True} for name in names]
            place = self.places[n % 2]
            self.simulator.load("ResourceRoleDepartments", *(
                {**pair, "departmentID": place, "isDefault": not at, "isDepartmentLead": False}
                for at, pair in enumerate(pairs)
            ))  # fmt: skip
            self.simulator.load("ResourceServiceDeskRoles", *({**pair, "isDefault": False} for pair in pairs))
            self.simulator.load("ResourceRoles", *({**pair, "departmentID": place} for pair in pairs))
            self.simulator.load("ResourceRoles", *({**pair, "queueID": 29683354} for pair in pairs))
            self.simulator.load("ResourceRoleQueues", {"resourceID": person, "queueID": 29683354})
        return people

    def _projects(self) -> list[int]:
        some = next(row for row in self.simulator.rows("Projects") if row["extProjectNumber"] == "EXT-5")
        like = {key: value for key, value in some.items() if key != "id"}
        return self.simulator.load("Projects", *(
            {**like, "projectName": f"Project {n}", "extProjectNumber": f"L-{n}",
             "projectLeadResourceID": self.people[n % 4], "status": 5 if n % 7 == 6 else 1}
            for n in range(PROJECTS)
        ))  # fmt: skip

    def _work(self, entity: str, count: int, make: Callable[[int, int], dict[str, Any]]) -> list[int]:
        like = {
            key: None if not isinstance(value, bool) else False
            for key, value in self.simulator.rows(entity)[0].items()
            if key not in ("id", "userDefinedFields")
        }
        rows = [{**like, **make(n, self.random.randrange(PEOPLE))} for n in range(count)]
        return [
            id for at in range(0, count, 1_000) for id in self.simulator.load(entity, *rows[at : at + 1_000])
        ]

    def _task(self, n: int, who: int) -> dict[str, Any]:
        is_done = n % 4 == 0
        role = "Senior Engineer" if who % 3 == 0 and n % 2 else "Engineer"
        return {
            "title": f"Task {n}", "projectID": self.projects[n % PROJECTS], "taskType": 1, "priority": 0,
            "status": COMPLETE if is_done else 1, "assignedResourceID": self.people[who],
            "assignedResourceRoleID": self.roles[role], "departmentID": self.places[who % 2],
            "billingCodeID": None if n % 97 == 5 else self.work_type,
            "estimatedHours": float(n % 9), "remainingHours": 0.0 if is_done else float(n % 7) / 2,
        }  # fmt: skip

    def _ticket(self, n: int, who: int) -> dict[str, Any]:
        return {
            "title": f"Ticket {n}", "companyID": 0, "status": COMPLETE if n % 3 == 0 else 1, "priority": 2,
            "queueID": 29683354, "assignedResourceID": self.people[who], "estimatedHours": None,
            "assignedResourceRoleID": self.roles["Engineer"],
        }  # fmt: skip

    def _helpers(self, entity: str, link: str, work: Sequence[int]) -> None:
        owners = {row["id"]: row["assignedResourceID"] for row in self.simulator.rows(WORK_OF[entity])}
        helpers = []
        for id in work[::5]:
            free = [person for person in self.people if person != owners[id]]
            helpers += [
                {link: id, "resourceID": person, "roleID": self.roles["Engineer"]}
                for person in self.random.sample(free, 2)
            ]
        self.simulator.load(entity, *helpers)


@pytest.fixture
def tenant(own_desk: OwnDesk) -> tuple[Desk, Tenant]:
    desk = own_desk("--threshold", "1000000")
    return desk, Tenant(desk.simulator)


def entries(simulator: Simulator, entity: str) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in ENTRIES[entity]) for row in simulator.rows(entity)}


def expected_loads(table: Iterable[Mapping[str, Any]], entity: str) -> dict[int, tuple[int, float]]:
    return {
        row["id"]: (row["then"]["count"], row["then"].get("hours", 0.0))
        for row in table
        if row["entity"] == entity
    }


def loads(simulator: Simulator, entity: str, people: Iterable[int]) -> dict[int, tuple[int, float]]:
    """How much open work each has: another reading of the tenant than the plan's."""
    found = {person: [0, 0.0] for person in people}
    for row in simulator.rows(entity):
        holder = found.get(row["assignedResourceID"])
        if holder is not None and row["status"] != COMPLETE:
            holder[0] += 1
            holder[1] += row.get("remainingHours") or row["estimatedHours"] or 0.0
    return {person: (int(count), round(hours, 2)) for person, (count, hours) in found.items()}


@pytest.mark.parametrize("divide", ["round_robin", "least_loaded"])
def test_a_loaded_tenant_with_a_foreign_edit_in_between(tenant: tuple[Desk, Tenant], divide: str) -> None:
    """Thousands of tasks and tickets: what the plan says will be is what is, a record that somebody else
    changed meanwhile is held and stays, and undone all the others are what they were.
    """
    desk, load = tenant
    simulator = load.simulator
    giver, takers = load.people[0], load.people[1:4]
    before = snapshot(simulator)
    job = write(desk, "p0@load.test", "p1", "p2@load.test", f'"{takers[2]}"', divide=divide)
    told = desk.plan(job)
    changes = desk.run("show", "leave.plan", "--json").rows
    assert desk.plan(job)["counts"] == told["counts"]
    assert desk.run("show", "leave.plan", "--json").rows == changes, "the same tenant, the same plan"
    open_tasks = [row for row in simulator.rows("Tasks")
                  if row["assignedResourceID"] == giver and row["status"] != COMPLETE]  # fmt: skip
    bare = {row["id"] for row in open_tasks if row["billingCodeID"] is None}
    refused = {change["id"]: change["reason"] for change in changes if change["action"] == "rejected"}
    assert bare and bare <= refused.keys() and all("work type" in refused[id] for id in bare)

    passed_over = {
        row["taskID"]
        for row in simulator.rows("TaskSecondaryResources")
        if row["resourceID"] in takers and row["taskID"] in {task["id"] for task in open_tasks}
    }
    assert 0 < len(passed_over) < len(open_tasks) / 4, "who is on a task already does not get it"

    # Somebody else takes one task away, and gives another one a new title, which is nobody's matter.
    moved = [change for change in changes if change["entity"] == "Tasks" and change["action"] == "update"]
    taken, titled = moved[3]["id"], moved[4]["id"]
    simulator.call("edit/Tasks", {"items": [{"id": taken, "assignedResourceID": load.people[9]},
                                            {"id": titled, "title": "Another title"}]})  # fmt: skip
    done = desk.apply("leave.plan", code=4)["counts"]
    assert done["held"] == 1 and done["pending"] == 0
    assert done["rejected"] == len(refused) and sum(done.values()) == told["rows"]
    after = snapshot(simulator)

    # What the plan promised, less what was held.
    held_hours = next(
        row["remainingHours"] or row["estimatedHours"] for row in open_tasks if row["id"] == taken
    )
    to = moved[3]["fields"]["assignedResourceID"]["after"]
    for entity in ("Tasks", "Tickets"):
        promised = expected_loads(told["workload"], entity)
        if entity == "Tasks":
            promised[to] = (promised[to][0] - 1, round(promised[to][1] - held_hours, 2))
        assert loads(simulator, entity, promised) == promised
    shares = Counter(change["fields"]["assignedResourceID"]["after"] for change in moved)
    assert set(shares) == set(takers)
    if divide == "round_robin":
        assert max(shares.values()) - min(shares.values()) <= 1 + len(refused) + len(passed_over)

    # Nothing else in the tenant changed.
    planned = {(change["entity"], change["id"]) for change in changes if change["action"] == "update"}
    for key, fields in difference({e: r for e, r in before.items() if e not in ENTRIES}, after).items():
        assert key in planned
        if key == ("Tasks", taken):
            assert fields == {"assignedResourceID": (giver, load.people[9])}
        elif key[0] == "Projects":
            assert set(fields) == {"projectLeadResourceID"}
        else:
            extra = {"title"} if key == ("Tasks", titled) else set()
            assert set(fields) - extra <= {"assignedResourceID", "assignedResourceRoleID", "departmentID"}

    # Nobody is primary and secondary on the same work, or secondary twice; nobody lost an entry for nothing.
    for entity, link in (("TaskSecondaryResources", "taskID"), ("TicketSecondaryResources", "ticketID")):
        work = WORK_OF[entity]
        owner = {row["id"]: row["assignedResourceID"] for row in simulator.rows(work)}
        rows = [(row[link], row["resourceID"]) for row in simulator.rows(entity)]
        assert len(rows) == len(set(rows))
        mine = {(id, person) for id, person in rows if person in {giver, *takers}}
        assert not [pair for pair in mine if owner[pair[0]] == pair[1] and pair[1] != giver]
        still = {row["id"] for row in simulator.rows(work) if row["status"] == COMPLETE}
        assert {id for id, person in rows if person == giver} <= still

    # And back: what was held was never sent, so there is nothing of it to take back.
    desk.run("undo", "leave.plan")
    undone = desk.apply("leave.undo.plan")["counts"]
    assert undone["held"] == undone["rejected"] == undone["pending"] == 0
    assert undone["applied"] == done["applied"]
    left = difference(before, snapshot(simulator))
    assert left == {
        ("Tasks", taken): {"assignedResourceID": (giver, load.people[9])},
        ("Tasks", titled): {"title": (before["Tasks"][titled]["title"], "Another title")},
    }
