"""Plans as a whole: their facts, their order, their warnings, and the jobs that are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.change import Action
from bulkops.errors import JobError, StopError, TenantError
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.safety import check_limits
from bulkops.schema import Entity
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class ReadOnly(MemoryTarget):
    """A target whose writes raise: planning has no business with them."""

    async def create(self, *args: Any, **options: Any) -> int:
        raise AssertionError("planning created a record")

    async def update(self, *args: Any, **options: Any) -> None:
        raise AssertionError("planning updated a record")

    async def delete(self, *args: Any, **options: Any) -> None:
        raise AssertionError("planning deleted a record")


class Planned:
    """Writes a job and its sources, and plans them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.progress: list[tuple[str, int]] = []

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, "utf-8", newline="")
        return path

    async def plan(self, target: MemoryTarget, steps: str, *, name: str = "x.plan", **parts: str) -> Plan:
        job = self.file(
            "job.yaml", f"version: 1\nname: trial\ntenant: acme\n{parts.get('more', '')}steps:\n{steps}"
        )
        return await build_plan(
            load_job(job),
            target,
            self.folder / name,
            clock=lambda: NOW,
            progress=lambda step, rows: self.progress.append((step, rows)),
        )


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return Planned(tmp_path)


TASKS: Rows = [
    {"id": 31, "externalID": "T-1", "title": "One", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 32, "externalID": "Ñandú", "title": "Two", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 33, "externalID": "dup", "title": "Three", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 34, "externalID": "DUP", "title": "Four", "status": 1, "taskType": 1, "projectID": 8},
]


def tasks_step(action: str, *, match: str = "[externalID]", more: str = "", only_match: bool = False) -> str:
    lines = ["title: Title", "status: Status", "taskType: {value: 1}", "projectID: Project"]
    fields = "" if only_match else "".join(f"      {line}\n" for line in lines)
    return (
        f"  - name: tasks\n    entity: Tasks\n    action: {action}\n    source: {{file: t.csv}}\n"
        + (f"    match: {match}\n" if match else "")
        + f"    fields:\n      externalID: Key\n{fields}{more}"
    )


def tasks_csv(*rows: str) -> str:
    return "Key,Title,Status,Project\n" + "".join(f"{row}\n" for row in rows)


def fates(plan: Plan) -> list[tuple[str, int | None]]:
    return [(change.action.value, change.id) for change in plan.changes()]


# --- the plan as a whole --------------------------------------------------------------------------------


async def apply(plan: Plan, target: MemoryTarget) -> None:
    """Does what the plan says, without anything that could go wrong."""
    for change in plan.changes():
        values: dict[str, Any] = change.after()
        parent = change.parent if isinstance(change.parent, int) else None
        if change.action is Action.CREATE:
            await target.create(change.entity, values, parent=parent)
        elif change.action is Action.UPDATE and change.id is not None:
            await target.update(change.entity, change.id, values, parent=parent)


async def test_planning_again_after_applying_finds_nothing_to_do(planned: Planned) -> None:
    """What was written is recognised in the form in which the target keeps it."""
    planned.file(
        "t.csv",
        "Key,Title,Status,Project,Hours,Start,End,Text\r\n"
        'T-1, padded ,Complete,7,"1,5",2024-03-01 10:00,31/03/2024,"a\r\nb"\r\n'
        "Ünï,日本語,New,7,2,2024-03-01 23:30,01/04/2024,\r\n",
    )
    step = tasks_step(
        "upsert",
        more='      estimatedHours: {column: Hours, number: {decimal: ","}}\n'
        "      startDateTime: {column: Start, date: '%Y-%m-%d %H:%M', timezone: Europe/Madrid}\n"
        "      endDateTime: {column: End, date: '%d/%m/%Y'}\n"
        "      description: Text\n",
    )
    target = MemoryTarget({"Tasks": TASKS})
    plan = await planned.plan(target, step)
    assert plan.header.counts == {"create": 1, "update": 1, "delete": 0, "unchanged": 0, "rejected": 0}
    await apply(plan, target)
    again = await planned.plan(target, step, name="again.plan")
    assert again.header.counts == {"create": 0, "update": 0, "delete": 0, "unchanged": 2, "rejected": 0}
    assert again.header.calls_write == 0


async def test_the_header_holds_the_facts_the_plan_was_made_from(planned: Planned) -> None:
    """Job, tenant, database, time, counts, calls, estimate, source and limits: what apply and people need."""
    planned.file("t.csv", tasks_csv("T-1,One,Complete,7", "T-9,Nine,New,7", "x,y,Nonsense,7"))
    target = ReadOnly({"Tasks": TASKS}, ci="db-7")
    plan = await planned.plan(target, tasks_step("upsert"), more="reason: Year end\n")
    header = plan.header
    assert (header.job, header.tenant, header.database, header.reason) == (
        "trial",
        "acme",
        "db-7",
        "Year end",
    )
    assert header.created == "2026-03-01T12:00:00+00:00"
    assert header.counts == {"create": 1, "update": 1, "delete": 0, "unchanged": 0, "rejected": 1}
    assert header.calls_write == 2
    assert header.calls_read == target.calls.read
    assert set(header.estimate_s) == {"0.75", "1.0"}
    (step,) = header.steps
    assert (step.name, step.entity, step.action, step.match) == ("tasks", "Tasks", "upsert", ("externalID",))
    assert (step.file, step.columns) == ("t.csv", ("Key", "Title", "Status", "Project"))
    assert (step.read, step.dropped, step.rows) == (3, 0, 3)
    assert header.limits["totals"] == {"Tasks": 4}
    assert "utf-8" in header.extra["dialects"]["tasks"]


async def test_a_plan_over_its_limits_is_made_and_warns(planned: Planned) -> None:
    """Planning refuses nothing: it measures, says how to release it, and the applier refuses."""
    tasks: Rows = [
        {"id": n, "externalID": f"K{n}", "title": "T", "status": 1, "taskType": 1, "projectID": 7}
        for n in range(1, 21)
    ]
    planned.file("t.csv", tasks_csv(*(f"K{n},T,Complete,7" for n in range(1, 7))))
    step = tasks_step("update")
    plan = await planned.plan(ReadOnly({"Tasks": tasks}), step)
    (warning,) = [told for told in plan.header.warnings if "the limit is" in told]
    assert warning.startswith("update: 6 of the 20 Tasks (30.0 %), the limit is 25 %.")
    assert check_limits(plan.header) == [warning]
    assert check_limits(plan.header, {"update": 6}) == []
    limits = "limits:\n  update: {percent: 50}\n  status=Complete: {count: 5}\n"
    plan = await planned.plan(ReadOnly({"Tasks": tasks}), step, name="y.plan", more=limits)
    (warning,) = [told for told in plan.header.warnings if "the limit is" in told]
    assert warning.startswith("status=Complete: 6 rows, the limit is 5.")


async def test_reads_are_bulk_and_ask_for_what_is_needed_only(planned: Planned) -> None:
    """1,200 rows: three reads for their keys, each for the fields of the plan, and one for their project."""
    asked: list[tuple[int, set[str]]] = []

    class Listening(ReadOnly):
        def read(self, entity: str, where: Any, *, fields: Sequence[str] | None = None) -> Any:
            asked.append((len(where["value"]), set(fields or ())))
            return super().read(entity, where, fields=fields)

    planned.file("t.csv", tasks_csv(*(f"K{n},T,New,7" for n in range(1200))))
    target = Listening({"Tasks": TASKS})
    plan = await planned.plan(target, tasks_step("upsert"))
    assert [values for values, _ in asked] == [500, 1, 500, 200]
    for_rules = {"assignedResourceID", "billingCodeID", "departmentID"}  # a task left to its helpers
    assert asked[0][1] == {"id", "externalID", "title", "status", "taskType", "projectID", *for_rules}
    assert plan.header.calls_read == 4
    assert planned.progress == [("tasks", 500), ("tasks", 1000), ("tasks", 1200)]


async def test_a_create_without_match_is_planned_with_a_warning(planned: Planned) -> None:
    """Only the project is asked for, and the plan says what becomes of lost answers and of a second plan."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7", "T-1,One,New,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("create", match=""))
    assert fates(plan) == [("create", None), ("create", None)]
    assert plan.header.calls_read == 1
    assert (
        "tasks: without `match`, rows whose answer is lost are recognised by all that was sent, and those "
        "that stay ambiguous are held; planning again creates everything again"
    ) in plan.header.warnings


async def test_rows_that_the_user_may_not_see_are_warned_of(planned: Planned) -> None:
    """Where the API user sees some records only, an upsert could create a second one: the plan says so.

    An update creates nothing, and is told that rows for what it does not see are rejected.
    """

    class Restricted(ReadOnly):
        async def describe(self, entity: str) -> Entity:
            shape = await super().describe(entity)
            return Entity(
                name=shape.name, singular=shape.singular, can=shape.can, is_queryable=True,
                parent=shape.parent, is_live=True, is_restricted=True, fields=shape.fields,
            )  # fmt: skip

    planned.file("t.csv", tasks_csv("T-9,Nine,New,7"))
    plan = await planned.plan(Restricted(), tasks_step("upsert"))
    assert [warning for warning in plan.header.warnings if "sees only some Tasks records" in warning] == [
        "tasks: this API user sees only some Tasks records; one that it does not see counts as missing, and "
        "could be created a second time",
        "tasks: this API user sees only some Tasks records; a create whose answer is lost is held where its "
        "record is not seen",
    ]
    assert plan.header.entities["Tasks"]["is_restricted"], "applying has to know it"
    plan = await planned.plan(Restricted(), tasks_step("update"), name="y.plan")
    assert [warning for warning in plan.header.warnings if "sees only some Tasks records" in warning] == [
        "tasks: this API user sees only some Tasks records; one that it does not see counts as missing, and "
        "its row is rejected"
    ]


async def test_a_lookup_among_records_that_the_user_may_not_see_is_warned_of(planned: Planned) -> None:
    """What it does not find rejects its row: nothing is created twice because of it."""

    class Restricted(ReadOnly):
        async def describe(self, entity: str) -> Entity:
            return replace(await super().describe(entity), is_restricted=entity == "Resources")

    planned.file("t.csv", tasks_csv("T-9,Nine,New,7"))
    step = tasks_step("create", more="      assignedResourceID: {column: Title, lookup: email}\n")
    plan = await planned.plan(Restricted(), step)
    assert [warning for warning in plan.header.warnings if "sees only some" in warning] == [
        "tasks: this API user sees only some Resources records; rows that name one that it does not see are "
        "rejected"
    ]


async def test_rows_without_a_key_that_cannot_be_read_are_warned_of(planned: Planned) -> None:
    """Nothing would ever tell what became of a lost create of such an entity."""

    class Unread(ReadOnly):
        async def describe(self, entity: str) -> Entity:
            return replace(await super().describe(entity), is_queryable=entity != "Tasks")

    planned.file("t.csv", tasks_csv("T-9,Nine,New,7"))
    plan = await planned.plan(Unread(), tasks_step("create", match=""))
    assert any(
        "since Tasks cannot be read, rows whose answer is lost are held" in w for w in plan.header.warnings
    )


STEPS = (
    "  - {name: firms, entity: Companies, action: create, source: {file: c.csv}, match: [companyNumber],\n"
    "     fields: {companyNumber: Id, companyName: Name, companyType: {value: '1'},\n"
    "              ownerResourceID: {value: '5'}, phone: {value: '1'}}}\n"
    + tasks_step("create").replace("name: tasks", "name: more")
    + tasks_step("update")
)


async def test_steps_are_planned_in_order_and_fenced(planned: Planned) -> None:
    """A step that is not all creates waits for everything before it; creates wait for nothing."""
    planned.file("c.csv", "Id,Name\n1,A\n2,B\n")
    planned.file("t.csv", tasks_csv("T-1,New,New,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), STEPS)
    assert [(c.n, c.step, c.action.value, c.barrier) for c in plan.changes()] == [
        (1, "firms", "create", 0),
        (2, "firms", "create", 0),
        (3, "more", "rejected", 0),
        (4, "tasks", "update", 3),
    ]
    assert [step.rows for step in plan.header.steps] == [2, 1, 1]


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (tasks_step("delete", only_match=True), "deleted"),
        (tasks_step("upsert").replace("entity: Tasks", "entity: Taskz"), "Taskz"),
        (
            tasks_step("upsert", match="[remainingHours]", more="      remainingHours: Key\n"),
            "remainingHours",
        ),
        (
            tasks_step("upsert").replace("projectID: Project", "projectID: {column: Project, lookup: nope}"),
            "nope",
        ),
        (
            tasks_step("upsert").replace(
                "projectID: Project", "projectID: {column: Project, lookup: extProjectType}"
            ),
            "extProjectType",
        ),
        (tasks_step("upsert", more="      nonsense: Key\n"), "nonsense"),
        (tasks_step("upsert").replace("title: Title", "title: Titel"), "Titel"),
    ],
)
async def test_an_impossible_job_is_refused_before_any_row(planned: Planned, step: str, said: str) -> None:
    """What cannot work is told with its line, nothing is read, and no plan file is left."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    target = ReadOnly({"Tasks": TASKS})
    with pytest.raises(JobError) as caught:
        await planned.plan(target, step)
    assert any(said in str(fault) for fault in caught.value.faults)
    assert all("job.yaml:" in fault.where for fault in caught.value.faults)
    assert target.calls.read == 0
    assert not list(planned.folder.glob("*.plan*"))


async def test_all_faults_of_a_job_are_told_at_once(planned: Planned) -> None:
    """One run shows everything to repair, each thing once."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    step = tasks_step("delete", more="      nonsense: Key\n")
    with pytest.raises(JobError) as caught:
        await planned.plan(
            ReadOnly(),
            step.replace("[externalID]", "[nothing]").replace("fields:\n", "fields:\n      nothing: Key\n"),
        )
    faults = [str(fault) for fault in caught.value.faults]
    assert len(faults) == len(set(faults)) > 1


async def test_the_tenants_metadata_wins_and_both_sides_are_named(planned: Planned) -> None:
    """A field that the catalog has and the tenant has not is refused, saying who says what."""

    class Without(ReadOnly):
        async def describe(self, entity: str) -> Entity:
            shape = await super().describe(entity)
            fields = {name: field for name, field in shape.fields.items() if name != "purchaseOrderNumber"}
            return Entity(
                name=shape.name, singular=shape.singular, can={"create": "child"}, is_queryable=True,
                parent=shape.parent, is_live=True, fields=fields,
            )  # fmt: skip

    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    with pytest.raises(JobError) as caught:
        await planned.plan(Without(), tasks_step("upsert", more="      purchaseOrderNumber: Key\n"))
    told = [str(fault) for fault in caught.value.faults if "catalog" in str(fault)]
    assert len(told) == 2
    assert any("purchaseOrderNumber" in fault for fault in told)
    assert any("updated" in fault for fault in told)


async def test_a_limit_that_names_nothing_is_refused(planned: Planned) -> None:
    """A guard with a misspelt label would never hold: better no plan."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    with pytest.raises(JobError, match="status=Compleet"):
        await planned.plan(
            ReadOnly({"Tasks": TASKS}), tasks_step("update"), more="limits:\n  status=Compleet: {count: 5}\n"
        )


async def test_a_query_without_the_columns_of_a_step_is_refused(planned: Planned) -> None:
    """What a query does not have stops the job before it reads anything."""
    step = tasks_step("create").replace("{file: t.csv}", "{query: Tasks}")
    target = ReadOnly({"Tasks": TASKS})
    with pytest.raises(JobError, match=r"query of Tasks has no column `Title`\. Did you mean `title`\?"):
        await planned.plan(target, step)
    assert target.calls.read == 0


async def test_a_lookup_into_an_unknown_entity_is_refused(planned: Planned) -> None:
    """The entity that a lookup names must exist; the one that was meant is suggested."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    lookup = "projectID: {column: Project, lookup: projectName, entity: Projecs}"
    with pytest.raises(JobError, match=r"job\.yaml:\d+.*Projecs.*Projects"):
        await planned.plan(ReadOnly(), tasks_step("upsert").replace("projectID: Project", lookup))


async def test_a_tenant_that_cannot_be_asked_is_no_fault_of_the_job(planned: Planned) -> None:
    """Credentials and network are told as what they are."""

    class Away(ReadOnly):
        async def describe(self, entity: str) -> Entity:
            raise TenantError("the secret is wrong")

    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    with pytest.raises(TenantError, match="secret"):
        await planned.plan(Away(), tasks_step("upsert"))


async def test_an_empty_file_is_refused(planned: Planned) -> None:
    """A source that holds no row is a mistake, not a plan."""
    planned.file("t.csv", "Key,Title,Status,Project\n")
    with pytest.raises(JobError, match="no row"):
        await planned.plan(ReadOnly(), tasks_step("upsert"))


async def test_a_failing_read_ends_planning_without_a_plan(planned: Planned) -> None:
    """Absence is never concluded from a question that failed, and nothing half-made is left."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7"))
    target = ReadOnly({"Tasks": TASKS}, failures={"read": [StopError("the network is gone")]})
    with pytest.raises(StopError):
        await planned.plan(target, tasks_step("upsert"))
    assert not list(planned.folder.glob("*.plan*"))
