"""Forward, undo, forward: the same records, whatever the job and whatever the tenant holds.

Random work is loaded into the small firm, with people who cannot have some of it, work that is done already,
and records that the jobs do not mean. Everything goes over real sockets; every record and field is compared.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.change import Action
from bulkops.job import load_job
from bulkops.plan import Plan, RowState
from bulkops.planner.build import build_plan
from bulkops.undo import build_undo
from tests.campaign.endstate import end_state
from tests.integration.conftest import World

HEAD = "version: 1\nname: trial\ntenant: acme\nlimits: {update: {percent: 100}, delete: {percent: 100}}\n"
REASSIGN = """reassign:
  from: daniel.osei
  to: [tomas.lindqvist, {resource: maria.santos, role: Engineer}]
  divide: DIVIDE
  entities: [Tasks, Projects, TaskSecondaryResources]
"""
CLOSE = """close_projects:
  where: [{field: endDateTime, op: lt, value: 2026-07-01}]
  status: Complete
  open_tasks: OPEN
  note: {title: Closed, description: Year end}
"""
PLAIN = """steps:
  - name: groups
    entity: ContactGroups
    action: create
    source: {file: groups.csv}
    match: [name]
    fields: {name: Name, isActive: {value: "true"}}
  - name: tasks
    entity: Tasks
    action: update
    source: {file: tasks.csv}
    match: [externalID]
    fields: {externalID: Key, title: Title, estimatedHours: {column: Hours, empty: clear}}
  - name: helpers
    entity: TaskSecondaryResources
    action: delete
    source: {query: TaskSecondaryResources, where: [{field: taskID, op: in, value: [TASKS]}]}
    match: [id]
    fields: {id: id}
"""
WATCHED = (
    "Tasks", "Projects", "Tickets", "TaskSecondaryResources", "TicketSecondaryResources", "ProjectNotes",
    "ContactGroups", "Phases", "Resources", "Companies", "TaskPredecessors",
)  # fmt: skip
CLOCK = (
    "completedDateTime", "statusDateTime", "lastActivityDateTime", "lastActivityResourceID",
    "lastActivityPersonType",
)  # fmt: skip
BY_COMPLETION = {"completedByResourceID", "completedByType", "completedPercentage"}
COMPLETE = 5

Records = dict[str, dict[int, dict[str, Any]]]


def records(world: World) -> Records:
    """Everything but the server's own clock."""
    return {
        entity: {
            int(row["id"]): {name: deepcopy(value) for name, value in row.items() if name not in CLOCK}
            for row in world.rows(entity)
        }
        for entity in WATCHED
    }


def load_work(world: World, rng: random.Random) -> None:
    """Tasks of everybody in all projects, in roles that they have, and who helps with them."""
    roles: dict[int, list[int]] = {}
    for row in world.rows("ResourceRoles"):
        if row["departmentID"] is not None and row["isActive"]:
            roles.setdefault(row["resourceID"], []).append(row["roleID"])
    projects = [row["id"] for row in world.rows("Projects") if row["projectType"] == 5]
    like = {name: value for name, value in world.row("Tasks", title="Copy the data").items() if name != "id"}
    tasks, helpers = (world.simulator.store.table(name) for name in ("Tasks", "TaskSecondaryResources"))
    for n in range(rng.randrange(10, 25)):
        status = rng.choice([1, 1, 7, 8, COMPLETE])
        owner, hours = rng.choice([*roles, None]), float(rng.randrange(40)) / 4
        task = tasks.insert({
            **deepcopy(like), "title": f"Task {n}", "externalID": f"X-{n}", "projectID": rng.choice(projects),
            "phaseID": None, "status": status, "assignedResourceID": owner, "estimatedHours": hours,
            "assignedResourceRoleID": rng.choice(roles[owner]) if owner else None,
            "remainingHours": 0.0 if status == COMPLETE else hours,
        })  # fmt: skip
        for helper in rng.sample([one for one in roles if one != owner], rng.randrange(3)):
            role = rng.choice(roles[helper])
            helpers.insert({"id": None, "taskID": task, "resourceID": helper, "roleID": role})


class Trial:
    """One job in one tenant: planned, applied and undone, as often as one likes."""

    def __init__(self, world: World, job: str, files: Mapping[str, str]) -> None:
        self._world = world
        self._plans = 0
        self._job = world.folder / "trial.yaml"
        self._job.write_text(HEAD + job, "utf-8")
        for name, text in files.items():
            (world.folder / name).write_text(text, "utf-8")

    def _path(self) -> Path:
        self._plans += 1
        return self._world.folder / f"trial{self._plans}.plan"

    async def forward(self) -> Plan:
        return await self._applied(await build_plan(load_job(self._job), self._world.target, self._path()))

    async def undone(self, plan: Plan) -> Plan:
        return await self._applied(await build_undo(plan, self._world.target, self._path()))

    async def _applied(self, plan: Plan) -> Plan:
        status = await apply_plan(plan, self._world.target)
        assert status.state == "finished" and status.counts["held"] == status.counts["pending"] == 0
        planned = sum(change.action is Action.REJECTED for change in plan.changes())
        refused = [fate.reason for fate in plan.fates() if fate.state is RowState.REJECTED]
        assert len(refused) == planned, f"the API refused what was planned: {refused}"
        return plan


def without_ids(state: Records) -> Records:
    """What only connects two records is known by these: made again, it has another id."""
    links = {"TaskSecondaryResources", "TicketSecondaryResources"}
    plain = {entity: rows for entity, rows in state.items() if entity not in links}
    for entity in links:
        keys = sorted((row[f"{entity.partition('Sec')[0].lower()}ID"], row["resourceID"], row["roleID"])
                      for row in state[entity].values())  # fmt: skip
        plain[entity] = {n: {"key": key} for n, key in enumerate(keys)}
    return plain


SEEDS = pytest.mark.parametrize("seed", [1, 101, 110, *(pytest.param(n, marks=pytest.mark.slow)
                                                      for n in range(200, 240))])  # fmt: skip


@SEEDS
async def test_handed_over_and_back_and_over_again(here: World, seed: int) -> None:
    """Undone, every record is what it was; forward again, by the job or by undoing the undoing, it is as it
    was the first time."""
    rng = random.Random(seed)
    load_work(here, rng)
    trial = Trial(here, REASSIGN.replace("DIVIDE", rng.choice(["round_robin", "least_loaded"])), {})
    before = without_ids(records(here))
    plan = await trial.forward()
    there = without_ids(records(here))
    assert there != before
    back = await trial.undone(plan)
    assert without_ids(records(here)) == before
    again = await (trial.forward() if seed % 2 else trial.undone(back))
    assert without_ids(records(here)) == there
    assert again.counts["update"] == plan.counts["update"]


@SEEDS
async def test_closed_and_opened_and_closed_again(here: World, seed: int) -> None:
    """Undone, the projects have their status back and their tasks are open again, with their hours; only what
    the plan said stays: its notes, and who completed what. Forward again nothing is different from the first
    time."""
    rng = random.Random(seed)
    load_work(here, rng)
    trial = Trial(here, CLOSE.replace("OPEN", rng.choice(["complete", "complete", "refuse"])), {})
    before = records(here)
    plan = await trial.forward()
    there = records(here)
    done = [change for change in plan.changes() if change.action is Action.UPDATE]
    if not done:  # `refuse`, and something is to be done in each
        assert there == before
        return
    back = await trial.undone(plan)
    closed = {change.id for change in done}
    for entity, rows in records(here).items():
        for id, row in rows.items():
            was = before[entity].get(id)
            if was is None:
                assert entity == "ProjectNotes" and row["projectID"] in closed
                continue
            other = {name for name, value in row.items() if value != was[name]}
            is_inside = entity == "Tasks" and row["projectID"] in closed and was["status"] != COMPLETE
            is_closed = entity == "Projects" and id in closed
            stays = BY_COMPLETION if is_inside else {"completedPercentage"} if is_closed else set()
            assert other <= stays, (entity, id, other)
    await (trial.forward() if seed % 2 else trial.undone(back))
    assert records(here) == there


@SEEDS
async def test_made_changed_and_deleted_and_back_and_again(here: World, seed: int) -> None:
    """Creates go, updates are restored, connections are made again; forward again, all is as the first time,
    but for ids."""
    rng = random.Random(seed)
    load_work(here, rng)
    numbers = rng.sample(range(10), 6)
    titles = [f"X-{n},Changed {n},{rng.choice(['', '1.5', '12'])}" for n in numbers]
    tasks = sorted({row["taskID"] for row in here.rows("TaskSecondaryResources")})
    files = {
        "groups.csv": "Name\n" + "".join(f"Group {n}\n" for n in range(rng.randrange(1, 5))),
        "tasks.csv": "\n".join(["Key,Title,Hours", *titles]) + "\n",
    }
    job = PLAIN.replace("TASKS", ", ".join(map(str, rng.sample(tasks, rng.randrange(1, len(tasks))))))
    trial = Trial(here, job, files)
    before = records(here)
    plan = await trial.forward()
    there = records(here)
    assert all(plan.counts[action] for action in ("create", "update", "delete"))
    await trial.undone(plan)
    assert without_ids(records(here)) == without_ids(before)
    await trial.forward()
    assert end_state(before, records(here)) == end_state(before, there)
