"""Settles a held row by hand, from outside a run: somebody has looked, and knows what became of it.

What was held only because it needed that row is pending again, so that the next apply goes on with it. Such a
row is known by the plan and the journal: something that it waits for is held, and it was never sent.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bulkops.change import Action, Change
from bulkops.errors import PlanError
from bulkops.journal.journal import Entry, Journal, Kind
from bulkops.plan import Fate, Plan, RowState, storage
from bulkops.plan.encoding import change_from_json
from bulkops.plan.seal import CHUNK

_BAD = (Kind.REJECTED, Kind.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A row that was held; `released`: the rows that are pending again because of it, in order."""

    change: Change
    released: tuple[int, ...]


def held_fate(plan: Plan, n: int, *, created: int | None = None) -> Fate:
    """Row `n`, which is held. PlanError, saying what it is, where nothing is to be settled by hand."""
    try:
        fate = plan.fate(n)
    except KeyError as error:
        raise PlanError(f"{plan.path} has no row {n}: its rows are 1 to {plan.total}") from error
    change = fate.change
    if fate.state is not RowState.HELD:
        raise PlanError(f"{plan.path}: row {n} ({change.place}) is not held: {_standing(fate)}")
    if created is not None and change.action is not Action.CREATE:
        raise PlanError(
            f"{plan.path}: row {n} ({change.place}) creates nothing: it is held as {change.action} of "
            f"{change.entity} {change.id}. With --not-created it is pending again"
        )
    return fate


def _standing(fate: Fate) -> str:
    record = "" if fate.id is None else f", as {fate.change.entity} {fate.id}"
    match fate.state:
        case RowState.PENDING:
            return "it is pending, and the next apply settles it"
        case RowState.REJECTED:
            return f"it is rejected ({fate.reason})"
        case _:
            return f"it is {fate.state}{record}"


async def resolve(
    path: str | os.PathLike[str],
    n: int,
    *,
    created: int | None,
    state_dir: str | os.PathLike[str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Resolved:
    """Row `n`, which is held: `created` is the id of the record it made; None: it made none, pending again.

    Durable when it returns. PlanError where a live process applies the plan or it cannot be written, where
    the row is not held or only because of another one, and where the id is another row's record.
    """
    plan = Plan.open(path)
    held_fate(plan, n, created=created)  # before anything is touched
    waiting = plan.status().waiting
    journal = Journal.open(path, state_dir=state_dir, clock=clock)
    try:
        change = held_fate(journal.plan, n, created=created).change  # as it is now that nobody else writes
        if created is None:
            _refuse_fallen(journal, change)
            entry = Entry(n=n, kind=Kind.WITHDRAWN, reason="by hand: it was not created")
        else:
            _refuse_taken(journal, change, created)
            entry = Entry(n=n, kind=Kind.APPLIED, id=created, reason="by hand: it was created")
        released, others = _released(journal, n)
        journal.note(entry, *released, *others)
    finally:
        await journal.close(calls_read=0, calls_write=0, elapsed_s=0, waiting=waiting)
    return Resolved(change=change, released=tuple(sorted(entry.n for entry in released)))


def _refuse_fallen(journal: Journal, change: Change) -> None:
    needed = next((n for n in change.waits_for if journal.kind(n) in _BAD), None)
    if needed is not None and change.n not in _sent(journal, change.n, change.n):
        reason = Entry.fallen(change.n, needed, journal.kind(needed)).reason
        raise PlanError(
            f"{journal.plan.path}: row {change.n} was never sent: {reason}. Settle row {needed} instead"
        )


def _refuse_taken(journal: Journal, change: Change, created: int) -> None:
    for n, _ in journal.holders([created]):
        other = journal.plan.change(n)
        if n != change.n and other.entity == change.entity:
            raise PlanError(
                f"{journal.plan.path}: {change.entity} {created} is the record of row {n} ({other.place}): "
                f"it is not what row {change.n} ({change.place}) made"
            )


def _released(journal: Journal, n: int) -> tuple[list[Entry], list[Entry]]:
    """What is pending again when row `n` is held no more, and what is held on, because of another row."""
    waits = dict(_never_sent(journal))
    needing: dict[int, list[int]] = defaultdict(list)
    bad: Counter[int] = Counter()  # how much of what a row waits for is held or rejected
    for one, needs in waits.items():
        for needed in needs:
            if journal.kind(needed) in _BAD:
                needing[needed].append(one)
                bad[one] += 1
    free, queue = {n}, deque([n])
    while queue:
        for one in needing.pop(queue.popleft(), ()):
            bad[one] -= 1
            if not bad[one]:
                free.add(one)
                queue.append(one)
    released = [Entry(n=one, kind=Kind.WITHDRAWN) for one in free if one != n]
    others = (one for one, left in bad.items() if left and not free.isdisjoint(waits[one]))
    return released, [_fallen(journal, one, waits[one], free) for one in others]


def _never_sent(journal: Journal) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each row that is held and was never sent, and what it waits for."""
    for chunk, numbers in groupby(journal.held(), lambda n: (n - 1) // CHUNK):
        texts = journal.plan.stored(chunk)
        sent = _sent(journal, chunk * CHUNK + 1, (chunk + 1) * CHUNK)
        for n in numbers:
            if n not in sent:
                yield n, change_from_json(n, texts[(n - 1) % CHUNK]).waits_for


def _sent(journal: Journal, first: int, last: int) -> set[int]:
    """Of the held rows from `first` to `last` those that may have been sent before they were held."""
    with storage.reading(storage.resolved(journal.plan.path)) as connection:
        found = connection.execute(
            "SELECT n, kind, max(seq) FROM journal WHERE n BETWEEN ? AND ? AND kind <> 'held' GROUP BY n",
            (first, last),
        ).fetchall()
    return {n for n, kind, _ in found if kind != Kind.WITHDRAWN}


def _fallen(journal: Journal, n: int, needs: Sequence[int], free: Collection[int]) -> Entry:
    needed = next(one for one in needs if one not in free and journal.kind(one) in _BAD)
    return Entry.fallen(n, needed, journal.kind(needed))
