"""Reads the target for a batch of changes just before they are sent: what others did since is caught.

A create whose key is in use by now is held; so is an update or a delete of a record that somebody changed,
with the field, the values and, where the record says it, who; and so is what rests on such a record (all in
`guard`). A batch is up to 500 neighbours of a step, so that a row costs a five-hundredth of a call, in
whatever order the rows come to be sent.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bulkops.applier.guard import SIZE, Finding, Guard, Seen
from bulkops.change import Action, Change
from bulkops.journal import Journal, Kind
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json
from bulkops.plan.seal import CHUNK
from bulkops.progress import OnDrift
from bulkops.record import Created, Scalar
from bulkops.references import can_be_asked_for, find_by_key, key_of
from bulkops.schema import Entity
from bulkops.settle.knowledge import Knowledge
from bulkops.settle.verdict import listed
from bulkops.targets.base import Target

FRESH_S = 600.0  # after which what was read is too old to write by
KEPT = 64  # batches that are remembered: rows of an old one may still wait for their parents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    read_at: float
    seen: Seen


class Batches:
    """Of one run."""

    def __init__(
        self, plan: Plan, journal: Journal, target: Target, knowledge: Knowledge, on_drift: OnDrift
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._target = target
        self._knowledge = knowledge
        self.on_drift = on_drift
        self._guard = Guard(plan, target, knowledge, on_drift)
        self._batches: OrderedDict[int, _Batch] = OrderedDict()

    async def seen(self, changes: Sequence[Change], *, again: Sequence[Change] = ()) -> Seen:
        """Why some of these must not be sent, and what others find. Raises what the target's reads raise.

        `again`: updates and deletes whose request was lost, and that are sent once more.
        """
        resting = [change for change in again if _rests(change) and not change.cleared]
        told = await self._guard.look_again(resting) if resting else Seen()
        for change in changes:
            if self._is_read(change):
                seen = (await self._batch(change.n)).seen
                if finding := seen.findings.get(change.n):
                    told.findings[change.n] = finding
                elif before := seen.before.get(change.n):
                    told.before[change.n] = before
        return told

    def described(self, n: int) -> str:
        """Row and record of a change."""
        return self._guard.described(self._plan.change(n))

    def _is_read(self, change: Change) -> bool:
        """Whether something may have happened to it that a read would tell."""
        return (change.action is Action.CREATE and bool(change.key)) or self._guard.watches(change)

    async def _batch(self, n: int) -> _Batch:
        first, last = self._span(n)
        batch = self._batches.get(first)
        if batch is None or batch.read_at < time.monotonic() - FRESH_S:
            batch = self._batches[first] = await self._read(first, last)
            while len(self._batches) > KEPT:
                self._batches.popitem(last=False)
        return batch

    def _span(self, n: int) -> tuple[int, int]:
        """The batch of a change: of its own step only, since a later step is read when its turn has come."""
        first, last = self._knowledge.step_of(n)
        begin = first + (n - first) // SIZE * SIZE
        return begin, min(begin + SIZE - 1, last)

    async def _read(self, first: int, last: int) -> _Batch:
        read_at = time.monotonic()
        changes = list(self._open(first, last))
        groups: dict[tuple[str, tuple[str, ...]], list[Change]] = defaultdict(list)
        for change in changes:
            if change.action is Action.CREATE and change.key and not _is_new(change):
                groups[change.entity, tuple(change.key)].append(change)
        in_use: dict[int, Finding] = {}
        for (entity, names), members in groups.items():
            shape = (await self._knowledge.of(entity)).shape
            if shape.is_queryable:
                in_use |= await self._keys_in_use(shape, names, members)
        seen = await self._guard.look(changes)
        return _Batch(read_at=read_at, seen=replace(seen, findings={**in_use, **seen.findings}))

    def _open(self, first: int, last: int) -> Iterator[Change]:
        """The changes of the batch that may still be sent and that a read tells something of."""
        for n, text in self._stored(first, last):
            if self._journal.is_settled(n) or self._journal.is_in_doubt(n):
                continue
            change = change_from_json(n, text)
            if change.action.is_write and self._is_read(change):
                yield change

    def _stored(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        for chunk in range((first - 1) // CHUNK, (last - 1) // CHUNK + 1):
            for n, text in enumerate(self._plan.stored(chunk), chunk * CHUNK + 1):
                if first <= n <= last:
                    yield n, text

    async def _keys_in_use(
        self, shape: Entity, names: tuple[str, ...], changes: Sequence[Change]
    ) -> dict[int, Finding]:
        keys = {c.n: tuple(c.key.values()) for c in changes if can_be_asked_for(shape, c.key)}
        beside = {c.n: old for c in changes if c.n in keys and (old := self._beside(c, names))}
        asked = [*keys.values(), *beside.values()]
        records = await find_by_key(self._target, shape, names, asked) if keys else {}
        found: dict[int, Finding] = {}
        for n, key in keys.items():
            if ids := sorted(int(record["id"] or 0) for record in records.get(key_of(key), ())):
                reason = (
                    f"{shape.name} {listed(ids)} has its key by now: it was made since the plan was. "
                    f"Plan the row again"
                )
                found[n] = Finding(kind=Kind.HELD, reason=reason)
        for n, old in beside.items():
            if n not in found and not records.get(key_of(old)):
                told = " and ".join(f"{name} {value}" for name, value in zip(names, old, strict=True))
                gone = f"{shape.name} with {told}, in the place of which it comes, is not there any more"
                reason = f"{gone}: it was changed since the plan was made"
                found[n] = Finding(kind=Kind.HELD, reason=reason, is_drift=True)
        return found

    def _beside(self, change: Change, names: tuple[str, ...]) -> tuple[Scalar, ...]:
        """The key of the record whose place it takes, where there is one. Who overwrites does not ask."""
        premise = change.premise
        if premise is None or self.on_drift is OnDrift.OVERWRITE or set(premise.beside) != set(names):
            return ()
        return tuple(premise.beside[name] for name in names)


def _rests(change: Change) -> bool:
    """Whether it is written only while something else is so."""
    return change.premise is not None or (change.action is Action.DELETE and bool(change.waits_for))


def _is_new(change: Change) -> bool:
    """Whether its key holds a record that the plan itself creates: nobody else can have made it."""
    return any(isinstance(value, Created) for value in change.key.values())
