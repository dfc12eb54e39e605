"""A plan and a running apply as text for people. Decides nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TypeAlias

from rich.console import Console
from rich.segment import Segment, Segments
from rich.text import Text

from bulkops.alike import Shown, worth_showing
from bulkops.change import Action, Change, FieldDiff, Unknown
from bulkops.grouping import Own
from bulkops.naming import RowNames
from bulkops.plan import Header, Plan, StepInfo
from bulkops.progress import Progress
from bulkops.record import Created, Value
from bulkops.wording import counted, listed
from bulkops.workload import KEY as WORKLOAD
from bulkops.workload import NOTES, workload_lines

Labels: TypeAlias = Mapping[str, Mapping[str, str]]  # field → value → label

MARKS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.REJECTED: ("!", "red"),
    Action.UNCHANGED: ("=", "dim"),
}
_FATES = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.DELETE: "to delete",
    Action.UNCHANGED: "unchanged",
    Action.REJECTED: "rejected",
}
SHOWN = 10  # changes that `plan` prints of each kind, and as many groups; `show` prints all
FIELDS = 20  # of one change that `plan` prints
WIDEST = 100  # characters of one value
BLOCK = 500  # lines that are printed at once: line by line, the terminal's library takes longer than all else

Line: TypeAlias = tuple[str, str]
"""A line and its style."""


def print_plan(plan: Plan, console: Console, *, most: int | None = SHOWN) -> None:
    """The diff, the counts, the cost. `most` changes of each kind, like ones told once; or all of them."""
    header = plan.header
    console.print(Text(f"{header.job}: {plan.path}", style="bold"))
    console.print(f"tenant {header.tenant}, database {header.database}", markup=False)
    if header.reason:
        console.print(f"reason: {header.reason}", markup=False)
    for step in header.steps:
        console.print(_step_line(step), markup=False)
    console.print()
    if _print_lines(console, _all_lines(plan) if most is None else _some_lines(plan, most)):
        console.print()
    print_summary(plan, console)


def _print_lines(console: Console, lines: Iterable[Line]) -> bool:
    """Whether there was any."""
    lines, has_any = iter(lines), False
    while block := list(islice(lines, BLOCK)):
        has_any = True
        styles = {style: console.get_style(style) if style else None for _, style in block}
        console.print(Segments([Segment(f"{text}\n", styles[style]) for text, style in block]), end="")
        if console.quiet:  # the reader has seen enough
            break
    return has_any


def _all_lines(plan: Plan) -> Iterator[Line]:
    labels, names = _labels(plan), RowNames(plan.header.steps)
    for change, row in plan.items():
        yield from _change_lines(change, names.of(change, row), labels.get(change.entity, {}))


def _some_lines(plan: Plan, most: int) -> Iterator[Line]:
    """A few of each kind, and how many there are besides."""
    left = {action: plan.header.counts.get(action.value, 0) for action in _FATES}
    left[Action.UNCHANGED] = 0
    labels, names = _labels(plan), RowNames(plan.header.steps)
    for one in worth_showing(plan, most):
        change, row = next(plan.items(one.n - 1))
        left[change.action] -= 1 + one.more
        known = labels.get(change.entity, {})
        alike = f" and {_at_least(one.more, one)} more {_like(change, one)}" if one.more else ""
        if one.own is not None:
            change = replace(change, notes=tuple(_own_notes(plan, change, one, one.own, names)))
        yield from _change_lines(change, names.of(change, row), known, alike=alike, fields=FIELDS)
    more = [f"{n:,} more {_FATES[action]}" for action, n in left.items() if n]
    if more:
        yield f"  … and {', '.join(more)}: see them all with `{command('show', plan.path)}`", ""


def _own_notes(plan: Plan, change: Change, one: Shown, own: Own, names: RowNames) -> Iterator[str]:
    """What is the same for all that are like `change`; then each one's own, or the largest and the range of
    the others.
    """
    yield from (note for at, note in enumerate(change.notes) if at not in own.which)
    for n in own.rows:
        each, row = next(plan.items(n - 1))
        called = _known(each, names.of(each, row)).removeprefix(each.entity).strip()
        yield f"{called}: {'; '.join(each.notes[at] for at in own.which)}"
    if own.others:
        yield f"and {_at_least(one.more + 1 - len(own.rows), one)} more: {own.others}"


def _at_least(number: int, one: Shown) -> str:
    return f"{number:,}" if one.is_whole else f"at least {number:,}"


def _labels(plan: Plan) -> Mapping[str, Labels]:
    found: Mapping[str, Labels] = plan.header.extra.get("labels", {})
    return found


def _step_line(step: StepInfo) -> str:
    dropped = f", {step.dropped:,} dropped" if step.dropped else ""
    left_out = f", {left_out_text(step.left_out, len(step.columns))}" if step.left_out else ""
    key = f" by {', '.join(step.match)}" if step.match else ""
    what = f"{step.action} {step.entity}{key} from {step.file}"
    return f"step {step.name}: {what}: {step.read:,} read{dropped}{left_out}"


def left_out_text(number: int, columns: int) -> str:
    """`240 of 254 columns left out by ignore: "*"`."""
    return f'{number:,} of {counted(columns, "column")} left out by ignore: "*"'


def print_summary(plan: Plan, console: Console) -> None:
    """One line of counts, one of cost, the warnings."""
    header, counts = plan.header, plan.header.counts
    line = Text("Plan: ", style="bold")
    line.append(", ".join(f"{counts.get(action, 0):,} {fate}" for action, fate in _FATES.items()))
    console.print(line.append("."))
    console.print(_cost_line(header), markup=False)
    for told in (*workload_lines(header.extra.get(WORKLOAD, ())), *header.extra.get(NOTES, ())):
        console.print(printable(told), markup=False, highlight=False, soft_wrap=True)
    for told in _coverage(header):
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    for warning in header.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))


def _coverage(header: Header) -> Iterator[str]:
    """How far the plan could be taken back; nothing where it does nothing, or is a way back itself."""
    if not header.calls_write or "lasting" not in header.extra:
        return
    lasting, altered = header.extra["lasting"], header.extra.get("altered", ())
    yield f"Undo: all that it writes{', but' if lasting or altered else '.'}"
    yield from (f"  not back: {text}" for text in lasting)
    yield from (f"  not as it was: {text}" for text in altered)


def written_text(plan: Plan) -> str:
    """Where the plan is, and what to do with it."""
    rejected = plan.counts.get(Action.REJECTED.value, 0)
    if not plan.has_changes and rejected and any(step.action == "undo" for step in plan.header.steps):
        why = f"{rejected:,} rejected, for the reasons above"
        return f"Nothing can be taken back as it is: {why}. Written to {plan.path}."
    if not plan.has_changes:
        return f"Nothing to change. Written to {plan.path}."
    return f"Written to {plan.path}. Apply it with: {command('apply', plan.path)}"


def _cost_line(header: Header) -> str:
    cost = f"Cost: {header.calls_read:,} calls to read (made), {header.calls_write:,} to write"
    times = {share: duration(s) for share, s in sorted(header.estimate_s.items())}
    if not header.calls_write or not times:
        return f"{cost}."
    if len(set(times.values())) == 1:
        return f"{cost}; about {next(iter(times.values()))}."
    return f"{cost}; about {', '.join(f'{time} at share {share}' for share, time in times.items())}."


def _change_lines(
    change: Change, called: str, labels: Labels, *, alike: str = "", fields: int | None = None
) -> Iterator[Line]:
    """`called`: what people call its record; `alike`: how many changes are like this one; `fields`: how
    many are shown at most.
    """
    mark, style = MARKS[change.action]
    yield printable(f"{mark} {_known(change, called)}{alike}"), style
    if change.reason:
        yield f"    {printable(change.reason)}", style
    width = max(map(len, change.fields), default=0)
    for name, diff in islice(change.fields.items(), fields):
        told = _diff_text(change, diff, labels.get(name))
        marked = "  (bulkops' own mark)" if name == change.marker else ""
        if name in change.cleared and diff.after is not None:
            marked = " (cleared first)"
        yield printable(f"    {name:<{width}}  {told}{marked}"), ""
    if fields is not None and len(change.fields) > fields:
        yield f"    … and {len(change.fields) - fields} more fields", ""
    for note in change.notes:
        yield f"    note: {printable(note)}", "yellow"


def _like(change: Change, one: Shown) -> str:
    """What those that are not shown have in common with the one that is, and what they have not."""
    if change.action is Action.REJECTED:
        return "for the same reason" if one.is_same else "for a like reason"
    if change.action is Action.UPDATE:
        return "with the same change"
    return f"like it but for {listed(one.differs, 'and')}" if one.differs else "just like it"


def _known(change: Change, name: str) -> str:
    """`Tasks 31 externalID="T-2"  (tasks.csv:3)`; what is known by its id, `Tasks 31 "Build it"`."""
    key = [f"{one}={show_value(value)}" for one, value in change.key.items()
           if (one, value) != ("id", change.id)]  # fmt: skip
    record = [] if change.id is None else [str(change.id)]
    texts = [change.entity, *record, *key, *([show_value(name)] if name else [])]
    is_itself = change.file == change.entity and change.line == change.id
    place = "" if change.line is None or is_itself else f"  ({change.place})"
    return " ".join(texts) + place


def _diff_text(change: Change, diff: FieldDiff, labels: Mapping[str, str] | None) -> str:
    """What is written, or what goes; where one becomes the other, both."""
    if change.action is Action.CREATE:
        return _labelled(diff.after, labels)
    before = _labelled(diff.before, labels)
    return before if change.action is Action.DELETE else f"{before} → {_labelled(diff.after, labels)}"


def _labelled(value: Value | Unknown, labels: Mapping[str, str] | None) -> str:
    label = labels.get(str(value)) if labels else None
    return show_value(value) if label is None else f"{show_value(value)} ({label})"


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


def printable(text: str) -> str:
    """Text of a file or of a server as a terminal may have it: nothing in it moves the cursor."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def command(name: str, path: Path) -> str:
    """A command to be typed: `bulkops apply 'my plan'`."""
    return f"bulkops {name} {quoted(str(path))}"


def quoted(text: str) -> str:
    """One word of a command to be typed."""
    if os.name == "nt":
        return f'"{text}"' if " " in text else text
    return quote(text)


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
