"""How a run ends: never hung, never in the middle of a row, always with a sentence."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bulkops import breaker
from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import (
    InDoubtError,
    LimitError,
    LockedError,
    NoRouteError,
    PlanError,
    RejectedError,
    TenantError,
    ThrottledError,
)
from bulkops.journal import Journal
from bulkops.plan import Header, Plan, PlanWriter, Status, StepInfo
from bulkops.progress import Stop
from bulkops.record import Row, Value
from bulkops.schema import Entity
from bulkops.settle import doubts
from bulkops.targets.base import RecordData
from bulkops.targets.memory import Failure, MemoryTarget, committing

LOST = InDoubtError("the connection was closed before an answer came")
NO_ROUTE = NoRouteError("the API has no such route or verb (405)", status=405)

T = TypeVar("T")


class NoWaits(random.Random):
    """Every wait is as short as it may be."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, 0.001)


def change(n: int, action: Action, entity: str, values: Mapping[str, Value], **more: Any) -> Change:
    fields = {name: FieldDiff(before=None, after=value) for name, value in values.items()}
    return Change(
        n=n, step="only", entity=entity, action=action, line=n + 1, file="x.csv", fields=fields, **more
    )


def create(n: int, *, key: bool = True, number: str = "", **more: Any) -> Change:
    """A company that does not exist yet."""
    values: dict[str, Value] = {"companyNumber": number or f"C-{n}", "companyName": f"Company {n}"}
    key_fields = {"companyNumber": values["companyNumber"]} if key else {}
    return change(n, Action.CREATE, "Companies", values, key=key_fields, **more)


def delete(n: int, record: int, **more: Any) -> Change:
    return change(n, Action.DELETE, "TimeEntries", {}, id=record, **more)


def plan_of(folder: Path, changes: Iterable[Change], *, name: str = "x.plan") -> Plan:
    changes = list(changes)
    counts = {action.value: sum(item.action is action for item in changes) for action in Action}
    rows = len(changes)
    step = StepInfo(
        name="only", entity="Companies", action="create", match=(), file="x.csv", columns=("A",),
        read=rows, dropped=0, rows=rows,
    )  # fmt: skip
    header = Header(
        job="trial", tenant="acme", database="1", url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=(step,), counts=counts, calls_read=0, calls_write=rows, estimate_s={},
    )  # fmt: skip
    with PlanWriter(folder / name) as writer:
        for item in changes:
            writer.add(Row(cells=(f"cell {item.n}",), line=item.line), item)
        writer.seal(header)
    return Plan.open(folder / name)


async def soon(work: Coroutine[Any, Any, T]) -> T:
    """The result; a run that hangs fails here."""
    return await asyncio.wait_for(work, 10)


async def apply(plan: Plan, target: MemoryTarget, **options: Any) -> Status:
    return await soon(apply_plan(plan, target, rng=NoWaits(), **options))


def again(target: MemoryTarget) -> MemoryTarget:
    """The same records behind a new connection."""
    other = MemoryTarget(per_entity=target.per_entity, settle_s=target.settle_s)
    other.rows, other.writes, other._ids = target.rows, target.writes, target._ids
    return other


def time_entries(count: int) -> dict[str, list[dict[str, int]]]:
    return {"TimeEntries": [{"id": 901 + n} for n in range(count)]}


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_a_stop_while_intents_are_written_leaves_no_doubt(tmp_path: Path, turns: int) -> None:
    """Whatever moment it is: what never left is pending, and not held because nobody could look for it."""
    plan, target, stop = (
        plan_of(tmp_path, [create(n, key=False) for n in range(1, 21)]),
        MemoryTarget(),
        Stop(),
    )
    task = asyncio.ensure_future(apply(plan, target, stop=stop))
    for _ in range(turns):
        await asyncio.sleep(0)
    stop("enough")
    await task
    status = await apply(plan, again(target))
    assert status.counts["applied"] == 20
    assert len(target.writes) == 20


async def test_a_closed_entity_before_a_barrier_ends_the_run(tmp_path: Path) -> None:
    """What stands behind the barrier can never be sent: the run says why and stops."""
    target = MemoryTarget(time_entries(1), failures={"create": [NO_ROUTE] * 9})
    status = await apply(plan_of(tmp_path, [create(1), delete(2, 901, barrier=1)]), target)
    assert status.counts["pending"] == 2
    assert "Companies cannot be written" in (status.waiting or "")


async def test_a_closed_entity_that_fills_the_memory_ends_the_run(tmp_path: Path) -> None:
    """Nothing more can be taken from the plan, so nothing more can happen."""
    target = MemoryTarget(failures={"create": [NO_ROUTE] * 9})
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 2501)]), target)
    assert status.counts["pending"] == 2500
    assert "Companies cannot be written" in (status.waiting or "")


async def test_a_closed_entity_with_a_write_in_doubt_ends_the_run(tmp_path: Path) -> None:
    """When the doubt is settled, what it was about waits before the closed door as well."""
    target = MemoryTarget(failures={"create": [LOST, *[NO_ROUTE] * 9]}, settle_s=0.1)
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 5)]), target)
    assert status.counts["pending"] == 4


@pytest.mark.parametrize("number", [10, 13, 20])
async def test_a_closed_entity_does_not_keep_what_others_may_send(tmp_path: Path, number: int) -> None:
    """`stop_after` writes are sent, exactly, although some were meant for an entity that is closed."""
    target = MemoryTarget(time_entries(30), failures={"create": [NO_ROUTE] * 9}, per_entity=1)
    changes = [*(create(n) for n in range(1, 21)), *(delete(n, 880 + n) for n in range(21, 51))]
    await apply(plan_of(tmp_path, changes), target, stop_after=number)
    assert len(target.writes) == number


async def test_an_entity_that_answers_after_all_is_open_again(tmp_path: Path) -> None:
    """One of two requests got a 404 from something in between, the other one came through."""
    target = MemoryTarget(failures={"create": [NO_ROUTE]}, per_entity=2)
    status = await apply(plan_of(tmp_path, [create(n) for n in range(1, 11)]), target)
    assert status.counts["applied"] == 10


async def test_a_gateway_that_answers_404_for_long_rejects_no_row(tmp_path: Path) -> None:
    """It never happened, and it is nobody's fault: the rows stay pending and the run stops."""
    script: list[Failure | None] = [None, *[NO_ROUTE] * 12]
    target = MemoryTarget(failures={"create": script}, per_entity=1)
    plan = plan_of(tmp_path, [create(n) for n in range(1, 4)])
    status = await apply(plan, target)
    assert status.counts["rejected"] == 0
    assert status.counts["pending"] == 2
    assert (await apply(plan, again(target))).counts["applied"] == 3


async def test_waits_for_limits_are_no_tries_at_a_lock(tmp_path: Path) -> None:
    """A row that a limit kept waiting often, and then meets its first lock, is sent again."""
    limited = ThrottledError("threads", kind="threads")
    script: list[Failure | None] = [*[limited] * 6, LockedError("deadlock")]
    target = MemoryTarget(failures={"create": script}, per_entity=1)
    status = await apply(plan_of(tmp_path, [create(1)]), target)
    assert status.counts["applied"] == 1


async def test_a_long_chain_falls_with_its_first_row(tmp_path: Path) -> None:
    """However many rows wait for one another, each is rejected in its turn."""
    chain = [create(n, key=False, waits_for=(n - 1,)) for n in range(2, 1900)]
    target = MemoryTarget(failures={"create": [RejectedError("no", known=True)]})
    status = await apply(plan_of(tmp_path, [create(1, key=False), *chain]), target)
    assert status.counts["rejected"] == 1899
    assert len(target.writes) == 1


class Undescribed(MemoryTarget):
    """A target whose metadata cannot be read any more."""

    async def describe(self, entity: str) -> Entity:
        raise TenantError(f"tenant acme does not show {entity} to this API user")


async def test_what_cannot_be_looked_up_stops_the_run_in_good_order(tmp_path: Path) -> None:
    """What is in doubt stays so, in the status and for the next run; nothing is thrown at the user."""
    target = Undescribed(failures={"create": [committing(LOST)]})
    plan = plan_of(tmp_path, [create(n) for n in range(1, 11)])
    status = await apply(plan, target)
    assert status.counts["pending"] >= 1
    assert "does not show Companies" in (status.waiting or "")
    assert (await apply(plan, again(target))).counts["applied"] == 10


async def test_looks_that_are_refused_again_and_again_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other rows go on; in the end the run says that it cannot look, and does not wait for ever."""
    monkeypatch.setattr(doubts, "ASK_AGAIN_S", 0.01)
    monkeypatch.setattr(breaker, "PROBE_S", (0.01, 0.02, 0.04))
    refusal = RejectedError("no permission", known=True)
    target = MemoryTarget(failures={"create": [committing(LOST)], "read": [None, *[refusal] * 999]})
    plan = plan_of(tmp_path, [create(n) for n in range(1, 11)])
    status = await apply(plan, target)
    assert status.counts == {"applied": 9, "unchanged": 0, "rejected": 0, "held": 0, "pending": 1}
    assert "no permission" in (status.waiting or "")
    assert (await apply(plan, again(target))).counts["applied"] == 10


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("action", [Action.UPDATE, Action.DELETE])
async def test_an_unknown_refusal_is_believed_when_nothing_happened(
    tmp_path: Path, action: Action, is_stored: bool
) -> None:
    """Updates and deletes as creates: done is applied, not done is rejected with the target's text."""
    unknown = RejectedError("strange things happened", known=False)
    failure = committing(unknown) if is_stored else unknown
    target = MemoryTarget(
        {"TimeEntries": [{"id": 5, "summaryNotes": "old"}]},
        failures={"update": [failure], "delete": [failure]},
        settle_s=60,
    )
    fields = {"summaryNotes": FieldDiff(before="old", after="new")} if action is Action.UPDATE else {}
    plan = plan_of(tmp_path, [replace(change(1, action, "TimeEntries", {}, id=5), fields=fields)])
    await apply(plan, target)
    (fate,) = plan.fates()
    assert (fate.state, fate.reason) == (
        ("applied", None) if is_stored else ("rejected", "strange things happened")
    )
    assert len(target.writes) == 1


async def test_a_key_that_cannot_be_asked_for_says_nothing_by_its_absence(tmp_path: Path) -> None:
    """Longer than the field is said to be, and stored all the same: held, not sent again."""
    change = create(1, number="x" * 200)
    target = MemoryTarget(settle_s=0.0)
    target.load("Companies", {"companyNumber": "x" * 200, "companyName": "Company 1"})
    plan = plan_of(tmp_path, [change])
    journal = Journal.open(plan.path)
    await journal.intent(1)  # sent by a run that was killed
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    status = await apply(plan, target)
    assert status.counts["held"] == 1
    assert not target.writes


async def test_what_a_killed_run_may_have_sent_is_absent_only_settle_s_after_the_resume(
    tmp_path: Path,
) -> None:
    """Nobody knows when it left, only that it was before this run: so the wait begins with this run."""
    plan = plan_of(tmp_path, [create(n) for n in range(1, 4)])
    long_ago = Journal.open(plan.path, clock=lambda: 1.0)
    await long_ago.intent([1, 2, 3])
    await long_ago.close(calls_read=0, calls_write=0, elapsed_s=0.0, waiting=None)
    target = MemoryTarget(settle_s=0.3)
    started = asyncio.get_running_loop().time()
    status = await apply(plan, target)
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert status.counts["applied"] == 3
    assert len(target.rows["Companies"]) == 3


@pytest.mark.parametrize("number", range(1, 13))
@pytest.mark.parametrize("is_stored", [True, False])
async def test_looks_count_as_calls(tmp_path: Path, number: int, is_stored: bool) -> None:
    """`max_calls` holds for what settles doubts too, and the run says that it was this."""
    failure = committing(LOST) if is_stored else LOST
    target = MemoryTarget(failures={"create": [failure] * 9}, per_entity=3, settle_s=0.01)
    plan = plan_of(tmp_path, [create(n) for n in range(1, 13)])
    status = await apply(plan, target, max_calls=number)
    assert target.calls.read + target.calls.write <= number
    assert "--max-calls" in (status.waiting or "")


async def test_each_run_counts_its_own_calls(tmp_path: Path) -> None:
    """What planning, or another plan, used of the same target is not told again."""
    target = MemoryTarget(per_entity=1)
    target.calls.read = 7
    first = await apply(plan_of(tmp_path, [create(n) for n in range(1, 5)]), target)
    second = await apply(plan_of(tmp_path, [create(1, number="other")], name="y.plan"), target, max_calls=2)
    assert first.calls == {"read": 1, "write": 4}
    assert second.calls == {"read": 1, "write": 1}
    assert second.state == "finished"


def edit(plan: Plan, n: int) -> None:
    with sqlite3.connect(plan.path) as connection:
        connection.execute("UPDATE rows SET cells = '[\"edited\"]' WHERE n = ?", (n,))
    connection.close()


async def test_an_edit_that_is_met_on_the_way_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    """Rows before it may have been sent by then: they are whole, and the run says what it met."""
    plan, target = plan_of(tmp_path, [create(n) for n in range(1, 3101)]), MemoryTarget(per_entity=3)
    await apply(plan, target, stop_after=5)
    edit(plan, 3050)
    status = await apply(plan, again(target))
    assert status.state == "stopped"
    assert "was edited after it was sealed" in (status.waiting or "")
    assert status.counts["applied"] == len(target.writes) > 5


async def test_an_edit_that_is_met_before_the_first_write_refuses_the_plan(tmp_path: Path) -> None:
    """A sentence and no write, as for every plan that must not be applied."""
    plan, target = plan_of(tmp_path, [create(1)]), MemoryTarget()
    edit(plan, 1)
    with pytest.raises(PlanError, match="was edited after it was sealed"):
        await apply(plan, target)
    assert not target.writes


async def test_a_wait_before_the_next_try_says_why(tmp_path: Path) -> None:
    """Nothing is silent: while all there is waits for a lock, the progress tells it."""

    class Waits(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 0.4

    told: list[str | None] = []
    target = MemoryTarget(failures={"create": [LockedError("chosen as the deadlock victim")]}, per_entity=1)
    plan = plan_of(tmp_path, [create(1)])
    await soon(apply_plan(plan, target, rng=Waits(), watch=lambda progress: told.append(progress.waiting)))
    assert any("deadlock victim" in (text or "") for text in told)
    assert told[-1] is None


async def test_an_applied_plan_is_kept_when_its_name_is_planned_again(tmp_path: Path) -> None:
    """It alone tells what was created and what is held: a new plan of the same name moves it aside."""
    target = MemoryTarget()
    first = plan_of(tmp_path, [create(1), create(2)])
    await apply(first, target)
    plan_of(tmp_path, [create(1, number="other")])
    kept = Plan.open(tmp_path / "x.1.plan")
    assert [fate.state for fate in kept.fates()] == ["applied", "applied"]
    assert Plan.open(tmp_path / "x.plan").status().state == "planned"
    assert (await apply(Plan.open(tmp_path / "x.plan"), target)).counts["applied"] == 1


async def test_a_plan_refused_by_a_limit_was_not_begun(tmp_path: Path) -> None:
    """Nothing was tried, so a copy of it is as good as the plan itself."""
    plan = plan_of(tmp_path, [change(1, Action.UPDATE, "Companies", {"phone": "new"}, id=1)])
    limits = {"update": {"count": 0, "percent": None, "minimum": 10}}
    object.__setattr__(
        plan.header, "limits", {"counts": {"update": {"Companies": 1}}, "totals": {}, "limits": limits}
    )
    target = MemoryTarget({"Companies": [{"id": 1}]})
    with pytest.raises(LimitError):
        await apply(plan, target)
    (tmp_path / "copy.plan").write_bytes((tmp_path / "x.plan").read_bytes())
    assert (await apply(Plan.open(tmp_path / "copy.plan"), target)).counts["applied"] == 1


class ClosesMeanwhile(MemoryTarget):
    """The entity's first write is refused as having no route while a later batch of it is read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.reading, self.refused = asyncio.Event(), asyncio.Event()

    async def update(self, entity: str, id: int, values: Any, **more: Any) -> None:
        await self.reading.wait()
        self.refused.set()
        raise NO_ROUTE

    async def read(self, entity: str, where: Any, **more: Any) -> AsyncIterator[RecordData]:
        if 502 in where.get("value", ()):
            self.reading.set()
            await self.refused.wait()
            await asyncio.sleep(0)
        async for record in super().read(entity, where, **more):
            yield record


async def test_an_entity_that_closes_while_a_batch_is_read_ends_the_run(tmp_path: Path) -> None:
    """What the read said of its rows is not lost with it: they stay pending, and the run does not wait."""
    target = ClosesMeanwhile()
    for n in range(1, 503):
        target.load("Companies", {"id": n, "phone": "old" if n == 500 else "new"})
    rows = [
        replace(change(n, Action.UPDATE, "Companies", {"phone": "new"}), id=n,
                fields={"phone": FieldDiff(before="old", after="new")})
        for n in range(1, 503)
    ]  # fmt: skip
    status = await apply(plan_of(tmp_path, rows), target)
    assert status.state == "stopped"
    assert status.counts["pending"] >= 1
    assert "cannot be written" in (status.waiting or "")
