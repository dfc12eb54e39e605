"""What happened to a plan, in a few lines for people. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bulkops.plan import Plan, Status
from bulkops.render import command, duration, printable


def print_report(plan: Plan, now: Status, console: Console) -> None:
    """What happened, and what to do about what did not."""
    style = "green" if now.state == "finished" else "yellow"
    line = Text(f"{now.state}: ", style=f"bold {style}")
    console.print(line.append(counts_text(now.counts), style="default"))
    console.print(usage_text(now))
    if now.counts["rejected"] or now.counts["held"]:
        print_endings(plan, ("rejected", "held"), console)
        console.print(f"All of them as files: {command('results', now.plan)} --dir DIR", markup=False)
    if now.counts["pending"]:
        if now.waiting:
            console.print(why_stopped(now.waiting), markup=False)
        console.print(f"Go on with: {command('apply', now.plan)}", markup=False)


def why_stopped(reason: str) -> str:
    """`Stopped by Ctrl-C`, `Stopped: the number of calls allowed was made`."""
    return reason[0].upper() + reason[1:] if reason.startswith("stopped") else f"Stopped: {reason}"


def usage_text(now: Status) -> str:
    """`3 calls to read, 81 to write, 1 min 1 s`."""
    return f"{now.calls['read']:,} calls to read, {now.calls['write']:,} to write, {duration(now.elapsed_s)}"


def counts_text(counts: Mapping[str, int]) -> str:
    """`40 applied, 1 unchanged, 5 rejected, 0 held, 0 pending`."""
    order = ("applied", "unchanged", "rejected", "held", "pending")
    return ", ".join(f"{counts[name]:,} {name}" for name in order)


def print_endings(plan: Plan, states: Sequence[str], console: Console, *, most: int = 10) -> None:
    """The rows that ended in one of `states` and why: `clients.csv:7  rejected: …`."""
    counts = plan.progress()
    left = sum(counts[state] for state in states)
    for fate in plan.fates():
        if fate.state not in states:
            continue
        change = fate.change
        where = change.place if change.line is not None else f"row {change.n}"
        console.print(printable(f"  {where}  {fate.state}: {fate.reason}"), markup=False)
        most, left = most - 1, left - 1
        if not most or not left:
            break
    if left:
        console.print(f"  … and {left:,} more")


def files_text(paths: Iterable[Path]) -> str:
    """Where the files are, one folder a line."""
    folders: dict[Path, list[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path.name)
    return "\n".join(f"{folder}: {', '.join(names)}" for folder, names in folders.items())
