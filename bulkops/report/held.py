"""Held rows in words: what was to be written, when it was sent, what was found, and what a person does now.

Decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from rich.console import Console

from bulkops.change import Action, Change
from bulkops.naming import RowNames
from bulkops.plan import Fate, Plan, RowState
from bulkops.render import command, printable, show_value

SHOWN = 20  # held rows that are told one by one
NAMED = 3  # fields that name a record without a key


class HeldRows:
    """The held rows of a plan. Those that wait for another held row are settled by settling that one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names = RowNames(plan.header.steps)
        self._ns = {n for n, _, state, _ in plan.endings() if state is RowState.HELD}

    def __len__(self) -> int:
        return len(self._ns)

    def first(self, most: int) -> list[Fate]:
        """In the order of the plan."""
        return [self._plan.fate(n) for n in sorted(self._ns)[:most]]

    def is_root(self, change: Change) -> bool:
        """Whether it is held for its own sake."""
        return self._ns.isdisjoint(change.waits_for)

    def what(self, fate: Fate) -> str:
        """`create Tasks externalID="T-17", sent 2026-03-01 12:00:00 UTC`."""
        sent_at = self._plan.sent_at(fate.change.n)
        what = _what(fate.change, self._names.of(fate.change, fate.row))
        return f"{what}, {'never sent' if sent_at is None else f'sent {_moment(sent_at)}'}"

    def explained(self, fate: Fate) -> Fate:
        """With all in its reason that a person needs, who has `held.csv` and not the plan at hand."""
        change, told = fate.change, (fate.reason or "held").rstrip(".")
        if not self.is_root(change):
            return fate
        how = f"Settle it with: {command('resolve', self._plan.path)} --row {change.n} {_answers(change)}"
        if self.is_untouched(change):
            how = f"To {self.way_on(f'--row {change.n}')}"
        return replace(fate, reason=f"{told}. It was to {self.what(fate)}. {how}")

    def is_untouched(self, change: Change) -> bool:
        """Whether nothing was sent that could have happened: the record had been changed before."""
        is_guarded = change.action is not Action.CREATE or change.premise is not None
        return is_guarded and self._plan.sent_at(change.n) is None

    def way_on(self, row: str) -> str:
        """What becomes of rows that are untouched: the record as it is now, or as it was planned."""
        path = self._plan.path
        is_undo = any(step.action == "undo" for step in self._plan.header.steps)
        anew = "undo it" if is_undo else "plan the job"
        over = f"{command('resolve', path)} {row} --not-created, then {command('apply', path)}"
        return (
            f"start from what is there now, {anew} again; to write over it all the same: "
            f"{over} --on-drift overwrite"
        )


def print_held(plan: Plan, console: Console, *, most: int = SHOWN) -> None:
    """The first held rows, each with its number, place, record and reason; then how they are settled."""
    held = HeldRows(plan)
    shown = held.first(most)
    if not shown:
        return
    console.print("Held, to be looked at:")
    roots = [fate.change for fate in shown if held.is_root(fate.change)]
    for fate in shown:
        change = fate.change
        place = f" ({change.place})" if change.line is not None else ""
        console.print(printable(f"  row {change.n}{place}: {fate.reason}"), markup=False)
        if change in roots:
            console.print(printable(f"    {held.what(fate)}"), markup=False)
    if len(held) > most:
        files = command("results", plan.path)
        more = f"  … and {len(held) - most:,} more: {files} --dir DIR writes all of them to held.csv"
        console.print(more, markup=False)
    untouched = [change for change in roots if held.is_untouched(change)]
    if untouched:
        console.print(f"Never sent: to {held.way_on('--row N')}", markup=False)
    if roots := [change for change in roots if change not in untouched]:
        answers = _answers(next((one for one in roots if one.action is Action.CREATE), roots[0]))
        told = f"When you have looked: {command('resolve', plan.path)} --row N {answers}"
        console.print(told, markup=False)


def _what(change: Change, name: str) -> str:
    """`create Tasks externalID="T-17"`, `update Tasks 31 externalID="T-17"`; by its id, `… 31 "Build it"`."""
    named = change.key or dict(islice(change.after().items(), NAMED))
    if change.marker:
        named = {**named, change.marker: change.fields[change.marker].after}
    own = ("id", change.id)
    texts = [f"{one}={show_value(value)}" for one, value in named.items() if (one, value) != own]
    texts += [show_value(name)] if name else []
    record = [] if change.id is None else [str(change.id)]
    return " ".join([change.action, change.entity, *record, *texts])


def _answers(change: Change) -> str:
    return "--created ID | --not-created" if change.action is Action.CREATE else "--not-created"


def _moment(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
