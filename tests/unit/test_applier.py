"""Applying a plan against a target in memory: each row once, whatever the calls do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bulkops import breaker
from bulkops.applier import apply_plan, feed
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import (
    InDoubtError,
    LimitError,
    LockedError,
    NoRouteError,
    PlanError,
    RejectedError,
    StopError,
    ThrottledError,
)
from bulkops.plan import Header, Plan, PlanWriter, Status, StepInfo
from bulkops.progress import Stop
from bulkops.record import Created, Row, Value
from bulkops.targets.memory import MemoryTarget, committing

LOST = InDoubtError("the connection was closed before an answer came")


class NoWaits(random.Random):
    """Every wait is as short as it may be."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, 0.001)


def create(n: int, *, key: bool = True, **more: Any) -> Change:
    """A company that does not exist yet."""
    values: Mapping[str, Value] = {"companyNumber": f"C-{n}", "companyName": f"Company {n}", "phone": "1"}
    return _change(n, Action.CREATE, "Companies", values, key=["companyNumber"] if key else [], **more)


def update(n: int, record: int, values: Mapping[str, Value], *, before: Value = None, **more: Any) -> Change:
    """Of a company whose fields all hold `before`."""
    fields = {name: FieldDiff(before=before, after=value) for name, value in values.items()}
    return _change(n, Action.UPDATE, "Companies", values, id=record, fields=fields, **more)


def delete(n: int, record: int, **more: Any) -> Change:
    return _change(n, Action.DELETE, "TimeEntries", {}, id=record, **more)


def _change(
    n: int,
    action: Action,
    entity: str,
    values: Mapping[str, Value],
    *,
    key: Sequence[str] = (),
    **more: Any,
) -> Change:
    parts: dict[str, Any] = {
        "n": n,
        "step": "only",
        "entity": entity,
        "action": action,
        "line": n + 1,
        "file": "x.csv",
        "key": {name: values[name] for name in key},
        "fields": {name: FieldDiff(before=None, after=value) for name, value in values.items()},
        **more,
    }
    return Change(**parts)


def plan_of(folder: Path, changes: Iterable[Change], *, database: str = "1", name: str = "x.plan") -> Plan:
    """A sealed plan of these changes."""
    changes = list(changes)
    counts = {action.value: sum(change.action is action for change in changes) for action in Action}
    step = StepInfo(
        name="only", entity="Companies", action="create", match=(), file="x.csv", columns=("A",),
        read=len(changes), dropped=0, rows=len(changes),
    )  # fmt: skip
    header = Header(
        job="trial", tenant="acme", database=database, url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=(step,), counts=counts, calls_read=0, calls_write=len(changes), estimate_s={},
    )  # fmt: skip
    with PlanWriter(folder / name) as writer:
        for change in changes:
            writer.add(Row(cells=(f"cell {change.n}",), line=change.line), change)
        writer.seal(header)
    return Plan.open(folder / name)


async def apply(plan: Plan, target: MemoryTarget, **options: Any) -> Status:
    return await apply_plan(plan, target, rng=NoWaits(), **options)


def made(target: MemoryTarget) -> list[str]:
    return sorted(str(row["companyNumber"]) for row in target.rows["Companies"].values())


async def test_every_row_is_written_once(tmp_path: Path) -> None:
    """A plan of creates, updates and deletes leaves exactly what it says, and counts add up."""
    target = MemoryTarget(
        {"Companies": [{"id": 5, "phone": "old"}], "TimeEntries": [{"id": 7}]}, per_entity=2
    )
    changes = [
        *(create(n) for n in range(1, 51)),
        update(51, 5, {"phone": "new"}, before="old"),
        delete(52, 7),
    ]
    status = await apply(plan_of(tmp_path, changes), target)
    assert status.state == "finished"
    assert status.counts == {"applied": 52, "unchanged": 0, "rejected": 0, "held": 0, "pending": 0}
    assert len(target.writes) == 52
    assert target.rows["Companies"][5]["phone"] == "new"
    assert not target.rows["TimeEntries"]
    assert target.max_in_flight["Companies"] <= 2


async def test_applying_again_sends_nothing(tmp_path: Path) -> None:
    """A finished plan is its own proof: a second apply makes no write."""
    plan, target = plan_of(tmp_path, [create(1), create(2)]), MemoryTarget()
    await apply(plan, target)
    status = await apply(plan, target)
    assert status.state == "finished"
    assert len(target.writes) == 2


async def test_a_create_whose_answer_was_lost_is_found_and_not_sent_again(tmp_path: Path) -> None:
    """Stored but unanswered: its key is looked up, its id is known, and there is one record."""
    target = MemoryTarget(failures={"create": [None, committing(LOST)]}, settle_s=60)
    plan = plan_of(tmp_path, [create(1), create(2), create(3)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 3
    assert made(target) == ["C-1", "C-2", "C-3"]
    assert {fate.id for fate in plan.fates()} == set(target.rows["Companies"])


async def test_a_create_that_never_landed_is_sent_again_only_after_settle_s(tmp_path: Path) -> None:
    """Absence is final `settle_s` after sending; other rows go on meanwhile."""
    target = MemoryTarget(failures={"create": [LOST]}, settle_s=0.3)
    started = asyncio.get_running_loop().time()
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 20)]), target)
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert status.counts["applied"] == 19
    assert len(made(target)) == 19
    again = [write.values["companyNumber"] for write in target.writes]
    lost = next(number for number in again if again.count(number) == 2)
    assert again.index(lost) < 3
    assert again[-1] == lost


async def test_a_create_that_lands_late_is_not_sent_again(tmp_path: Path) -> None:
    """The answer is lost and the record appears before `settle_s` is over: it is found by the second look."""
    target = MemoryTarget(settle_s=0.4)
    target.script("create", [target.landing_late(LOST)])
    asyncio.get_running_loop().call_later(0.1, target.land)
    status = await apply(plan_of(tmp_path, [create(1)]), target)
    assert status.counts["applied"] == 1
    assert made(target) == ["C-1"]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_lost_create_without_a_key_is_settled_by_what_was_sent(
    tmp_path: Path, is_stored: bool
) -> None:
    """Each row ends as one record, whether the lost request was carried out or not."""
    target = MemoryTarget(failures={"create": [committing(LOST) if is_stored else LOST]})
    plan = plan_of(tmp_path, [create(1, key=False), create(2, key=False)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 2
    assert sorted(made(target)) == ["C-1", "C-2"]


async def test_a_create_found_twice_is_held(tmp_path: Path) -> None:
    """Two records with its key: one of them is somebody else's, and nobody can say which."""
    target = MemoryTarget(failures={"create": [committing(LOST)]})
    target.load("Companies", {"companyNumber": "c-1 "})
    plan = plan_of(tmp_path, [create(1)])
    status = await apply(plan, target)
    assert status.counts["held"] == 1
    (held,) = plan.fates()
    assert "1000" in (held.reason or "")


async def test_an_unknown_refusal_of_a_create_is_looked_up_once(tmp_path: Path) -> None:
    """Found: applied. Absent: rejected with the target's own text, without waiting for `settle_s`."""
    unknown = RejectedError("strange things happened", known=False)
    target = MemoryTarget(failures={"create": [committing(unknown), unknown]}, settle_s=60, per_entity=1)
    plan = plan_of(tmp_path, [create(1), create(2)])
    status = await apply(plan, target)
    assert status.counts["applied"] == 1
    assert status.counts["rejected"] == 1
    assert [fate.reason for fate in plan.fates()] == [None, "strange things happened"]
    assert len(target.writes) == 2


async def test_a_refused_row_is_rejected_with_the_targets_words(tmp_path: Path) -> None:
    """One bad row costs one row."""
    text = "phone must be less than or equal to 25 characters"
    target = MemoryTarget(failures={"create": [RejectedError(text, known=True)]}, per_entity=1)
    plan = plan_of(tmp_path, [create(1), create(2)])
    status = await apply(plan, target)
    assert [(fate.state, fate.reason) for fate in plan.fates()] == [("rejected", text), ("applied", None)]
    assert status.state == "finished"


async def test_limits_and_locks_are_waited_for(tmp_path: Path) -> None:
    """Refused before commit means the same request again, until it is through."""
    script = [
        ThrottledError("threads", kind="threads"),
        ThrottledError("hour", kind="hour"),
        LockedError("lock"),
    ]
    target = MemoryTarget(failures={"create": script * 3})
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 31)]), target)
    assert status.counts["applied"] == 30
    assert len(made(target)) == 30


async def test_a_row_that_stays_locked_is_rejected_in_the_end(tmp_path: Path) -> None:
    """Locks are retried a bounded number of times; the row says how often."""
    target = MemoryTarget(failures={"create": [LockedError("deadlock")] * 6}, per_entity=1)
    plan = plan_of(tmp_path, [create(1)])
    await apply(plan, target)
    (fate,) = plan.fates()
    assert (fate.state, fate.reason) == ("rejected", "deadlock (tried 6 times)")


@pytest.mark.parametrize("is_stored", [True, False])
async def test_an_update_in_doubt_is_read_before_it_is_sent_again(tmp_path: Path, is_stored: bool) -> None:
    """Its fields hold what was sent: done. They do not: sent again once absence is final."""
    failure = committing(LOST) if is_stored else LOST
    target = MemoryTarget({"Companies": [{"id": 5, "phone": "old"}]}, failures={"update": [failure]})
    status = await apply(plan_of(tmp_path, [update(1, 5, {"phone": "new"}, before="old")]), target)
    assert status.counts["applied"] == 1
    assert target.rows["Companies"][5]["phone"] == "new"
    assert len(target.writes) == (1 if is_stored else 2)


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_delete_in_doubt_is_read_before_it_is_sent_again(tmp_path: Path, is_stored: bool) -> None:
    """Gone: done. Still there: sent again once absence is final."""
    failure = committing(LOST) if is_stored else LOST
    target = MemoryTarget({"TimeEntries": [{"id": 5}]}, failures={"delete": [failure]})
    status = await apply(plan_of(tmp_path, [delete(1, 5)]), target)
    assert status.counts["applied"] == 1
    assert not target.rows["TimeEntries"]


async def test_a_record_that_is_gone_is_rejected_on_update_and_unchanged_on_delete(tmp_path: Path) -> None:
    """Nothing to delete is no failure; nothing to update is one."""
    plan = plan_of(tmp_path, [update(1, 5, {"phone": "new"}), delete(2, 7)])
    status = await apply(plan, MemoryTarget())
    assert [fate.state for fate in plan.fates()] == ["rejected", "unchanged"]
    assert status.state == "finished"


async def test_stop_after_sends_exactly_that_many_writes(tmp_path: Path) -> None:
    """`stop_after` counts requests; applying again goes on and every row is written once."""
    plan, target = plan_of(tmp_path, [create(n) for n in range(1, 31)]), MemoryTarget(per_entity=3)
    for sent in (7, 14):
        status = await apply(plan, MemoryTarget_shared(target), stop_after=7)
        assert len(target.writes) == sent
        assert status.state == "stopped"
        assert "--stop-after" in (status.waiting or "")
    await apply(plan, MemoryTarget_shared(target))
    assert len(target.writes) == 30
    assert len(made(target)) == 30


async def test_max_calls_is_never_exceeded(tmp_path: Path) -> None:
    """Reads and writes together stay within the number given."""
    plan, target = plan_of(tmp_path, [create(n) for n in range(1, 31)]), MemoryTarget(per_entity=3)
    await apply(plan, target, max_calls=11)
    assert target.calls.read + target.calls.write == 11


def MemoryTarget_shared(target: MemoryTarget) -> MemoryTarget:  # noqa: N802
    """The same records behind a new connection."""
    again = MemoryTarget(per_entity=target.per_entity, settle_s=target.settle_s)
    again.rows, again.writes, again._ids = target.rows, target.writes, target._ids
    return again


async def test_a_stop_lets_what_is_in_flight_finish_and_leaves_no_doubt(tmp_path: Path) -> None:
    """Asked to stop in the middle, it ends with whole rows: applying again looks for nothing."""
    plan, target, stop = plan_of(tmp_path, [create(n) for n in range(1, 101)]), MemoryTarget(), Stop()
    status = await apply(
        plan, target, stop=stop, watch=lambda p: stop("enough") if p.counts["applied"] >= 0 else None
    )
    assert status.state in ("stopped", "planned")
    again = MemoryTarget_shared(target)
    status = await apply(plan, again)
    assert status.counts["applied"] == 100
    assert again.calls.read == 1  # for the keys of the batch; nothing was in doubt
    assert len(target.writes) == 100


async def test_cancelled_in_flight_is_in_doubt_and_settled_by_the_next_run(tmp_path: Path) -> None:
    """Stopped at once, twice: rows in flight are looked up, none is lost and none is made twice."""
    plan = plan_of(tmp_path, [create(n) for n in range(1, 201)])
    target = MemoryTarget()
    for _ in range(2):
        task = asyncio.ensure_future(apply(plan, MemoryTarget_shared(target)))
        while not task.done() and len(target.writes) % 70 < 40:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
    status = await apply(plan, MemoryTarget_shared(target))
    assert status.counts["applied"] == 200
    assert len(made(target)) == len(set(made(target))) == 200


async def test_refused_credentials_stop_the_run_and_the_row_stays_pending(tmp_path: Path) -> None:
    """Nothing is lost by a stop: the row was not written, and the next run writes it."""
    target = MemoryTarget(
        failures={"create": [None, StopError("the credentials were refused")]}, per_entity=1
    )
    plan = plan_of(tmp_path, [create(n) for n in range(1, 6)])
    status = await apply(plan, target)
    assert status.counts == {"applied": 1, "unchanged": 0, "rejected": 0, "held": 0, "pending": 4}
    assert status.waiting == "the credentials were refused"
    again = MemoryTarget_shared(target)
    status = await apply(plan, again)
    assert status.counts["applied"] == 5
    assert again.calls.read == 1  # for the keys of the batch; nothing was in doubt


async def test_a_route_that_does_not_exist_stops_its_entity_and_no_other(tmp_path: Path) -> None:
    """404 and 405 never happened: its rows stay pending, the other entity's are written."""
    target = MemoryTarget(
        {"TimeEntries": [{"id": 900 + n} for n in range(5)]}, failures={"create": [NoRouteError("405")] * 9}
    )
    changes = [*(create(n) for n in range(1, 6)), *(delete(n, 894 + n) for n in range(6, 11))]
    status = await apply(plan_of(tmp_path, changes), target)
    assert status.counts["applied"] == 5
    assert status.counts["pending"] == 5
    assert "Companies cannot be written" in (status.waiting or "")


async def test_a_404_from_something_in_between_is_tried_again(tmp_path: Path) -> None:
    """The route answered before, so it exists."""
    target = MemoryTarget(failures={"create": [None, NoRouteError("404")]}, per_entity=1)
    status = await apply(plan_of(tmp_path, [create(1), create(2)]), target)
    assert status.counts["applied"] == 2


async def test_a_dead_api_stops_the_run_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of failures without one success ends it, at a bounded cost."""
    monkeypatch.setattr(breaker, "PROBE_S", (0.01, 0.02, 0.04))
    target = MemoryTarget(failures={"create": [LOST] * 1000, "read": [None, *[LOST] * 1000]}, settle_s=60)
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 200)]), target)
    assert status.state == "stopped"
    assert "calls in a row" in (status.waiting or "")
    assert target.calls.read + target.calls.write <= 30


async def test_references_become_ids_and_order_is_obeyed(tmp_path: Path) -> None:
    """A change that needs what another creates waits for it and is sent with its id."""
    child = _change(
        2, Action.CREATE, "Contacts", {"firstName": "A", "companyID": Created(change=1)},
        parent=Created(change=1), waits_for=(1,),
    )  # fmt: skip
    target = MemoryTarget()
    await apply(plan_of(tmp_path, [create(1), child]), target)
    (company,) = target.rows["Companies"]
    assert target.writes[1].parent == company
    assert target.writes[1].values["companyID"] == company


@pytest.mark.parametrize("state", ["rejected", "held"])
async def test_a_row_falls_with_what_it_needs(tmp_path: Path, state: str) -> None:
    """A row whose parent was rejected or held is not sent and says so, and so does what needs it in turn."""
    first = create(1)
    second = create(2, key=False, waits_for=(1,))
    third = create(3, key=False, waits_for=(2,))
    target = MemoryTarget(failures={"create": [RejectedError("no", known=True)]})
    if state == "held":
        target.load("Companies", {"companyNumber": "C-1"})
    plan = plan_of(tmp_path, [first, second, third])
    await apply(plan, target)
    fates = list(plan.fates())
    assert [fate.state for fate in fates] == [state] * 3
    assert (fates[1].reason or "").startswith("row 1")
    assert (fates[2].reason or "").startswith("row 2")
    assert len(target.writes) == (1 if state == "rejected" else 0)


async def test_nothing_passes_a_barrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change with a barrier is sent only when all before it are settled, whatever the window."""
    monkeypatch.setattr(feed, "READY", 3)
    changes = [
        *(create(n) for n in range(1, 21)),
        update(21, 5, {"phone": "new"}, barrier=20),
        create(22, barrier=20),
    ]
    target = MemoryTarget({"Companies": [{"id": 5}]}, per_entity=3)
    await apply(plan_of(tmp_path, changes), target)
    order = [write.action for write in target.writes]
    assert order[:20] == ["create"] * 20
    assert sorted(order[20:]) == ["create", "update"]


async def test_a_plan_for_another_database_is_refused(tmp_path: Path) -> None:
    """Ids mean something else there."""
    with pytest.raises(PlanError, match=r"database 1.*database 2"):
        await apply(plan_of(tmp_path, [create(1)]), MemoryTarget(ci="2"))


async def test_a_limit_refuses_before_the_first_write_and_is_released_by_its_number(tmp_path: Path) -> None:
    """The refusal names the number; that number, and no other, lets the plan through."""
    changes = [update(n, n, {"phone": "new"}) for n in range(1, 5)]
    rows = {"Companies": [{"id": n} for n in range(1, 5)]}
    plan = plan_of(tmp_path, changes)
    limits = {"counts": {"update": {"Companies": 4}}, "totals": {"Companies": 4}}
    limits["limits"] = {"update": {"count": 3, "percent": None, "minimum": 10}}
    object.__setattr__(plan.header, "limits", limits)
    target = MemoryTarget(rows)
    for allow in ({}, {"update": 3}):
        with pytest.raises(LimitError, match="update=4"):
            await apply(plan, target, allow=allow)
    assert not target.writes
    status = await apply(plan, target, allow={"update": 4})
    assert status.counts["applied"] == 4
