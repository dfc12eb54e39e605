"""Sends the writes that are ready, entity by entity: intent, door, request, and what its answer means.

Knows nothing of order: what it is given may be sent. A write ends in `conclude` with its final word, in
`doubt`, or goes round again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from bulkops.applier.batch import Batches
from bulkops.applier.guard import Finding
from bulkops.applier.lane import Lane, Work
from bulkops.breaker import Breaker
from bulkops.change import Action, Change
from bulkops.errors import (
    CallError,
    InDoubtError,
    LockedError,
    MissingError,
    NoRouteError,
    NotSentError,
    RefusedError,
    RejectedError,
    StopError,
    ThrottledError,
)
from bulkops.journal import Entry, Journal, Kind
from bulkops.progress import OnDrift, Stop
from bulkops.record import Scalar
from bulkops.retry import LOCK_TRIES, READ_TRIES, RetryBudget, next_wait
from bulkops.settle import Knowledge, Looker
from bulkops.targets.base import SPENT, Target

POLL_S = 1.0  # at most, until it is seen that a breaker has closed


class Conclude(Protocol):
    """The row's final word."""

    def __call__(
        self, work: Work, kind: Kind, *, record_id: int | None = None, reason: str | None = None
    ) -> None: ...


@dataclass(slots=True, kw_only=True)
class Quota:
    """What this run may still send; None: no limit."""

    writes_left: int | None = None
    calls: int | None = None  # in all, reads included
    reads_before: int = 0  # of the target, before this run
    sent: int = 0  # writes, this run

    def refusal(self, target: Target) -> str | None:
        """Why not one more write may be sent."""
        if self.writes_left == 0:
            return "the number of writes asked for (--stop-after) was sent"
        if self.calls is not None and self.calls <= target.calls.read - self.reads_before + self.sent:
            return SPENT
        return None

    def take(self) -> None:
        self.sent += 1
        if self.writes_left is not None:
            self.writes_left -= 1

    def give_back(self) -> None:
        self.sent -= 1
        if self.writes_left is not None:
            self.writes_left += 1

    def room(self) -> int | None:
        """How many intents make sense at most."""
        limits = [n for n in (self.writes_left, self.calls) if n is not None]
        return min(limits, default=None)


class Sender:
    """All lanes of one run. `tried` is called after each attempt, when the run may have come to its end.

    `doubt` gets a write in doubt, with the target's text where only a look tells whether to believe it.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        target: Target,
        quota: Quota,
        stop: Stop,
        rng: random.Random,
        breaker: Breaker,
        knowledge: Knowledge,
        looker: Looker,
        batches: Batches,
        conclude: Conclude,
        doubt: Callable[[Work, str | None], None],
        tried: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._target = target
        self._quota = quota
        self._stop = stop
        self._rng = rng
        self._conclude = conclude
        self._doubt = doubt
        self._tried = tried
        self._breaker = breaker
        self._knowledge = knowledge
        self._looker = looker
        self._batches = batches
        self._budget = RetryBudget()
        self._lanes: dict[str, Lane] = {}
        self._tasks: TaskGroup

    def start(self, tasks: TaskGroup) -> None:
        self._tasks = tasks

    def add(self, work: Work) -> None:
        """This write may be sent now."""
        self._lane(work.change.entity).add(work)

    def wake(self) -> None:
        for lane in self._lanes.values():
            lane.wake_armer.set()
            lane.wake_sender.set()

    @property
    def is_quiet(self) -> bool:
        """Nothing is in flight."""
        return not any(lane.in_flight for lane in self._lanes.values())

    def in_flight(self) -> list[Work]:
        """Those whose requests left and have no answer yet."""
        return [work for lane in self._lanes.values() for work in lane.flying]

    def stuck(self) -> tuple[int, str] | None:
        """How many writes wait for a lane that is closed, and why it is; None where none does."""
        closed = [lane for lane in self._lanes.values() if lane.closed and not lane.in_flight]
        waiting = sum(lane.waiting for lane in closed)
        return (waiting, closed[0].closed or "") if waiting else None

    def why_waiting(self) -> str | None:
        """A sentence, while all there is to send waits to be sent again."""
        waiting = [lane for lane in self._lanes.values() if lane.later]
        if not waiting or any(lane.in_flight or lane.armed for lane in self._lanes.values()):
            return None
        later = sum(lane.later for lane in waiting)
        return (
            f"{later} refused call{'s' if later > 1 else ''} will be sent again soon: {waiting[0].why_later}"
        )

    def withdraw(self) -> None:
        """What was armed and did not leave is pending again: nobody has to look for it."""
        for lane in self._lanes.values():
            for work in lane.armed:
                # Of what has cleared its fields by now the id is kept: the next run has to look at it first.
                begun = work.change.id if work.cleared else None
                self._journal.note(Entry(kind=Kind.WITHDRAWN, n=work.change.n, id=begun))

    def _lane(self, entity: str) -> Lane:
        lane = self._lanes.get(entity)
        if lane is None:
            lane = self._lanes[entity] = Lane(entity)
            self._tasks.start_soon(self._arm, lane)
            for _ in range(self._target.per_entity):
                self._tasks.start_soon(self._send, lane)
        return lane

    def _is_shut(self, lane: Lane) -> bool:
        return self._stop.reason is not None or lane.closed is not None

    async def _arm(self, lane: Lane) -> None:
        """Keeps a few intents ahead of the wire, so that no slot waits for the disk."""
        while True:
            lane.wake_armer.clear()
            works = [] if self._is_shut(lane) else await self._to_arm(lane)
            if works:
                await self._intend(lane, works)
                lane.arm(works)
            else:
                self._end_at_quota()
                self._tried()  # what was armed meanwhile may stand before a closed lane
                await self._rest(lane.wake_armer, is_wanted=bool(lane.ready) and not self._is_shut(lane))

    async def _to_arm(self, lane: Lane) -> list[Work]:
        """What may be sent next, once the target was read for it; nothing while it cannot be read."""
        if not lane.ready or self._breaker.pause() is not None:
            return []
        works: list[Work] = []
        self._breaker.begin()
        try:
            is_single = await self._is_single(lane)
            works = lane.to_arm(self._room(), is_single=is_single)
            armed = await self._read_for(lane, works)
            self._breaker.was_read()
            return armed
        except CallError as error:
            lane.give_back(works)
            lane.wake_armer.set()
            self._cannot_read(error)
        except RefusedError as error:
            lane.give_back(works)
            self._stop(str(error))
        except asyncio.CancelledError:
            lane.give_back(works)
            raise
        return []

    def _cannot_read(self, error: CallError) -> None:
        if isinstance(error, NotSentError | StopError):
            self._stop(str(error))
        else:
            self._fail(error, calls=READ_TRIES)

    async def _is_single(self, lane: Lane) -> bool:
        """Whether only one may be under way: nothing else would tell its record from the others'."""
        change = lane.ready[0].change
        if change.action is not Action.CREATE:
            return False
        known = await self._knowledge.of(lane.entity)
        return not known.shape.is_queryable or (_is_nameless(change) and known.highest is None)

    async def _read_for(self, lane: Lane, works: list[Work]) -> list[Work]:
        """Those of `works` that may be armed: with their floors; not those of which a read says otherwise."""
        again = [w.change for w in works if w.is_again and w.change.action is not Action.CREATE]
        seen = await self._batches.seen([w.change for w in works if not w.is_again], again=again)
        found = seen.findings
        for work in works:
            if work.change.action is Action.CREATE and not work.is_again:
                work.floor = await self._floor(lane, work)
        if drift := next(((n, one) for n, one in found.items() if one.is_drift), None):
            self._on_drift(*drift)
        told = [work for work in works if work.change.n in found]
        if self._is_shut(lane):  # meanwhile: it is read again when its turn comes again
            lane.give_back(told)
            told = []
        for work in told:
            finding = found[work.change.n]
            lane.wake_armer.set()  # there is room for others
            self._conclude(work, finding.kind, record_id=work.change.id, reason=finding.reason)
        for work in works:
            if before := seen.before.get(work.change.n):
                work.found, work.change = before, work.change.as_found(before)
        return [work for work in works if work.change.n not in found]

    def _on_drift(self, n: int, drift: Finding) -> None:
        if self._batches.on_drift is OnDrift.STOP:
            told = "a record was changed since the plan was made (--on-drift stop)"
            self._stop(f"{told}: {self._batches.described(n)}: {drift.reason}")

    async def _floor(self, lane: Lane, work: Work) -> int | None:
        known = await self._knowledge.of(lane.entity)
        if known.highest is None and _is_nameless(work.change) and known.shape.is_queryable:
            return await self._looker.floor(work.change)
        return known.highest

    async def _intend(self, lane: Lane, works: list[Work]) -> None:
        floors = {work.change.n: work.floor for work in works if work.floor is not None}
        found = {work.change.n: work.found for work in works if work.found}
        try:
            await self._journal.intent([work.change.n for work in works], floors=floors, found=found)
        except asyncio.CancelledError:
            lane.armed.extend(works)  # they may become durable all the same: to be withdrawn
            raise

    async def _rest(self, wake: asyncio.Event, *, is_wanted: bool) -> None:
        """Until there is something to do; where there is and the breaker is open, until it may be tried."""
        pause_s = self._breaker.pause()
        with anyio.move_on_after(min(pause_s, POLL_S) if is_wanted and pause_s is not None else None):
            await wake.wait()

    def _room(self) -> int | None:
        """How many more intents make sense: none that this run may not send."""
        room = self._quota.room()
        if room is None:
            return None
        lanes = [lane for lane in self._lanes.values() if lane.closed is None]
        return max(0, room - sum(len(lane.armed) + lane.later for lane in lanes))

    async def _send(self, lane: Lane) -> None:
        while True:
            lane.wake_sender.clear()
            is_shut = self._is_shut(lane) or self._breaker.pause() is not None
            work = None if is_shut else lane.next()
            if work is None:
                await self._rest(lane.wake_sender, is_wanted=bool(lane.armed) and not self._is_shut(lane))
            elif self._quota.refusal(self._target) is not None:
                lane.armed.appendleft(work)
                self._end_at_quota()
                await lane.wake_sender.wait()
            else:
                self._quota.take()
                await self._attempt(lane, work)

    def _end_at_quota(self) -> None:
        """Stops when no more may be sent, but not before what was let go has left: a stop would keep it."""
        refusal = self._quota.refusal(self._target)
        if refusal is not None and self.is_quiet and any(lane.waiting for lane in self._lanes.values()):
            self._stop(refusal)

    async def _attempt(self, lane: Lane, work: Work) -> None:
        lane.flying.add(work)
        work.tries += 1
        self._breaker.begin()
        if work.tries == 1:
            self._budget.called()
        try:
            record_id = await self._call(work)
        except CallError as error:
            self._on_error(lane, work, error)
        else:
            lane.has_answered = True
            lane.closed = None  # what closed it came from something in between
            self._breaker.answered()
            self._done(lane, work, record_id)
        finally:
            lane.flying.discard(work)
            lane.wake_armer.set()
            self._end_at_quota()
            self._tried()

    def _done(self, lane: Lane, work: Work, record_id: int | None) -> None:
        if cleared := work.to_clear:  # the rest of it goes next
            work.cleared, work.tries, work.locks = (*work.cleared, *cleared), 0, 0
            lane.armed.appendleft(work)
            return
        self._conclude(work, Kind.APPLIED, record_id=record_id)
        if work.change.action is Action.CREATE and record_id is not None:
            self._knowledge.answered(work.change, record_id, work.floor)

    async def _call(self, work: Work) -> int | None:
        change = work.change
        parent = change.parent if isinstance(change.parent, int) else None
        by = change.impersonate
        if change.action is Action.CREATE:
            return await self._target.create(change.entity, _sent(change), parent=parent, impersonate=by)
        assert change.id is not None
        if change.action is Action.UPDATE:
            values = dict.fromkeys(work.to_clear) or _sent(change)
            await self._target.update(change.entity, change.id, values, parent=parent, impersonate=by)
        else:
            await self._target.delete(change.entity, change.id, parent=parent)
        return change.id

    # --- what an error means, for the row and for the run ---

    def _on_error(self, lane: Lane, work: Work, error: CallError) -> None:
        match error:
            case NotSentError():
                self._quota.give_back()
                lane.armed.appendleft(work)
                self._stop(str(error))
            case StopError():
                lane.armed.appendleft(work)
                self._stop(str(error))
            case ThrottledError():
                self._breaker.answered()
                self._again(lane, work, error)
            case LockedError():
                self._fail(error)
                work.locks += 1
                self._again(lane, work, error)
            case NoRouteError():
                self._no_route(lane, work, error)
            case InDoubtError():
                self._journal.note(Entry(kind=Kind.DOUBT, n=work.change.n, reason=str(error)))
                self._fail(error)
                self._doubt(work, None)
            case _:
                self._breaker.answered()
                self._refused(work, error)

    def _again(self, lane: Lane, work: Work, error: CallError) -> None:
        """Refused before commit: the same request, a little later, holding neither slot nor token."""
        if not self._budget.allows(error):
            self._stop(f"too many calls had to be sent again, the last because of: {error}")
        attempt = work.locks if isinstance(error, LockedError) else work.tries
        wait_s = next_wait(attempt, error, rng=self._rng)
        if wait_s is None:
            self._conclude(work, Kind.REJECTED, reason=f"{error} (tried {work.tries} times)")
            return
        lane.later += 1
        lane.why_later = str(error)
        self._tasks.start_soon(self._rearm, lane, work, wait_s)

    async def _rearm(self, lane: Lane, work: Work, wait_s: float) -> None:
        try:
            await asyncio.sleep(wait_s)
        finally:
            lane.later -= 1
            lane.arm([work])

    def _no_route(self, lane: Lane, work: Work, error: NoRouteError) -> None:
        is_cut_off = self._breaker.failures >= LOCK_TRIES  # of whatever row: it is not this one's fault
        if lane.has_answered and not is_cut_off:  # the answer came from something in between
            self._fail(error)
            work.locks += 1
            self._again(lane, work, LockedError(str(error), status=error.status))
        else:
            lane.armed.appendleft(work)
            lane.closed = f"{lane.entity} cannot be written: {error}"
            self._breaker.was_read()  # of another entity's writes it says nothing
            self.wake()  # its share of what may still be sent is the others'

    def _refused(self, work: Work, error: CallError) -> None:
        action = work.change.action
        if isinstance(error, MissingError) and action is Action.DELETE:
            if work.tries > 1:  # an earlier try of ours may have deleted it
                self._conclude(work, Kind.APPLIED, record_id=work.change.id)
            else:
                self._conclude(work, Kind.UNCHANGED, record_id=work.change.id, reason="it was gone already")
        elif isinstance(error, RejectedError) and not error.known:
            self._look_once(work, error)
        else:
            self._conclude(work, Kind.REJECTED, reason=str(error))

    def _look_once(self, work: Work, error: RejectedError) -> None:
        """A text that nobody knows refused it: believed once its effect is seen not to be there."""
        self._doubt(work, str(error))

    def _fail(self, error: CallError, *, calls: int = 1) -> None:
        self._breaker.failed(error, calls=calls)
        if self._breaker.given_up is not None:
            self._stop(self._breaker.given_up)


def _is_nameless(change: Change) -> bool:
    """Whether its record can be recognised by its fingerprint only."""
    return not change.key and not change.marker


def _sent(change: Change) -> dict[str, Scalar]:
    """The values of the request; every reference in them is an id by now."""
    values: dict[str, Scalar] = {}
    for name, value in change.rest().items():
        assert value is None or isinstance(value, str | int | float | bool), f"unresolved {name}"
        values[name] = value
    return values
