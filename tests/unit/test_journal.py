"""The journal: durable before it is acknowledged, the last word counts, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
from itertools import cycle
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change
from bulkops.errors import JournalError, PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanState, PlanWriter
from bulkops.plan.storage import Lease, is_leased
from bulkops.record import Row

COUNT = 300


def make(path: Path, actions: list[Action]) -> Path:
    counts = {action.value: actions.count(action) for action in Action}
    with PlanWriter(path) as writer:
        for n, action in enumerate(actions, 1):
            writer.add(Row(cells=(str(n),)), Change(n=n, step="s", entity="Tasks", action=action))
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts=counts, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path / "x.plan", [Action.CREATE] * COUNT)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def close(journal: Journal) -> None:
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


def applied(n: int) -> Entry:
    return Entry(n=n, kind=Kind.APPLIED, id=1000 + n)


def stored(path: Path) -> list[tuple[int, str]]:
    """What any other program reads from the disk: the journal in the order it was written."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT n, kind FROM journal ORDER BY seq").fetchall()
    finally:
        connection.close()


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def log_pages(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size // 4096


# --- writing ---


async def test_an_intent_is_durable_when_it_returns(path: Path, state: Path) -> None:
    """Whoever reads the disk at that moment finds it."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(7)
    assert stored(path) == [(7, "intent")]
    await journal.intent([8, 9])
    assert stored(path) == [(7, "intent"), (8, "intent"), (9, "intent")]
    await close(journal)


async def test_entries_keep_their_order(path: Path, state: Path) -> None:
    """What was noted first is written first, and flush returns when all of it is durable."""
    journal = Journal.open(path, state_dir=state)
    expected = []
    for n in range(1, 200):
        await journal.intent(n) if n % 50 == 0 else None
        expected += [(n, "intent")] if n % 50 == 0 else []
        journal.note(applied(n))
        expected.append((n, "applied"))
    await journal.flush()
    assert stored(path) == expected
    await close(journal)


async def test_what_waits_at_the_same_moment_shares_a_commit(path: Path, state: Path) -> None:
    """64 intents at once cost a few pages of the log, not 64 commits of their own."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(COUNT)
    before = log_pages(path)
    await asyncio.gather(*(journal.intent(n) for n in range(1, 65)))
    assert log_pages(path) - before <= 8
    assert len(stored(path)) == 65
    await close(journal)


async def test_more_entries_than_one_statement_takes_are_one_commit(path: Path, state: Path) -> None:
    """A long list is written as a whole or not at all."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(range(1, COUNT + 1))
    assert [n for n, _ in stored(path)] == list(range(1, COUNT + 1))
    await close(journal)


async def test_a_cancelled_intent_may_still_become_durable(path: Path, state: Path) -> None:
    """Then it is an intent like any other; those who waited with it are not disturbed."""
    journal = Journal.open(path, state_dir=state)
    first, second = asyncio.ensure_future(journal.intent(1)), asyncio.ensure_future(journal.intent(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    await journal.flush()
    assert stored(path) == [(1, "intent"), (2, "intent")]
    assert journal.is_in_doubt(1)
    await close(journal)


async def test_a_settled_change_is_never_intended_again(path: Path, state: Path) -> None:
    """Nothing is sent twice, whoever asks for it; the refused list leaves nothing behind."""
    journal = Journal.open(path, state_dir=state)
    journal.note(applied(1))
    with pytest.raises(ValueError, match="change 1 is settled"):
        await journal.intent([2, 1])
    assert journal.kind(2) is None
    await close(journal)


async def test_a_reason_is_kept_whatever_it_holds(path: Path, state: Path) -> None:
    """The target's texts are not ours: what no file can hold is replaced, the rest is kept."""
    journal = Journal.open(path, state_dir=state)
    journal.note(Entry(n=1, kind=Kind.REJECTED, reason="Grüße \x00 \ud800 'quoted'"))
    await close(journal)
    assert next(Plan.open(path).fates()).reason == "Grüße \x00 ? 'quoted'"


# --- recovering ---

ENTRIES = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(Kind), st.none() | st.integers(1, 2**60)), max_size=25
)


@settings(deadline=None, max_examples=40)
@given(runs=st.lists(ENTRIES, min_size=1, max_size=3))
def test_every_story_is_remembered(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[tuple[int, Kind, int | None]]]
) -> None:
    """Whatever happened over several runs, the last word on each change and its id are known again."""
    folder = tmp_path_factory.mktemp("story")
    path = make(folder / "x.plan", [Action.CREATE] * 6)
    kinds: dict[int, Kind] = {}
    ids: dict[int, int | None] = {}

    def check(journal: Journal) -> None:
        assert [journal.kind(n) for n in range(1, 7)] == [kinds.get(n) for n in range(1, 7)]
        assert [journal.created_id(n) for n in range(1, 7)] == [ids.get(n) for n in range(1, 7)]
        settled = {n for n, kind in kinds.items() if kind.is_settled}
        assert journal.settled_count == len(settled)
        assert journal.settled_through() == min(set(range(1, 8)) - settled) - 1

    async def live() -> None:
        for entries in runs:
            journal = Journal.open(path, state_dir=folder / "state")
            assert journal.is_begun == bool(kinds)
            check(journal)
            for n, kind, id in entries:
                journal.note(Entry(n=n, kind=kind, id=id))
                kinds[n] = kind
                ids[n] = None if kind is Kind.INTENT else id  # an intent's is its floor
            check(journal)
            await close(journal)
        journal = Journal.open(path, state_dir=folder / "state")
        check(journal)
        await close(journal)

    asyncio.run(live())
    counts = Plan.open(path).status().counts
    for kind in (Kind.APPLIED, Kind.UNCHANGED, Kind.REJECTED, Kind.HELD):
        assert counts[kind.value] == list(kinds.values()).count(kind)


async def test_what_was_left_in_doubt_is_known_with_its_floor(path: Path, state: Path) -> None:
    """The least id that was known before any of its requests could leave, since it was last known to be
    pending; none where one of them left without it."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2], floors={1: 50})
    await journal.intent(2, floors={2: 60})
    journal.note(Entry(n=2, kind=Kind.DOUBT, reason="connection lost"))
    await journal.intent([3, 4])
    journal.note(Entry(n=3, kind=Kind.WITHDRAWN))
    journal.note(applied(4))
    await journal.intent([5], floors={5: 10})
    journal.note(Entry(n=5, kind=Kind.WITHDRAWN))
    await journal.intent([5], floors={5: 80})
    await journal.intent([5], floors={5: 70})
    await close(journal)
    resumed = Journal.open(path, state_dir=state)
    assert {n: resumed.floor(n) for n in resumed.in_doubt()} == {1: 50, 2: None, 5: 70}
    assert (resumed.kind(3), resumed.kind(4), resumed.created_id(4)) == (Kind.WITHDRAWN, Kind.APPLIED, 1004)
    assert not resumed.is_settled(3) and not resumed.is_in_doubt(3)
    resumed.note(applied(1))
    assert resumed.in_doubt() == [2, 5]
    await close(resumed)


DAY = 86_400.0


@settings(deadline=None, max_examples=20)
@given(times=st.lists(st.sampled_from([-365 * DAY, -DAY, -1.0, 0.0, 1.0, DAY, 30 * DAY]), min_size=1))
def test_a_clock_that_jumps_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, times: list[float]
) -> None:
    """Between runs and in the middle of one, by a day or a year, forwards and backwards: the same story."""
    folder = tmp_path_factory.mktemp("clock")
    path = make(folder / "x.plan", [Action.CREATE] * 6)
    jumps = cycle(times)

    def open_journal() -> Journal:
        return Journal.open(path, state_dir=folder / "state", clock=lambda: 1_800_000_000.0 + next(jumps))

    async def live() -> None:
        for n in (1, 2, 3):
            journal = open_journal()
            await journal.intent([n, n + 3])
            journal.note(applied(n), Entry(n=n + 3, kind=Kind.DOUBT))
            await journal.intent(n + 3)
            await close(journal)
        journal = open_journal()
        assert [journal.kind(n) for n in (1, 2, 3)] == [Kind.APPLIED] * 3
        assert journal.in_doubt() == [4, 5, 6]
        await close(journal)

    asyncio.run(live())
    assert [n for n, _ in stored(path)] == [1, 4, 1, 4, 4, 2, 5, 2, 5, 5, 3, 6, 3, 6, 6]


async def test_what_the_plan_settled_is_settled(tmp_path: Path, state: Path) -> None:
    """Unchanged and rejected rows need nothing, and barriers count them."""
    actions = [
        Action.UNCHANGED,
        Action.REJECTED,
        Action.CREATE,
        Action.UPDATE,
        Action.DELETE,
        Action.REJECTED,
    ]
    journal = Journal.open(make(tmp_path / "mixed.plan", actions), state_dir=state)
    assert [journal.kind(n) for n in range(1, 7)] == [
        Kind.UNCHANGED, Kind.REJECTED, None, None, None, Kind.REJECTED,
    ]  # fmt: skip
    assert (journal.settled_through(), journal.settled_count, journal.is_begun) == (2, 3, False)
    journal.note(applied(4))
    assert journal.settled_through() == 2
    journal.note(applied(3))
    assert journal.settled_through() == 4
    journal.note(applied(5))
    assert (journal.settled_through(), journal.settled_count) == (6, 6)
    await close(journal)
    assert Plan.open(tmp_path / "mixed.plan").state() == PlanState.FINISHED


async def test_what_is_pending_again_is_a_barrier_again(path: Path, state: Path) -> None:
    """A row that was settled and is not any more holds back what waits for all rows up to there."""
    journal = Journal.open(path, state_dir=state)
    journal.note(applied(1), applied(2), applied(3))
    assert journal.settled_through() == 3
    journal.note(Entry(n=2, kind=Kind.WITHDRAWN))
    assert journal.settled_through() == 1
    journal.note(applied(2))
    assert journal.settled_through() == 3
    await close(journal)


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM journal WHERE seq = 2",
        "UPDATE journal SET n = 0 WHERE seq = 3",
        "UPDATE journal SET n = 301 WHERE seq = 3",
        "UPDATE journal SET kind = 'done' WHERE seq = 3",
        "UPDATE journal SET id = 'x' WHERE seq = 3",
        "UPDATE journal SET n = 300 WHERE seq = 3",
    ],
)
async def test_a_journal_with_a_gap_or_a_strange_entry_is_refused(
    tmp_path: Path, state: Path, edit: str
) -> None:
    """A story with a page missing, or a word on a row that needed nothing, is no ground to send anything."""
    path = make(tmp_path / "x.plan", [*[Action.CREATE] * 299, Action.UNCHANGED])
    journal = Journal.open(path, state_dir=state)
    await journal.intent([1, 2])
    journal.note(applied(1))
    await close(journal)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(edit)
    connection.close()
    with pytest.raises(PlanError, match="is damaged"):
        Journal.open(path, state_dir=state)


async def test_an_edited_plan_is_refused(path: Path, state: Path) -> None:
    """Refused with nothing tried, and the lease given back."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE header SET json = replace(json, '\"1\"', '\"2\"')")
    connection.close()
    with pytest.raises(PlanError, match="was edited after it was sealed"):
        Journal.open(path, state_dir=state)
    assert not is_leased(path)


# --- one at a time, seen by others ---


async def test_a_second_apply_is_refused_and_told_who(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes never apply one plan; the second says which process does."""
    monkeypatch.setattr("bulkops.journal.journal.LEASE_WAIT_S", 0.05)
    journal = Journal.open(path, state_dir=state)
    with pytest.raises(PlanError, match=rf"is being applied by another process \(pid {os.getpid()}\)"):
        Journal.open(path, state_dir=state)
    await close(journal)
    await close(Journal.open(path, state_dir=state))


def test_a_second_apply_is_refused_also_where_nobody_can_tell_whose_the_first_is(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease alone decides, whatever the file says."""
    monkeypatch.setattr("bulkops.journal.journal.LEASE_WAIT_S", 0.05)
    lease = Lease(path)
    assert lease.take()
    path.write_bytes(b"no plan at all")
    with pytest.raises(PlanError, match=r"is being applied by another process\. Wait until"):
        Journal.open(path, state_dir=state)
    lease.release()


async def test_a_plan_is_read_while_it_is_applied(path: Path, state: Path) -> None:
    """`status`, `show` and `results` work at any time and see what is durable."""
    journal = Journal.open(path, state_dir=state)
    plan = Plan.open(path)
    streaming = plan.changes()
    assert next(streaming).n == 1
    for n in range(1, 101):
        await journal.intent(n)
        journal.note(applied(n))
    await journal.flush()
    status = plan.status()
    assert (status.state, status.counts["applied"], status.counts["pending"]) == (PlanState.RUNNING, 100, 200)
    assert [id for _, _, id, _ in plan.outcomes()][:2] == [1001, 1002]
    await close(journal)
    assert [change.n for change in streaming] == list(range(2, COUNT + 1))
    assert Plan.open(path).state() == PlanState.STOPPED
    assert names(path.parent) == ["state", "x.plan", "x.plan.lock"]


async def test_usage_adds_up_over_all_runs(path: Path, state: Path) -> None:
    """Calls, time and the reason for waiting are seen while a run goes on, and add up when it has ended."""
    for _ in range(2):
        journal = Journal.open(path, state_dir=state)
        journal.note_usage(calls_read=1, calls_write=2, elapsed_s=0.5, waiting="until 14:05")
        await journal.flush()
        assert Plan.open(path).status().waiting == "until 14:05"
        await journal.close(calls_read=3, calls_write=5, elapsed_s=1.5, waiting="stopped by Ctrl-C")
    status = Plan.open(path).status()
    assert (status.calls, status.elapsed_s) == ({"read": 6, "write": 10}, 3.0)
    assert status.waiting == "stopped by Ctrl-C"
    assert len(Plan.open(path).run_ids()) == 2


# --- ending ---


async def test_close_finishes_under_cancellation(path: Path, state: Path) -> None:
    """Cancelled in the middle of closing, and again, it still writes everything, and then passes it on."""
    journal = Journal.open(path, state_dir=state)
    for n in range(1, COUNT + 1):
        journal.note(applied(n))
    closing = asyncio.ensure_future(close(journal))
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert Plan.open(path).status().state == PlanState.FINISHED
    assert names(path.parent) == ["state", "x.plan", "x.plan.lock"]


async def test_close_finishes_in_a_cancelled_scope(path: Path, state: Path) -> None:
    """The applier's task group may be cancelled already when it comes to closing."""
    journal = Journal.open(path, state_dir=state)
    with anyio.CancelScope() as scope:
        scope.cancel()
        journal.note(applied(1))
        with anyio.CancelScope(shield=True):
            await close(journal)
    assert Plan.open(path).status().counts["applied"] == 1


async def test_an_ended_journal_takes_nothing_more(path: Path, state: Path) -> None:
    """Nobody waits for ever for a journal that has ended, and closing it again does nothing."""
    journal = Journal.open(path, state_dir=state)
    await close(journal)
    await close(journal)
    with pytest.raises(JournalError, match="takes nothing more"):
        journal.note(applied(1))
    with pytest.raises(JournalError, match="takes nothing more"):
        await journal.intent(1)
    with pytest.raises(JournalError, match="takes nothing more"):
        await journal.flush()


@pytest.fixture
async def broken(path: Path, state: Path) -> Journal:
    """A journal whose table was taken away under it."""
    journal = Journal.open(path, state_dir=state)
    await journal.intent(1)
    other = sqlite3.connect(path)
    other.execute("ALTER TABLE journal RENAME TO gone")
    other.close()
    return journal


async def test_a_failure_is_told_to_all_and_for_good(broken: Journal) -> None:
    """Whoever waits and whoever comes later gets the same sentence; nothing more is taken."""
    waiting = [asyncio.ensure_future(broken.intent(n)) for n in range(2, 10)]
    for waiter in waiting:
        with pytest.raises(JournalError, match=r"x\.plan.*nothing more is sent.*apply the plan again"):
            await waiter
    for attempt in (broken.flush, lambda: broken.intent(20)):
        with pytest.raises(JournalError, match="nothing more is sent"):
            await attempt()
    with pytest.raises(JournalError, match="nothing more is sent"):
        broken.note(applied(1))
    with pytest.raises(JournalError, match="nothing more is sent"):
        await close(broken)


async def test_closing_that_fails_while_it_is_cancelled_leaves_nothing_to_complain_of(
    broken: Journal,
) -> None:
    """The cancellation is passed on, and the event loop does not find a failure that nobody asked for."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    broken.note(applied(1))
    closing = asyncio.ensure_future(close(broken))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    del closing
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_a_bug_is_told_to_whoever_waits(path: Path, state: Path) -> None:
    """Nobody waits for ever, and nothing more is sent, also where the writing thread itself is at fault."""
    journal = Journal.open(path, state_dir=state)
    with pytest.raises(JournalError, match=r"a bug of bulkops \(OverflowError"):
        await journal.intent(1, floors={1: 2**70})
    with pytest.raises(JournalError, match="a bug of bulkops"):
        await close(journal)
    assert not is_leased(path)
    assert stored(path) == []


async def test_an_outcome_that_could_not_be_written_is_not_kept_quiet(broken: Journal) -> None:
    """Noted without waiting and lost: closing says so, at the latest, and gives the lease back."""
    broken.note(applied(1))
    with pytest.raises(JournalError, match="nothing more is sent"):
        await close(broken)
    assert not broken.plan.is_running()


def test_a_plan_that_another_program_writes_is_named(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SQLite tool in the middle of an edit, or of more: refused with nothing tried, and what to do."""
    monkeypatch.setattr("bulkops.plan.storage.BUSY_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    for lock in ("IMMEDIATE", "EXCLUSIVE"):
        other.execute(f"BEGIN {lock}")
        with pytest.raises(PlanError, match="in use by another program"):
            Journal.open(path, state_dir=state)
        other.execute("ROLLBACK")
    other.close()
    assert not is_leased(path)


def test_a_plan_that_cannot_be_locked_is_named(path: Path, state: Path) -> None:
    """Without its lock nobody could be kept out, so it is not applied; it can still be shown."""
    path.with_name("x.plan.lock").mkdir()
    with pytest.raises(PlanError, match="cannot be locked"):
        Journal.open(path, state_dir=state)
    assert Plan.open(path).state() == PlanState.PLANNED


def test_a_missing_plan_is_named_and_nothing_is_made(tmp_path: Path, state: Path) -> None:
    """No lock file and no database appear where a name was mistyped."""
    with pytest.raises(PlanError, match="there is no such plan file"):
        Journal.open(tmp_path / "mistyped.plan", state_dir=state)
    assert list(tmp_path.iterdir()) == []


def test_only_final_words_are_settled() -> None:
    """An intent, a doubt and a withdrawal leave the row pending; the other four are its end."""
    assert [kind for kind in Kind if kind.is_settled] == [
        Kind.APPLIED, Kind.UNCHANGED, Kind.REJECTED, Kind.HELD,
    ]  # fmt: skip
