"""What like rows are told each by itself: a note of one row is never printed as if it were that of all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops import alike
from bulkops.change import Action, Change
from bulkops.grouping import NOTED, Notes, cut
from tests.unit.test_alike import distinct, plan_of, record, shown, update

INACTIVE = "it is inactive, and active then"


def closes(tasks: int, hours: float) -> str:
    return f"completes {tasks:,} open tasks and sets {hours:,.10g} remaining hours to 0"


def noted(n: int, *notes: str) -> Change:
    return replace(update(n, 8, 5), notes=notes)


def notes_of(folder: Path, changes: Iterable[Change]) -> list[str]:
    return [line for line in shown(plan_of(folder, changes)) if line.startswith("    note: ")]


def test_a_handful_of_rows_is_told_row_by_row(tmp_path: Path) -> None:
    """Under the change that they share, each with what it is known by, in the order of the plan."""
    few = [noted(n, closes(n * 2, 1076.59)) for n in range(1, 5)]
    others = [update(n, 1, 5) for n in range(5, 20)]
    lines = shown(plan_of(tmp_path, [*few, *others]))
    assert lines[4:10] == [
        '~ Tasks 1001 externalID="T-1"  (t.csv:2) and 3 more with the same change',
        "    status  8 → 5",
        '    note: 1001 externalID="T-1"  (t.csv:2): ' + closes(2, 1076.59),
        '    note: 1002 externalID="T-2"  (t.csv:3): ' + closes(4, 1076.59),
        '    note: 1003 externalID="T-3"  (t.csv:4): ' + closes(6, 1076.59),
        '    note: 1004 externalID="T-4"  (t.csv:5): ' + closes(8, 1076.59),
    ]


def test_of_many_rows_the_largest_are_told_and_between_what_the_others_are(tmp_path: Path) -> None:
    """The outlier is in sight wherever it stands, and what is said of the rest is so of the rest alone."""
    changes = [noted(n, closes(n + 1, 1000.5 - n)) for n in range(1, 41)]
    changes[19] = noted(20, closes(510, 1076.59))
    found = notes_of(tmp_path, changes)
    assert found[0] == '    note: 1020 externalID="T-20"  (t.csv:21): ' + closes(510, 1076.59)
    assert found[1] == '    note: 1040 externalID="T-40"  (t.csv:41): ' + closes(41, 960.5)
    assert found[NOTED:] == [
        "    note: and 30 more: completes between 2 and 32 open tasks and sets between 969.5 and 999.5 "
        "remaining hours to 0"
    ]


def test_a_note_that_all_have_is_one_line(tmp_path: Path) -> None:
    """Alone, and beside notes that each row has of its own."""
    same = [noted(n, INACTIVE) for n in range(1, 31)]
    assert notes_of(tmp_path, same) == [f"    note: {INACTIVE}"]
    some = [noted(n, closes(n + 1, 5), INACTIVE) for n in range(1, 31)]
    found = notes_of(tmp_path, some)
    assert found[0] == f"    note: {INACTIVE}" and sum(INACTIVE in line for line in found) == 1
    assert len(found) == 1 + NOTED + 1
    assert found[-1].endswith("between 2 and 21 open tasks and sets 5 remaining hours to 0")


def test_ids_days_and_names_have_no_range(tmp_path: Path) -> None:
    """Between two ids there is nothing to know: what is no amount is left out of what is said of the rest."""
    changes = [
        noted(n, f"may be refused: it ends late: Tasks {n} 'Build {n}' on 2026-06-{n + 9}")
        for n in range(1, 13)
    ]
    found = notes_of(tmp_path, changes)
    assert found[0].endswith("Tasks 1 'Build 1' on 2026-06-10")
    assert found[-1] == "    note: and 2 more: may be refused: it ends late: Tasks … … on 2026-06-…"


def test_creates_and_deletes_are_told_row_by_row_too(tmp_path: Path) -> None:
    """Also where kinds become one since there are too many of them."""
    for action in (Action.CREATE, Action.DELETE):
        changes = [replace(record(n, action, contactID=n), notes=(closes(100 - n, n),)) for n in range(1, 51)]
        found = notes_of(tmp_path, changes)
        told = [f"    note: (t.csv:{n + 1}): {closes(100 - n, n)}" for n in range(1, NOTED + 1)]
        assert found[:-1] == told
        assert found[-1].startswith("    note: and 40 more: completes between 50 and 89 open tasks")


def test_of_a_group_that_was_not_counted_in_full_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many others there are is then the least that there are."""
    monkeypatch.setattr(alike, "WINDOW", 500)
    some = [replace(record(n), notes=(closes(n + 1, 5),)) for n in range(1, 21)]
    assert notes_of(tmp_path, [*some, *distinct(2000, after=20)])[-1].startswith(
        "    note: and at least 10 more"
    )


def test_a_sign_that_stands_for_a_number_is_no_number(tmp_path: Path) -> None:
    """A note that holds the sign of what is left out is like no note that holds a number there."""
    texts = ["has … open tasks" if n % 2 else f"has {n} open tasks" for n in range(1, 13)]
    found = notes_of(tmp_path, [noted(n, text) for n, text in enumerate(texts, 1)])
    assert found[0] == "    note: has … open tasks" and len(found) == 7


TOLD = st.tuples(st.integers(1, 15), st.sampled_from(["'a'", "'b'"]), st.just(3) | st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(TOLD, min_size=1, max_size=16), min_size=1, max_size=4))
def test_groups_that_become_one_are_told_as_if_they_had_always_been(
    parts: list[list[tuple[int, str, int]]],
) -> None:
    """Whoever was remembered of each, and whatever was said of its others."""
    n, groups, whole = 0, list[Notes](), list[Notes]()
    for part in parts:
        own_group: list[Notes] = []
        for tasks, who, days in part:
            n += 1
            common, own = cut([f"has {tasks} open tasks of {who}", f"is {days} days late"])
            for held in (own_group, whole):
                if not held:
                    held.append(Notes(common, own))
                held[0].take(n, own)
        groups += own_group
    first, *others = groups
    for other in others:
        first.absorb(other)
    assert first.own() == whole[0].own()


ROWS = st.lists(
    st.tuples(st.integers(2, 12) | st.just(4_000), st.sampled_from([0.5, 7, 1076.59]), st.sampled_from("ab")),
    min_size=11, max_size=40,
)  # fmt: skip
RANGE = re.compile(r"(?:between ([\d.,]+) and )?([\d.,]+) (open|remaining)")


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_all_that_is_said_of_a_row_is_true_of_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]]
) -> None:
    """A note with a row beside it is that row's; those of the others are within what is said of them, both
    bounds of which are there; none is left out.
    """
    texts = [f"{closes(tasks, hours)} of '{who}'" for tasks, hours, who in rows]
    found = notes_of(tmp_path_factory.mktemp("p"), [noted(n, text) for n, text in enumerate(texts, 1)])
    if len(set(texts)) == 1:
        assert found == [f"    note: {texts[0]}"]
        return
    named = {int(line.split()[1]) - 1001: line.split("): ", 1)[1] for line in found[:-1]}
    assert len(named) == NOTED and all(texts[at] == text for at, text in named.items())
    others = [row for at, row in enumerate(rows) if at not in named]
    assert min(tasks for at, (tasks, *_) in enumerate(rows) if at in named) >= max(row[0] for row in others)
    assert found[-1].startswith(f"    note: and {len(others)} more: ")
    for (low, high, _), values in zip(
        RANGE.findall(found[-1]), list(zip(*others, strict=True))[:2], strict=True
    ):
        bounds = [float((one or high).replace(",", "")) for one in (low, high)]
        assert bounds == [min(values), max(values)]
    assert found[-1].endswith("…" if len({row[2] for row in others}) > 1 else f"'{others[0][2]}'")
