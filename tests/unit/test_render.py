"""A plan and a running apply as people see them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.cli.display import LiveLine, Pace
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.progress import Progress
from bulkops.record import Created, Row, Value
from bulkops.render import (
    command,
    duration,
    print_plan,
    printable,
    progress_text,
    show_value,
    written_text,
)


def change(n: int, action: Action, **more: object) -> Change:
    parts: dict[str, object] = {"n": n, "step": "only", "entity": "Tasks", "action": action, "line": n + 1,
                                "file": "tasks.csv", **more}  # fmt: skip
    return Change(**parts)  # type: ignore[arg-type]


def plan_of(folder: Path, changes: Iterable[Change], **header: object) -> Plan:
    changes = list(changes)
    counts = {action.value: sum(item.action is action for item in changes) for action in Action}
    parts: dict[str, object] = {
        "job": "legacy-tasks", "tenant": "acme", "database": "7", "url": "", "reason": "",
        "created": "2026-03-01T12:00:00+00:00", "version": "0", "counts": counts, "calls_read": 7,
        "calls_write": len(changes), "estimate_s": {"0.75": 62.0, "1.0": 58.0},
        "steps": (
            StepInfo(
                name="tasks", entity="Tasks", action="upsert", match=("externalID",), file="tasks.csv",
                columns=("Key",), read=len(changes), dropped=0, rows=len(changes),
            ),
        ),
        **header,
    }  # fmt: skip
    with PlanWriter(folder / "x.plan") as writer:
        for item in changes:
            writer.add(Row(cells=(f"T-{item.n}",), line=item.line), item)
        writer.seal(Header(**parts))  # type: ignore[arg-type]
    return Plan.open(folder / "x.plan")


def shown(plan: Plan, **how: int | None) -> str:
    text = io.StringIO()
    print_plan(plan, Console(file=text, soft_wrap=True, highlight=False), **how)
    return text.getvalue()


def test_a_plan_shows_field_by_field_what_would_change(tmp_path: Path) -> None:
    """Create, update, delete and rejection each with their mark, place, key, and before and after."""
    plan = plan_of(
        tmp_path,
        [
            change(1, Action.CREATE, key={"externalID": "T-1"}, fields={
                "externalID": FieldDiff(before=None, after="T-1"),
                "projectID": FieldDiff(before=None, after=Created(change=17)),
            }),
            change(2, Action.UPDATE, id=31, key={"externalID": "T-2"}, fields={
                "status": FieldDiff(before=1, after=5),
                "remainingHours": FieldDiff(before=UNKNOWN, after=2.5),
                "description": FieldDiff(before="old", after=None),
            }),
            change(3, Action.DELETE, id=32),
            change(4, Action.REJECTED, reason="column Owner 'Santos': several match: 5, 6"),
            change(5, Action.UNCHANGED, id=33),
        ],
        reason="Year end", warnings=("hidden rows",),
        extra={"labels": {"Tasks": {"status": {"1": "New", "5": "Complete"}}}},
    )  # fmt: skip
    assert shown(plan).splitlines()[1:] == [
        "tenant acme, database 7",
        "reason: Year end",
        "step tasks: upsert Tasks by externalID from tasks.csv: 5 read",
        "",
        '+ Tasks externalID="T-1"  (tasks.csv:2)',
        '    externalID  "T-1"',
        "    projectID   (known after apply: row 17)",
        '~ Tasks 31 externalID="T-2"  (tasks.csv:3)',
        "    status          1 (New) → 5 (Complete)",
        "    remainingHours  (unknown) → 2.5",
        '    description     "old" → (empty)',
        "- Tasks 32  (tasks.csv:4)",
        "! Tasks  (tasks.csv:5)",
        "    column Owner 'Santos': several match: 5, 6",
        "",
        "Plan: 1 to create, 1 to update, 1 to delete, 1 unchanged, 1 rejected.",
        "Cost: 7 calls to read (made), 5 to write; about 1 min 2 s at share 0.75, 58 s at share 1.0.",
        "Warning: hidden rows",
    ]


def test_a_large_plan_is_shown_in_bounded_length(tmp_path: Path) -> None:
    """A few of each kind, how many more there are, and the command that shows them all."""
    kinds = (Action.CREATE, Action.UPDATE, Action.DELETE, Action.UNCHANGED, Action.REJECTED)
    fields = {f"field{n}": FieldDiff(before=None, after="x" * 5000) for n in range(5)}
    changes = [
        change(
            n,
            kind,
            fields={**fields, "title": FieldDiff(before=None, after=n)} if kind is Action.CREATE else {},
        )
        for n, kind in enumerate((kind for kind in kinds for _ in range(200)), 1)
    ]
    plan = plan_of(tmp_path, changes)
    text = shown(plan)
    assert len(text.splitlines()) < 150 and max(map(len, text.splitlines())) < 250
    assert "190 more to create, 190 more to update, 190 more to delete, 190 more rejected" in text
    assert "200 unchanged" in text and f"bulkops show {plan.path}" in text
    assert "(5,000 characters)" in text
    assert sum(line[:1] in "+~-!=" for line in shown(plan, most=None).splitlines() if line) == 1000


def test_a_plan_without_changes_is_shown_too(tmp_path: Path) -> None:
    """Nothing but the counts, and no time for what is not to be done."""
    text = shown(plan_of(tmp_path, [change(1, Action.UNCHANGED)], calls_write=0))
    assert "Plan: 0 to create, 0 to update, 0 to delete, 1 unchanged, 0 rejected." in text
    assert "about" not in text


def test_a_way_back_on_which_every_row_is_rejected_is_not_called_nothing_to_change(tmp_path: Path) -> None:
    """There was something to take back, and none of it can be; where no row is rejected, nothing is to do."""
    step = StepInfo(name="tasks", entity="Tasks", action="undo", match=(), file="x.plan", columns=(), read=3,
                    dropped=0, rows=3)  # fmt: skip
    kept, gone = change(1, Action.UNCHANGED), [change(n, Action.REJECTED, reason="gone") for n in (2, 3)]
    assert written_text(plan_of(tmp_path, [kept, *gone], steps=(step,), calls_write=0)) == (
        "Nothing can be taken back as it is: 2 rejected, for the reasons above. "
        f"Written to {tmp_path / 'x.plan'}."
    )
    (tmp_path / "x.plan").unlink()
    quiet = plan_of(tmp_path, [kept], steps=(replace(step, rows=1),), calls_write=0)
    assert written_text(quiet) == f"Nothing to change. Written to {tmp_path / 'x.plan'}."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(empty)"), (True, "true"), (5, "5"), (2.5, "2.5"), ("5", '"5"'), ('a "b"', '"a \\"b\\""'),
        ("two\nlines", '"two\\nlines"'), (UNKNOWN, "(unknown)"),
        (Created(change=3), "(known after apply: row 3)"),
    ],
)  # fmt: skip
def test_values_are_told_apart(value: Value, text: str) -> None:
    """Text from numbers, nothing from empty text, what is not known yet from all else."""
    assert show_value(value) == text


@given(st.text())
def test_nothing_that_is_shown_moves_the_cursor(text: str) -> None:
    """Whatever a cell or a server's answer holds, a terminal gets letters only."""
    assert printable(text).isprintable() or not text
    assert printable(show_value(text)).isprintable()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    """Seconds, minutes or hours, whichever one thinks in."""
    assert duration(seconds) == text


def test_a_command_can_be_typed_as_it_stands() -> None:
    """A path with a blank is quoted."""
    assert command("apply", Path("x.plan")) == "bulkops apply x.plan"
    assert command("apply", Path("my x.plan")) in ("bulkops apply 'my x.plan'", 'bulkops apply "my x.plan"')


# --- progress ---

START = {"applied": 0, "unchanged": 3, "rejected": 2, "held": 0, "pending": 1000}


def progress(settled: int, elapsed_s: float, **more: object) -> Progress:
    parts: dict[str, object] = {
        "counts": {**START, "applied": settled, "pending": 1000 - settled}, "rows": 1005, "in_doubt": 0,
        "elapsed_s": elapsed_s, "settled": settled, "granted": 7500, "used": 100, "waiting": None, **more,
    }  # fmt: skip
    return Progress(**parts)  # type: ignore[arg-type]


def test_progress_says_done_rate_time_and_calls_left() -> None:
    """What one wants to know at a glance, and nothing that is zero."""
    line = progress_text(progress(250, 10.0), at_start=START, rate=25.0, left_s=30.0)
    assert line == "250 of 1,000 done (25 %) · 25 rows/s · 30 s left · 7,400 calls left in the window"
    slow = progress_text(progress(0, 0.1), at_start=START, rate=0.0, left_s=None)
    assert slow == "0 of 1,000 done · 7,400 calls left in the window"


def test_progress_says_what_goes_wrong_and_what_it_waits_for() -> None:
    """Rows rejected or held in this run, rows in doubt, and the reason of a wait."""
    counts = {**START, "rejected": 5, "held": 1}
    line = progress_text(
        progress(250, 10.0, counts=counts, in_doubt=2, waiting="the hour is used up; goes on at 14:05:00"),
        at_start=START, rate=0.5, left_s=None,
    )  # fmt: skip
    assert "0.5 rows/s" in line and "3 rejected · 1 held · 2 in doubt" in line
    assert line.endswith("waiting: the hour is used up; goes on at 14:05:00")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """A run that stood still for an hour and goes on is as fast as it is now."""
    pace = Pace(START, planned_s=0.1)
    for second in range(10):
        pace.text(progress(10 * second, float(second)))
    pace.text(progress(100, 3600.0))
    line = pace.text(progress(300, 3610.0))
    assert "20 rows/s" in line and "35 s left" in line


def test_time_left_counts_the_waits_to_come() -> None:
    """Where more rows are left than calls, the plan's own estimate stands in for the rate."""
    pace = Pace(START, planned_s=3.0)
    pace.text(progress(0, 0.0))
    assert "45 min 0 s left" in pace.text(progress(100, 10.0, granted=200, used=150))


def test_off_a_terminal_progress_is_a_line_now_and_then() -> None:
    """Nothing for ten seconds, then one line: a log stays readable."""
    text, now = io.StringIO(), 100.0
    with LiveLine(Console(file=text), clock=lambda: now) as line:
        for now in (100.0, 105.0, 109.9, 110.1, 111.0, 120.2):
            line.say(f"at {now}")
    assert text.getvalue() == "at 110.1\nat 120.2\n"
