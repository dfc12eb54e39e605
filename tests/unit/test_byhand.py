"""The record that a person names for a held create: believed, told, or refused, by what the row says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bulkops.byhand import check_record
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import PlanError, RefusedError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter
from bulkops.record import Created, Row, Value
from bulkops.targets.memory import MemoryTarget


def change(n: int, entity: str = "Tasks", parent: int | Created | None = None, **values: Value) -> Change:
    """A create; the value `key` is its match key externalID."""
    key = {"externalID": values["externalID"]} if "externalID" in values else {}
    needs = [value.change for value in (*values.values(), parent) if isinstance(value, Created)]
    return Change(
        n=n, step="s", entity=entity, action=Action.CREATE, line=n + 1, file="x.csv", key=key, parent=parent,
        fields={name: FieldDiff(before=None, after=value) for name, value in values.items()},
        waits_for=tuple(needs),
    )  # fmt: skip


def plan_of(folder: Path, *changes: Change) -> Plan:
    with PlanWriter(folder / "x.plan") as writer:
        for one in changes:
            writer.add(Row(cells=("a",)), one)
        writer.seal(
            Header(
                job="j", tenant="acme", database="1", url="", reason="", created="", version="", steps=(),
                counts={"create": len(changes)}, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return Plan.open(folder / "x.plan")


def check(plan: Plan, target: MemoryTarget, record_id: int = 7, n: int = 1) -> str | None:
    return asyncio.run(check_record(plan, plan.change(n), record_id, target))


def told(folder: Path, one: Change, entity: str = "Tasks", **record: str | int | None) -> str | None:
    """What is said of this record for this row."""
    return check(plan_of(folder, one), MemoryTarget({entity: [{"id": 7, **record}]}))


def test_the_row_s_own_record_is_taken_without_a_word(tmp_path: Path) -> None:
    """Compared as the server stores: trimmed, and what the row does not say is of no account."""
    one = change(1, title=" Paint the wall ", projectID=5, status=1, description=None)
    assert (
        told(tmp_path, one, title="Paint the wall", projectID=5, status=1, description="by somebody") is None
    )


def test_what_somebody_changed_since_is_told(tmp_path: Path) -> None:
    """A record that was worked on is still the row's: most of its texts are what was sent, or begin so."""
    one = change(1, title="Paint the northern wall", description="Two coats", projectID=5, status=1)
    said = told(
        tmp_path, one, title="Paint the northern wall (done)", description="Two coats", projectID=5, status=5
    )
    assert said is not None and "Tasks 7 is not quite what row 1 (x.csv:2) makes: " in said
    assert "status is `5`, and `1` in the row" in said
    assert "title is `Paint the northern wall (done)`, and `Paint the northern wall` in the row" in said
    assert "description" not in said


def test_a_record_with_other_texts_is_another(tmp_path: Path) -> None:
    """A mistyped id names a record of the same project and status, with another title."""
    one = change(1, title="Paint the wall", projectID=5, status=1)
    with pytest.raises(
        PlanError, match=r"Tasks 7 is not what row 1 \(x\.csv:2\) makes: title is `Mow`.*Is the id right"
    ):
        told(tmp_path, one, title="Mow", projectID=5, status=1)


def test_a_record_with_another_key_is_another(tmp_path: Path) -> None:
    """Whatever else is the same; case and blanks are none of a key."""
    one = change(1, title="Paint the wall", externalID="T-1")
    with pytest.raises(PlanError, match="externalID is `T-2`, and `T-1` in the row"):
        told(tmp_path, one, title="Paint the wall", externalID="T-2")


def test_the_key_alone_decides_where_there_is_one(tmp_path: Path) -> None:
    """A record whose every text was changed is still the one with this key."""
    one = change(1, title="Paint the wall", externalID="T-1")
    said = told(tmp_path, one, title="Mow", externalID="t-1 ")
    assert said is not None and "title is `Mow`" in said


def test_a_record_without_texts_is_known_by_its_values(tmp_path: Path) -> None:
    """Most of them must be the row's."""
    one = change(1, "TaskSecondaryResources", resourceID=4, roleID=5, taskID=6)
    said = told(tmp_path, one, "TaskSecondaryResources", resourceID=4, roleID=5, taskID=9)
    assert said is not None and "taskID is `9`" in said
    (tmp_path / "b").mkdir()
    with pytest.raises(PlanError, match="Is the id right"):
        told(tmp_path / "b", one, "TaskSecondaryResources", resourceID=8, roleID=9, taskID=6)


def test_what_other_rows_made_is_compared_by_its_id(tmp_path: Path) -> None:
    """A parent of the same plan: its id where it is known, else nothing can be said of it."""
    plan = plan_of(
        tmp_path,
        change(1, "Projects", projectName="P"),
        change(2, "Projects", projectName="Q"),
        change(3, "Tasks", parent=Created(change=1), title="Paint the wall", projectID=Created(change=1)),
        change(4, "Tasks", parent=Created(change=2), title="Paint the wall", projectID=Created(change=2)),
    )

    async def happen() -> None:
        journal = Journal.open(plan.path)
        journal.note(Entry(n=1, kind=Kind.APPLIED, id=50))
        await journal.close(calls_read=0, calls_write=1, elapsed_s=0, waiting=None)

    asyncio.run(happen())
    target = MemoryTarget({"Tasks": [{"id": 7, "title": "Paint the wall", "projectID": 51}]})
    said = check(plan, target, n=3)
    assert said is not None and "projectID is `51`, and `50` in the row" in said
    assert check(plan, target, n=4) is None


def test_a_record_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Or that this user may not see, which looks the same."""
    with pytest.raises(
        PlanError, match="there is no Tasks 8 in tenant acme, or its API user does not see it"
    ):
        check(plan_of(tmp_path, change(1, title="a")), MemoryTarget({"Tasks": [{"id": 7, "title": "a"}]}), 8)


def test_an_id_of_another_database_means_nothing(tmp_path: Path) -> None:
    """The plan was made for one database, and its ids are those of that one."""
    target = MemoryTarget({"Tasks": [{"id": 7, "title": "a"}]}, ci="2")
    with pytest.raises(PlanError, match="was made for database 1, and tenant acme is database 2 now"):
        check(plan_of(tmp_path, change(1, title="a")), target)


def test_an_entity_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """The caller decides whether a person's word will do."""
    with pytest.raises(RefusedError, match="cannot be queried") as caught:
        check(plan_of(tmp_path, change(1, "ContractServiceAdjustments", quantityChange=1)), MemoryTarget())
    assert not isinstance(caught.value, PlanError)
