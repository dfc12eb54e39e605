"""The plan file: sealed whole, read verified, never overwritten by mistake."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanState, PlanWriter, RowState, StepInfo, check_overwrite
from bulkops.record import Row

STEP = StepInfo(
    name="tasks",
    entity="Tasks",
    action="create",
    match=("externalID",),
    file="tasks.csv",
    columns=("Key", "Title"),
    read=3,
    dropped=0,
    rows=3,
)


def header(**given: Any) -> Header:
    rows = sum(given.get("counts", {}).values())
    facts: dict[str, Any] = {
        "job": "legacy",
        "tenant": "acme",
        "database": "42",
        "url": "http://127.0.0.1:1/",
        "reason": "Migration",
        "created": "2026-11-20T10:00:00+00:00",
        "version": "0.1.0",
        "steps": (replace(STEP, rows=rows),),
        "counts": {},
        "calls_read": 1,
        "calls_write": 3,
        "estimate_s": {"0.75": 2.5},
    }
    return Header(**{**facts, **given})


def entries(actions: Sequence[Action]) -> list[tuple[Row, Change]]:
    return [
        (
            Row(cells=(f"T-{n}", "Grüße, 你好"), line=n + 1),
            Change(
                n=n,
                step="tasks",
                entity="Tasks",
                action=action,
                line=n + 1,
                file="tasks.csv",
                id=None if action in (Action.CREATE, Action.REJECTED) else 1000 + n,
                fields={"title": FieldDiff(before=None, after=f"Title {n}")},
                reason="no such company" if action is Action.REJECTED else None,
            ),
        )
        for n, action in enumerate(actions, 1)
    ]


def write(path: Path, actions: Sequence[Action] = (Action.CREATE,) * 3, **options: Any) -> str:
    counts = {action.value: list(actions).count(action) for action in Action}
    with PlanWriter(path, **options) as writer:
        for row, change in entries(actions):
            writer.add(row, change)
        return writer.seal(header(counts=counts))


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def apply(path: Path, state: Path, kinds: Sequence[Kind]) -> None:
    """A run in which changes 1, 2, … end as `kinds` say."""

    async def run() -> None:
        journal = Journal.open(path, state_dir=state)
        for n, kind in enumerate(kinds, 1):
            await journal.intent(n)
            journal.note(Entry(n=n, kind=kind, id=500 + n, reason="because" if kind is Kind.HELD else None))
        await journal.close(calls_read=1, calls_write=len(kinds), elapsed_s=2.0, waiting=None)

    asyncio.run(run())


# --- sealed and read ---


def test_a_plan_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """Header, rows and changes come back in order, over several chunks, from wherever one starts."""
    path = tmp_path / "x.plan"
    actions = [list(Action)[n % 5] for n in range(2500)]
    sha256 = write(path, actions)
    plan = Plan.open(path)
    written = entries(actions)
    assert (plan.sha256, plan.total, plan.path) == (sha256, 2500, path)
    assert plan.counts == {action.value: 500 for action in Action}
    assert plan.header == header(counts=plan.counts, plan_id=plan.header.plan_id)
    assert [(row, change) for change, row in plan.items()] == written
    for after in (1, 999, 1000, 1001, 2499, 2500, 2501):
        assert list(plan.changes(after)) == [change for _, change in written[after:]]
        assert list(plan.rows(after)) == [row for row, _ in written[after:]]
    for n in (1, 1000, 1001, 2500):
        assert plan.change(n) == written[n - 1][1]
    for n in (0, 2501):
        with pytest.raises(KeyError):
            plan.change(n)
    plan.verify()


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001])
def test_a_plan_of_any_length_is_whole(tmp_path: Path, count: int) -> None:
    """No plan is too short to be sealed, and no chunk's end is lost."""
    write(tmp_path / "x.plan", [Action.UPDATE] * count)
    plan = Plan.open(tmp_path / "x.plan")
    assert plan.total == len(list(plan.items())) == count
    assert plan.status().state == PlanState.PLANNED


def test_a_sealed_plan_is_one_private_file(tmp_path: Path) -> None:
    """It holds customer data: nobody else can read it, and nothing is left beside it, also by readers."""
    path = tmp_path / "x.plan"
    write(path)
    with Plan.open(path) as plan:
        plan.verify()
        plan.status()
        list(plan.fates())
    assert names(tmp_path) == ["x.plan"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_plan_that_is_not_sealed_leaves_nothing(tmp_path: Path) -> None:
    """An error while planning leaves no plan and no temporary file, and keeps the plan that was there."""
    path = tmp_path / "x.plan"
    before = write(path)
    with pytest.raises(RuntimeError, match="planner"), PlanWriter(path) as writer:
        for row, change in entries([Action.CREATE] * 1500):
            writer.add(row, change)
        assert names(tmp_path) != ["x.plan"]
        raise RuntimeError("the planner fell over")
    assert names(tmp_path) == ["x.plan"]
    assert Plan.open(path).sha256 == before


def test_changes_come_in_order_and_add_up(tmp_path: Path) -> None:
    """A gap in the numbers, or counts that are not those of the changes, never become a plan."""
    (_, first), (row, second), *_ = entries([Action.CREATE] * 2)
    with PlanWriter(tmp_path / "x.plan") as writer:
        with pytest.raises(ValueError, match="change 2 follows change 0"):
            writer.add(row, second)
        writer.add(row, first)
        with pytest.raises(ValueError, match="header counts"):
            writer.seal(header(counts={"create": 2}))
        with pytest.raises(ValueError, match="steps have other"):
            writer.seal(header(counts={"create": 1}, steps=(STEP,)))
    assert not names(tmp_path)


def test_a_sealed_plan_takes_nothing_more(tmp_path: Path) -> None:
    """What is sealed is sealed."""
    (row, change), *_ = entries([Action.CREATE])
    with PlanWriter(tmp_path / "x.plan") as writer:
        writer.seal(header())
        writer.add(row, change)
        with pytest.raises(ValueError, match="sealed"):
            writer.seal(header(counts={"create": 1}))
    assert Plan.open(tmp_path / "x.plan").total == 0


def test_a_link_to_a_plan_is_followed(tmp_path: Path) -> None:
    """Written through a link, the file behind it is the plan, and the link stays."""
    real, link = tmp_path / "real.plan", tmp_path / "link.plan"
    write(real)
    link.symlink_to(real)
    sha256 = write(link, [Action.DELETE])
    assert link.is_symlink()
    assert Plan.open(real).sha256 == sha256 == Plan.open(link).sha256


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FACTS = st.dictionaries(st.text(), JSON, max_size=3)


@given(FACTS, FACTS, FACTS, st.lists(st.text(), max_size=3), st.text(st.characters(codec=None)))
def test_every_header_comes_back_as_it_went_in(
    limits: dict[str, Any], entities: dict[str, Any], extra: dict[str, Any], warnings: list[str], reason: str
) -> None:
    """The facts a plan was made from are kept to the letter."""
    made = header(limits=limits, entities=entities, extra=extra, warnings=tuple(warnings), reason=reason)
    assert Header.from_json(made.to_json()) == made
    assert Header.from_json(made.to_json()).to_json() == made.to_json()


def test_writing_takes_the_same_memory_for_any_number_of_rows(tmp_path: Path) -> None:
    """Three times the rows, the same memory."""

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            with PlanWriter(tmp_path / f"{count}.plan") as writer:
                for n in range(1, count + 1):
                    change = Change(n=n, step="s", entity="Tasks", action=Action.CREATE, reason="x" * 100)
                    writer.add(Row(cells=(str(n),)), change)
                writer.seal(header(counts={"create": count}))
            sum(1 for _ in Plan.open(tmp_path / f"{count}.plan").items())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1500)
    assert peak(9000) < 1.3 * peak(3000)


# --- overwriting ---


def test_a_plan_that_was_not_begun_or_is_finished_is_replaced(tmp_path: Path) -> None:
    """Planning again over a plan that nothing depends on just works."""
    path, state = tmp_path / "x.plan", tmp_path / "state"
    path.touch()
    first = write(path)
    second = write(path)
    assert first != second
    apply(path, state, [Kind.APPLIED] * 3)
    assert Plan.open(path).state() == PlanState.FINISHED
    assert write(path) == Plan.open(path).sha256


def test_a_plan_with_an_unfinished_journal_is_not_replaced(tmp_path: Path) -> None:
    """What was begun is finished or deleted by hand; the message says both."""
    path = tmp_path / "x.plan"
    sha256 = write(path)
    apply(path, tmp_path / "state", [Kind.APPLIED, Kind.WITHDRAWN])
    for attempt in (check_overwrite, PlanWriter):
        with pytest.raises(PlanError, match=r"2 of its 3 rows are pending.*[Aa]pply it again.*delete"):
            attempt(path)
    assert Plan.open(path).sha256 == sha256
    assert write(path, replace_unfinished=True) != sha256


def test_a_plan_begun_while_another_was_planned_is_not_replaced(tmp_path: Path) -> None:
    """The check stands again at the last moment, where the name changes hands."""
    path = tmp_path / "x.plan"
    before = write(path)
    with PlanWriter(path) as writer:
        for row, change in entries([Action.CREATE]):
            writer.add(row, change)
        apply(path, tmp_path / "state", [Kind.APPLIED])
        with pytest.raises(PlanError, match="was begun"):
            writer.seal(header(counts={"create": 1}))
    assert Plan.open(path).sha256 == before
    assert [name for name in names(tmp_path) if name.startswith("x")] == ["x.plan", "x.plan.lock"]


@pytest.mark.parametrize("replace_unfinished", [False, True])
async def test_a_plan_that_is_being_applied_is_never_replaced(
    tmp_path: Path, replace_unfinished: bool
) -> None:
    """Not even on request: the running apply would write into nothing."""
    path = tmp_path / "x.plan"
    before = write(path)
    writer = PlanWriter(path, replace_unfinished=replace_unfinished)
    journal = Journal.open(path, state_dir=tmp_path / "state")
    with writer, pytest.raises(PlanError, match="is being applied"):
        writer.seal(header())
    with pytest.raises(PlanError, match="is being applied"):
        check_overwrite(path)
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    assert Plan.open(path).sha256 == before


def test_a_file_that_is_no_plan_is_not_replaced(tmp_path: Path) -> None:
    """`-o tasks.csv` by mistake costs nobody a file."""
    path = tmp_path / "tasks.csv"
    path.write_text("Id,Name\n")
    with pytest.raises(PlanError, match="exists and is not replaced"):
        check_overwrite(path)
    assert path.read_text() == "Id,Name\n"


async def test_the_log_of_a_replaced_plan_is_not_played_into_the_new_one(tmp_path: Path) -> None:
    """SQLite would take a log that lies beside a file for that file's own."""
    path, killed = tmp_path / "x.plan", tmp_path / "killed" / "x.plan"
    write(path)
    killed.parent.mkdir()
    journal = Journal.open(path, state_dir=tmp_path / "state")
    await journal.intent([1, 2, 3])
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{killed}{suffix}")
    await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=None)
    sha256 = write(killed, [Action.DELETE] * 2, replace_unfinished=True)
    plan = Plan.open(killed)
    assert (plan.sha256, plan.total, plan.state()) == (sha256, 2, PlanState.PLANNED)
    plan.verify()


# --- what happened ---


def test_every_row_has_one_fate_and_the_counts_add_up(tmp_path: Path) -> None:
    """Planned outcomes and the journal's together: each row in exactly one state, with its id and reason."""
    path = tmp_path / "x.plan"
    write(
        path, [Action.CREATE, Action.UPDATE, Action.UPDATE, Action.UNCHANGED, Action.REJECTED, Action.DELETE]
    )
    apply(path, tmp_path / "state", [Kind.APPLIED, Kind.HELD, Kind.DOUBT])
    plan = Plan.open(path)
    assert list(plan.outcomes()) == [
        (1, RowState.APPLIED, 501, None),
        (2, RowState.HELD, 502, "because"),
        (3, RowState.PENDING, 1003, None),
        (4, RowState.UNCHANGED, 1004, None),
        (5, RowState.REJECTED, None, "no such company"),
        (6, RowState.PENDING, 1006, None),
    ]
    status = plan.status()
    assert status.counts == {"applied": 1, "unchanged": 1, "rejected": 1, "held": 1, "pending": 2}
    assert plan.progress() == status.counts
    assert sum(status.counts.values()) == status.rows == 6
    assert (status.state, status.calls, status.elapsed_s) == (PlanState.STOPPED, {"read": 1, "write": 3}, 2.0)
    assert [fate.row.cells[0] for fate in plan.fates()] == [f"T-{n}" for n in range(1, 7)]


def test_the_seal_never_changes(tmp_path: Path) -> None:
    """What happens while applying stands outside the seal."""
    path = tmp_path / "x.plan"
    sha256 = write(path)
    apply(path, tmp_path / "state", [Kind.APPLIED, Kind.APPLIED])
    assert Plan.open(path).sha256 == sha256
    apply(path, tmp_path / "state", [])
    assert Plan.open(path).sha256 == sha256


def test_a_plan_with_nothing_to_do_is_planned_until_it_is_applied(tmp_path: Path) -> None:
    """Applying it finishes it, although nothing is sent."""
    path = tmp_path / "x.plan"
    write(path, [Action.UNCHANGED] * 2)
    assert Plan.open(path).state() == PlanState.PLANNED
    apply(path, tmp_path / "state", [])
    assert Plan.open(path).state() == PlanState.FINISHED


def test_a_run_in_which_nothing_was_tried_leaves_the_plan_planned(tmp_path: Path) -> None:
    """Refused by a limit, it is as if it had not been begun: it may be planned again."""
    path = tmp_path / "x.plan"
    write(path)
    apply(path, tmp_path / "state", [])
    assert Plan.open(path).state() == PlanState.PLANNED
    check_overwrite(path)
