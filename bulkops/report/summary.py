"""What happened to a plan, in a few lines for people. Decides nothing."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bulkops.grouping import pattern
from bulkops.naming import RowNames
from bulkops.plan import Fate, Plan, RowState, Status, StepInfo
from bulkops.plan.found import OVERWRITTEN
from bulkops.render import command, duration, printable, quoted, show_value

IDS = 10  # that are told one by one; more are told as runs
RUNS = 6
MOST_KINDS = 10_000  # that are told apart
_DONE = {"c": "created", "u": "updated", "d": "deleted"}  # by the letter of the action, where it was applied
_WORDS = (*_DONE.values(), *(state for state in RowState if state is not RowState.APPLIED))


def print_report(plan: Plan, now: Status, console: Console) -> None:
    """What happened, and what to do about what did not."""
    style = "green" if now.state == "finished" else "yellow"
    line = Text(f"{now.state}: ", style=f"bold {style}")
    console.print(line.append(counts_text(now.counts), style="default"))
    console.print(usage_text(now))
    print_steps(plan, console)
    if now.counts["rejected"] or now.counts["held"]:
        print_endings(plan, ("rejected", "held"), console)
        console.print(f"All of them as files: {command('results', now.plan)} --dir DIR", markup=False)
    if now.counts["pending"]:
        if now.waiting:
            console.print(why_stopped(now.waiting), markup=False)
        console.print(f"Go on with: {command('apply', now.plan)}", markup=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """Where the rows of one step stand: `counts` by created, updated, deleted, unchanged, rejected, …"""

    step: StepInfo
    counts: Counter[str] = field(default_factory=Counter)
    made: array[int] = field(default_factory=lambda: array("q"))  # ids of what was created

    @property
    def text(self) -> str:
        """`Companies (companies): 2 created (ids 12, 13), 1 rejected`."""
        parts = [f"{self.counts[word]:,} {word}" for word in _WORDS if self.counts[word]]
        if self.made:
            parts[0] += f" ({ids_text(self.made)})"
        return f"{self.step.entity} ({self.step.name}): {', '.join(parts) or 'no rows'}"


def step_ends(plan: Plan) -> Iterator[StepEnd]:
    """What became of each step, in the order of the plan."""
    endings = plan.endings()
    for step in plan.header.steps:
        end = StepEnd(step=step)
        for _, letter, state, id in islice(endings, step.rows):  # steps follow each other in a plan
            is_applied = state is RowState.APPLIED
            end.counts[_DONE[letter] if is_applied else state] += 1
            if is_applied and letter == "c" and id is not None:
                end.made.append(id)
        yield end


def print_steps(plan: Plan, console: Console) -> None:
    """Step by step, what was made, with its ids, and what became of the other rows."""
    for end in step_ends(plan):
        console.print(printable(f"  {end.text}"), markup=False)


def ids_text(ids: Iterable[int]) -> str:
    """`ids 5, 6, 9`; many as `ids 5 to 40, 45, 50 to 90 and 12 more`."""
    ordered = sorted(ids)
    if len(ordered) <= IDS:
        return f"{'id' if len(ordered) == 1 else 'ids'} {', '.join(map(str, ordered))}"
    runs = list(_runs(ordered))
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in runs[:RUNS]]
    left = sum(last - first + 1 for first, last in runs[RUNS:])
    return f"ids {', '.join(shown)}" + (f" and {left:,} more" if left else "")


def _runs(ordered: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each row of numbers without a gap."""
    first = last = None
    for one in ordered:
        if first is None or last is None:
            first = last = one
        elif one == last + 1:
            last = one
        elif one != last:
            yield first, last
            first = last = one
    if first is not None and last is not None:
        yield first, last


def why_stopped(reason: str) -> str:
    """`Stopped by Ctrl-C`, `Stopped: the number of calls allowed was made`."""
    return reason[0].upper() + reason[1:] if reason.startswith("stopped") else f"Stopped: {reason}"


def usage_text(now: Status) -> str:
    """`3 calls to read, 81 to write, 1 min 1 s`."""
    return f"{now.calls['read']:,} calls to read, {now.calls['write']:,} to write, {duration(now.elapsed_s)}"


def counts_text(counts: Mapping[str, int]) -> str:
    """`40 applied, 1 unchanged, 5 rejected, 0 held, 0 pending`."""
    return ", ".join(f"{counts[state]:,} {state}" for state in RowState)


def short_text(counts: Mapping[str, int]) -> str:
    """The same without what is none of them: `40 applied, 5 rejected`."""
    return ", ".join(f"{counts[state]:,} {state}" for state in RowState if counts[state]) or "no rows"


def print_endings(plan: Plan, states: Sequence[str], console: Console, *, most: int = 10) -> None:
    """The rows that ended in one of `states` and why: `clients.csv:7  rejected: …`.

    Where there are more than `most`, rows whose reasons differ only in numbers and quoted texts are told
    once: the largest groups, in the order of the plan.
    """
    counts = plan.progress()
    left = total = sum(counts[state] for state in states)
    kinds = _alike(plan, states, total, are_grouped=total > most)
    shown = sorted(range(len(kinds)), key=lambda n: -kinds[n].count)[:most]
    for kind in (kinds[n] for n in sorted(shown)):
        more = f" (and {kind.count - 1:,} more like it)" if kind.count > 1 else ""
        console.print(printable(f"  {kind.text}{more}"), markup=False)
        left -= kind.count
    if left:
        console.print(f"  … and {left:,} more")


def print_overwritten(plan: Plan, console: Console, *, most: int = 10) -> None:
    """The rows that were written over what somebody had changed, and what that was."""
    names, count = RowNames(plan.header.steps), 0
    for fate in plan.fates():
        if fate.state is RowState.APPLIED and (fate.reason or "").startswith(OVERWRITTEN):
            count += 1
            if count <= most:
                console.print(printable(f"  {_where(fate, names)}  {fate.reason}"), markup=False)
    if count > most:
        console.print(f"  … and {count - most:,} more overwritten")


def _where(fate: Fate, names: RowNames) -> str:
    """`clients.csv:7`, with the record's name where the row tells it."""
    change = fate.change
    where = change.place if change.line is not None else f"row {change.n}"
    name = names.of(change, fate.row)
    return f"{where} {show_value(name)}" if name else where


@dataclass(slots=True, kw_only=True)
class _Kind:
    """Rows of a step that ended alike: the first one in words, and how many they are."""

    text: str
    count: int = 0


def _alike(plan: Plan, states: Sequence[str], total: int, *, are_grouped: bool) -> list[_Kind]:
    """In the order of the plan. Of kinds beyond `MOST_KINDS` nothing is kept, so that memory stays flat.

    `total`: how many rows there are.
    """
    kinds: dict[Hashable, _Kind] = {}
    names = RowNames(plan.header.steps)
    for fate in islice((fate for fate in plan.fates() if fate.state in states), total):
        change = fate.change
        key = (change.step, fate.state, pattern(fate.reason or "")) if are_grouped else change.n
        if key not in kinds and len(kinds) < MOST_KINDS:
            kinds[key] = _Kind(text=f"{_where(fate, names)}  {fate.state}: {fate.reason}")
        if key in kinds:
            kinds[key].count += 1
    return list(kinds.values())


def files_text(paths: Iterable[Path]) -> str:
    """Where the files are, one folder a line."""
    folders: dict[Path, list[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path.name)
    return "\n".join(f"{folder}: {', '.join(names)}" for folder, names in folders.items())


def feed_back_text(plan: Plan, written: Sequence[Path]) -> str:
    """How rejected rows go back in once they are corrected; nothing where there are none.

    The files of all steps go together, also those without a row: what a row refers to is then looked for in
    the tenant, where the first run made it, and no row that was made is planned again. A recipe takes back
    the file that its job names, if any.
    """
    if not plan.progress()["rejected"]:
        return ""
    extra = plan.header.extra
    if any(step.action == "undo" for step in plan.header.steps):
        return "Put right in the tenant what keeps the rejected rows from going back, and undo again."
    if extra.get("is_recipe") and not extra.get("fed_back"):
        return "Put right in the tenant what keeps the rejected rows from going, and plan the job again."
    files = [path for path in written if path.suffix == ".xlsx" or path.name == f"{RowState.REJECTED}.csv"]
    given = [
        f"--source {quoted(f'{step.name}={path}')}"
        for step, path in zip(plan.header.steps, files, strict=True)
        if extra.get("fed_back", step.name) == step.name
    ]
    return f"Correct the rejected rows and feed them back: bulkops plan JOB -o rest.plan {' '.join(given)}"
