"""A tenant with random work in it, and a job for that: a hand-over, a closing, or steps of a job's own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from bulkops.simulator.store import Store

GIVER, DESK, FIELD = "daniel.osei", "tomas.lindqvist", "maria.santos"
COMPLETE = 5
HEAD = "version: 1\nname: trial\ntenant: acme\nlimits: {update: {percent: 100}, delete: {percent: 100}}\n"
REASSIGN = """reassign:
  from: %s
  to: [%s]
  divide: %s
  entities: [%s]
"""
CLOSE = """close_projects:
  where: [{field: projectType, op: eq, value: 5}]
  status: Complete
  open_tasks: complete
  note: {title: Closed, description: Year end}
"""
STEP = "  - {name: %s, entity: %s, action: %s, source: {file: %s.csv}, match: %s,\n     fields: %s}\n"
PLAIN: Mapping[str, tuple[str, str, str, str]] = {
    "groups": ("ContactGroups", "create", "[name]", '{name: Name, isActive: {value: "true"}}'),
    "tasks": (
        "Tasks", "update", "[id]",
        "{id: Id, title: Title, status: State, estimatedHours: {column: Hours, empty: clear}}",
    ),
    "tickets": ("Tickets", "update", "[id]", "{id: Id, companyID: Company, title: Title}"),
    "out": ("TaskSecondaryResources", "delete", "[id]", "{id: Id}"),
    "in": (
        "TaskSecondaryResources", "create", "[taskID, resourceID]",
        "{taskID: Task, resourceID: Who, roleID: Role}",
    ),
    "projects": ("Projects", "update", "[id]", "{id: Id, status: State, projectName: Name}"),
}  # fmt: skip
"""Entity, action, match and fields of each step, in the order in which they stand in a job."""

ON_DESK = ("Tickets", "TicketSecondaryResources", "ServiceCalls")
KINDS = ("Tasks", "Projects", "TaskSecondaryResources", "CompanyToDos", "Opportunities", *ON_DESK)


class Firm:
    """The small firm, and random work in it."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self.store = store
        self._rng = rng
        self.people = {row["userName"]: int(row["id"]) for row in self.rows("Resources")}
        self.roles: dict[int, int] = {}  # the first one in a department, and that department
        self._homes: dict[int, int] = {}
        for row in self.rows("ResourceRoleDepartments"):
            if row["isDefault"] and row["isActive"]:
                self.roles[row["resourceID"]], self._homes[row["resourceID"]] = (
                    row["roleID"],
                    row["departmentID"],
                )

    def rows(self, entity: str) -> list[dict[str, Any]]:
        table = self.store.table(entity)
        return [dict(table[id]) for id in table.ids]

    def load(self) -> None:
        projects = [row for row in self.rows("Projects") if row["projectType"] == 5]
        for n in range(self._rng.randrange(8, 30)):
            project = self._rng.choice(projects)
            self._task(n, project["id"], is_done=project["status"] == COMPLETE)
        for n in range(self._rng.randrange(3, 12)):
            self._ticket(n)
        for entity, whose in (("CompanyToDos", "assignedToResourceID"), ("Opportunities", "ownerResourceID")):
            like = self._like(entity, 0)
            for _ in range(self._rng.randrange(4)):
                self._insert(entity, like, {whose: self._rng.choice(list(self.roles))})

    def _like(self, entity: str, place: int) -> dict[str, Any]:
        return {name: deepcopy(value) for name, value in self.rows(entity)[place].items() if name != "id"}

    def _insert(self, entity: str, like: Mapping[str, Any], also: Mapping[str, Any]) -> int:
        return self.store.table(entity).insert({"id": None, **like, **also})

    def _task(self, n: int, project: int, *, is_done: bool) -> None:
        status = COMPLETE if is_done else self._rng.choice([1, 1, 7, 8, COMPLETE])
        owner = self._rng.choice([*self.roles, self.people[GIVER], None])
        hours = float(self._rng.randrange(40)) / 4
        task = self._insert("Tasks", self._like("Tasks", 5), {
            "title": f"Task {n}", "externalID": f"X-{n}", "projectID": project, "phaseID": None,
            "status": status, "estimatedHours": hours, "assignedResourceID": owner,
            "assignedResourceRoleID": self.roles.get(owner or 0),
            "departmentID": self._homes.get(owner or 0, self._homes[self.people[GIVER]]),
            "remainingHours": 0.0 if status == COMPLETE else hours, "startDateTime": None,
            "endDateTime": "2026-01-20T00:00:00.000Z",
        })  # fmt: skip
        others = [one for one in self.roles if one != owner]
        for helper in self._rng.sample(others, self._rng.randrange(3)):
            self._insert("TaskSecondaryResources", {}, {
                "taskID": task, "resourceID": helper, "roleID": self.roles[helper]
            })  # fmt: skip
        if owner is not None and self._rng.random() < 0.3:
            self._on_call("Task", "taskID", task, owner)

    def _ticket(self, n: int) -> None:
        """In the queue of which both have a role."""
        owner = self.people[self._rng.choice([GIVER, GIVER, DESK])]
        like = self._like("Tickets", 3)
        ticket = self._insert("Tickets", like, {
            "title": f"Ticket {n}", "externalID": f"Y-{n}", "assignedResourceID": owner,
            "status": self._rng.choice([1, 8, 9, COMPLETE]),
        })  # fmt: skip
        other = self.people[DESK if owner == self.people[GIVER] else GIVER]
        if self._rng.random() < 0.4:
            role = like["assignedResourceRoleID"]
            self._insert("TicketSecondaryResources", {}, {
                "ticketID": ticket, "resourceID": other, "roleID": role
            })  # fmt: skip
        if self._rng.random() < 0.3:
            self._on_call("Ticket", "ticketID", ticket, owner)

    def _on_call(self, work: str, name: str, id: int, person: int) -> None:
        call = self.rows("ServiceCalls")[1]["id"]
        link = self._insert(f"ServiceCall{work}s", {}, {"serviceCallID": call, name: id})
        self._insert(f"ServiceCall{work}Resources", {}, {f"serviceCall{work}ID": link, "resourceID": person})


def write_job(firm: Firm, rng: random.Random, folder: Path) -> None:
    """A hand-over, a closing, or steps of a job's own with their files."""
    text, files = rng.choice([_handing, _handing, _closing, _plain])(firm, rng)
    for name, rows in files.items():
        lines = [",".join(str(cell) for cell in row) for row in rows]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "trial.yaml").write_text(HEAD + text, "utf-8")


Tables = Mapping[str, list[tuple[object, ...]]]


def _closing(firm: Firm, rng: random.Random) -> tuple[str, Tables]:
    return CLOSE, {}


def _handing(firm: Firm, rng: random.Random) -> tuple[str, Tables]:
    entities = rng.sample(KINDS, rng.randrange(1, len(KINDS) + 1))
    takers = [DESK]
    if not set(ON_DESK) & set(entities):  # who is at no desk can have nothing of that
        takers = rng.choice([[DESK], [DESK, FIELD], [FIELD]])
    divide = rng.choice(["round_robin", "least_loaded"])
    return REASSIGN % (GIVER, ", ".join(takers), divide, ", ".join(entities)), {}


def _plain(firm: Firm, rng: random.Random) -> tuple[str, Tables]:
    tasks = [row for row in firm.rows("Tasks") if row["status"] != COMPLETE]
    projects = [row for row in firm.rows("Projects") if row["projectType"] == 5]
    links = firm.rows("TaskSecondaryResources")
    companies = [row["id"] for row in firm.rows("Companies") if row["id"]]
    on_it = {(row["taskID"], row["resourceID"]) for row in links}
    on_it |= {(row["id"], row["assignedResourceID"]) for row in tasks}
    free = [
        (task["id"], who, role)
        for task in tasks
        for who, role in firm.roles.items()
        if (task["id"], who) not in on_it
    ]
    tables: Tables = {
        "groups": [("Name",), *((f"Group {n}",) for n in range(rng.randrange(1, 4)))],
        "tasks": [("Id", "Title", "State", "Hours")],
        "tickets": [("Id", "Company", "Title")],
        "out": [("Id",), *((row["id"],) for row in _some(rng, links))],
        "in": [("Task", "Who", "Role"), *_some(rng, free)[:6]],
        "projects": [("Id", "State", "Name")],
    }
    for row in _some(rng, tasks):
        state, hours = rng.choice([1, 8, COMPLETE]), rng.choice(["", 1.5, 12])
        tables["tasks"].append((row["id"], f"Ours {row['id']}", state, hours))
    for row in _some(rng, firm.rows("Tickets")):
        tables["tickets"].append((row["id"], rng.choice(companies), f"Ours {row['id']}"))
    for row in _some(rng, projects):
        tables["projects"].append((row["id"], rng.choice([COMPLETE, 9]), f"Ours {row['id']}"))
    chosen = [name for name in PLAIN if rng.random() < 0.6] or ["tasks"]
    steps = [STEP % (name, *PLAIN[name][:2], name, *PLAIN[name][2:]) for name in chosen]
    return "steps:\n" + "".join(steps), {name: tables[name] for name in chosen}


def _some(rng: random.Random, rows: list[Any]) -> list[Any]:
    return rng.sample(rows, rng.randrange(1, len(rows) + 1)) if rows else []
