"""The order of applying: what the plan says, nothing more, and rows that wait are in nobody's way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.applier import apply_plan, feed
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import InDoubtError, NoRouteError, RejectedError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Fate, Header, Plan, PlanWriter, Status, StepInfo
from bulkops.record import Created, Row, Scalar, Value
from bulkops.targets.memory import MemoryTarget

ENTITIES = ("Companies", "ContactGroups", "Tickets")
NAMES = {"Companies": "companyNumber", "ContactGroups": "name", "Tickets": "externalID"}
LOST = InDoubtError("the connection was closed before an answer came")


class Traced(MemoryTarget):
    """Notes when each row's write begins and when it is through; refuses the rows of `refused`."""

    def __init__(self, *, refused: Iterable[int] = (), **options: Any) -> None:
        super().__init__(**options)
        self.story: list[tuple[str, int]] = []
        self.refused = set(refused)

    async def create(self, entity: str, values: Mapping[str, Scalar], **options: Any) -> int:
        n = int(str(values[NAMES[entity]]))
        self.story.append(("begin", n))
        if n in self.refused:
            raise RejectedError("no", known=True)
        made = await super().create(entity, values, **options)
        self.story.append(("end", n))
        return made


def create(n: int, entity: str = "Companies", **more: Any) -> Change:
    """A record that says which row it is of."""
    values: dict[str, Value] = {NAMES[entity]: str(n)}
    if more.get("waits_for") and entity == "Tickets":
        values["companyID"] = Created(change=more["waits_for"][0])
    parts: dict[str, Any] = {
        "n": n,
        "step": entity,
        "entity": entity,
        "action": Action.CREATE,
        "key": {NAMES[entity]: str(n)},
        "fields": {name: FieldDiff(before=None, after=value) for name, value in values.items()},
        **more,
    }
    return Change(**parts)


def plan_of(folder: Path, changes: Sequence[Change], steps: Sequence[int]) -> Plan:
    """A sealed plan of these changes; `steps` are how many of them each step has."""
    infos = tuple(
        StepInfo(
            name=f"s{at}", entity="", action="create", match=(), file="", columns=("A",), read=rows,
            dropped=0, rows=rows,
        )
        for at, rows in enumerate(steps)
    )  # fmt: skip
    header = Header(
        job="trial", tenant="acme", database="1", url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=infos, counts={"create": len(changes)}, calls_read=0, calls_write=0, estimate_s={},
    )  # fmt: skip
    with PlanWriter(folder / "x.plan") as writer:
        for change in changes:
            writer.add(Row(cells=(str(change.n),)), change)
        writer.seal(header)
    return Plan.open(folder / "x.plan")


async def apply(plan: Plan, target: MemoryTarget, **options: Any) -> Status:
    return await apply_plan(plan, target, rng=random.Random(1), **options)


def shared(target: Traced) -> Traced:
    """The same records behind a new connection."""
    again = Traced(refused=target.refused, per_entity=target.per_entity, settle_s=target.settle_s)
    again.rows, again.writes, again._ids, again.story = target.rows, target.writes, target._ids, target.story
    return again


def check_order(plan: Plan, story: Sequence[tuple[str, int]]) -> None:
    """Every write began after all that it waits for was through, and no write was made twice."""
    fates = {fate.change.n: fate for fate in plan.fates()}
    ends = {n: at for at, (what, n) in enumerate(story) if what == "end"}
    begins = {n: at for at, (what, n) in enumerate(story) if what == "begin"}
    assert sum(what == "begin" for what, _ in story) == len(begins)
    for n, at in begins.items():
        change = fates[n].change
        assert all(ends[needed] < at for needed in change.waits_for)
        assert all(begins[m] < at for m in range(1, change.barrier + 1) if m in begins)


async def test_rows_flow_across_entities(tmp_path: Path) -> None:
    """A contact goes when its company is there, not when all companies are."""
    firms = [create(n) for n in range(1, 201)]
    tickets = [create(200 + n, "Tickets", waits_for=(n,)) for n in range(1, 201)]
    target = Traced(per_entity=1)
    plan = plan_of(tmp_path, [*firms, *tickets], [200, 200])
    status = await apply(plan, target)
    assert status.counts["applied"] == 400
    check_order(plan, target.story)
    order = [n for what, n in target.story if what == "begin"]
    assert order.index(201) < 30
    assert order.index(300) < order.index(160)


async def test_what_waits_for_a_row_in_doubt_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than fit wait for one whose answer was lost; those behind them, and other steps, go on."""
    monkeypatch.setattr(feed, "READY", 10)
    firms = [create(1), create(2)]
    first = [create(n, "Tickets", waits_for=(1,)) for n in range(3, 203)]
    second = [create(n, "Tickets", waits_for=(2,)) for n in range(203, 253)]
    groups = [create(n, "ContactGroups") for n in range(253, 303)]
    target = Traced(settle_s=0.4, per_entity=1, failures={"create Companies": [LOST]})
    plan = plan_of(tmp_path, [*firms, *first, *second, *groups], [2, 250, 50])
    await apply(plan, target)
    again = target.story.index(("begin", 1), target.story.index(("begin", 1)) + 1)
    before = {n for what, n in target.story[:again] if what == "end"}
    assert before == {2, *range(203, 303)}
    assert len(target.rows["Tickets"]) == 250


async def test_parents_below_more_children_than_fit_are_read_out_of_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand children above their parent do not keep it from being read."""
    monkeypatch.setattr(feed, "READY", 4)
    monkeypatch.setattr(feed, "PARKED", 5)
    children = [create(n, waits_for=(n + 150,)) for n in range(1, 151)]
    parents = [create(n, waits_for=(301,)) for n in range(151, 301)]
    target = Traced()
    plan = plan_of(tmp_path, [*children, *parents, create(301)], [301])
    status = await apply(plan, target)
    assert status.counts["applied"] == 301
    check_order(plan, target.story)


async def test_a_barrier_holds_back_what_has_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a step that wait for all before them do not stand before those that wait for nobody."""
    monkeypatch.setattr(feed, "READY", 4)
    firms = [create(n) for n in range(1, 101)]
    mixed = [create(n, "Tickets", barrier=0 if n % 2 else 100) for n in range(101, 201)]
    target = Traced(per_entity=1)
    plan = plan_of(tmp_path, [*firms, *mixed], [100, 100])
    await apply(plan, target)
    check_order(plan, target.story)
    order = [n for what, n in target.story if what == "begin"]
    assert order.index(199) < order.index(100) < order.index(102)


async def test_a_long_chain_falls_with_its_first_row(tmp_path: Path) -> None:
    """Down five thousand generations, each row naming the one it needs, without recursion."""
    changes = [create(1), *(create(n, waits_for=(n - 1,)) for n in range(2, 5001))]
    plan = plan_of(tmp_path, changes, [5000])
    status = await apply(plan, Traced(refused=[1]))
    assert status.counts["rejected"] == 5000
    assert [fate.reason for fate in plan.fates()][-1] == "row 4999, which it needs, was rejected"


async def test_a_row_falls_as_soon_as_one_that_it_needs_has_fallen(tmp_path: Path) -> None:
    """It does not wait for the others it needs, whose entity cannot be written at all."""
    changes = [create(1), create(2, "ContactGroups"), create(3, "Tickets", waits_for=(1, 2))]
    target = Traced(refused=[1], failures={"create ContactGroups": [NoRouteError("405")]})
    plan = plan_of(tmp_path, changes, [1, 1, 1])
    status = await apply(plan, target)
    assert [fate.state for fate in plan.fates()] == ["rejected", "pending", "rejected"]
    assert "ContactGroups cannot be written" in (status.waiting or "")


async def test_rows_that_wait_for_each_other_end_the_run_and_say_so(tmp_path: Path) -> None:
    """No plan of ours has that; a run that can do nothing more ends instead of waiting for ever."""
    plan = plan_of(tmp_path, [create(1, waits_for=(2,)), create(2, waits_for=(1,)), create(3)], [3])
    status = await apply(plan, Traced())
    assert status.counts["applied"] == 1
    assert status.waiting == "the rows that are left wait for each other"


async def test_a_row_without_a_known_record_holds_what_refers_to_it(tmp_path: Path) -> None:
    """Nothing is sent with an empty reference where a record was meant."""
    plan = plan_of(tmp_path, [create(1), create(2, "Tickets", waits_for=(1,))], [1, 1])
    journal = Journal.open(plan.path)
    journal.note(Entry(n=1, kind=Kind.APPLIED))
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    target = Traced()
    await apply(plan, target)
    assert not target.writes
    assert "its id is not known" in (list(plan.fates())[1].reason or "")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Change], list[int], set[int]]:
    """Some steps; rows wait for rows above and, without a cycle, of their own step; some are refused."""
    steps = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    changes: list[Change] = []
    for rows in steps:
        before = len(changes)
        ranks = draw(st.permutations(range(rows)))
        entity = draw(st.sampled_from(ENTITIES))
        for at in range(rows):
            higher = [before + 1 + i for i in range(rows) if ranks[i] < ranks[at]]
            pool = [*range(1, before + 1), *higher]
            needs = draw(st.lists(st.sampled_from(pool), max_size=3, unique=True)) if pool else []
            barrier = draw(st.sampled_from([0, 0, 0, before]))
            changes.append(create(before + at + 1, entity, waits_for=tuple(sorted(needs)), barrier=barrier))
    refused = draw(st.sets(st.integers(1, len(changes)), max_size=3))
    return changes, steps, refused


def expected(changes: Sequence[Change], refused: set[int]) -> dict[int, str]:
    """The end state by the rules alone."""
    states: dict[int, str] = {}

    def state(n: int) -> str:
        if n not in states:
            needs = [state(m) for m in changes[n - 1].waits_for]
            states[n] = "rejected" if n in refused or "rejected" in needs else "applied"
        return states[n]

    return {change.n: state(change.n) for change in changes}


async def interrupted(plan: Plan, target: Traced, stops: Sequence[int]) -> list[Fate]:
    """Applies the plan; cut off after as many writes as `stops` say, in the middle of whatever goes on."""
    for count in stops:
        task = asyncio.ensure_future(apply(plan, shared(target)))
        aim = len(target.writes) + count
        while not task.done() and len(target.writes) < aim:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await apply(plan, shared(target))
    return list(plan.fates())


@settings(deadline=None, max_examples=40)  # the machine may be busy
@given(graphs(), st.lists(st.integers(0, 20), max_size=2), st.integers(1, 6), st.integers(1, 6))
def test_any_order_is_obeyed_and_comes_to_its_end(
    graph: tuple[list[Change], list[int], set[int]], stops: list[int], ready: int, parked: int
) -> None:
    """Whatever waits for whatever, however little fits, wherever it is cut off: no deadlock, no row twice."""
    changes, steps, refused = graph
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BULKOPS_STATE_DIR", folder)
        patch.setattr(feed, "READY", ready)
        patch.setattr(feed, "PARKED", parked)
        plan = plan_of(Path(folder), changes, steps)
        target = Traced(refused=refused)
        fates = asyncio.run(asyncio.wait_for(interrupted(plan, target, stops), timeout=60))
    wanted = expected(changes, refused)
    assert {fate.change.n: fate.state.value for fate in fates} == wanted
    made = [int(str(row[NAMES[entity]])) for entity in ENTITIES for row in target.rows[entity].values()]
    assert sorted(made) == [n for n, state in wanted.items() if state == "applied"]
    if not stops:
        with TemporaryDirectory() as folder:
            check_order(plan_of(Path(folder), changes, steps), target.story)
