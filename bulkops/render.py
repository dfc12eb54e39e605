"""A plan and a running apply as text for people. Decides nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.text import Text

from bulkops.change import Action, Change, FieldDiff, Unknown
from bulkops.plan import Header, Plan, StepInfo
from bulkops.progress import Progress
from bulkops.record import Created, Value

MARKS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.REJECTED: ("!", "red"),
    Action.UNCHANGED: ("=", "dim"),
}
SHOWN = 10  # changes that `plan` prints of each kind; `show` prints all
WIDEST = 100  # characters of one value


def print_plan(plan: Plan, console: Console, *, most: int | None = SHOWN) -> None:
    """The diff, the counts, the cost. `most` changes of each kind, or all of them."""
    header = plan.header
    console.print(Text(f"{header.job}: {plan.path}", style="bold"))
    console.print(f"tenant {header.tenant}, database {header.database}", markup=False)
    if header.reason:
        console.print(f"reason: {header.reason}", markup=False)
    for step in header.steps:
        console.print(_step_line(step), markup=False)
    console.print()
    shown: dict[Action, int] = dict.fromkeys(Action, 0)
    for change in plan.changes():
        if change.action is Action.UNCHANGED and most is not None:
            continue
        shown[change.action] += 1
        if most is None or shown[change.action] <= most:
            for line in _change_lines(change):
                console.print(line)
    _print_left_out(plan, shown, console, most)
    console.print()
    print_summary(plan, console)


def _print_left_out(plan: Plan, shown: Mapping[Action, int], console: Console, most: int | None) -> None:
    if most is None:
        return
    more = [
        f"{n - most:,} more to {action.value}" for action, n in shown.items() if n > most and action.is_write
    ]
    if shown[Action.REJECTED] > most:
        more.append(f"{shown[Action.REJECTED] - most:,} more rejected")
    if more:
        console.print(
            f"  … and {', '.join(more)}: see them all with `{command('show', plan.path)}`", markup=False
        )


def _step_line(step: StepInfo) -> str:
    dropped = f", {step.dropped:,} dropped" if step.dropped else ""
    key = f" by {', '.join(step.match)}" if step.match else ""
    return f"step {step.name}: {step.action} {step.entity}{key} from {step.file}: {step.read:,} read{dropped}"


def print_summary(plan: Plan, console: Console) -> None:
    """One line of counts, one of cost, the warnings."""
    header, counts = plan.header, plan.header.counts
    line = Text("Plan: ", style="bold")
    line.append(
        f"{counts['create']:,} to create, {counts['update']:,} to update, {counts['delete']:,} to delete, "
        f"{counts['unchanged']:,} unchanged, {counts['rejected']:,} rejected."
    )
    console.print(line)
    console.print(_cost_line(header), markup=False)
    for warning in header.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))


def _cost_line(header: Header) -> str:
    cost = f"Cost: {header.calls_read:,} calls to read (made), {header.calls_write:,} to write"
    times = {share: duration(s) for share, s in sorted(header.estimate_s.items())}
    if not header.calls_write or not times:
        return f"{cost}."
    if len(set(times.values())) == 1:
        return f"{cost}; about {next(iter(times.values()))}."
    return f"{cost}; about {', '.join(f'{time} at share {share}' for share, time in times.items())}."


def _change_lines(change: Change) -> Iterator[Text]:
    mark, style = MARKS[change.action]
    key = " ".join(f"{name}={show_value(value)}" for name, value in change.key.items())
    record = f" {change.id}" if change.id is not None else ""
    place = f"  ({change.file}:{change.line})" if change.line is not None else ""
    yield Text(f"{mark} {change.entity}{record} {key}".rstrip() + place, style=style)
    if change.reason:
        yield Text(f"    {change.reason}", style=style)
    width = max((len(name) for name in change.fields), default=0)
    for name, diff in change.fields.items():
        yield Text(f"    {name:<{width}}  {_diff_text(change.action, diff)}")


def _diff_text(action: Action, diff: FieldDiff) -> str:
    if action is Action.CREATE:
        return show_value(diff.after)
    return f"{show_value(diff.before)} → {show_value(diff.after)}"


def show_value(value: Value | Unknown) -> str:
    """A value as the plan prints it: text in quotes, what is not known yet in words."""
    match value:
        case None:
            return "(empty)"
        case Unknown():
            return "(unknown)"
        case Created():
            return f"(known after apply: row {value.change})"
        case str():
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= WIDEST else f"{text[:WIDEST]}… ({len(value):,} characters)"
        case _:
            return str(value).lower() if isinstance(value, bool) else str(value)


def command(name: str, path: Path) -> str:
    """A command to be typed: `bulkops apply 'my plan'`."""
    text = str(path)
    if os.name == "nt":
        return f'bulkops {name} "{text}"' if " " in text else f"bulkops {name} {text}"
    return f"bulkops {name} {quote(text)}"


def duration(seconds: float) -> str:
    """`4 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def progress_text(
    progress: Progress, *, at_start: Mapping[str, int], rate: float, left_s: float | None
) -> str:
    """One line: done, rate, time left, calls left in the window, what it waits for.

    `rate`: rows a second as of late; `left_s`: seconds until all is done, None where nobody can tell.
    """
    todo = at_start["pending"]
    calls = max(0, progress.granted - progress.used)
    parts = [f"{progress.settled:,} of {todo:,} done"]
    if progress.settled and todo:
        parts[0] += f" ({progress.settled * 100 // todo} %)"
    if rate:
        parts.append(f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.1f} rows/s")
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    parts.append(f"{calls:,} calls left in the window")
    for name in ("rejected", "held"):
        if progress.counts[name] > at_start[name]:
            parts.append(f"{progress.counts[name] - at_start[name]:,} {name}")
    if progress.in_doubt:
        parts.append(f"{progress.in_doubt:,} in doubt")
    line = " · ".join(parts)
    return f"{line} · waiting: {progress.waiting}" if progress.waiting else line
