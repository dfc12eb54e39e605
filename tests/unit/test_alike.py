"""A plan at scale stays readable: what changes alike is told once, outliers one by one, `show` tells all."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
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
from bulkops.plan.seal import CHUNK
from bulkops.record import Created, Row, Value
from bulkops.render import SHOWN, print_plan

SHAPES = {
    "Tasks": {
        "parent": "projectID",
        "fields": {
            "projectID": {"type": "integer", "reference": "Projects"},
            "contactID": {"type": "integer", "reference": "Contacts"},
        },
    }
}


class CountingPlan(Plan):
    """A plan that knows how many chunks of it were read."""

    chunks_read = 0

    def stored(self, chunk: int) -> tuple[str, ...]:
        self.chunks_read += 1
        return super().stored(chunk)


def plan_of(
    folder: Path, changes: Iterable[Change], *, action: str = "update", rows: Iterable[int] | None = None
) -> CountingPlan:
    """`rows`: of each step; without them it has one."""
    changes = list(changes)
    steps = tuple(
        StepInfo(
            name="tasks", entity="Tasks", action=action, match=("externalID",), file="t.csv",
            columns=("Key",), read=own, dropped=0, rows=own,
        )
        for own in (rows or [len(changes)])
    )  # fmt: skip
    header = Header(
        job="j", tenant="acme", database="7", url="", reason="", created="2026-03-01T12:00:00+00:00",
        version="0", steps=steps, entities=SHAPES, calls_read=1, calls_write=len(changes), estimate_s={},
        counts={action.value: sum(item.action is action for item in changes) for action in Action},
    )  # fmt: skip
    path = folder / "x.plan"
    path.unlink(missing_ok=True)
    with PlanWriter(path) as writer:
        for item in changes:
            writer.add(Row(cells=(f"T-{item.n}",), line=item.line), item)
        writer.seal(header)
    return CountingPlan.open(path)


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


def record(
    n: int, action: Action = Action.CREATE, values: Mapping[str, Value] | None = None, **more: Value
) -> Change:
    """A create, or a delete, under a project of its own."""
    held: dict[str, Value] = {"projectID": n, "title": "Closed", **(values or {}), **more}
    fields = {
        name: FieldDiff(before=None, after=value)
        if action is Action.CREATE
        else FieldDiff(before=value, after=None)
        for name, value in held.items()
    }
    return Change(
        n=n, step="tasks", entity="Tasks", action=action, line=n + 1, file="t.csv", fields=fields,
        key={"externalID": held["externalID"]} if "externalID" in held else {},
    )  # fmt: skip


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


def test_a_note_for_each_of_many_projects_is_told_once(tmp_path: Path) -> None:
    """With its number, and with what is another one for each."""
    lines = shown(plan_of(tmp_path, [record(n) for n in range(1, 201)]))
    assert lines[4:-3] == [
        "+ Tasks  (t.csv:2) and 199 more like it but for `projectID`",
        "    projectID  1",
        '    title      "Closed"',
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"projectID": 7}, "just like it"),
        ({"projectID": Created(change=1)}, "just like it"),
        ({}, "like it but for `projectID`"),
    ],
)
def test_what_differs_is_named_and_nothing_else(
    tmp_path: Path, values: Mapping[str, Value], told: str
) -> None:
    """Where all of it is the same, that is said."""
    assert shown(plan_of(tmp_path, [record(n, values=values) for n in range(1, 21)]))[4].endswith(
        f"and 19 more {told}"
    )


def test_keys_marks_and_what_the_plan_itself_makes_may_differ(tmp_path: Path) -> None:
    """They are another one for each row by their nature, and are named."""
    changes = [
        replace(
            record(n, projectID=Created(change=n), externalID=f"T-{n}", purchaseOrderNumber=f"bulkops {n}"),
            marker="purchaseOrderNumber",
        )
        for n in range(1, 31)
    ]
    head = shown(plan_of(tmp_path, changes))[4]
    assert head.endswith("and 29 more like it but for `projectID`, `externalID` and `purchaseOrderNumber`")


def test_creates_that_differ_in_anything_else_are_outliers(tmp_path: Path) -> None:
    """Another title, a field more, another author, a note of its own: each is shown."""
    changes = [record(n) for n in range(1, 31)]
    changes[3] = record(4, title="Open")
    changes[5] = record(6, description="more")
    changes[7] = replace(record(8), impersonate=5)
    changes[9] = replace(record(10), notes=("may be refused",))
    found = worth_showing(plan_of(tmp_path, changes), SHOWN)
    assert [(one.n, one.more) for one in found] == [(1, 25), (4, 0), (6, 0), (8, 0), (10, 0)]


def test_whom_a_create_names_makes_a_kind_of_its_own_while_these_are_few(tmp_path: Path) -> None:
    """A reader wants to know how many go to whom; five hundred people are told as what differs."""
    few = plan_of(tmp_path, [record(n, contactID=n % 3) for n in range(1, 31)])
    assert [(one.more, one.differs) for one in worth_showing(few, SHOWN)] == [(9, ("projectID",))] * 3
    many = plan_of(tmp_path, [record(n, contactID=n % 12) for n in range(1, 31)])
    (one,) = worth_showing(many, SHOWN)
    assert (one.n, one.more, one.differs) == (1, 29, ("projectID", "contactID"))


def test_deletes_of_one_kind_are_told_once(tmp_path: Path) -> None:
    """What goes is told as what comes is."""
    changes = [record(n, Action.DELETE, contactID=5) for n in range(1, 501)]
    changes[20] = record(21, Action.DELETE, contactID=6)
    found = worth_showing(plan_of(tmp_path, changes), SHOWN)
    assert [(one.n, one.more, one.differs) for one in found] == [(1, 498, ("projectID",)), (21, 0, ())]


def test_what_cannot_be_taken_back_is_told_by_kind_however_few_rows_there_are(tmp_path: Path) -> None:
    """Nobody corrects such rows in a file; a plan of a file's rows still shows each with its place."""
    changes = [rejected(n, f"Tasks {n} is not there any more") for n in range(1, 8)]
    back = shown(plan_of(tmp_path, changes, action="undo"))
    assert back[4:6] == [
        "! Tasks  (t.csv:2) and 6 more for a like reason", "    Tasks 1 is not there any more"
    ]  # fmt: skip
    there = [line for line in shown(plan_of(tmp_path, changes)) if line.startswith("!")]
    assert there == [f"! Tasks  (t.csv:{n + 1})" for n in range(1, 8)]


def distinct(count: int, *, after: int = 0) -> list[Change]:
    """Creates of an import: each has a title of its own."""
    return [record(n, title=f"Task {n}") for n in range(after + 1, after + count + 1)]


def test_of_creates_that_are_like_nothing_only_the_first_are_read(tmp_path: Path) -> None:
    """An import may have a million of them: what it prints costs what its first window costs, and adds up."""
    plan = plan_of(tmp_path, distinct(3 * alike.WINDOW))
    assert [(one.n, one.more) for one in worth_showing(plan, SHOWN)] == [(n, 0) for n in range(1, SHOWN + 1)]
    assert plan.chunks_read == alike.WINDOW // CHUNK
    assert any("… and 5,990 more to create:" in line for line in shown(plan))


def test_what_only_some_steps_have_is_all_that_is_read(tmp_path: Path) -> None:
    """Chunks in which nothing happens, or only what is shown one by one, are left alone."""
    quiet = [Change(n=n, step="tasks", entity="Tasks", action=Action.UNCHANGED) for n in range(1, 3001)]
    quiet[5] = rejected(6, "no such owner")
    plan = plan_of(tmp_path, [*quiet, *(update(n, 1, 5) for n in range(3001, 3051))])
    assert [(one.n, one.more) for one in worth_showing(plan, SHOWN)] == [(6, 0), (3001, 49)]
    assert plan.chunks_read == 1


def test_a_group_is_found_behind_a_step_that_was_not_read(tmp_path: Path) -> None:
    """Each step is judged by itself, also where two of them share a chunk; the group is counted in full."""
    first = alike.WINDOW * 3 + 500
    notes = [replace(record(first + n), step="notes") for n in range(1, 41)]
    plan = plan_of(tmp_path, [*distinct(first), *notes], rows=[first, 0, 40])
    found = worth_showing(plan, SHOWN)
    assert [(one.n, one.more, one.is_whole) for one in found if one.more] == [(first + 1, 39, True)]
    assert plan.chunks_read <= alike.WINDOW // CHUNK + 1


def test_one_action_that_is_not_read_hides_no_other_of_its_step(tmp_path: Path) -> None:
    """Updates between creates that are like nothing are told to the last one."""
    changes = [update(n, 1, 5) if n % 2 else change for n, change in enumerate(distinct(8000), 1)]
    (group,) = (one for one in worth_showing(plan_of(tmp_path, changes), SHOWN) if one.more)
    assert (group.n, group.more, group.is_whole) == (1, 3999, True)


def test_a_group_that_was_not_counted_in_full_says_so(tmp_path: Path) -> None:
    """What is known of a step of which the rest was not read is told as the least that there is."""
    some = [record(n) for n in range(1, 41)]
    lines = shown(plan_of(tmp_path, [*some, *distinct(5000, after=40), record(5041)]))
    assert lines[4].endswith("and at least 39 more like it but for `projectID`")
    assert any("… and 4,991 more to create:" in line for line in lines)


def test_what_is_not_read_is_not_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends with the window in which nothing was alike, in the middle of a chunk too."""
    monkeypatch.setattr(alike, "WINDOW", 10)
    again = [record(n, title="Task 1") for n in range(11, 51)]
    found = worth_showing(plan_of(tmp_path, [*distinct(10), *again]), SHOWN)
    assert [(one.n, one.more, one.is_whole) for one in found] == [(n, 0, False) for n in range(1, 11)]


def test_half_alike_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a window holds decides on the rest, not what all before it held."""
    monkeypatch.setattr(alike, "WINDOW", 10)
    changes = [record(n) if n % 2 else change for n, change in enumerate(distinct(200), 1)]
    found = worth_showing(plan_of(tmp_path, changes), SHOWN)
    assert [(one.n, one.more, one.is_whole) for one in found if one.more] == [(1, 99, True)]


def test_people_are_counted_to_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creates that differ in whom they name only are no kinds that could be too many to be told apart."""
    monkeypatch.setattr(alike, "MOST_KINDS", 15)
    plan = plan_of(tmp_path, [record(n, contactID=n) for n in range(1, alike.WINDOW + 501)])
    (one,) = worth_showing(plan, SHOWN)
    assert (one.more, one.is_whole) == (alike.WINDOW + 499, True)


def test_each_step_has_room_for_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has its own bound of kinds that are told apart."""
    monkeypatch.setattr(alike, "MOST_KINDS", 15)
    plan = plan_of(tmp_path, [*distinct(50), *(record(n) for n in range(51, 71))], rows=[50, 20])
    assert [(one.n, one.more) for one in worth_showing(plan, SHOWN) if one.more] == [(51, 19)]


MIXED = st.lists(
    st.lists(
        st.tuples(st.sampled_from([*Action, *[Action.CREATE] * 4]), st.integers(0, 9) | st.just(0)),
        max_size=25,
    ),
    max_size=4,
)
MORE = re.compile(r" and (at least )?([\d,]+) more ")


@settings(max_examples=80, deadline=None)
@given(MIXED, st.integers(1, 3), st.integers(2, 6), st.integers(1, 4))
def test_what_is_told_adds_up_to_the_counts_of_the_plan(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[list[tuple[Action, int]]],
    most: int,
    window: int,
    kinds: int,
) -> None:
    """Over any steps, read or not; a group has as many as it says, where it says so, and never less."""
    told = [(place, action, kind) for place, step in enumerate(steps) for action, kind in step]
    changes = [mixed(n, place, action, kind) for n, (place, action, kind) in enumerate(told, 1)]
    plan = plan_of(tmp_path_factory.mktemp("p"), changes, rows=map(len, steps) if steps else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike, "WINDOW", window)
        patch.setattr(alike, "MOST_KINDS", kinds)
        found, lines = worth_showing(plan, most), shown(plan, most=most)
    for one in found:
        there = told.count(told[one.n - 1])
        assert one.more == 0 or 1 + one.more == there or (not one.is_whole and 1 + one.more < there)
    for mark, action, fate in (("+", "create", "to create"), ("~", "update", "to update"),
                               ("-", "delete", "to delete"), ("!", "rejected", "rejected")):  # fmt: skip
        heads = [MORE.search(line) for line in lines if line.startswith(f"{mark} ")]
        rest = re.search(rf"([\d,]+) more {fate}", "\n".join(lines))
        counted = sum(1 + (int(head[2]) if head else 0) for head in heads)
        assert counted + (int(rest[1]) if rest else 0) == plan.counts[action]


def mixed(n: int, place: int, action: Action, kind: int) -> Change:
    """A change of a step; those of one kind are alike."""
    if action is Action.UPDATE:
        change = update(n, 0, kind)
    elif action is Action.REJECTED:
        change = rejected(n, "because of " + "abcdefghij"[kind])
    elif action is Action.UNCHANGED:
        change = Change(n=n, step="tasks", entity="Tasks", action=action)
    else:
        change = record(n, action, title=f"Title {kind}")
    return replace(change, step=f"step {place}")


CELLS = st.fixed_dictionaries(
    {"projectID": st.integers(1, 3), "title": st.sampled_from(["A", "B"]), "contactID": st.integers(1, 4)},
    optional={"externalID": st.sampled_from(["x", "y", "z"]), "status": st.sampled_from([1, "1", 5])},
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, max_size=40), st.integers(1, 4), st.sampled_from([Action.CREATE, Action.DELETE]))
def test_what_is_said_to_be_like_another_is_like_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Value]], most: int, action: Action
) -> None:
    """As many changes as are said to be like the one that is shown are like it in all but what is named;
    nothing is named in which all of them agree; and none is counted twice.
    """
    plan = plan_of(tmp_path_factory.mktemp("p"), [record(n, action, row) for n, row in enumerate(rows, 1)])
    found = worth_showing(plan, most)
    assert sum(1 + one.more for one in found) <= len(rows) and len(found) <= 2 * most
    for one in found:
        first = rows[one.n - 1]
        alike = [row for row in rows if _without(row, one.differs) == _without(first, one.differs)]
        assert len(alike) > one.more
        assert all(len({repr(row.get(name)) for row in alike}) > 1 for name in one.differs)
        assert not set(one.differs) & {"title", "status"}


def _without(row: Mapping[str, Value], names: Iterable[str]) -> dict[str, str]:
    return {name: repr(value) for name, value in sorted(row.items()) if name not in names}
