"""The engine's own rules against the simulator's, which were written apart, from the same facts.

Random changes of the small firm's records are planned, and each is then sent as it is, whatever the plan says
of it, to a simulator that forgets it afterwards. What the plan rejects must be refused in whichever way the
open questions are answered (the simulator's switches); what it accepts without a doubt must be accepted.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from bulkops.change import Action, Change
from bulkops.errors import RejectedError
from bulkops.job import load_job
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.schema import FieldType
from bulkops.secret import Secret
from bulkops.simulator import Options, Running, running
from bulkops.simulator.store import Store
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.session import connect
from bulkops.targets.base import Target
from bulkops.tenant import Budget, Tenant

Cells: TypeAlias = dict[str, Scalar]
Pool: TypeAlias = str | Sequence[Scalar]
"""The values a field may get: the ids of an entity's records, or these."""

ROWS = 20  # of a plan

VARIANTS: Mapping[str, Sequence[str]] = {
    "inferred": ("on", "off"),
    "baseline_create": ("allow", "refuse"),
    "project_reopen": ("allow", "refuse"),
    "complete_project": ("open", "read_only"),
    "task_beyond_project": ("allow", "refuse", "extend"),
    "predecessor_moves": ("create", "lag", "chain"),
    "predecessor_end": ("clamp", "duration"),
    "task_role": ("any", "department"),
    "task_department": ("default", "role"),
    "ticket_role": ("queue", "service_desk", "any"),
    "ticket_queue": ("optional", "required"),
    "ticket_company": ("merged", "stored"),
    "ticket_helpers": ("50", "off"),
    "service_call_resource": ("any", "assigned"),
    "service_call_complete": ("linked", "apart"),
    "opportunity_dates": ("follow", "apart"),
}
"""How the open questions may be answered."""

DAYS = (
    "2025-12-01", "2026-01-30", "2026-02-27", "2026-03-13", "2026-04-30", "2026-05-29", "2026-07-31",
    "2026-09-01",
)  # fmt: skip
NOONS = tuple(f"{day}T12:00:00.000Z" for day in DAYS)
BOTH = (True, False)
NOTHING = (None,)
PEOPLE: Mapping[str, Pool] = {"assignedResourceID": "Resources", "assignedResourceRoleID": "Roles"}
SPAN: Mapping[str, Pool] = {"startDateTime": NOONS, "endDateTime": NOONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is done to one entity. Each create has all of `given` and some of `fields`."""

    entity: str
    action: Action
    fields: Mapping[str, Pool] = field(default_factory=dict)
    given: Mapping[str, Pool] = field(default_factory=dict)
    most: int = 3  # fields that are written besides

    def __str__(self) -> str:
        return f"{self.action.value} {self.entity}"


CREATE, UPDATE, DELETE = Action.CREATE, Action.UPDATE, Action.DELETE
TASK: Mapping[str, Pool] = {
    **PEOPLE, **SPAN, "billingCodeID": "BillingCodes", "companyLocationID": "CompanyLocations",
    "phaseID": "Phases", "departmentID": "Departments", "isVisibleInClientPortal": BOTH,
    "canClientPortalUserCompleteTask": BOTH, "estimatedHours": (2.5, 8),
}  # fmt: skip
TICKET: Mapping[str, Pool] = {
    **PEOPLE, "contactID": "Contacts", "companyLocationID": "CompanyLocations",
    "billingCodeID": "BillingCodes", "dueDateTime": NOONS,
}  # fmt: skip
PROJECT: Mapping[str, Pool] = {"projectLeadResourceID": "Resources", "estimatedSalesCost": (10, 20.5)}
PHASE: Mapping[str, Pool] = {"startDate": NOONS, "dueDate": NOONS, "parentPhaseID": "Phases"}
TIME: Mapping[str, Pool] = {
    "hoursWorked": (0, 0.25, 8, 24, 24.5, -1), "ticketID": "Tickets", "taskID": "Tasks", "roleID": "Roles",
}  # fmt: skip
CALL: Mapping[str, Pool] = {"companyLocationID": "CompanyLocations"}
TODO: Mapping[str, Pool] = {
    "contactID": "Contacts", "contractID": "Contracts", "opportunityID": "Opportunities",
    "ticketID": "Tickets",
}  # fmt: skip
KINDS = (
    Kind(entity="Tasks", action=UPDATE, fields={**TASK, "status": (1, 5, 8)}),
    # Of tasks that have secondary resources and no primary one, what those need is taken away.
    Kind(
        entity="Tasks", action=UPDATE,
        fields={
            "title": ("B",), "billingCodeID": NOTHING, "departmentID": NOTHING,
            "assignedResourceID": NOTHING, "assignedResourceRoleID": NOTHING,
        },
    ),
    Kind(
        entity="Tasks", action=CREATE, fields=TASK,
        given={"projectID": "Projects", "title": ("A",), "status": (1, 5, 8), "taskType": (1, 2)},
    ),
    Kind(
        entity="Projects", action=UPDATE,
        fields={**PROJECT, "startDateTime": DAYS, "endDateTime": DAYS, "status": (1, 2, 5, 8)},
    ),
    Kind(
        entity="Projects", action=CREATE, fields=PROJECT,
        given={
            "projectName": ("A",), "companyID": "Companies", "startDateTime": DAYS, "endDateTime": DAYS,
            "status": (1, 2, 5, 8), "projectType": (4, 5, 8),
        },
    ),
    Kind(entity="Phases", action=UPDATE, fields=PHASE),
    Kind(entity="Phases", action=CREATE, fields=PHASE, given={"projectID": "Projects", "title": ("A",)}),
    Kind(
        entity="TaskSecondaryResources", action=CREATE,
        given={"taskID": "Tasks", "resourceID": "Resources", "roleID": "Roles"},
    ),
    Kind(entity="TaskSecondaryResources", action=DELETE),
    Kind(
        entity="TaskPredecessors", action=CREATE, fields={"lagDays": (-2, 0, 5)},
        given={"predecessorTaskID": "Tasks", "successorTaskID": "Tasks"},
    ),
    Kind(entity="TaskPredecessors", action=UPDATE, fields={"lagDays": (-2, 0, 5)}),
    Kind(entity="TaskPredecessors", action=DELETE),
    Kind(
        entity="TaskNotes", action=CREATE, fields={"createdByContactID": "Contacts"}, most=1,
        given={
            "taskID": "Tasks", "description": ("A",), "noteType": (1,), "publish": (1, 2), "title": ("A",),
        },
    ),
    Kind(
        entity="ProjectNotes", action=CREATE,
        given={
            "projectID": "Projects", "description": ("A",), "noteType": (5,), "publish": (1, 2),
            "title": ("A",), "isAnnouncement": BOTH,
        },
    ),
    Kind(entity="Tickets", action=UPDATE, fields={**TICKET, "companyID": "Companies", "status": (1, 5, 8)}),
    # Whose contact and location the row does not name: a move clears them.
    Kind(entity="Tickets", action=UPDATE, fields={"companyID": "Companies", "status": (1, 5, 8)}),
    Kind(entity="Tickets", action=UPDATE, fields={"companyID": "Companies", "contactID": "Contacts"}),
    Kind(
        entity="Tickets", action=CREATE, fields={**TICKET, "queueID": (8, 6)}, most=5,
        given={"companyID": "Companies", "title": ("A",), "status": (1, 5, 8), "priority": (1, 2)},
    ),
    Kind(
        entity="TicketSecondaryResources", action=CREATE,
        given={"ticketID": "Tickets", "resourceID": "Resources", "roleID": "Roles"},
    ),
    Kind(entity="TicketSecondaryResources", action=DELETE),
    Kind(
        entity="TicketNotes", action=CREATE, fields={"title": ("A",)},
        given={"ticketID": "Tickets", "description": ("A",), "noteType": (1,), "publish": (1, 2)},
    ),
    Kind(
        entity="TimeEntries", action=CREATE, fields=TIME,
        given={"resourceID": "Resources", "dateWorked": DAYS, "hoursWorked": (0.25, 8)},
    ),
    Kind(entity="TimeEntries", action=UPDATE, fields=TIME),
    Kind(
        entity="ResourceRoleDepartments", action=CREATE,
        given={
            "resourceID": "Resources", "roleID": "Roles", "departmentID": "Departments", "isActive": BOTH,
            "isDefault": BOTH, "isDepartmentLead": BOTH,
        },
    ),
    Kind(
        entity="ResourceRoleDepartments", action=UPDATE,
        fields={"roleID": "Roles", "isActive": BOTH, "isDefault": BOTH},
    ),
    Kind(entity="Companies", action=UPDATE, fields={"ownerResourceID": "Resources"}),
    Kind(
        entity="CompanyLocations", action=CREATE, fields={"isPrimary": BOTH},
        given={"companyID": "Companies", "name": ("A",)},
    ),
    Kind(entity="Contacts", action=UPDATE, fields={"companyLocationID": "CompanyLocations"}),
    Kind(entity="Contacts", action=DELETE),
    Kind(
        entity="Opportunities", action=UPDATE,
        fields={"ownerResourceID": "Resources", "contactID": "Contacts"},
    ),
    Kind(entity="ServiceCalls", action=UPDATE, fields={**CALL, **SPAN, "status": (2, 3)}),
    Kind(
        entity="ServiceCalls", action=CREATE, fields=CALL,
        given={"companyID": "Companies", **SPAN, "status": (2, 3)},
    ),
    Kind(
        entity="ServiceCallTaskResources", action=CREATE,
        given={"serviceCallTaskID": "ServiceCallTasks", "resourceID": "Resources"},
    ),
    Kind(
        entity="ServiceCallTicketResources", action=CREATE,
        given={"serviceCallTicketID": "ServiceCallTickets", "resourceID": "Resources"},
    ),
    Kind(entity="CompanyToDos", action=UPDATE, fields={**TODO, "assignedToResourceID": "Resources"}),
    Kind(
        entity="CompanyToDos", action=CREATE, fields=TODO,
        given={
            "companyID": "Companies", "actionType": (1,), "assignedToResourceID": "Resources",
            "startDateTime": NOONS[:4], "endDateTime": NOONS[4:],
        },
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One random change: the whole row as the file has it, and what of it is to be written."""

    id: int | None
    cells: Mapping[str, Scalar]
    written: Mapping[str, Scalar]


class World:
    """A simulator that forgets what was written to it, a target, and a folder for jobs."""

    def __init__(self, simulator: Running, target: Target, folder: Path, rng: random.Random) -> None:
        self._simulator = simulator
        self._target = target
        self._folder = folder
        self._rng = rng
        self._states = {name: table.state() for name, table in simulator.store.tables().items()}
        self.tally: Counter[str] = Counter()

    async def differences(self, kind: Kind) -> list[str]:
        """Where the plan and the simulator do not say the same of random changes of one kind."""
        rows = self._rows(kind)
        changes = await self._planned(kind, rows)
        found = []
        for row, change in zip(rows, changes, strict=True):
            if change.action is Action.UNCHANGED:
                continue
            refusal = await self._refusal(kind, row, change)
            is_doubted = any(note.startswith("may be refused") for note in change.notes)
            is_rejected = change.action is Action.REJECTED
            self.tally[f"{change.action.value}{', doubted' if is_doubted else ''}: {bool(refusal)}"] += 1
            if bool(refusal) != is_rejected and not (is_doubted and not is_rejected):
                found.append(
                    f"{kind} {row.id or ''} {dict(row.written)}: the plan says {change.reason or 'yes'!r}, "
                    f"the simulator {refusal or 'yes'!r}"
                )
        return found

    def _rows(self, kind: Kind) -> list[Row]:
        if kind.action is CREATE:
            return [self._created(kind) for _ in range(ROWS)]
        table = self._simulator.store.table(kind.entity)
        ids = self._rng.sample(table.ids, min(ROWS, len(table)))
        return [self._changed(kind, row_id) for row_id in ids]

    def _created(self, kind: Kind) -> Row:
        values = {name: self._value(pool) for name, pool in kind.given.items()}
        values |= self._some(kind)
        self._fit(kind, values)
        written = {name: value for name, value in values.items() if value is not None}
        return Row(id=None, cells=values, written=written)

    def _changed(self, kind: Kind, row_id: int) -> Row:
        record = self._simulator.store.table(kind.entity)[row_id]
        values = self._some(kind)
        self._fit(kind, values)
        written = {name: value for name, value in values.items() if record.get(name) != value}
        cells = {name: record.get(name) for name in kind.fields} | values
        return Row(id=row_id, cells={"id": row_id, **cells}, written=written)

    def _some(self, kind: Kind) -> Cells:
        count = self._rng.randint(min(1, len(kind.fields)), min(kind.most, len(kind.fields)))
        names = self._rng.sample(sorted(kind.fields), count)
        is_update = kind.action is UPDATE
        return {
            name: None if is_update and self._rng.random() < 0.15 and _may_be_empty(kind, name) else value
            for name in names
            for value in [self._value(kind.fields[name])]
        }

    def _value(self, pool: Pool) -> Scalar:
        if isinstance(pool, str):
            return self._rng.choice(self._simulator.store.table(pool).ids)
        return self._rng.choice(pool)

    def _fit(self, kind: Kind, values: Cells) -> None:
        """Half of the time somebody gets a role that they have, and the work type that goes with it."""
        names = set(kind.fields) | set(kind.given)
        for person, role in (("assignedResourceID", "assignedResourceRoleID"), ("resourceID", "roleID")):
            if values.get(person) is not None and role in names and self._rng.random() < 0.6:
                held = self._simulator.store.table("ResourceRoles")
                pair = held[self._rng.choice(held.ids)]
                values |= {person: pair["resourceID"], role: pair["roleID"]}
                if kind.entity == "Tasks" and self._rng.random() < 0.8:
                    values["billingCodeID"] = self._simulator.store.table("BillingCodes").ids[0]

    async def _planned(self, kind: Kind, rows: Sequence[Row]) -> list[Change]:
        names = list(dict.fromkeys(name for row in rows for name in row.cells))
        with (self._folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([_cell(row.cells.get(name)) for name in names] for row in rows)
        clearable = [name for name in names if kind.action is UPDATE and _may_be_empty(kind, name)]
        fields = ", ".join(
            f"{name}: {{column: {name}{', empty: clear' if name in clearable else ''}}}" for name in names
        )
        match = "" if kind.action is CREATE else "match: [id], "
        job = self._folder / "job.yaml"
        job.write_text(
            "version: 1\nname: trial\ntenant: acme\nsteps:\n"
            f"  - {{name: a, entity: {kind.entity}, action: {kind.action.value}, {match}"
            f"source: {{file: a.csv}}, fields: {{{fields}}}}}\n",
            "utf-8",
        )
        plan = await build_plan(load_job(job), self._target, self._folder / "x.plan")
        return list(plan.changes())

    async def _refusal(self, kind: Kind, row: Row, change: Change) -> str:
        """What the simulator says of the change, "" where it makes it; then it never happened.

        What the plan clears first is cleared first.
        """
        shape = load_catalog().entities[kind.entity]
        parent = None
        if shape.parent is not None:
            record = self._simulator.store.table(kind.entity).get(row.id) or {}
            held = {**record, **row.cells}[shape.parent.field]
            parent = held if isinstance(held, int) else None
        try:
            if kind.action is CREATE:
                await self._target.create(kind.entity, row.written, parent=parent)
            elif kind.action is UPDATE:
                if change.cleared:
                    cleared = dict.fromkeys(change.cleared)
                    await self._target.update(kind.entity, row.id or 0, cleared, parent=parent)
                await self._target.update(kind.entity, row.id or 0, row.written, parent=parent)
            else:
                await self._target.delete(kind.entity, row.id or 0, parent=parent)
        except RejectedError as error:
            return str(error)
        finally:
            for name, table in self._simulator.store.tables().items():
                table.restore(self._states[name])
        return ""


def _may_be_empty(kind: Kind, name: str) -> bool:
    shape = load_catalog().entities[kind.entity].fields[name]
    return not shape.is_required and shape.type is not FieldType.BOOLEAN


def _cell(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _leave_to_helpers(store: Store, rng: random.Random) -> None:
    """Some tasks get a secondary resource; most of them lose their primary one, and what is needed then."""
    tasks, helpers = store.table("Tasks"), store.table("TaskSecondaryResources")
    held = [store.table("ResourceRoles")[id] for id in store.table("ResourceRoles").ids]
    for number in rng.sample(tasks.ids, len(tasks) // 2):
        pair = rng.choice(held)
        lost = {name: None for name in ("billingCodeID", "departmentID") if rng.random() < 0.4}
        if rng.random() < 0.8:
            lost |= dict.fromkeys(("assignedResourceID", "assignedResourceRoleID"))
        elif tasks[number].get("assignedResourceID") == pair["resourceID"]:
            continue
        tasks.update(number, lost)
        helpers.insert({"taskID": number, "resourceID": pair["resourceID"], "roleID": pair["roleID"]})


def _retire(store: Store, rng: random.Random) -> None:
    """Some people are inactive by now: of their work nothing may change but whose it is."""
    people, tasks = store.table("Resources"), store.table("Tasks")
    busy = {person for id in tasks.ids if (person := tasks[id].get("assignedResourceID")) is not None}
    for person in rng.sample(sorted(busy - {store.api_resource_id}), 2):
        people.update(person, {"isActive": False})


@asynccontextmanager
async def world(folder: Path, seed: int) -> AsyncIterator[World]:
    """Half of the seeds answer the open questions as the simulator does by itself."""
    rng = random.Random(seed)
    switches = {name: rng.choice(answers) for name, answers in VARIANTS.items()} if seed % 2 else {}
    options = Options(release_ms=0, tiers=False, threshold=1_000_000, switches=switches, seed=seed)
    async with running(options) as simulator:
        _leave_to_helpers(simulator.store, rng)
        if seed % 3:
            _retire(simulator.store, rng)
        tenant = Tenant(
            name="acme",
            url=simulator.url,
            username="api@acme.test",
            secret=Secret("s"),
            integration_code=Secret("c"),
            settle_s=0.5,
            budget=Budget(release_ms=0),
        )
        async with connect(tenant) as target:
            yield World(simulator, target, folder, rng)


@pytest.mark.parametrize("seed", range(6))
async def test_the_plan_says_what_the_api_would(seed: int, tmp_path: Path) -> None:
    """Every kind of change that rules are about, however the open questions are answered."""
    async with world(tmp_path, seed) as here:
        found = [told for kind in KINDS for told in await here.differences(kind)]
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 200))
async def test_the_plan_says_what_the_api_would_for_many_seeds(seed: int, tmp_path: Path) -> None:
    """The same, until chance has tried all that it can."""
    async with world(tmp_path, seed) as here:
        found = [told for kind in KINDS for told in await here.differences(kind)]
    assert found == []
