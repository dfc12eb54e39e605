"""Settling by hand: one held row, and what fell only because of it; durable, and by one process at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.journal.hand import Resolved, resolve
from bulkops.plan import Header, Plan, PlanState, PlanWriter
from bulkops.record import Row


def make(path: Path, needs: Mapping[int, Sequence[int]], **actions: Action) -> Path:
    """A plan of creates, and what each row needs; `r3=…` gives row 3 another action."""
    changes = [
        Change(
            n=n, step="s", entity="Tasks", action=actions.get(f"r{n}", Action.CREATE), line=n + 1,
            file="x.csv", waits_for=tuple(needs[n]), id=None if f"r{n}" not in actions else 500 + n,
        )
        for n in sorted(needs)
    ]  # fmt: skip
    counts = {action.value: sum(change.action is action for change in changes) for action in Action}
    with PlanWriter(path) as writer:
        for change in changes:
            writer.add(Row(cells=(str(change.n),)), change)
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts=counts, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


def happen(path: Path, *entries: Entry) -> None:
    """A run in which this happened, stopped for a reason."""

    async def run() -> None:
        journal = Journal.open(path)
        for entry in entries:
            journal.note(entry)
        await journal.close(calls_read=1, calls_write=2, elapsed_s=1, waiting="stopped by Ctrl-C")

    asyncio.run(run())


def held(n: int) -> Entry:
    return Entry(n=n, kind=Kind.HELD, reason="the answer to its create was lost")


def fallen(n: int, needed: int) -> Entry:
    return Entry.fallen(n, needed, Kind.HELD)


def applied(n: int) -> Entry:
    return Entry(n=n, kind=Kind.APPLIED, id=1000 + n)


def settle(path: Path, n: int, *, created: int | None) -> Resolved:
    return asyncio.run(resolve(path, n, created=created))


def states(path: Path) -> dict[int, str]:
    return {n: state.value for n, state, _, _ in Plan.open(path).outcomes()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Row 2 is held, 3 fell with it, 4 with 3; 5 fell with 2 and with 6, which is held too; 1 is applied."""
    made = make(
        tmp_path / "x.plan", {1: [], 2: [1], 3: [2], 4: [3], 5: [2, 6], 6: [], 7: []}, r7=Action.UPDATE
    )
    happen(made, applied(1), held(2), fallen(3, 2), fallen(4, 3), fallen(5, 2), held(6), held(7))
    return made


def test_a_row_that_was_created_is_applied_with_its_id(path: Path) -> None:
    """Known to all that refer to it, and what fell with it is pending again, however far down."""
    resolved = settle(path, 2, created=77)
    assert (resolved.change.n, resolved.released) == (2, (3, 4))
    assert states(path) == {
        1: "applied",
        2: "applied",
        3: "pending",
        4: "pending",
        5: "held",
        6: "held",
        7: "held",
    }
    fate = Plan.open(path).fate(2)
    assert (fate.id, fate.reason) == (77, "by hand: it was created")


def test_a_row_that_was_not_created_is_pending_again(path: Path) -> None:
    """And so is what fell with it; the next apply goes on with all of it."""
    assert settle(path, 2, created=None).released == (3, 4)
    assert states(path)[2] == "pending"
    journal = Journal.open(path)
    assert [journal.is_in_doubt(n) or journal.is_settled(n) for n in (2, 3, 4)] == [False] * 3
    asyncio.run(journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None))


def test_what_another_row_holds_stays_held_and_says_so(path: Path) -> None:
    """Row 5 named row 2; now it names row 6, and is pending when that one is settled too."""
    assert Plan.open(path).fate(5).reason == "row 2, which it needs, is held"
    settle(path, 2, created=77)
    assert Plan.open(path).fate(5).reason == "row 6, which it needs, is held"
    assert settle(path, 6, created=None).released == (5,)


def test_what_was_rejected_for_another_reason_is_not_brought_back(tmp_path: Path) -> None:
    """A row that needs a held and a rejected one is rejected, when only the rejected one is left."""
    path = make(tmp_path / "x.plan", {1: [], 2: [], 3: [1, 2]})
    happen(path, held(1), Entry(n=2, kind=Kind.REJECTED, reason="no"), fallen(3, 1))
    assert settle(path, 1, created=None).released == ()
    fate = Plan.open(path).fate(3)
    assert (fate.state, fate.reason) == ("rejected", "row 2, which it needs, was rejected")


def test_a_row_held_for_itself_is_left_alone(tmp_path: Path) -> None:
    """It was sent, after what it needs was there: only its own fate counts."""
    path = make(tmp_path / "x.plan", {1: [], 2: [1], 3: []})
    happen(path, applied(1), held(2), held(3))
    settle(path, 3, created=5)
    assert states(path) == {1: "applied", 2: "held", 3: "applied"}


def test_what_was_sent_is_not_sent_again_because_its_parent_is_held(tmp_path: Path) -> None:
    """A parent that was applied and is held after all brings back what was never sent, and not what was."""
    path = make(tmp_path / "x.plan", {1: [], 2: [1], 3: [1], 4: [1]})
    sent = [Entry(n=n, kind=Kind.INTENT) for n in (1, 2, 4)]
    happen(path, *sent, applied(1), held(2), Entry(n=4, kind=Kind.WITHDRAWN))
    happen(path, held(1), fallen(3, 1), fallen(4, 1))
    assert settle(path, 1, created=77).released == (3, 4)
    assert states(path)[2] == "held"
    happen(path, Entry(n=4, kind=Kind.INTENT), held(4), held(1))
    settle(path, 4, created=None)  # it was sent, so a person can know that it made nothing
    assert states(path) == {1: "held", 2: "held", 3: "pending", 4: "pending"}


def test_why_the_last_run_stopped_and_what_it_used_stay_known(path: Path) -> None:
    """Settling by hand is no run that calls the target."""
    before = Plan.open(path).status()
    settle(path, 2, created=77)
    after = Plan.open(path).status()
    assert (after.waiting, after.calls, after.state) == (before.waiting, before.calls, PlanState.STOPPED)
    assert after.waiting == "stopped by Ctrl-C"


REFUSALS = [
    (1, 77, r"row 1 \(x\.csv:2\) is not held: it is applied, as Tasks 1001"),
    (8, 77, "has no row 8: its rows are 1 to 7"),
    (0, None, "has no row 0"),
    (7, 77, r"row 7 \(x\.csv:8\) creates nothing: it is held as update of Tasks 507"),
    (3, None, "row 3 was never sent: row 2, which it needs, is held. Settle row 2 instead"),
    (2, 1001, r"Tasks 1001 is the record of row 1 \(x\.csv:2\): it is not what row 2"),
]


@pytest.mark.parametrize(("n", "created", "sentence"), REFUSALS)
def test_what_is_not_to_be_settled_by_hand_is_refused(
    path: Path, n: int, created: int | None, sentence: str
) -> None:
    """With what it is and what to do, and nothing is changed."""
    before = states(path)
    with pytest.raises(PlanError, match=sentence):
        settle(path, n, created=created)
    assert states(path) == before
    assert not Plan.open(path).is_running()


def test_a_rejected_and_a_pending_row_say_what_they_are(tmp_path: Path) -> None:
    """A plan that was never begun is not even touched."""
    path = make(tmp_path / "x.plan", {1: [], 2: []})
    content = path.read_bytes()
    with pytest.raises(PlanError, match="it is pending, and the next apply settles it"):
        settle(path, 1, created=None)
    assert path.read_bytes() == content
    happen(path, Entry(n=2, kind=Kind.REJECTED, reason="too long"))
    with pytest.raises(PlanError, match=r"it is rejected \(too long\)"):
        settle(path, 2, created=1)


def test_an_id_of_another_entity_is_another_record(tmp_path: Path) -> None:
    """Ids are unique in their entity only, and a row may have its own id noted already."""
    path = tmp_path / "x.plan"
    with PlanWriter(path) as writer:
        for n, entity in enumerate(("Projects", "Tasks"), 1):
            writer.add(Row(cells=("a",)), Change(n=n, step="s", entity=entity, action=Action.CREATE))
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts={"create": 2}, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    happen(path, Entry(n=1, kind=Kind.APPLIED, id=5), Entry(n=2, kind=Kind.HELD, id=5, reason="which?"))
    settle(path, 2, created=5)
    assert states(path) == {1: "applied", 2: "applied"}


def test_an_update_may_be_made_pending_again(path: Path) -> None:
    """What it changes is looked at again by the next apply."""
    settle(path, 7, created=None)
    assert states(path)[7] == "pending"


async def test_a_running_apply_is_not_interfered_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a live process holds the plan nothing is settled by hand."""
    monkeypatch.setattr("bulkops.journal.journal.LEASE_WAIT_S", 0.05)
    journal = Journal.open(path)
    with pytest.raises(PlanError, match="is being applied by another process"):
        await resolve(path, 2, created=77)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


async def test_what_an_apply_settled_meanwhile_is_not_settled_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look and the lease another process may have settled the row: it is asked again."""
    opened = Journal.open

    def late(*args: object, **options: object) -> Journal:
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("INSERT INTO journal VALUES (2, 8, 1, 'applied', 0, 99, NULL)")
        connection.close()
        return opened(path)

    monkeypatch.setattr(Journal, "open", late)
    with pytest.raises(PlanError, match="it is applied, as Tasks 99"):
        await resolve(path, 2, created=77)
    assert not Plan.open(path).is_running()


ROWS = 12
NEEDS = st.fixed_dictionaries(
    {n: st.sets(st.integers(1, max(1, n - 1)), max_size=3) for n in range(1, ROWS + 1)}
)


def held_by(own: set[int], rows: Mapping[int, Sequence[int]]) -> set[int]:
    """The rows that are held when those in `own` are held for themselves."""
    bad: set[int] = set()
    for n in rows:
        if n in own or bad.intersection(rows[n]):
            bad.add(n)
    return bad


@settings(deadline=None, max_examples=40)
@given(
    needs=NEEDS,
    lost=st.lists(st.integers(1, ROWS), min_size=1, max_size=4, unique=True),
    is_made=st.booleans(),
)
def test_each_row_is_free_when_nothing_it_needs_is_held_and_not_before(
    tmp_path_factory: pytest.TempPathFactory, needs: dict[int, set[int]], lost: list[int], is_made: bool
) -> None:
    """Whatever needs whatever, and in whatever order the held ones are settled; in the end none is held."""
    rows = {n: [m for m in sorted(needs[n]) if m < n] for n in sorted(needs)}
    path = make(tmp_path_factory.mktemp("hand") / "x.plan", rows)
    own = {n for n in lost if not held_by(set(lost) - {n}, rows).intersection(rows[n])}
    bad = held_by(own, rows)
    needed = {n: next(m for m in rows[n] if m in bad) for n in sorted(bad - own)}
    happen(path, *(held(n) if n in own else fallen(n, needed[n]) for n in sorted(bad)))
    for root in [n for n in lost if n in own]:
        own.discard(root)
        resolved = settle(path, root, created=9000 + root if is_made else None)
        left = held_by(own, rows)
        assert set(resolved.released) == bad - left - {root}
        bad = left
        assert {n for n, state in states(path).items() if state == "held"} == bad
    assert not bad
