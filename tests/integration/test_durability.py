"""Power cuts and failing disks: what was acknowledged is there, whatever became of what was not synced.

The journal's own code runs on an SQLite whose file layer writes down every write and sync (powercut.py); what
is left is then opened by the SQLite that users have.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change
from bulkops.errors import JournalError, PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, storage
from bulkops.record import Row
from tests.integration.powercut import Disk, Image, Told, failing, registers, survivals, told

COUNT = 12


def make(path: Path, count: int = COUNT) -> Path:
    with PlanWriter(path) as writer:
        for n in range(1, count + 1):
            writer.add(Row(cells=(str(n),)), Change(n=n, step="s", entity="Tasks", action=Action.CREATE))
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="", steps=(),
                counts={"create": count}, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


Line: TypeAlias = tuple[int, str]
Act: TypeAlias = tuple[str, int]
"""What a run does next: intend so many pending rows, all at once or one by one; settle the oldest; flush."""

ACTS = st.tuples(st.sampled_from(["intend", "intend apart", "settle", "doubt", "flush"]), st.integers(1, 3))


@dataclass
class Desk:
    """A plan in a folder, its register, and every line of its journal in the order it was asked for."""

    folder: Path
    lines: list[Line] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "x.plan"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def register(self) -> Path:
        return self.state / "plans.json"

    def image(self) -> Image:
        names = [self.path.name, *(self.path.name + suffix for suffix in storage.SIDE_FILES)]
        return {name: _content(self.folder / name) for name in names if not name.endswith("-shm")}

    def restore(self, image: Image, register: bytes | None) -> None:
        """The folder as it stands after the power is back: the very same files, the shared memory lost."""
        storage.beside(self.path, "-shm").unlink(missing_ok=True)
        for name, content in {**image, "state/plans.json": register}.items():
            file = self.folder / name
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(exist_ok=True)
                with file.open("r+b" if file.exists() else "wb") as opened:
                    opened.write(content)
                    opened.truncate()

    def stored(self) -> list[Line]:
        """The journal in the order of its numbers; fails where one is missing."""
        Plan.open(self.path)
        with storage.reading(self.path) as connection:
            found = connection.execute("SELECT n, kind, seq FROM journal ORDER BY seq").fetchall()
        assert [seq for _, _, seq in found] == list(range(1, len(found) + 1))
        return [(n, kind) for n, kind, _ in found]

    def live(self, acts: Sequence[Act], disk: Disk) -> None:
        """One run on this disk, ended in good order where the disk allows it. Raises as the journal does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "connect", disk.connect)
            asyncio.run(self._live(acts, disk))

    async def _live(self, acts: Sequence[Act], disk: Disk) -> None:
        journal = Journal.open(self.path, state_dir=self.state)
        disk.tape.append(Told(len(self.lines)))
        try:
            for what, count in acts:
                await self._act(journal, disk, what, count)
        finally:
            await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
            disk.tape.append(Told(len(self.lines)))

    async def _act(self, journal: Journal, disk: Disk, what: str, count: int) -> None:
        open_rows = [n for n in range(1, COUNT + 1) if not journal.is_settled(n)]
        if what == "flush":
            lines = len(self.lines)
            await journal.flush()
            disk.tape.append(Told(lines))
        elif what == "intend":
            await self._intend(journal, disk, open_rows[:count])
        elif what == "intend apart":
            await asyncio.gather(*(self._intend(journal, disk, [n]) for n in open_rows[:count]))
        else:
            kind = Kind.APPLIED if what == "settle" else Kind.DOUBT
            for n in [n for n in open_rows if journal.is_in_doubt(n)][:count]:
                self.lines.append((n, kind))
                journal.note(Entry(n=n, kind=kind, id=1000 + n))

    async def _intend(self, journal: Journal, disk: Disk, ns: list[int]) -> None:
        self.lines += [(n, Kind.INTENT) for n in ns]
        lines = len(self.lines)
        await journal.intent(ns)
        disk.tape.append(Told(lines))

    def check(self, told: int) -> list[Line]:
        """The plan opens and goes on, and knows at least the first `told` lines. Returns what it knows."""
        status = Plan.open(self.path).status()
        assert sum(status.counts.values()) == COUNT
        stored = self.stored()
        assert stored == self.lines[: len(stored)], "the journal tells another story"
        assert len(stored) >= told, f"{told} lines were acknowledged, {len(stored)} are left"

        async def look() -> None:
            journal = Journal.open(self.path, state_dir=self.state)
            last = dict(stored)
            assert [journal.kind(n) for n in range(1, COUNT + 1)] == [
                last.get(n) for n in range(1, COUNT + 1)
            ]
            await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)

        asyncio.run(look())
        assert {item.name for item in self.folder.glob("x.plan*")} == {"x.plan", "x.plan.lock"}
        return stored


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


STORY: list[Act] = [
    ("intend", 2), ("settle", 1), ("intend apart", 3), ("flush", 1), ("doubt", 1), ("settle", 2),
    ("intend", 1),
]  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where the system has it: thousands of syncs that nobody needs here cost a minute."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def desk(folder: Path) -> Desk:
    made = Desk(folder)
    make(made.path)
    return made


def cuts(
    desk: Desk, *, acts: Sequence[Act] = STORY, is_careless: bool = False, most: int = 2
) -> Iterator[int]:
    """Runs `acts` once, and puts the desk as each power cut may leave it; gives the lines acknowledged."""
    before = desk.image()
    disk = Disk(desk.register, is_careless=is_careless)
    desk.live(acts, disk)
    rng = random.Random(1)
    for cut in range(len(disk.tape) + 1):
        for image in survivals(before, disk.tape[:cut], rng, most):
            for register in registers(disk.tape, cut):
                desk.restore(image, register)
                yield told(disk.tape[:cut])


def test_a_power_cut_at_any_write_forgets_nothing_that_was_acknowledged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin, intents, outcomes, folds and clean stop, cut at every write and sync, with all that may survive:
    the plan opens, knows all that was acknowledged, and what else it knows came next."""
    monkeypatch.setattr("bulkops.journal.scribe.FOLD_AFTER", 3)
    known = [len(desk.check(acknowledged)) for acknowledged in cuts(desk)]
    assert len(known) > 200 and {0, len(desk.lines)} < set(known)


LIVES = st.lists(
    st.tuples(st.lists(ACTS, max_size=8), st.floats(0, 1), st.integers(0, 2**32)), min_size=1, max_size=4
)


@pytest.mark.parametrize("examples", [25, pytest.param(1_000, marks=pytest.mark.slow)])
def test_power_cuts_in_a_row_forget_nothing(
    folder: Path, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random runs, each cut anywhere, also while it recovers from the cut before it."""
    monkeypatch.setattr("bulkops.journal.scribe.FOLD_AFTER", 4)

    @settings(deadline=None, max_examples=examples, database=None)
    @given(lives=LIVES)
    def story(lives: list[tuple[list[Act], float, int]]) -> None:
        desk = Desk(Path(tempfile.mkdtemp(dir=folder)))
        make(desk.path)
        for acts, where, seed in lives:
            before, rng = desk.image(), random.Random(seed)
            disk = Disk(desk.register)
            desk.live(acts, disk)
            cut = round(where * len(disk.tape))
            image = rng.choice(list(survivals(before, disk.tape[:cut], rng, 3)))
            register = rng.choice(registers(disk.tape, cut))
            desk.restore(image, register)
            desk.lines = desk.check(told(disk.tape[:cut]))
            desk.restore(image, register)

    story()


def test_an_sqlite_that_syncs_less_is_found_out(desk: Desk) -> None:
    """The test of the test: with `synchronous = NORMAL` a power cut takes what was acknowledged."""
    lost = [acknowledged - len(desk.stored()) for acknowledged in cuts(desk, is_careless=True, most=0)]
    assert sum(number > 0 for number in lost) > 10


async def test_the_sqlite_that_users_have_is_told_the_same(desk: Desk) -> None:
    """What the tape was made with is what a run has: FULL, WAL, and no folding of SQLite's own choosing."""
    journal = Journal.open(desk.path, state_dir=desk.state)
    connection = journal._scribe._opened.connection
    pragmas = ("synchronous", "journal_mode", "wal_autocheckpoint", "fullfsync", "checkpoint_fullfsync")
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == [2, "wal", 0, 1, 1]
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)


def test_a_torn_log_is_a_story_that_ends_earlier_or_a_refusal(desk: Desk) -> None:
    """Cut off at any byte, or with garbage at its end: the plan opens with a beginning of its story, or a
    sentence says that what happened is missing. Nothing is lost by what is torn behind the last sync."""
    before, disk = desk.image(), Disk(desk.register)
    desk.live(STORY, disk)
    ends = [i for i, item in enumerate(disk.tape, 1) if isinstance(item, Told)]
    tape = disk.tape[: ends[-2]]  # before the clean stop
    *_, whole = survivals(before, tape, random.Random(1), 0)
    log, register, rng = whole["x.plan-wal"] or b"", desk.register.read_bytes(), random.Random(2)
    torn = {size + by: log[: size + by] for size in range(0, len(log), 2060) for by in (0, 1, 32, 56)}
    garbage = [log + rng.randbytes(size) for size in (1, 24, 4120, 9000)]
    garbage.append(log + log[32:])  # frames of another place
    refused = 0
    for content in [*torn.values(), *garbage]:
        desk.restore({**whole, "x.plan-wal": content}, register)
        try:
            desk.check(told(tape) if len(content) >= len(log) else 0)
        except PlanError as error:
            assert len(content) < len(log)
            assert "copied without its log" in str(error) or "older copy" in str(error)
            refused += 1
    assert 0 < refused < len(torn)


# --- a disk that fails ---


@pytest.mark.parametrize(
    ("is_full", "for_good", "cause"),
    [
        (True, True, "the disk is full"),
        (False, True, "the disk gave an error"),
        (False, False, "the disk gave an error"),
    ],
)
def test_a_disk_that_fails_stops_the_run_and_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool, for_good: bool, cause: str
) -> None:
    """At every single thing that the disk is told, once or from then on: one sentence that says what to do,
    no bug; then the plan goes on with all that was acknowledged, also when the power is cut as well, and
    although a sync that failed forgot what it was to write."""
    monkeypatch.setattr("bulkops.journal.scribe.FOLD_AFTER", 3)
    monkeypatch.setattr("bulkops.plan.openmark.FOLD_PATIENCE_S", 0.0)
    said: list[str] = []
    for at in itertools.count(1):
        desk = Desk(Path(tempfile.mkdtemp(dir=folder)))
        make(desk.path)
        before, disk = desk.image(), Disk(desk.register)
        disk.fail = failing(at, is_full=is_full, for_good=for_good)
        try:
            desk.live(STORY, disk)
        except (JournalError, PlanError) as error:
            said.append(str(error))
        register = _content(desk.register)
        desk.check(told(disk.tape))
        desk.restore(next(survivals(before, disk.tape, random.Random(at), 0)), register)
        desk.check(told(disk.tape))
        if at > len(disk.tape):
            break
    assert len(said) > 20
    assert all(cause in sentence for sentence in said)
    assert {"apply the plan again" in sentence or "try again" in sentence for sentence in said} == {True}
