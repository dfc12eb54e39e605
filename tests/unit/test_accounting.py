"""The law of counting: a row that is missing, or counted twice, is a bug that the program itself tells."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.accounting import check_counts, check_same
from bulkops.change import Action, Change
from bulkops.cli import main
from bulkops.errors import AccountingError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, RowState, StepInfo
from bulkops.record import Row
from bulkops.report.results import write_results

STATES = ("applied", "unchanged", "rejected", "held", "pending")
COUNTS = st.fixed_dictionaries({state: st.integers(0, 50) for state in STATES})
STEP = StepInfo(
    name="one", entity="Tasks", action="create", match=(), file="x.csv", columns=("A",), read=0, dropped=0,
    rows=0,
)  # fmt: skip


def make(path: Path, steps: Mapping[str, Sequence[Action]]) -> Path:
    """A plan of steps: name, and each row's action."""
    actions = [(name, action) for name, own in steps.items() for action in own]
    counts = {action.value: sum(one is action for _, one in actions) for action in Action}
    with PlanWriter(path) as writer:
        for n, (name, action) in enumerate(actions, 1):
            writer.add(Row(cells=(str(n),)), Change(n=n, step=name, entity="Tasks", action=action))
        writer.seal(
            Header(
                job="j", tenant="t", database="1", url="", reason="", created="", version="",
                steps=tuple(replace(STEP, name=name, rows=len(own)) for name, own in steps.items()),
                counts=counts, calls_read=0, calls_write=0, estimate_s={},
            )
        )  # fmt: skip
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two steps: three creates and what the plan itself settled; row 1 is applied, row 3 in doubt."""
    made = make(
        tmp_path / "x.plan",
        {"one": [Action.CREATE, Action.UNCHANGED, Action.CREATE], "two": [Action.REJECTED, Action.CREATE]},
    )

    async def run() -> None:
        journal = Journal.open(made)
        await journal.intent([1, 3])
        journal.note(Entry(n=1, kind=Kind.APPLIED, id=7))
        await journal.flush()
        assert journal.counts() == Plan.open(made).status().counts
        await journal.close(calls_read=0, calls_write=1, elapsed_s=0, waiting=None)

    asyncio.run(run())
    return made


def edit(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@given(counts=COUNTS, change=st.sampled_from(STATES), by=st.integers(-3, 3))
def test_counts_that_are_one_off_are_told(counts: dict[str, int], change: str, by: int) -> None:
    """All rows once: fine. One more or less, or fewer than none: an error with both numbers."""
    rows = sum(counts.values())
    check_counts(counts, rows, "x.plan")
    wrong = {**counts, change: counts[change] + by}
    check_same(counts, dict(reversed(counts.items())), "x.plan")
    if by:
        with pytest.raises(AccountingError, match=f"x.plan has {rows:,} rows, and they are counted as"):
            check_counts(wrong, rows, "x.plan")
        with pytest.raises(AccountingError, match="and in another way as"):
            check_same(counts, wrong, "x.plan")


def test_fewer_than_none_is_no_count() -> None:
    """Also where the sum is right."""
    with pytest.raises(AccountingError, match="-1 pending"):
        check_counts({"applied": 3, "pending": -1}, 2, "x.plan")


def test_every_state_is_counted_once(path: Path) -> None:
    """The plan's own words, the journal's, and what is in doubt, which is pending; killed or not."""
    counts = {"applied": 1, "unchanged": 1, "rejected": 1, "held": 0, "pending": 2}
    assert Plan.open(path).status().counts == counts
    write_results(Plan.open(path), path.parent / "out")


BROKEN = {
    "a row of no step": "INSERT INTO journal VALUES (6, 4, 1, 'applied', 0, 9, NULL)",
    "more rows than there are to write": (
        "INSERT INTO journal VALUES (4, 4, 1, 'applied', 0, 9, NULL), (5, 5, 1, 'held', 0, NULL, NULL)"
    ),
}


@pytest.mark.parametrize("statement", BROKEN.values(), ids=BROKEN)
def test_status_tells_when_the_counts_do_not_add_up(
    path: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 70, a sentence with the numbers, and no traceback."""
    edit(path, statement)
    assert main(["status", str(path)]) == 70
    said = capsys.readouterr()
    assert said.out == ""
    assert "rows, and they are counted as" in said.err and "This is a bug in bulkops" in said.err
    assert "Traceback" not in said.err


def test_results_tell_when_a_row_would_be_left_out(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is counted as well: here a reader drops a row, and then tells another state."""
    fates = Plan.fates
    monkeypatch.setattr(Plan, "fates", lambda plan: (fate for fate in fates(plan) if fate.change.n != 4))
    assert main(["results", str(path), "--dir", str(path.parent / "out")]) == 70
    assert "what was written of step two has 2 rows" in capsys.readouterr().err
    monkeypatch.setattr(
        Plan, "fates", lambda plan: (replace(fate, state=RowState.UNCHANGED) for fate in fates(plan))
    )
    assert main(["results", str(path), "--dir", str(path.parent / "again")]) == 70
    assert "and in another way as 1 applied" in capsys.readouterr().err
