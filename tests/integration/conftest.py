"""A world to plan and apply in: a simulated firm, a target connected to it, a folder for jobs and files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.change import FieldDiff
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.secret import Secret
from bulkops.simulator import Options, Running, running
from bulkops.targets.autotask.session import connect
from bulkops.targets.base import Target
from bulkops.tenant import Budget, Tenant

HEAD = "version: 1\nname: trial\ntenant: acme\nlimits: {update: {percent: 100}}\nsteps:\n"


class World:
    """A simulator, a target that is connected to it, and a folder for jobs and their files."""

    def __init__(self, simulator: Running, target: Target, folder: Path) -> None:
        self.simulator = simulator
        self.target = target
        self.folder = folder
        self.plans = 0

    async def plan(self, steps: str, **files: str) -> Plan:
        """`files` by name without their suffix."""
        for name, text in files.items():
            (self.folder / f"{name}.csv").write_text(text, "utf-8")
        job = self.folder / "job.yaml"
        job.write_text(HEAD + steps, "utf-8")
        self.plans += 1
        return await build_plan(load_job(job), self.target, self.folder / f"{self.plans}.plan")

    async def done(self, steps: str, **files: str) -> Plan:
        """Planned and applied to the end; planned again, nothing is left to do."""
        plan = await self.plan(steps, **files)
        status = await apply_plan(plan, self.target)
        fates = [
            (fate.state, fate.reason) for fate in plan.fates() if fate.state not in ("applied", "unchanged")
        ]
        assert (status.state, fates) == ("finished", [])
        again = await self.plan(steps)
        assert [change.fields for change in again.changes() if change.action.is_write] == []
        return plan

    @staticmethod
    def step(entity: str, action: str, match: str, fields: str, *more: str) -> str:
        """One step whose rows are in a.csv."""
        lines = [
            f"  - {{name: a, entity: {entity}, action: {action}, source: {{file: a.csv}}, match: {match},",
            f"     fields: {fields}" + "".join(f",\n     {item}" for item in more) + "}",
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def reasons(plan: Plan) -> list[str]:
        """Why each row is rejected, "" where it is not."""
        return [change.reason or "" for change in plan.changes()]

    @staticmethod
    def diffs(plan: Plan) -> list[Mapping[str, FieldDiff]]:
        """The fields of each row's change."""
        return [change.fields for change in plan.changes()]

    def rows(self, entity: str) -> list[Mapping[str, Any]]:
        table = self.simulator.store.table(entity)
        return [table[row_id] for row_id in table.ids]

    def row(self, entity: str, **wanted: Any) -> Mapping[str, Any]:
        """The one row that holds these values."""
        found = [
            row for row in self.rows(entity) if all(row[name] == value for name, value in wanted.items())
        ]
        assert len(found) == 1, found
        return found[0]

    def udfs(self, entity: str, **wanted: Any) -> dict[str, str | None]:
        return {item["name"]: item["value"] for item in self.row(entity, **wanted)["userDefinedFields"]}


@pytest.fixture
async def here(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The small firm, with what the test's parameter loads into it besides, and a target connected to it."""
    given = None
    if hasattr(request, "param"):
        given = tmp_path / "load.json"
        given.write_text(json.dumps(request.param), "utf-8")
    async with running(Options(load=given, release_ms=0, tiers=False)) as simulator:
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
            yield World(simulator, target, tmp_path)
