"""The drift guard: what somebody changed since the plan is not overwritten unseen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bulkops.applier import apply_plan
from bulkops.applier.drift import recounted
from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.plan import Header, Plan, PlanWriter, Status, StepInfo
from bulkops.progress import OnDrift
from bulkops.record import Held, Row, Scalar, Tally
from bulkops.targets.memory import MemoryTarget

Values = Mapping[str, Scalar]


def update(n: int, fields: Mapping[str, tuple[Any, Any]], *, id: int | None = None) -> Change:
    """Of company 100 + n: field → (before, after)."""
    diffs = {name: FieldDiff(before=before, after=after) for name, (before, after) in fields.items()}
    return Change(
        n=n, step="one", entity="Companies", action=Action.UPDATE, id=id or 100 + n, line=n + 1, file="x.csv",
        fields=diffs,
    )  # fmt: skip


def plan_of(folder: Path, *steps: Iterable[Change], **header_also: Any) -> Plan:
    infos, changes = [], []
    for number, step in enumerate(steps):
        members = list(step)
        changes += members
        infos.append(
            StepInfo(name=str(number), entity=members[0].entity, action="update", match=("id",), file="x.csv",
                     columns=("A",), read=len(members), dropped=0, rows=len(members))
        )  # fmt: skip
    counts = {action.value: sum(change.action is action for change in changes) for action in Action}
    header = Header(
        job="j", tenant="acme", database="1", url="u", reason="", created="2026-01-01T00:00:00+00:00",
        version="0", steps=tuple(infos), counts=counts, calls_read=0, calls_write=len(changes), estimate_s={},
        **header_also,
    )  # fmt: skip
    with PlanWriter(folder / "x.plan") as writer:
        for change in changes:
            writer.add(Row(cells=("a",), line=change.line), change)
        writer.seal(header)
    return Plan.open(folder / "x.plan")


def companies(count: int, **values: Scalar) -> MemoryTarget:
    rows = [{"id": 100 + n, "phone": "old", "companyName": f"C{n}", **values} for n in range(1, count + 1)]
    return MemoryTarget({"Companies": rows})


async def apply(plan: Plan, target: MemoryTarget, on_drift: OnDrift = OnDrift.HOLD) -> Status:
    async with asyncio.timeout(20):
        return await apply_plan(plan, target, on_drift=on_drift, rng=random.Random(1))


def again(target: MemoryTarget) -> MemoryTarget:
    """The same tenant for the next run: with its records, and no call made yet."""
    return MemoryTarget({entity: rows.values() for entity, rows in target.rows.items()})


async def test_a_record_that_somebody_changed_is_held_and_the_others_proceed(tmp_path: Path) -> None:
    """Field, both values and who are named; nothing is sent for it."""
    target = companies(5)
    target.rows["Companies"][103] |= {"phone": "theirs", "lastModifiedByResourceID": 8}
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 4
    (held,) = (fate for fate in plan.fates() if fate.state == "held")
    assert held.change.n == 3
    assert "phone was 'old' and is 'theirs' now" in (held.reason or "")
    assert target.rows["Companies"][103]["phone"] == "theirs"


async def test_other_fields_of_the_record_may_change(tmp_path: Path) -> None:
    """Only what the plan was made from counts."""
    target = companies(1)
    target.rows["Companies"][101]["companyName"] = "renamed"
    status = await apply(plan_of(tmp_path, [update(1, {"phone": ("old", "new")})]), target)
    assert status.counts["applied"] == 1
    assert target.rows["Companies"][101] == {"id": 101, "phone": "new", "companyName": "renamed"}


async def test_what_is_so_already_is_not_written(tmp_path: Path) -> None:
    """Somebody made the same change: there is nothing to do, and nothing in doubt."""
    target = companies(2)
    target.rows["Companies"][101]["phone"] = " new "
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in (1, 2)])
    status = await apply(plan, target)
    assert (status.counts["applied"], status.counts["unchanged"]) == (1, 1)
    assert len(target.writes) == 1


async def test_overwrite_writes_over_it_and_keeps_what_was_there(tmp_path: Path) -> None:
    """Who says so gets what the plan says; one read a batch tells what undo has to restore."""
    target = companies(2)
    target.rows["Companies"][101]["phone"] = "theirs"
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in (1, 2)])
    status = await apply(plan, target, OnDrift.OVERWRITE)
    assert status.counts["applied"] == 2
    assert target.calls.read == 1
    assert [dict(fate.found) for fate in plan.fates()] == [{"phone": "theirs"}, {}]
    assert plan.fate(1).written.fields["phone"] == FieldDiff(before="theirs", after="new")


async def test_stop_stops_before_anything_of_the_batch_is_written(tmp_path: Path) -> None:
    """The run says which record it was, and every row is still pending."""
    target = companies(3)
    target.rows["Companies"][103]["phone"] = "theirs"
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in (1, 2, 3)])
    status = await apply(plan, target, OnDrift.STOP)
    assert status.counts["pending"] == 3
    assert "'theirs' now" in (status.waiting or "")
    again = MemoryTarget({"Companies": target.rows["Companies"].values()})
    assert (await apply(plan, again)).counts["held"] == 1


@pytest.mark.parametrize(("before", "now"), [(UNKNOWN, "x"), ("A\r\nB", "A\nB"), (None, ""), ("a ", "a")])
async def test_what_the_server_stores_alike_is_no_drift(tmp_path: Path, before: Any, now: Any) -> None:
    """One equality: newlines, blanks at the ends, empty and nothing; what could not be read tells nothing."""
    target = companies(1, phone=now)
    plan = plan_of(tmp_path, [update(1, {"phone": (before, "new")})])
    assert (await apply(plan, target)).counts["applied"] == 1


async def test_the_plans_own_changes_are_no_drift(tmp_path: Path) -> None:
    """A later step was planned from what an earlier one leaves."""
    target = companies(3)
    first = [update(n, {"phone": ("old", "mid")}) for n in (1, 2, 3)]
    later = [update(3 + n, {"phone": ("mid", "new")}, id=100 + n) for n in (1, 2, 3)]
    second = [replace(change, barrier=3, step="two") for change in later]
    status = await apply(plan_of(tmp_path, first, second), target)
    assert status.counts["applied"] == 6
    assert {row["phone"] for row in target.rows["Companies"].values()} == {"new"}


async def test_a_delete_of_what_somebody_works_on_is_held(tmp_path: Path) -> None:
    """The plan showed what would go: what was changed since is not what was shown."""
    target = MemoryTarget({"TimeEntries": [{"id": n, "summaryNotes": "a"} for n in (5, 6)]})
    target.rows["TimeEntries"][6]["summaryNotes"] = "b"
    changes = [
        Change(n=n, step="one", entity="TimeEntries", action=Action.DELETE, id=4 + n, line=n, file="x.csv",
               fields={"summaryNotes": FieldDiff(before="a", after=None)})
        for n in (1, 2)
    ]  # fmt: skip
    status = await apply(plan_of(tmp_path, changes), target)
    assert (status.counts["applied"], status.counts["held"]) == (1, 1)
    assert set(target.rows["TimeEntries"]) == {6}


async def test_it_costs_one_read_for_five_hundred_rows(tmp_path: Path) -> None:
    """At most 0.0025 calls a row in addition, and every row is looked at."""
    target = companies(2000)
    plan = plan_of(tmp_path, [update(n, {"phone": ("old", "new")}) for n in range(1, 2001)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 2000
    assert target.calls.read <= 5


def tally(*ids: int) -> Tally:
    return Tally(
        entity="Tasks", parent="projectID", field="status", unless=5, word="open task", keeps=(),
        held=held(*ids),
    )  # fmt: skip


def held(*ids: int) -> Held:
    return Held(records={id: {} for id in ids})


OTHER = "(Tasks 1 is none any more, 3 is one)"


@pytest.mark.parametrize(
    ("was", "now", "own", "before", "over"),
    [
        ((1, 2), (1, 2), (), "", ""),
        ((1, 2), (2,), (), "it had 2 open tasks and has 1 now", "it had 1 open task, and not 2"),
        ((1,), (), (), "it had 1 open task and has none now", "it had no open tasks, and not 1"),
        ((), (1,), (), "it had no open tasks and has 1 now", "it had 1 open task, and not 0"),
        ((1, 2), (2, 3), (3,), "it had 2 open tasks and has 1 now", "it had 1 open task, and not 2"),
        (
            (1, 2), (2, 3), (),
            f"it had 2 open tasks, and has as many but not the same now {OTHER}",
            f"it had 2 open tasks, but not the ones that the plan saw {OTHER}",
        ),
    ],
)  # fmt: skip
def test_what_belongs_to_a_record_is_told_where_it_is_other(
    was: tuple[int, ...], now: tuple[int, ...], own: tuple[int, ...], before: str, over: str
) -> None:
    """By number, and by id where the numbers are the same; before it would be overwritten, and after."""
    assert recounted(tally(*was), held(*now), own) == before
    assert recounted(tally(*was), held(*now), own, is_over=True) == over
