"""Real processes, real kills: what was acknowledged is there, and a killed plan always goes on."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal import Journal, Kind
from bulkops.plan import Header, Plan, PlanState, PlanWriter
from bulkops.record import Row

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9, fork and resource limits are POSIX")

COUNT = 20_000

APPLY = """
import asyncio, os, sys
from bulkops.journal import scribe
from bulkops.errors import JournalError, PlanError
from bulkops.journal import Entry, Journal, Kind

def say(text):
    os.write(1, (text + "\\n").encode())

async def apply(path, state, count):
    "Tries what is pending, as an apply would; says each acknowledgement when it has it."
    journal = Journal.open(path, state_dir=state)
    say("open")
    pending = iter([n for n in range(1, count + 1) if not journal.is_settled(n)])
    async def work():
        for n in pending:
            await journal.intent(n)
            say(f"intent {n}")
            journal.note(Entry(n=n, kind=Kind.APPLIED, id=1000 + n))
            if n % 7 == 0:
                await journal.flush()
                say(f"applied {n}")
    try:
        await asyncio.gather(*(work() for _ in range(8)))
    finally:
        await journal.close(calls_read=0, calls_write=0, elapsed_s=1, waiting=None)
    say("closed")
"""

RUN = """
scribe.FOLD_AFTER = int(sys.argv[4])
try:
    asyncio.run(apply(sys.argv[1], sys.argv[2], int(sys.argv[3])))
except (JournalError, PlanError) as error:
    say(f"{type(error).__name__}: {error}")
"""

# Forks one apply per statement that SQLite is given, and kills it just before that statement.
STEP_BY_STEP = """
import functools, shutil, signal, sqlite3

def die_before(statement):
    seen = 0
    def trace(sql):
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)
    class Traced(sqlite3.Connection):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.set_trace_callback(trace)
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Traced)

scribe.FOLD_AFTER = 3
folder, count = sys.argv[1], int(sys.argv[2])
for statement in range(1, 1000):
    here = f"{folder}/{statement}"
    os.mkdir(here)
    shutil.copy(f"{folder}/x.plan", f"{here}/x.plan")
    child = os.fork()
    if not child:
        os.dup2(os.open(f"{here}/said", os.O_CREAT | os.O_WRONLY), 1)
        die_before(statement)
        try:
            asyncio.run(apply(f"{here}/x.plan", f"{here}/state", count))
        finally:
            os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


def make(path: Path, count: int) -> Path:
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


def check(path: Path, state: Path, said: str) -> tuple[int, bool]:
    """Opens the plan as the next apply does: how much is settled, and whether all that was said is known."""

    async def look() -> tuple[int, bool]:
        journal = Journal.open(path, state_dir=state)
        known = True
        for line in said.splitlines():
            word, _, number = line.partition(" ")
            if word == "intent":
                known &= journal.kind(int(number)) in (Kind.INTENT, Kind.APPLIED)
            elif word == "applied":
                known &= journal.created_id(int(number)) == 1000 + int(number)
        await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
        return journal.settled_count, known

    return asyncio.run(look())


@contextmanager
def applying(
    path: Path, state: Path, *, count: int = COUNT, fold_after: int = 40, limit: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """An apply in a process of its own."""
    code = APPLY + limit + RUN
    arguments = [str(path), str(state), str(count), str(fold_after)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    said = ""
    while not (line := process.stdout.readline()).startswith(word):
        assert line, f"it ended before it said {word!r}: {said}"
        said += line
    return said + line


def kill_after(process: subprocess.Popen[str], seconds: float) -> str:
    """Kills it that long after its first word; returns everything that it said."""
    said = wait_for(process, "open")
    deadline = time.monotonic() + seconds
    assert process.stdout is not None
    while time.monotonic() < deadline and (line := process.stdout.readline()):
        said += line
    process.send_signal(signal.SIGKILL)
    return said + process.stdout.read()


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_every_acknowledged_intent_survives_kill_9(tmp_path: Path, rounds: int) -> None:
    """Killed again and again at random moments of one plan, nothing that was acknowledged is forgotten.

    The killed file alone, without its log, is refused or knows all of it, and so does the next apply.
    """
    count = rounds * 3000
    path, state = make(tmp_path / "x.plan", count), tmp_path / "state"
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    settled = kills = 0
    for number in range(rounds):
        with applying(path, state, count=count) as process:
            said = kill_after(process, moments.uniform(0.0, 0.3))
        kills += process.returncode == -signal.SIGKILL
        (tmp_path / f"alone{number}").mkdir()
        alone = Path(shutil.copy(path, tmp_path / f"alone{number}" / "x.plan"))
        try:
            assert check(alone, alone.parent / "state", said)[1], f"seed {seed}"
        except PlanError as error:
            assert "copied without its log" in str(error), f"seed {seed}"
        alone.unlink()
        assert Plan.open(path).status().state != PlanState.RUNNING, f"seed {seed}"
        now_settled, is_known = check(path, state, said)
        assert is_known and now_settled >= settled, f"seed {seed}"
        settled = now_settled
        assert Plan.open(path).status().counts["applied"] == settled
    assert kills > 0 and settled > 0


def test_a_kill_before_any_statement_loses_and_refuses_nothing(tmp_path: Path) -> None:
    """Begin, intents, folds and clean stop, killed before every single statement SQLite is given.

    The killed plan always goes on with all that was acknowledged, and ends as one file. Its file alone is
    either refused or knows all of it.
    """
    count = 40
    make(tmp_path / "x.plan", count)
    subprocess.run(
        [sys.executable, "-c", APPLY + STEP_BY_STEP, str(tmp_path), str(count)], check=True, timeout=120
    )
    folders = sorted((item for item in tmp_path.iterdir() if item.is_dir()), key=lambda item: int(item.name))
    refused = finished = 0
    for folder in folders:
        said = (folder / "said").read_text()
        finished += "closed" in said
        (folder / "alone").mkdir()
        alone = Path(shutil.copy(folder / "x.plan", folder / "alone" / "x.plan"))
        try:
            _, is_known = check(alone, folder / "other-machine", said)
        except PlanError as error:
            assert "copied without its log" in str(error), folder
            refused += 1
        else:
            assert is_known, f"{folder}: the file alone was taken, and forgot something"
        settled, is_known = check(folder / "x.plan", folder / "state", said)
        assert is_known, folder
        assert "closed" not in said or settled == count
        assert sorted(item.name for item in folder.glob("x.plan*")) == ["x.plan", "x.plan.lock"], folder
    assert len(folders) > 40
    assert 15 < refused < len(folders)
    assert finished == 1  # the last one, that no statement was left to kill before


def test_two_processes_never_apply_one_plan(tmp_path: Path) -> None:
    """The second is refused with the first one's number; when the first is killed, the plan is free."""
    path, state = make(tmp_path / "x.plan", COUNT), tmp_path / "state"
    with applying(path, state) as process:
        wait_for(process, "intent")
        assert Plan.open(path).status().state == PlanState.RUNNING
        with applying(path, state) as second:
            refusal, _ = second.communicate(timeout=30)
        assert refusal.startswith("PlanError: ") and f"(pid {process.pid})" in refusal
        assert Plan.open(path).status().state == PlanState.RUNNING
        process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
    assert Plan.open(path).status().state == PlanState.STOPPED
    assert check(path, state, said)[1]


def test_reading_does_not_disturb_a_running_apply(tmp_path: Path) -> None:
    """`status` and `results` as fast as they can, from another process, until the apply has ended well."""
    count = 3000
    path, state = make(tmp_path / "x.plan", count), tmp_path / "state"
    looks = last = 0
    with applying(path, state, count=count, fold_after=2) as process, ThreadPoolExecutor(1) as thread:
        wait_for(process, "open")
        assert process.stdout is not None
        said = thread.submit(process.stdout.read)
        while not said.done():
            applied = Plan.open(path).status().counts["applied"]
            assert last <= applied
            assert sum(1 for _ in Plan.open(path).outcomes()) == count
            last, looks = applied, looks + 1
    assert looks > 0
    assert said.result().endswith("closed\n")
    assert Plan.open(path).status().state == PlanState.FINISHED


# SQLite says "full" where it may not have another page, and "I/O error" where the system refuses the write.
FULL = """
import functools, sqlite3
class Small(sqlite3.Connection):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        (pages,) = self.execute("PRAGMA page_count").fetchone()
        self.execute(f"PRAGMA max_page_count = {pages + 12}")
sqlite3.connect = functools.partial(sqlite3.connect, factory=Small)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
"""


@pytest.mark.parametrize(
    ("limit", "sentence"), [(FULL, "the disk is full"), (LIMITED, "the disk gave an error")]
)
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path, limit: str, sentence: str) -> None:
    """One sentence that says what to do; all that was acknowledged is there, and with room it goes on."""
    path, state = make(tmp_path / "x.plan", 3000), tmp_path / "state"
    with applying(path, state, count=3000, limit=limit) as process:
        said, _ = process.communicate(timeout=60)
    error = said.splitlines()[-1]
    assert error.startswith("JournalError: ") and sentence in error
    assert "nothing more is sent" in error and "apply the plan again" in error
    assert said.count("intent") > 10
    settled, is_known = check(path, state, said)
    assert is_known
    assert 0 < settled < 3000
    with applying(path, state, count=3000) as process:
        said, _ = process.communicate(timeout=60)
    assert said.endswith("closed\n")
    assert Plan.open(path).status().state == PlanState.FINISHED


@pytest.mark.parametrize("size", [1_000, 30_000, 100_000])
def test_a_plan_that_does_not_fit_on_the_disk_is_not_made(tmp_path: Path, size: int) -> None:
    """Planning ends in one sentence, and leaves neither a plan nor its beginnings."""
    code = """
import resource, sys
from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.plan import PlanWriter
from bulkops.record import Row
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    with PlanWriter(sys.argv[1]) as writer:
        for n in range(1, 10_000):
            writer.add(Row(cells=("x" * 50,)), Change(n=n, step="s", entity="Tasks", action=Action.CREATE))
except PlanError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.plan"), str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{tmp_path / 'x.plan'} cannot be used: the disk gave an error" in done.stdout
    assert not done.stderr
    assert list(tmp_path.iterdir()) == []
