"""What people read when a run has ended."""

from __future__ import annotations

import asyncio
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bulkops.change import Action, Change
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.record import Row
from bulkops.report.results import write_results
from bulkops.report.summary import feed_back_text, files_text, ids_text, print_report, why_stopped


def plan_of(folder: Path, rows: int) -> Plan:
    """A plan of one step that creates."""
    return steps_plan(folder, ("s", [Action.CREATE] * rows))


def steps_plan(folder: Path, *steps: tuple[str, Sequence[Action]]) -> Plan:
    """A plan of steps: name, and the action of each row."""
    infos: list[StepInfo] = []
    n = 0
    counts = Counter(action.value for _, actions in steps for action in actions)
    with PlanWriter(folder / "x.plan") as writer:
        for name, actions in steps:
            infos.append(
                StepInfo(name=name, entity="Companies", action="create", match=(), file="x.csv",
                         columns=("A",), read=len(actions), dropped=0, rows=len(actions))
            )  # fmt: skip
            for action in actions:
                n += 1
                change = Change(n=n, step=name, entity="Companies", action=action, line=n + 1, file="x.csv")
                writer.add(Row(cells=("a",), line=n + 1), change)
        writer.seal(
            Header(job="trial", tenant="acme", database="1", url="", reason="", created="", version="0",
                   steps=tuple(infos), counts={action.value: counts[action.value] for action in Action},
                   calls_read=0, calls_write=n, estimate_s={})
        )  # fmt: skip
    return Plan.open(folder / "x.plan")


def report(plan: Plan, *entries: Entry, waiting: str | None = None) -> list[str]:
    async def write() -> None:
        book = Journal.open(plan.path)
        await book.intent([entry.n for entry in entries])
        for entry in entries:
            book.note(entry)
        await book.close(calls_read=3, calls_write=len(entries), elapsed_s=61.0, waiting=waiting)

    asyncio.run(write())
    text = io.StringIO()
    print_report(plan, plan.status(), Console(file=text, soft_wrap=True, highlight=False))
    return text.getvalue().splitlines()


def test_a_run_that_went_well_is_told_in_three_lines(tmp_path: Path) -> None:
    """Counts, calls and time, what was made; nothing to do."""
    plan = plan_of(tmp_path, 2)
    assert report(plan, Entry(n=1, kind=Kind.APPLIED, id=5), Entry(n=2, kind=Kind.APPLIED, id=6)) == [
        "finished: 2 applied, 0 unchanged, 0 rejected, 0 held, 0 pending",
        "3 calls to read, 2 to write, 1 min 1 s",
        "  Companies (s): 2 created (ids 5, 6)",
    ]


def test_each_step_says_what_it_made_with_its_ids(tmp_path: Path) -> None:
    """In the order of the plan, every row of it in one count, also of a step that had none."""
    create, update, delete = Action.CREATE, Action.UPDATE, Action.DELETE
    plan = steps_plan(
        tmp_path,
        ("companies", [create, update, Action.UNCHANGED, Action.REJECTED, create]),
        ("nothing", []),
        ("contacts", [*[create] * 13, delete, create, create]),
    )
    made = [Entry(n=n, kind=Kind.APPLIED, id=100 - n) for n in (1, 2)]
    more = [Entry(n=n, kind=Kind.APPLIED, id=700 + n + (n > 10)) for n in range(6, 19)]
    said = report(
        plan, *made, Entry(n=5, kind=Kind.HELD, reason="nobody knows"), *more,
        Entry(n=19, kind=Kind.APPLIED, id=3), Entry(n=20, kind=Kind.REJECTED, reason="no"),
    )  # fmt: skip
    assert said[0] == "stopped: 16 applied, 1 unchanged, 2 rejected, 1 held, 1 pending"
    assert said[2:5] == [
        "  Companies (companies): 1 created (id 99), 1 updated, 1 unchanged, 1 rejected, 1 held",
        "  Companies (nothing): no rows",
        "  Companies (contacts): 13 created (ids 706 to 710, 712 to 719), 1 deleted, 1 rejected, 1 pending",
    ]


@given(st.sets(st.integers(0, 60)))
def test_ids_are_all_told_or_counted(ids: set[int]) -> None:
    """Few one by one; many as runs without a gap, and what does not fit as a number."""
    text = ids_text(ids).partition(" ")[2]
    shown, _, rest = text.partition(" and ")
    told: set[int] = set()
    for part in shown.split(", ") if ids else ():
        first, _, last = part.partition(" to ")
        told |= set(range(int(first), int(last or first) + 1))
    assert told <= ids
    assert len(ids - told) == int(rest.partition(" ")[0] or 0)
    assert len(ids) > 10 or shown.split(", ") == [str(one) for one in sorted(ids)] or not ids


def test_who_feeds_rejected_rows_back_gets_the_command(tmp_path: Path) -> None:
    """With the files of all steps, since what the first run made is looked for only of steps fed back."""
    plan = steps_plan(tmp_path, ("companies", [Action.CREATE]), ("my contacts", [Action.REJECTED]))
    for as_workbook, one, other in (
        (False, "companies/rejected.csv", "my contacts/rejected.csv"),
        (True, "companies.xlsx", "my contacts.xlsx"),
    ):
        written = write_results(plan, Path(tmp_path, "out"), as_workbook=as_workbook)
        words = shlex.split(feed_back_text(plan, written).partition("feed them back: ")[2])
        assert words == [
            "bulkops", "plan", "JOB", "-o", "rest.plan",
            "--source", f"companies={tmp_path / 'out' / one}",
            "--source", f"my contacts={tmp_path / 'out' / other}",
        ]  # fmt: skip
    (tmp_path / "fine").mkdir()
    assert feed_back_text(plan_of(tmp_path / "fine", 1), []) == ""


def test_rows_that_did_not_make_it_are_named_with_what_to_do(tmp_path: Path) -> None:
    """At most ten with place and reason, how many more there are, and how to have all as files."""
    plan = plan_of(tmp_path, 30)
    reasons = [f"no\x1b[2J {'x' * n}" for n in range(1, 31)]
    said = report(plan, *(Entry(n=n, kind=Kind.REJECTED, reason=why) for n, why in enumerate(reasons, 1)))
    assert said[2] == "  Companies (s): 30 rejected"
    assert said[3] == "  x.csv:2  rejected: no\\x1b[2J x"
    assert len(said) == 3 + 10 + 2
    assert said[13] == "  … and 20 more"
    assert said[14] == f"All of them as files: bulkops results {plan.path} --dir DIR"


def test_rows_that_ended_alike_are_told_once(tmp_path: Path) -> None:
    """Where there are many, the largest groups are among what is shown; few are told one by one."""
    plan = plan_of(tmp_path, 40)
    reasons = [f"row {n} fell" if n % 2 else "no name" if n % 4 else "odd" * n for n in range(1, 41)]
    said = report(plan, *(Entry(n=n, kind=Kind.REJECTED, reason=text) for n, text in enumerate(reasons, 1)))
    assert said[3:6] == [
        "  x.csv:2  rejected: row 1 fell (and 19 more like it)",
        "  x.csv:3  rejected: no name (and 9 more like it)",
        "  x.csv:5  rejected: oddoddoddodd",
    ]
    assert said[13] == "  … and 2 more"
    (tmp_path / "few").mkdir()
    few = report(plan_of(tmp_path / "few", 2), *(Entry(n=n, kind=Kind.REJECTED, reason="no") for n in (1, 2)))
    assert few[3:5] == ["  x.csv:2  rejected: no", "  x.csv:3  rejected: no"]


def test_a_run_that_was_stopped_says_why_and_how_to_go_on(tmp_path: Path) -> None:
    """The reason in a sentence, and the command."""
    plan = plan_of(tmp_path, 2)
    said = report(plan, Entry(n=1, kind=Kind.APPLIED, id=5), waiting="stopped by Ctrl-C")
    assert said[0] == "stopped: 1 applied, 0 unchanged, 0 rejected, 0 held, 1 pending"
    assert said[3:] == ["Stopped by Ctrl-C", f"Go on with: bulkops apply {plan.path}"]
    assert why_stopped("20 calls failed") == "Stopped: 20 calls failed"


def test_files_are_listed_by_folder() -> None:
    """One line a folder."""
    paths = [Path("a/x.csv"), Path("a/y.csv"), Path("b/x.csv")]
    assert files_text(paths).splitlines() == [f"{Path('a')}: x.csv, y.csv", f"{Path('b')}: x.csv"]
