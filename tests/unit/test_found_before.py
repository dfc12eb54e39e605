"""What a record really held before it was written: kept with the intent, through lost answers and kills."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bulkops.change import Change
from bulkops.errors import InDoubtError, PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Plan
from bulkops.plan.found import Line, found_before
from bulkops.progress import OnDrift
from bulkops.record import Scalar
from bulkops.targets.memory import MemoryTarget, committing
from bulkops.undo import build_undo
from tests.unit.test_drift import apply, companies, plan_of, update

LOST = InDoubtError("the answer was lost")
BOTH = {"phone": ("old", "new"), "companyName": ("C1", "D1")}
ONE = update(1, BOTH)
SENT: Line = ("intent", None, {})
LEFT: Line = ("withdrawn", None, {})
HELD: Line = ("held", None, {})


def found(**values: Scalar) -> Line:
    return ("intent", None, values)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([found(phone="theirs"), ("applied", 101, {})], {"phone": "theirs"}),
        ([found(phone="theirs"), SENT, ("applied", 101, {})], {"phone": "theirs"}),
        ([found(phone="theirs"), LEFT, SENT, ("applied", 101, {})], {}),
        ([found(phone="a"), LEFT, found(phone="b")], {"phone": "b"}),
        ([SENT, ("doubt", None, {}), HELD, LEFT, found(phone="new", companyName="x")], {"companyName": "x"}),
        ([SENT, SENT, LEFT, found(phone="new")], {}),
        ([SENT, HELD, LEFT, found(phone="new")], {}),
        ([HELD, LEFT, found(phone="new")], {"phone": "new"}),
        ([found(phone="a"), ("withdrawn", 101, {}), found(phone="new")], {"phone": "a"}),
    ],
    ids=[
        "once", "sent again, nothing read", "never left", "never left, read again",
        "resolved by hand: what cannot be ours", "in doubt twice: our own half", "killed: our own half",
        "held before it was sent: theirs", "emptied first, and the rest later",
    ],
)  # fmt: skip
def test_what_was_there_first_counts(lines: list[Line], told: dict[str, Any]) -> None:
    """Unless its request never left; of what is seen later only what bulkops cannot have written itself."""
    assert found_before(ONE, lines) == told


async def undone(folder: Path, target: MemoryTarget) -> dict[str, Scalar]:
    """The record of the plan's first row after its way back is applied."""
    undo = await build_undo(Plan.open(folder / "x.plan"), target, folder / "back.plan")
    await apply(undo, target)
    return target.rows["Companies"][101]


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_answer_does_not_forget_what_was_overwritten(tmp_path: Path, arrives: bool) -> None:
    """Whether it happened or is sent again, it is applied, and undo restores the foreign value."""
    target = companies(1)
    target.rows["Companies"][101]["phone"] = "theirs"
    target.script("update", [committing(LOST) if arrives else LOST])
    plan = plan_of(tmp_path, [ONE])
    status = await apply(plan, target, OnDrift.OVERWRITE)
    assert status.counts["applied"] == 1
    assert (target.rows["Companies"][101]["phone"], len(target.writes)) == ("new", 1 if arrives else 2)
    assert await undone(tmp_path, target) == {"id": 101, "phone": "theirs", "companyName": "C1"}


async def killed(plan: Plan, **before: Scalar) -> None:
    """A run that ends between its intent and all that comes after it."""
    journal = Journal.open(plan.path)
    await journal.intent([1], found={1: before} if before else None)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


@pytest.mark.parametrize("half", [{}, {"companyName": "D1"}], ids=["nothing of it", "half of it"])
async def test_a_kill_does_not_forget_what_was_overwritten(tmp_path: Path, half: dict[str, Any]) -> None:
    """The request never arrived, or half of it did: the rest is sent, and undo takes back what we wrote."""
    target = companies(1)
    target.rows["Companies"][101] |= {"phone": "theirs", **half}
    plan = plan_of(tmp_path, [ONE])
    await killed(plan, phone="theirs")
    assert plan.fate(1).reason is None, "what was there is no reason"
    status = await apply(plan, target, OnDrift.OVERWRITE)
    assert status.counts["applied"] == 1
    assert target.rows["Companies"][101] == {"id": 101, "phone": "new", "companyName": "D1"}
    assert await undone(tmp_path, target) == {"id": 101, "phone": "theirs", "companyName": "C1"}


async def test_what_somebody_did_after_the_kill_is_still_seen(tmp_path: Path) -> None:
    """Neither what was there nor what was sent: held, whoever overwrites."""
    target = companies(1)
    target.rows["Companies"][101]["phone"] = "later"
    plan = plan_of(tmp_path, [ONE])
    await killed(plan, phone="theirs")
    assert (await apply(plan, target, OnDrift.OVERWRITE)).counts["held"] == 1
    assert target.writes == []


async def test_a_plan_without_such_values_is_read_as_ever(tmp_path: Path) -> None:
    """Nothing was changed in between: no text stands with any intent, and every before is the plan's."""
    target = companies(3)
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in (1, 2, 3)])
    await apply(plan, target, OnDrift.OVERWRITE)
    assert [fate.written for fate in plan.fates()] == list(plan.changes())
    with sqlite3.connect(plan.path) as connection:
        told = connection.execute("SELECT reason FROM journal WHERE kind = 'intent'").fetchall()
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert told == [(None,)] * 3
    assert (await undone(tmp_path, target))["phone"] == "old"


async def test_a_text_that_nobody_wrote_is_no_value(tmp_path: Path) -> None:
    """Somebody edited the journal: the plan says that it is damaged."""
    plan = plan_of(tmp_path, [ONE])
    journal = Journal.open(plan.path)
    await journal.intent([1])
    journal.note(Entry(n=1, kind=Kind.APPLIED, id=101))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    for text in ("[1]", "x", '{"phone": {"none": 1}}'):
        with sqlite3.connect(plan.path) as connection:
            connection.execute("UPDATE journal SET reason = ? WHERE kind = 'intent'", (text,))
        connection.close()
        with pytest.raises(PlanError, match="is damaged"):
            plan.fate(1)


def test_an_unknown_field_of_the_story_is_nobodys(tmp_path: Path) -> None:
    """What the change does not write is not restored by it."""
    change: Change = ONE.as_found({"city": "x"})
    assert change == ONE


@pytest.mark.parametrize(
    ("kinds", "may_have_left"),
    [((), True), ((Kind.WITHDRAWN,), False), ((Kind.DOUBT, Kind.HELD, Kind.WITHDRAWN), True)],
    ids=["killed", "withdrawn at once", "held, and pending again by hand"],
)
async def test_what_was_withdrawn_at_once_was_never_sent(
    tmp_path: Path, kinds: tuple[Kind, ...], may_have_left: bool
) -> None:
    """So undo has nothing to say of it, even where it is held later."""
    plan = plan_of(tmp_path, [ONE])
    journal = Journal.open(plan.path)
    await journal.intent([1])
    for kind in kinds:
        journal.note(Entry(kind=kind, n=1))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    assert (plan.sent_at(1) is not None) is may_have_left
