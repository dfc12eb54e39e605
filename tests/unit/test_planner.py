"""Planning: what becomes of every row, with reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bulkops.change import UNKNOWN, Action, FieldDiff
from bulkops.job import load_job
from bulkops.plan import Plan
from bulkops.planner.build import build_plan
from bulkops.record import Scalar
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.memory import MemoryTarget

Rows: TypeAlias = Sequence[Mapping[str, Scalar]]


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

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, "utf-8", newline="")
        return path

    async def plan(self, target: MemoryTarget, steps: str, *, name: str = "x.plan") -> Plan:
        job = self.file("job.yaml", f"version: 1\nname: trial\ntenant: acme\nsteps:\n{steps}")
        return await build_plan(load_job(job), target, self.folder / name)


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return Planned(tmp_path)


TASKS: Rows = [
    {"id": 31, "externalID": "T-1", "title": "One", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 32, "externalID": "Ñandú", "title": "Two", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 33, "externalID": "dup", "title": "Three", "status": 1, "taskType": 1, "projectID": 7},
    {"id": 34, "externalID": "DUP", "title": "Four", "status": 1, "taskType": 1, "projectID": 8},
]


def tasks_step(action: str, *, match: str = "[externalID]") -> str:
    fields = "externalID: Key, title: Title, status: Status, taskType: {value: 1}, projectID: Project"
    return (
        f"  - name: tasks\n    entity: Tasks\n    action: {action}\n    source: {{file: t.csv}}\n"
        f"    match: {match}\n    fields: {{{fields}}}\n"
    )


def tasks_csv(*rows: str) -> str:
    return "Key,Title,Status,Project\n" + "".join(f"{row}\n" for row in rows)


def fates(plan: Plan) -> list[tuple[str, int | None]]:
    return [(change.action.value, change.id) for change in plan.changes()]


def reasons(plan: Plan) -> list[str]:
    return [change.reason or "" for change in plan.changes()]


# --- what a row meets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "key", "fate", "id", "reason"),
    [
        ("create", "T-9", "create", None, None),
        ("create", "T-1", "rejected", 31, "Tasks 31 has externalID 'T-1' already"),
        ("create", " t-1 ", "rejected", 31, "Tasks 31 has externalID"),
        ("create", "dup", "rejected", None, "2 Tasks records have externalID 'dup': 33 (Three), 34 (Four)"),
        ("create", "", "rejected", None, "empty"),
        ("update", "T-9", "rejected", None, "no Tasks record has externalID 'T-9'"),
        ("update", "t-1", "update", 31, None),
        ("update", "dup", "rejected", None, "33 (Three), 34 (Four)"),
        ("update", "", "rejected", None, "empty"),
        ("upsert", "T-9", "create", None, None),
        ("upsert", "ÑANDÚ", "update", 32, None),
        ("upsert", "Nandu", "create", None, None),
        ("upsert", "dup", "rejected", None, "33 (Three), 34 (Four)"),
        ("upsert", "", "rejected", None, "empty"),
    ],
)
async def test_the_collision_table(  # noqa: PLR0917
    planned: Planned, action: str, key: str, fate: str, id: int | None, reason: str | None
) -> None:
    """A create meets nothing, an update exactly one record, an upsert one or none; all else is rejected."""
    planned.file("t.csv", tasks_csv(f"{key},New title,Complete,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step(action))
    (change,) = plan.changes()
    assert (change.action.value, change.id) == (fate, id)
    if reason is None:
        assert change.reason is None
    else:
        assert reason in (change.reason or "")


@pytest.mark.parametrize(
    ("key", "fate", "id", "reason"),
    [
        ("old", "delete", 41, None),
        ("gone", "rejected", None, "no ContactGroups record has name 'gone'"),
        ("twice", "rejected", None, "42 (twice), 43 (Twice)"),
        ("", "rejected", None, "empty"),
    ],
)
async def test_a_delete_meets_exactly_one_record(
    planned: Planned, key: str, fate: str, id: int | None, reason: str | None
) -> None:
    """What is deleted is shown with its name as it is now; anything but one record is rejected."""
    groups: Rows = [{"id": 41, "name": "Old"}, {"id": 42, "name": "twice"}, {"id": 43, "name": "Twice"}]
    planned.file("g.csv", f"Name,Note\n{key},x\n")
    plan = await planned.plan(
        ReadOnly({"ContactGroups": groups}),
        "  - {name: groups, entity: ContactGroups, action: delete, source: {file: g.csv}, match: [name],\n"
        "     fields: {name: Name}, ignore: [Note]}\n",
    )
    (change,) = plan.changes()
    assert (change.action.value, change.id) == (fate, id)
    if reason is None:
        assert change.fields == {"name": FieldDiff(before="Old", after=None)}
    else:
        assert reason in (change.reason or "")


async def test_a_second_row_with_a_key_is_rejected_and_names_the_first(planned: Planned) -> None:
    """Case and blanks aside, one key is one row; the reason names row and line, over batches too."""
    others = [f"K{n},T,New,7" for n in range(600)]
    planned.file("t.csv", tasks_csv("Key-1,A,New,7", *others, " KEY-1 ,B,New,7"))
    plan = await planned.plan(ReadOnly(), tasks_step("create"))
    last = plan.change(plan.total)
    assert last.action is Action.REJECTED
    assert last.reason == "row 1 (t.csv:2) has externalID ' KEY-1 ' too: only the first one is planned"
    assert plan.header.counts["create"] == 601


async def test_records_are_matched_by_id(planned: Planned) -> None:
    """`match: [id]` updates the record of that number; no other number is made up."""
    planned.file("t.csv", "Id,Title\n31,Renamed\n99,Nobody\nx,No number\n")
    plan = await planned.plan(
        ReadOnly({"Tasks": TASKS}),
        "  - {name: t, entity: Tasks, action: update, source: {file: t.csv}, match: [id],\n"
        "     fields: {id: Id, title: Title}}\n",
    )
    assert fates(plan) == [("update", 31), ("rejected", None), ("rejected", None)]
    assert plan.change(1).fields == {"title": FieldDiff(before="One", after="Renamed")}
    assert "no Tasks record has id 99" in reasons(plan)[1]


async def test_company_0_is_a_record(planned: Planned) -> None:
    """Id 0 is the tenant's own company: it is found, updated and pointed to like any other."""
    planned.file("c.csv", "Id,Name\n0,Renamed\n")
    plan = await planned.plan(
        ReadOnly({"Companies": [{"id": 0, "companyName": "Own"}]}),
        "  - {name: c, entity: Companies, action: update, source: {file: c.csv}, match: [id],\n"
        "     fields: {id: Id, companyName: Name}}\n",
    )
    assert fates(plan) == [("update", 0)]


async def test_composite_keys_match_on_all_their_parts(planned: Planned) -> None:
    """A title is unique inside its project: the other project's task of that name is not met."""
    planned.file("t.csv", tasks_csv("a,one,Complete,7", "b,One,New,8"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("upsert", match="[projectID, title]"))
    assert fates(plan) == [("update", 31), ("create", None)]
    assert plan.change(1).key == {"projectID": 7, "title": "one"}


async def test_a_user_defined_field_can_be_the_key(planned: Planned) -> None:
    """UDFs are matched and written like other fields."""
    companies: Rows = [{"id": 5, "companyName": "Acme", "udf:Legacy ID": "L-1"}]
    shape = load_catalog().entities["Companies"]
    legacy = Field(name="udf:Legacy ID", type=FieldType.STRING)
    entity = Entity(
        name="Companies", singular="Account", can=shape.can, is_queryable=True, has_udfs=True,
        fields={**shape.fields, legacy.name: legacy},
    )  # fmt: skip
    planned.file("c.csv", "Id,Name\nl-1,Acme Ltd\nL-2,Beta\n")
    plan = await planned.plan(
        ReadOnly({"Companies": companies}, entities={"Companies": entity}),
        "  - {name: c, entity: Companies, action: update, source: {file: c.csv}, match: ['udf:Legacy ID'],\n"
        "     fields: {companyName: Name}, udf: {Legacy ID: Id}}\n",
    )
    assert fates(plan) == [("update", 5), ("rejected", None)]
    assert set(plan.change(1).fields) == {
        "companyName",
        "udf:Legacy ID",
    }  # the case of the key is written too


# --- what a change holds --------------------------------------------------------------------------------


async def test_only_what_differs_is_planned_and_nothing_is_unchanged(planned: Planned) -> None:
    """An update carries changed fields only; a row that asks for what is there costs no call."""
    planned.file("t.csv", tasks_csv("T-1,One,New,7", "Ñandú,Two,Complete,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("update"))
    first, second = plan.changes()
    assert (first.action, first.id, first.fields) == (Action.UNCHANGED, 31, {})
    assert second.fields == {"status": FieldDiff(before=1, after=5)}
    assert plan.header.calls_write == 1


async def test_a_child_is_reached_through_its_parent(planned: Planned) -> None:
    """A create names the parent that the row says, an update the parent that the record has."""
    planned.file("t.csv", tasks_csv("T-1,New name,New,7", "T-9,New,New,8"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("upsert"))
    assert [change.parent for change in plan.changes()] == [7, 8]


async def test_a_child_without_a_parent_is_rejected(planned: Planned) -> None:
    """No parent, no path: the row says what is missing."""
    planned.file("t.csv", tasks_csv("T-9,New,New,"))
    plan = await planned.plan(ReadOnly(), tasks_step("upsert"))
    assert fates(plan) == [("rejected", None)]
    assert "projectID" in reasons(plan)[0]


async def test_a_field_that_cannot_change_rejects_the_row_that_would_change_it(planned: Planned) -> None:
    """A task stays in its project: a row that says another project is rejected, one that agrees is not."""
    planned.file("t.csv", tasks_csv("T-1,One,New,8", "Ñandú,Zwei,New,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("update"))
    assert fates(plan) == [("rejected", 31), ("update", 32)]
    assert reasons(plan)[0] == "projectID cannot be changed: it is 7, the row says 8"
    assert set(plan.change(2).fields) == {"title"}


async def test_a_required_read_only_field_is_used_on_create_only(planned: Planned) -> None:
    """A phase's project is given when it is made; afterwards another one rejects the row."""
    phases: Rows = [{"id": 61, "projectID": 7, "externalID": "P-1", "title": "Plan"}]
    planned.file("p.csv", "Key,Title,Project\nP-1,Plan,7\nP-2,Build,8\np-1,Plan,8\n")
    step = (
        "  - {name: p, entity: Phases, action: upsert, source: {file: p.csv}, match: [externalID],\n"
        "     fields: {externalID: Key, title: Title, projectID: Project}}\n"
    )
    plan = await planned.plan(ReadOnly({"Phases": phases}), step)
    assert fates(plan)[:2] == [("unchanged", 61), ("create", None)]
    assert plan.change(2).fields["projectID"] == FieldDiff(before=None, after=8)
    planned.file("p.csv", "Key,Title,Project\nP-1,Plan,8\n")
    plan = await planned.plan(ReadOnly({"Phases": phases}), step, name="y.plan")
    assert "projectID cannot be changed: it is 7, the row says 8" in reasons(plan)[0]


async def test_a_required_field_that_is_empty_rejects_the_create_of_an_upsert(planned: Planned) -> None:
    """An update may leave a required field alone, a create may not."""
    planned.file("t.csv", tasks_csv("T-1,,Complete,7", "T-9,,Complete,7"))
    plan = await planned.plan(ReadOnly({"Tasks": TASKS}), tasks_step("upsert"))
    assert fates(plan) == [("update", 31), ("rejected", None)]
    assert reasons(plan)[1] == "title must hold a value to create a record"


async def test_a_field_that_cannot_be_read_is_sent_with_an_unknown_before(planned: Planned) -> None:
    """The plan says that it does not know, sends the value each time, and warns of it."""
    planned.file("t.csv", "Key,Left\nT-1,2.5\n")
    plan = await planned.plan(
        ReadOnly({"Tasks": TASKS}),
        "  - {name: t, entity: Tasks, action: update, source: {file: t.csv}, match: [externalID],\n"
        "     fields: {externalID: Key, remainingHours: Left}}\n",
    )
    assert plan.change(1).fields == {"remainingHours": FieldDiff(before=UNKNOWN, after=2.5)}
    assert any("remainingHours cannot be read" in warning for warning in plan.header.warnings)


async def test_lookups_become_ids_or_reject_the_row(planned: Planned) -> None:
    """References are found by natural key; the row that names nobody, or several, says so."""
    people: Rows = [
        {"id": 71, "email": "jane@acme.test"},
        {"id": 72, "email": "two@acme.test"},
        {"id": 73, "email": "two@acme.test"},
    ]
    planned.file("t.csv", "Key,Who\nT-1,JANE@acme.test\nÑandú,nobody@acme.test\ndup,two@acme.test\n")
    plan = await planned.plan(
        ReadOnly({"Tasks": TASKS, "Resources": people}),
        "  - {name: t, entity: Tasks, action: update, source: {file: t.csv}, match: [externalID],\n"
        "     fields: {externalID: Key, assignedResourceID: {column: Who, lookup: email},\n"
        "              assignedResourceRoleID: {value: 5}, billingCodeID: {value: 6}}}\n",
    )
    assert plan.change(1).fields == {
        "assignedResourceID": FieldDiff(before=None, after=71),
        "assignedResourceRoleID": FieldDiff(before=None, after=5),
        "billingCodeID": FieldDiff(before=None, after=6),
    }
    assert fates(plan)[1:] == [("rejected", None), ("rejected", None)]
    assert "'nobody@acme.test': no Resources record has this email" in reasons(plan)[1]
    assert "2 Resources records have this email: 72, 73" in reasons(plan)[2]


async def test_every_row_keeps_its_place_and_its_cells(planned: Planned) -> None:
    """Numbers count from 1 without gaps, lines are the file's, and the plan holds the cells as they were."""
    planned.file("t.csv", tasks_csv('a,"two\nlines",New,7', "b,bad,Nonsense,7", "c,ok,New,7"))
    plan = await planned.plan(ReadOnly(), tasks_step("create"))
    assert [(c.n, c.line, c.file, c.step) for c in plan.changes()] == [
        (1, 2, "t.csv", "tasks"), (2, 4, "t.csv", "tasks"), (3, 5, "t.csv", "tasks"),
    ]  # fmt: skip
    assert [row.cells[1] for row in plan.rows()] == ["two\nlines", "bad", "ok"]
    assert fates(plan)[1] == ("rejected", None)
    assert "column Status 'Nonsense'" in reasons(plan)[1]
