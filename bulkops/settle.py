"""Settles writes whose outcome is not known, by reading the target. Never writes, never guesses.

A write is *in doubt* when it may have left and no answer can be trusted. What is found is final at once;
absence is only what was seen at one moment, so the applier concludes from it no sooner than `settle_s`
after the request was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import anyio

from bulkops.applier.lane import Work
from bulkops.change import Action, Change, equal
from bulkops.errors import CallError, NotSentError, RefusedError, StopError
from bulkops.progress import Stop
from bulkops.references import can_be_asked_for, find_by_key, key_of
from bulkops.schema import Entity
from bulkops.targets.base import RecordData, Target

ASK_AGAIN_S = 30.0  # after a look that failed
LOOKS = 10  # failed ones in a row, after which the run stops
_LOST_CREATE = "the answer to its create was lost"


class Seen(Enum):
    """What reading the target says about one write."""

    DONE = "done"  # its effect is there
    ABSENT = "absent"  # its effect is not there now
    AMBIGUOUS = "ambiguous"  # several records could be its effect
    UNKNOWABLE = "unknowable"  # nothing to recognise its effect by


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    seen: Seen
    id: int | None = None
    reason: str = ""


class Doubts:
    """The writes in doubt: looked up at once, and once more when absence has become final."""

    def __init__(self, target: Target, judge: Callable[[Work, Verdict], None]) -> None:
        """`judge` gets each work once: with what was found, or with ABSENT when that is final."""
        self._target = target
        self._judge = judge
        self._works: list[Work] = []
        self._failures = 0  # looks in a row
        self._added = asyncio.Event()

    def __len__(self) -> int:
        return len(self._works)

    def add(self, work: Work) -> None:
        """Its request may land until `settle_s` from now."""
        work.ask_at = time.monotonic()
        work.absent_at = work.ask_at + (0.0 if work.refusal is not None else self._target.settle_s)
        self._works.append(work)
        self._added.set()

    async def settle(self, stop: Stop) -> None:
        """Looks whenever something is due; runs until it is cancelled."""
        while True:
            self._added.clear()
            due = [work for work in self._works if work.ask_at <= time.monotonic()]
            if due and stop.reason is None:
                await self._look(due, stop)
            else:
                await self._nap()

    async def _nap(self) -> None:
        next_at = min((work.ask_at for work in self._works), default=None)
        with anyio.move_on_after(None if next_at is None else max(0.01, next_at - time.monotonic())):
            await self._added.wait()

    async def _look(self, due: list[Work], stop: Stop) -> None:
        asked_at = time.monotonic()
        try:
            verdicts = await look(self._target, [work.change for work in due])
        except (NotSentError, StopError, RefusedError) as error:
            stop(str(error))
        except CallError as error:
            self._failed(due, error, asked_at, stop)
        else:
            self._failures = 0
            looked_at = set(due)
            self._works = [work for work in self._works if work not in looked_at]
            for work in due:
                self._take(work, verdicts[work.change.n], asked_at)

    def _failed(self, due: Sequence[Work], error: CallError, asked_at: float, stop: Stop) -> None:
        self._failures += 1
        if self._failures >= LOOKS:
            stop(f"{len(self._works)} writes are in doubt and cannot be looked up: {error}")
        for work in due:
            work.ask_at = asked_at + ASK_AGAIN_S

    def _take(self, work: Work, verdict: Verdict, asked_at: float) -> None:
        if verdict.seen is Seen.ABSENT and asked_at < work.absent_at:  # it may still land
            work.ask_at = work.absent_at
            self._works.append(work)
        else:
            self._judge(work, verdict)

    def why_waiting(self, still_open: int) -> str | None:
        """A sentence, while of `still_open` changes only those in doubt are left."""
        if not self._works or still_open > len(self._works):
            return None
        seconds = max(0.0, max(work.absent_at for work in self._works) - time.monotonic())
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
        return f"the answers to {len(self._works)} were lost; they may still land until {until}"


async def look(target: Target, changes: Sequence[Change]) -> dict[int, Verdict]:
    """What became of each of `changes`, by its number. References in them are ids by now.

    Costs one read per 500 keys or ids of an entity. Raises what the target's reads raise.
    """
    verdicts: dict[int, Verdict] = {}
    groups: dict[tuple[str, bool, tuple[str, ...]], list[Change]] = defaultdict(list)
    for change in changes:
        is_create = change.action is Action.CREATE
        groups[change.entity, is_create, tuple(change.key) if is_create else ()].append(change)
    for (entity, is_create, match), members in groups.items():
        if is_create:
            verdicts |= await _look_for_creates(target, entity, match, members)
        else:
            verdicts |= await _look_at_records(target, entity, members)
    return verdicts


async def _look_for_creates(
    target: Target, entity: str, match: tuple[str, ...], changes: Sequence[Change]
) -> dict[int, Verdict]:
    if not match:
        reason = (
            f"{_LOST_CREATE} and the step has no `match` to find it by: "
            f"look in {entity}, and plan its row again from held.csv (`bulkops results`) if it is not there"
        )
        return {change.n: Verdict(seen=Seen.UNKNOWABLE, reason=reason) for change in changes}
    shape = await target.describe(entity)
    keys = {change.n: key_of(change.key[name] for name in match) for change in changes}
    found = await find_by_key(target, shape, match, [tuple(c.key[name] for name in match) for c in changes])
    return {
        change.n: _verdict_on_create(entity, found.get(keys[change.n], ()))
        if can_be_asked_for(shape, change.key)
        else Verdict(seen=Seen.UNKNOWABLE, reason=f"{_LOST_CREATE} and {entity} cannot be asked for its key")
        for change in changes
    }


def _verdict_on_create(entity: str, records: Iterable[RecordData]) -> Verdict:
    ids = sorted(int(record["id"] or 0) for record in records)
    if not ids:
        return Verdict(seen=Seen.ABSENT)
    if len(ids) == 1:
        return Verdict(seen=Seen.DONE, id=ids[0])
    reason = f"{_LOST_CREATE} and {entity} {_listed(ids)} all have its key"
    return Verdict(seen=Seen.AMBIGUOUS, reason=reason)


async def _look_at_records(target: Target, entity: str, changes: Sequence[Change]) -> dict[int, Verdict]:
    shape = await target.describe(entity)
    names = sorted({name for change in changes for name in change.fields if _is_readable(shape, name)})
    ids = sorted({change.id for change in changes if change.id is not None})
    current: dict[int, RecordData] = {}
    for start in range(0, len(ids), 500):
        where = {"op": "in", "field": "id", "value": ids[start : start + 500]}
        async for record in target.read(entity, where, fields=["id", *names]):
            current[int(record["id"] or 0)] = record
    return {change.n: _verdict_on_record(shape, change, current.get(change.id or 0)) for change in changes}


def _verdict_on_record(shape: Entity, change: Change, current: RecordData | None) -> Verdict:
    if change.action is Action.DELETE:
        return Verdict(seen=Seen.DONE if current is None else Seen.ABSENT, id=change.id)
    if current is None:
        return Verdict(seen=Seen.ABSENT, id=change.id)
    readable = [name for name in change.fields if _is_readable(shape, name)]
    done = bool(readable) and all(
        equal(shape.find(name), current.get(name), change.fields[name].after) for name in readable
    )
    return Verdict(seen=Seen.DONE if done else Seen.ABSENT, id=change.id)


def _is_readable(shape: Entity, name: str) -> bool:
    field = shape.find(name)
    return field is not None and field.is_queryable


def _listed(ids: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in ids[:5])
    return f"{shown} and {len(ids) - 5} more" if len(ids) > 5 else shown
