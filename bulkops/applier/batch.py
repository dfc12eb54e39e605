"""Reads the target for a batch of creates just before they are sent: what appeared since the plan is caught.

A batch is up to 500 neighbours in the plan, so that a key costs a five-hundredth of a call, in whatever order
its rows come to be sent.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bulkops.change import Action, Change
from bulkops.journal import Journal
from bulkops.plan import Plan
from bulkops.plan.encoding import change_from_json
from bulkops.plan.seal import CHUNK
from bulkops.record import Created
from bulkops.references import can_be_asked_for, find_by_key, key_of
from bulkops.settle.knowledge import Knowledge
from bulkops.settle.verdict import listed
from bulkops.targets.base import Target

SIZE = 500  # what one query can ask for; a chunk of the plan holds a whole number of batches
FRESH_S = 600.0  # after which what was read is too old to write by
KEPT = 64  # batches that are remembered: rows of an old one may still wait for their parents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    read_at: float
    taken: dict[int, list[int]]  # a change, and the records that have its key


class Batches:
    """Of one run."""

    def __init__(self, plan: Plan, journal: Journal, target: Target, knowledge: Knowledge) -> None:
        self._plan = plan
        self._journal = journal
        self._target = target
        self._knowledge = knowledge
        self._batches: OrderedDict[int, _Batch] = OrderedDict()

    async def taken(self, changes: Sequence[Change]) -> dict[int, str]:
        """Why these must not be sent, by number: their key is in use by now. Raises what reads raise."""
        told: dict[int, str] = {}
        for change in changes:
            if change.action is not Action.CREATE or not change.key:
                continue
            batch = await self._batch((change.n - 1) // SIZE)
            if ids := batch.taken.get(change.n):
                told[change.n] = (
                    f"{change.entity} {listed(ids)} has its key by now: it was made since the plan was. "
                    f"Plan the row again"
                )
        return told

    async def _batch(self, number: int) -> _Batch:
        batch = self._batches.get(number)
        if batch is None or batch.read_at < time.monotonic() - FRESH_S:
            batch = self._batches[number] = await self._read(number)
            while len(self._batches) > KEPT:
                self._batches.popitem(last=False)
        return batch

    async def _read(self, number: int) -> _Batch:
        read_at = time.monotonic()
        groups: dict[tuple[str, tuple[str, ...]], list[Change]] = defaultdict(list)
        for change in self._asked(number):
            groups[change.entity, tuple(change.key)].append(change)
        taken: dict[int, list[int]] = {}
        for (entity, names), changes in groups.items():
            shape = (await self._knowledge.of(entity)).shape
            keys = {c.n: tuple(c.key.values()) for c in changes if can_be_asked_for(shape, c.key)}
            found = await find_by_key(self._target, shape, names, list(keys.values())) if keys else {}
            for n, key in keys.items():
                if records := found.get(key_of(key)):
                    taken[n] = sorted(int(record["id"] or 0) for record in records)
        return _Batch(read_at=read_at, taken=taken)

    def _asked(self, number: int) -> Iterator[Change]:
        """The creates of the batch that may still be sent and whose key others can have made."""
        first = number * SIZE + 1
        chunk, skipped = divmod(first - 1, CHUNK)
        texts = self._plan.stored(chunk)[skipped : skipped + SIZE]
        for n, text in enumerate(texts, first):
            if self._journal.is_settled(n) or self._journal.is_in_doubt(n):
                continue
            change = change_from_json(n, text)
            if change.action is Action.CREATE and change.key and not _is_new(change):
                yield change


def _is_new(change: Change) -> bool:
    """Whether its key holds a record that the plan itself creates."""
    return any(isinstance(value, Created) for value in change.key.values())
