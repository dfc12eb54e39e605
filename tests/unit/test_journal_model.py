"""The journal against a model that a child could check: all that was said, and the last word on each row.

Random stories of intents, outcomes, flushes, clean stops, kills that take what was not yet durable, and rows
settled by hand; after each step the journal and the plan must say what the model says.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.journal.hand import resolve
from bulkops.plan import Header, Plan, PlanWriter, RowState
from bulkops.record import Row

# Where the system has a disk in memory: the syncs of thousands of steps cost a minute, and nobody needs them.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
WRITES = 6  # rows 1 to 6 are creates; the plan itself settles 7 and 8
ROWS = range(1, WRITES + 3)
PLANNED = {7: Kind.UNCHANGED, 8: Kind.REJECTED}

NUMBERS = st.integers(1, WRITES)
IDS = st.none() | st.integers(1, 99)
ENTRIES = st.builds(
    Entry, n=NUMBERS, kind=st.sampled_from([kind for kind in Kind if kind is not Kind.INTENT]), id=IDS
)


def make(path: Path) -> Path:
    actions = [*[Action.CREATE] * WRITES, Action.UNCHANGED, Action.REJECTED]
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


class Story(RuleBasedStateMachine):
    """`said` is every line in order; the first `durable` of them survive whatever happens."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.path, self.state = make(self.folder / "x.plan"), self.folder / "state"
        self.runner = asyncio.Runner()
        self.said: list[Entry] = []
        self.durable = 0
        self.open()

    def open(self) -> None:
        """A new run, which knows what the model knows."""
        self.journal = Journal.open(self.path, state_dir=self.state)
        self.left = [n for n in ROWS if self.kind(n) in (Kind.INTENT, Kind.DOUBT)]  # in doubt, from before
        self.floors = {n: self.floor(n) for n in self.left}

    # --- the model ---

    def last(self, n: int) -> Entry | None:
        return next((entry for entry in reversed(self.said) if entry.n == n), None)

    def kind(self, n: int) -> Kind | None:
        last = self.last(n)
        return PLANNED.get(n) if last is None else last.kind

    def floor(self, n: int) -> int | None:
        """The least floor of the intents since the row was last pending; None where one had none."""
        floors: list[int | None] = []
        for entry in reversed([entry for entry in self.said if entry.n == n]):
            if entry.kind not in (Kind.INTENT, Kind.DOUBT):
                break
            floors += [entry.id] if entry.kind is Kind.INTENT else []
        known = [floor for floor in floors if floor is not None]
        return min(known) if known and len(known) == len(floors) else None

    def counts(self) -> dict[str, int]:
        states = [_state(self.kind(n)) for n in ROWS]
        return {state.value: states.count(state) for state in RowState}

    # --- what happens ---

    @rule(ns=st.lists(NUMBERS, unique=True, min_size=1, max_size=4), floor=IDS)
    def intent(self, ns: list[int], floor: int | None) -> None:
        floors = None if floor is None else dict.fromkeys(ns, floor)
        if any((kind := self.kind(n)) is not None and kind.is_settled for n in ns):
            with pytest.raises(ValueError, match="nothing may be sent for it"):
                self.runner.run(self.journal.intent(ns, floors=floors))
            return
        self.runner.run(self.journal.intent(ns, floors=floors))
        self.said += [Entry(n=n, kind=Kind.INTENT, id=floor) for n in ns]
        self.durable = len(self.said)

    @rule(entries=st.lists(ENTRIES, min_size=1, max_size=3))
    def note(self, entries: list[Entry]) -> None:
        self.journal.note(*entries)
        self.said += entries

    @rule()
    def flush(self) -> None:
        self.runner.run(self.journal.flush())
        self.durable = len(self.said)
        assert Plan.open(self.path).status().counts == self.counts()

    @rule()
    def tell_usage(self) -> None:
        self.journal.note_usage(calls_read=1, calls_write=2, elapsed_s=0.5, waiting="for a slot")

    @rule()
    def stop_and_go_on(self) -> None:
        self.close()
        self.open()

    @rule(unwritten=st.lists(ENTRIES, max_size=3))
    def kill(self, unwritten: list[Entry]) -> None:
        """What was noted while the disk kept the journal waiting is lost, and nothing else."""
        self.runner.run(self.journal.flush())
        disk = sqlite3.connect(self.path, isolation_level=None)
        disk.execute("BEGIN IMMEDIATE")
        self.journal.note(*unwritten)
        names = ("x.plan", "x.plan-wal", "state/plans.json")
        killed = {name: (self.folder / name).read_bytes() for name in names}
        disk.execute("ROLLBACK")
        disk.close()
        self.close()  # its thread has to end somehow; what it did since is undone
        for name, content in killed.items():
            with (self.folder / name).open("r+b" if (self.folder / name).exists() else "wb") as file:
                file.write(content)
                file.truncate()
        self.durable = len(self.said)
        assert Plan.open(self.path).status().counts == self.counts()
        self.open()

    @rule(n=NUMBERS, created=st.none() | st.integers(1, 99))
    def settle_by_hand(self, n: int, created: int | None) -> None:
        self.close()
        taken = created in [entry.id for m in ROWS if m != n and (entry := self._recorded(m))]
        if self.kind(n) is Kind.HELD and not taken:
            self.runner.run(resolve(self.path, n, created=created, state_dir=self.state))
            kind = Kind.WITHDRAWN if created is None else Kind.APPLIED
            self.said.append(Entry(n=n, kind=kind, id=created))
            self.durable = len(self.said)
        else:
            with pytest.raises(PlanError, match=r"is not held|is the record of row"):
                self.runner.run(resolve(self.path, n, created=created, state_dir=self.state))
        self.open()

    def _recorded(self, n: int) -> Entry | None:
        """The last word on row `n`, where it names a record."""
        last = self.last(n)
        return last if last and last.id is not None and last.kind is not Kind.INTENT else None

    def close(self) -> None:
        closing = self.journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
        self.runner.run(closing)
        self.durable = len(self.said)

    # --- what must be true at any time ---

    @invariant()
    def knows_the_last_word_on_each_row(self) -> None:
        journal = self.journal
        kinds = {n: self.kind(n) for n in ROWS}
        settled = {n for n, kind in kinds.items() if kind is not None and kind.is_settled}
        assert {n: journal.kind(n) for n in ROWS} == kinds
        assert {n for n in ROWS if journal.is_settled(n)} == settled
        assert journal.settled_count == len(settled)
        assert journal.settled_through() == min({*ROWS, len(ROWS) + 1} - settled) - 1
        assert journal.held() == [n for n, kind in kinds.items() if kind is Kind.HELD]
        assert journal.counts() == self.counts()

    @invariant()
    def knows_what_is_in_doubt(self) -> None:
        in_doubt = [n for n in ROWS if self.kind(n) in (Kind.INTENT, Kind.DOUBT)]
        assert [n for n in ROWS if self.journal.is_in_doubt(n)] == in_doubt
        assert self.journal.in_doubt() == [n for n in self.left if n in in_doubt]
        assert {n: self.journal.floor(n) for n in self.left} == self.floors

    @invariant()
    def knows_whose_record_an_id_is(self) -> None:
        ids = {n: entry.id for n in ROWS if (entry := self._recorded(n))}
        assert {n: self.journal.created_id(n) for n in ROWS} == {n: ids.get(n) for n in ROWS}
        assert self.journal.holders(range(1, 100)) == sorted(ids.items())

    @invariant()
    def keeps_every_line_in_order(self) -> None:
        """What any other program reads is a beginning of what was said, and all that was acknowledged."""
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
        stored = connection.execute("SELECT n, kind, id, seq FROM journal ORDER BY seq").fetchall()
        connection.close()
        assert [seq for *_, seq in stored] == list(range(1, len(stored) + 1))
        said = [(entry.n, entry.kind.value, entry.id) for entry in self.said]
        assert [tuple(line[:3]) for line in stored] == said[: len(stored)]
        assert len(stored) >= self.durable

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.close()
            self.runner.close()
            shutil.rmtree(self.folder)


def _state(kind: Kind | None) -> RowState:
    return RowState(kind.value) if kind is not None and kind.is_settled else RowState.PENDING


@pytest.mark.parametrize("examples", [25, pytest.param(1_000, marks=pytest.mark.slow)])
def test_whatever_happens_the_journal_says_what_was_said(
    monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    """Random stories, folds of the log among them."""
    monkeypatch.setattr("bulkops.journal.scribe.FOLD_AFTER", 5)
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
