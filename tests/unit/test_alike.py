"""A plan at scale stays readable: what changes alike is told once, outliers one by one, `show` tells all."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bulkops import alike
from bulkops.alike import worth_showing
from bulkops.change import Action, Change, FieldDiff
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.record import Row
from bulkops.render import SHOWN, print_plan


def plan_of(folder: Path, changes: Iterable[Change]) -> Plan:
    changes = list(changes)
    step = StepInfo(
        name="tasks", entity="Tasks", action="update", match=("externalID",), file="t.csv",
        columns=("Key",), read=len(changes), dropped=0, rows=len(changes),
    )  # fmt: skip
    header = Header(
        job="j", tenant="acme", database="7", url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=(step,), calls_read=1, calls_write=len(changes), estimate_s={},
        counts={action.value: sum(item.action is action for item in changes) for action in Action},
    )  # fmt: skip
    path = folder / "x.plan"
    path.unlink(missing_ok=True)
    with PlanWriter(path) as writer:
        for item in changes:
            writer.add(Row(cells=(f"T-{item.n}",), line=item.line), item)
        writer.seal(header)
    return Plan.open(path)


def update(n: int, before: object, after: object, *, step: str = "tasks", field: str = "status") -> Change:
    diff = FieldDiff(before=before, after=after)  # type: ignore[arg-type]
    return Change(
        n=n, step=step, entity="Tasks", action=Action.UPDATE, id=n + 1000, line=n + 1, file="t.csv",
        key={"externalID": f"T-{n}"}, fields={field: diff},
    )  # fmt: skip


def rejected(n: int, reason: str) -> Change:
    return Change(
        n=n, step="tasks", entity="Tasks", action=Action.REJECTED, line=n + 1, file="t.csv", reason=reason
    )


def shown(plan: Plan, **how: int | None) -> list[str]:
    text = io.StringIO()
    print_plan(plan, Console(file=text, soft_wrap=True, highlight=False), **how)
    return text.getvalue().splitlines()


def test_many_updates_of_a_few_kinds_are_a_few_lines(tmp_path: Path) -> None:
    """Each kind once, with its number and its first row; the odd one by itself; nothing left untold."""
    changes = [update(n, 1, 5) if n % 3 else update(n, 8, 5) for n in range(1, 2001)]
    changes[999] = update(1000, 1, 7)
    lines = shown(plan_of(tmp_path, changes))
    assert lines[4:-3] == [
        '~ Tasks 1001 externalID="T-1"  (t.csv:2) and 1,332 more with the same change',
        "    status  1 → 5",
        '~ Tasks 1003 externalID="T-3"  (t.csv:4) and 665 more with the same change',
        "    status  8 → 5",
        '~ Tasks 2000 externalID="T-1000"  (t.csv:1001)',
        "    status  1 → 7",
    ]


def test_many_rows_rejected_for_one_reason_are_one_line(tmp_path: Path) -> None:
    """The reason once, and for how many rows; other reasons beside it."""
    changes = [rejected(n, "column Owner 'Kim': no Resources record has this email") for n in range(1, 1501)]
    changes[700] = rejected(701, "column Due '31/02': no such date")
    lines = shown(plan_of(tmp_path, changes))
    assert lines[4:-3] == [
        "! Tasks  (t.csv:2) and 1,498 more for the same reason",
        "    column Owner 'Kim': no Resources record has this email",
        "! Tasks  (t.csv:702)",
        "    column Due '31/02': no such date",
    ]


def test_rows_rejected_for_like_reasons_are_not_said_to_have_the_same(tmp_path: Path) -> None:
    """What the first one says of itself is not said of the others."""
    lines = shown(plan_of(tmp_path, [rejected(n, f"it has {n} open tasks") for n in range(1, 1501)]))
    assert lines[4] == "! Tasks  (t.csv:2) and 1,499 more for a like reason"


def test_a_change_with_a_note_of_its_own_is_no_like_of_others(tmp_path: Path) -> None:
    """The note is shown beside those that have it, and not beside the whole group."""
    changes = [update(n, 1, 5) for n in range(1, 1501)]
    changes[3] = replace(changes[3], notes=("may be refused",))
    found = worth_showing(plan_of(tmp_path, changes), SHOWN)
    assert [(one.n, one.more) for one in found] == [(1, 1498), (4, 0)]


def test_what_is_alike_is_alike_in_everything(tmp_path: Path) -> None:
    """Another step, field, value before or value after is another kind; text is no number."""
    kinds = [
        update(1, 1, 5), update(2, 1, 5, step="other"), update(3, 1, 5, field="priority"),
        update(4, 2, 5), update(5, 1, 6), update(6, "1", 5), update(7, 1, "5"), update(8, None, 5),
    ]  # fmt: skip
    alike_ones = [update(n, 1, 5) for n in range(9, 20)]
    found = worth_showing(plan_of(tmp_path, [*kinds, *alike_ones]), SHOWN)
    assert [(one.n, one.more) for one in found] == [(1, 11), *((n, 0) for n in range(2, 9))]


def test_few_changes_are_shown_one_by_one(tmp_path: Path) -> None:
    """What fits is not grouped: each row with its own place."""
    plan = plan_of(tmp_path, [update(n, 1, 5) for n in range(1, SHOWN + 1)])
    assert [(one.n, one.more) for one in worth_showing(plan, SHOWN)] == [(n, 0) for n in range(1, SHOWN + 1)]


def test_show_prints_every_row_of_them(tmp_path: Path) -> None:
    """All means all, in the order of the plan, also over many blocks of lines."""
    plan = plan_of(tmp_path, [update(n, 1, 5) for n in range(1, 1301)])
    heads = [line for line in shown(plan, most=None) if line.startswith("~")]
    assert heads == [f'~ Tasks {n + 1000} externalID="T-{n}"  (t.csv:{n + 1})' for n in range(1, 1301)]


def test_a_long_delete_is_cut_in_the_plan_and_whole_in_show(tmp_path: Path) -> None:
    """What goes is told by its first fields and how many more there are; what stood there, no arrows."""
    fields = {f"field{n}": FieldDiff(before=n, after=None) for n in range(50)}
    gone = Change(n=1, step="tasks", entity="Tasks", action=Action.DELETE, id=9, fields=fields)
    plan = plan_of(tmp_path, [gone])
    brief, whole = shown(plan), shown(plan, most=None)
    assert "    … and 30 more fields" in brief and "    field0   0" in brief
    assert [line.split()[0] for line in whole if line.startswith("    field")] == list(fields)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=60), st.integers(1, 5))
def test_nothing_is_told_twice_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[tuple[bool, int]], most: int
) -> None:
    """Shown rows, those like them, and those said to be left add up to the plan; the bound holds."""
    changes = [
        update(n, 0, kind) if is_update else rejected(n, f"reason {kind}")
        for n, (is_update, kind) in enumerate(kinds, 1)
    ]
    plan = plan_of(tmp_path_factory.mktemp("p"), changes)
    found = worth_showing(plan, most)
    assert [one.n for one in found] == sorted({one.n for one in found})
    for is_update, action in ((True, Action.UPDATE), (False, Action.REJECTED)):
        own = [one for one in found if plan.change(one.n).action is action]
        like = [kind for of, kind in kinds if of is is_update]
        told = sum(1 + one.more for one in own)
        assert told <= len(like) and len(own) <= 2 * most
        if len(like) <= most or len(set(like)) <= most:
            assert told == len(like)


def test_memory_is_bounded_however_many_kinds_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of kinds new ones are only counted among what is left."""
    monkeypatch.setattr(alike, "MOST_KINDS", 15)
    plan = plan_of(tmp_path, [update(n, 0, n) for n in range(1, 101)])
    assert len(worth_showing(plan, 20)) == 15
    assert any("85 more to update" in line for line in shown(plan, most=20))
