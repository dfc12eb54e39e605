"""What people read when a run has ended."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from rich.console import Console

from bulkops.change import Action, Change
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Header, Plan, PlanWriter, StepInfo
from bulkops.record import Row
from bulkops.report.summary import files_text, print_report, why_stopped


def plan_of(folder: Path, rows: int) -> Plan:
    step = StepInfo(name="s", entity="Companies", action="create", match=(), file="x.csv", columns=("A",),
                    read=rows, dropped=0, rows=rows)  # fmt: skip
    counts = {**dict.fromkeys((action.value for action in Action), 0), "create": rows}
    header = Header(job="trial", tenant="acme", database="1", url="", reason="", created="", version="0",
                    steps=(step,), counts=counts, calls_read=0, calls_write=rows, estimate_s={})  # fmt: skip
    with PlanWriter(folder / "x.plan") as writer:
        for n in range(1, rows + 1):
            change = Change(n=n, step="s", entity="Companies", action=Action.CREATE, line=n + 1, file="x.csv")
            writer.add(Row(cells=("a",), line=n + 1), change)
        writer.seal(header)
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


def test_a_run_that_went_well_is_told_in_two_lines(tmp_path: Path) -> None:
    """Counts, calls and time; nothing to do."""
    plan = plan_of(tmp_path, 2)
    assert report(plan, Entry(n=1, kind=Kind.APPLIED, id=5), Entry(n=2, kind=Kind.APPLIED, id=6)) == [
        "finished: 2 applied, 0 unchanged, 0 rejected, 0 held, 0 pending",
        "3 calls to read, 2 to write, 1 min 1 s",
    ]


def test_rows_that_did_not_make_it_are_named_with_what_to_do(tmp_path: Path) -> None:
    """At most ten with place and reason, how many more there are, and how to have all as files."""
    plan = plan_of(tmp_path, 30)
    said = report(plan, *(Entry(n=n, kind=Kind.REJECTED, reason=f"no\x1b[2J {n}") for n in range(1, 31)))
    assert said[2] == "  x.csv:2  rejected: no\\x1b[2J 1"
    assert len(said) == 2 + 10 + 2
    assert said[12] == "  … and 20 more"
    assert said[13] == f"All of them as files: bulkops results {plan.path} --dir DIR"


def test_a_run_that_was_stopped_says_why_and_how_to_go_on(tmp_path: Path) -> None:
    """The reason in a sentence, and the command."""
    plan = plan_of(tmp_path, 2)
    said = report(plan, Entry(n=1, kind=Kind.APPLIED, id=5), waiting="stopped by Ctrl-C")
    assert said[0] == "stopped: 1 applied, 0 unchanged, 0 rejected, 0 held, 1 pending"
    assert said[2:] == ["Stopped by Ctrl-C", f"Go on with: bulkops apply {plan.path}"]
    assert why_stopped("20 calls failed") == "Stopped: 20 calls failed"


def test_files_are_listed_by_folder() -> None:
    """One line a folder."""
    paths = [Path("a/x.csv"), Path("a/y.csv"), Path("b/x.csv")]
    assert files_text(paths).splitlines() == [f"{Path('a')}: x.csv, y.csv", f"{Path('b')}: x.csv"]
