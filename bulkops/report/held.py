"""Held rows in words: what was to be written, when it was sent, what was found, and what a person does now.

Decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from rich.console import Console

from bulkops.change import Action, Change
from bulkops.plan import Fate, Plan, RowState
from bulkops.render import command, printable, show_value

SHOWN = 20  # held rows that are told one by one
NAMED = 3  # fields that name a record without a key


class HeldRows:
    """The held rows of a plan. Those that wait for another held row are settled by settling that one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ns = {n for n, _, state, _ in plan.endings() if state is RowState.HELD}

    def __len__(self) -> int:
        return len(self._ns)

    def first(self, most: int) -> list[Fate]:
        """In the order of the plan."""
        return [self._plan.fate(n) for n in sorted(self._ns)[:most]]

    def is_root(self, change: Change) -> bool:
        """Whether it is held for its own sake."""
        return self._ns.isdisjoint(change.waits_for)

    def what(self, change: Change) -> str:
        """`create Tasks externalID="T-17", sent 2026-03-01 12:00:00 UTC`."""
        sent_at = self._plan.sent_at(change.n)
        return f"{_what(change)}, {'never sent' if sent_at is None else f'sent {_moment(sent_at)}'}"

    def explained(self, fate: Fate) -> Fate:
        """With all in its reason that a person needs, who has `held.csv` and not the plan at hand."""
        change, told = fate.change, (fate.reason or "held").rstrip(".")
        if not self.is_root(change):
            return fate
        how = f"{command('resolve', self._plan.path)} --row {change.n} {_answers(change)}"
        return replace(fate, reason=f"{told}. It was to {self.what(change)}. Settle it with: {how}")


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
            console.print(printable(f"    {held.what(change)}"), markup=False)
    if len(held) > most:
        files = command("results", plan.path)
        more = f"  … and {len(held) - most:,} more: {files} --dir DIR writes all of them to held.csv"
        console.print(more, markup=False)
    if roots:
        answers = _answers(next((one for one in roots if one.action is Action.CREATE), roots[0]))
        told = f"When you have looked: {command('resolve', plan.path)} --row N {answers}"
        console.print(told, markup=False)


def _what(change: Change) -> str:
    """`create Tasks externalID="T-17"`, `update Tasks 31 externalID="T-17"`."""
    named = change.key or dict(islice(change.after().items(), NAMED))
    if change.marker:
        named = {**named, change.marker: change.fields[change.marker].after}
    texts = " ".join(f"{name}={show_value(value)}" for name, value in named.items())
    record = "" if change.id is None else f" {change.id}"
    return f"{change.action} {change.entity}{record} {texts}".rstrip()


def _answers(change: Change) -> str:
    return "--created ID | --not-created" if change.action is Action.CREATE else "--not-created"


def _moment(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
