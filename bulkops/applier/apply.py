"""Applies a plan: exactly what it says, each change once. Knows no job, no source, no steps.

The order is in the plan (`waits_for`, `barrier`); one loop obeys it. Every write: intent durable, then the
target's door (slot, then token), then the request, then its outcome (`sender`). What is not known is looked
up (`settle`), what cannot be settled is held, and applying the same plan again goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

import anyio

from bulkops.accounting import check_same
from bulkops.applier.batch import Batches
from bulkops.applier.feed import Feed
from bulkops.applier.lane import Work
from bulkops.applier.sender import Quota, Sender
from bulkops.breaker import Breaker
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import LimitError, PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.plan import Plan, Status
from bulkops.progress import OnDrift, Progress, Stop
from bulkops.record import Created, Value
from bulkops.safety import check_limits
from bulkops.settle import Doubt, Doubts, Knowledge, Looker, Seen, Verdict
from bulkops.targets.base import CallCount, Target

TELL_EVERY_S = 2.0  # how old the figures are that `status` reads while this runs

Watch = Callable[[Progress], None]


async def apply_plan(
    plan: Plan,
    target: Target,
    *,
    allow: Mapping[str, int] | None = None,
    stop_after: int | None = None,
    max_calls: int | None = None,
    on_drift: OnDrift = OnDrift.HOLD,
    stop: Stop | None = None,
    watch: Watch | None = None,
    rng: random.Random | None = None,
) -> Status:
    """Applies `plan`, or goes on with it.

    `allow` releases safety limits (`{"update": 412}`); `stop_after` is the number of writes to send,
    `max_calls` the number of calls to make in this run; `on_drift` says what becomes of records that somebody
    changed since the plan was made. `watch` is called about four times a second.
    Raises PlanError and TenantError before the first write, LimitError where a limit stands in the way,
    JournalError when outcomes can no longer be written down. A dead network, refused credentials and the
    like end the run in good order: `waiting` of the status says so.
    """
    database = await target.identity()
    if database != plan.header.database:
        raise PlanError(
            f"{plan.path} was made for database {plan.header.database}, and tenant {plan.header.tenant} is "
            f"database {database} now: plan the job again"
        )
    if not plan.is_begun():
        _check_limits(plan, allow or {})
    journal = Journal.open(plan.path)
    used = Used(target.calls, max_calls)
    stop = stop or Stop()
    try:
        run = _Run(
            plan,
            journal,
            target,
            used,
            quota=Quota(writes_left=stop_after, calls=max_calls, reads_before=used.reads_before),
            on_drift=on_drift,
            stop=stop,
            rng=rng or random.Random(),
        )
        await run.run(watch)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close(**used.so_far(), waiting=stop.reason)
        target.calls.most = None
    return plan.status()


def _check_limits(plan: Plan, allow: Mapping[str, int]) -> None:
    refusals = check_limits(plan.header, allow)
    if refusals:
        raise LimitError("\n".join(refusals))


class _Spent(TypedDict):
    calls_read: int
    calls_write: int
    elapsed_s: float


class Used:
    """What this run has used of a target that others may have used before; at most `max_calls` calls."""

    def __init__(self, calls: CallCount, max_calls: int | None) -> None:
        self._calls = calls
        self._started = time.monotonic()
        self.reads_before = calls.read - calls.opening
        self._writes_before = calls.write
        calls.opening = 0
        calls.most = None if max_calls is None else self.reads_before + calls.write + max_calls

    def so_far(self) -> _Spent:
        return {
            "calls_read": self._calls.read - self.reads_before,
            "calls_write": self._calls.write - self._writes_before,
            "elapsed_s": time.monotonic() - self._started,
        }


class _Run:
    """One call of apply: the plan's order, and every row's final word."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        target: Target,
        used: Used,
        *,
        quota: Quota,
        on_drift: OnDrift,
        stop: Stop,
        rng: random.Random,
    ) -> None:
        self._plan = plan
        self._used = used
        self._journal = journal
        self._target = target
        self._stop = stop
        self._settled = 0
        self._counts = Counter(plan.progress())
        self._fault: PlanError | None = None  # of the plan file, met on the way
        self._quota = quota
        self._ended = asyncio.Event()
        self._feed = Feed(plan, journal, give=self._hand_over, fall=self._note)
        self._breaker = Breaker()
        self._knowledge = Knowledge(plan, journal, target, self._resolved)
        looker = Looker(target, self._knowledge, self._flying)
        self._sender = Sender(
            journal=journal,
            target=target,
            quota=quota,
            stop=stop,
            rng=rng,
            breaker=self._breaker,
            knowledge=self._knowledge,
            looker=looker,
            batches=Batches(plan, journal, target, self._knowledge, on_drift),
            conclude=self._conclude,
            doubt=self._doubt,
            tried=self._check_end,
        )
        self._doubts = Doubts(
            looker, self._knowledge, self._breaker, self._judge, self._overturn, settle_s=target.settle_s
        )
        self._in_doubt: dict[int, Work] = {}
        self._again: dict[int, Work] = {}  # sent again, before the feed came to them

    async def run(self, watch: Watch | None) -> None:
        """Until every change is settled, or the run is stopped and nothing is in flight."""
        try:
            async with anyio.create_task_group() as tasks:
                self._sender.start(tasks)
                self._take_up_doubts()
                self._stop.listen(self._on_stop)
                tasks.start_soon(self._feed_all)
                tasks.start_soon(self._doubts.settle, self._stop)
                tasks.start_soon(self._tell_journal)
                if watch is not None:
                    tasks.start_soon(self._watch, watch)
                await self._ended.wait()
                if self._stop.reason is None:
                    await self._doubts.check_late(is_quiet=True)
                tasks.cancel_scope.cancel()
        finally:
            self._sender.withdraw()
        check_same(self._counts, self._journal.counts(), str(self._plan.path))
        if self._fault is not None and not self._quota.sent:
            raise self._fault

    def _on_stop(self) -> None:
        self._target.drain()
        self._feed.wake()
        self._sender.wake()
        self._check_end()

    def _check_end(self) -> None:
        if self._stop.reason is not None:
            if self._sender.is_quiet:
                self._ended.set()
        elif self._feed.is_done:
            self._ended.set()
        elif not self._feed.is_moving:
            waiting, why = self._sender.stuck() or (0, "the rows that are left wait for each other")
            if waiting >= self._feed.given:  # nothing is on its way, so nothing can come of it
                self._stop(why)

    # --- the plan's order ---

    async def _feed_all(self) -> None:
        try:
            await self._feed.run(self._stop, self._check_end)
        except PlanError as error:  # edited, gone or busy: what was begun is brought to its end
            self._fault = error
            self._stop(str(error))

    def _hand_over(self, change: Change) -> None:
        """All it waited for is settled well."""
        if (known := self._in_doubt.get(change.n) or self._again.get(change.n)) is not None:
            known.is_given = True
            return
        work = Work(change=self._resolved(change))
        if (n := self._without_id(change)) is not None:
            self._conclude(
                work, Kind.HELD, reason=f"row {n}, which it needs, was written, but its id is not known"
            )
        else:
            self._sender.add(work)

    def _take_up_doubts(self) -> None:
        """What an earlier run left in doubt, or between its two requests, is looked up at once, before its
        turn comes.
        """
        for n in self._journal.in_doubt():
            planned = self._plan.fate(n).written
            work = Work(change=self._resolved(planned), floor=self._journal.floor(n), is_given=False)
            if (needed := self._without_id(planned)) is None:
                self._doubt(work)
            else:
                known_no_more = f"the record of row {needed}, which it needs, is not known any more"
                self._conclude(work, Kind.HELD, reason=f"its answer was lost, and {known_no_more}")
        for n, floor in self._journal.sent_again():
            change = self._plan.change(n)
            if change.action is Action.CREATE and self._journal.kind(n) in (Kind.APPLIED, Kind.REJECTED):
                self._doubts.sent_again(Doubt(change=self._resolved(change), floor=floor, is_earlier=True))
        for n in self._journal.begun():
            change = self._resolved(self._plan.fate(n).written)
            self._doubt(Work(change=change, is_given=False), is_sure=True)

    def _resolved(self, change: Change) -> Change:
        """The change with ids where it referred to what other changes create."""
        if not change.waits_for:
            return change
        parent = self._known(change.parent)
        return replace(
            change,
            parent=parent if isinstance(parent, int) else None,
            key={name: self._known(value) for name, value in change.key.items()},
            fields={
                name: FieldDiff(before=diff.before, after=self._known(diff.after))
                for name, diff in change.fields.items()
            },
        )

    def _without_id(self, change: Change) -> int | None:
        """A row that it refers to and whose record nobody knows."""
        values = (change.parent, *change.key.values(), *change.after().values())
        needed = (value.change for value in values if isinstance(value, Created))
        return next((n for n in needed if self._journal.created_id(n) is None), None)

    def _known(self, value: Value | Created | None) -> Value:
        return self._journal.created_id(value.change) if isinstance(value, Created) else value

    # --- the rows' final words ---

    def _doubt(self, work: Work, refusal: str | None = None, *, is_sure: bool = False) -> None:
        self._in_doubt[work.change.n] = work
        self._doubts.add(_as_doubt(work, refusal, is_sure=is_sure))

    def _judge(self, doubt: Doubt, verdict: Verdict) -> None:
        """What a look at the target means for a write that was in doubt."""
        work = self._in_doubt.pop(doubt.n)
        is_further = not set(verdict.cleared) <= set(work.cleared)  # than its last answer said
        work.cleared = verdict.cleared
        if verdict.seen is Seen.DONE:
            self._breaker.answered()  # its request was carried out, only the answer was lost
            self._learn_created(work, verdict.id)
            self._conclude(work, Kind.APPLIED, record_id=verdict.id)
        elif verdict.seen is not Seen.ABSENT:
            told = [text for text in (doubt.refusal, verdict.reason) if text]
            self._conclude(work, Kind.HELD, reason="; ".join(told))
        elif doubt.refusal is not None and not is_further:
            self._conclude(work, Kind.REJECTED, reason=doubt.refusal)
        else:  # it never happened and never will: from the start
            self._send_again(work, verdict.left)

    def _flying(self, entity: str) -> list[Doubt]:
        """Creates of the entity that left and of which nothing is known."""
        works = [*self._sender.in_flight(), *self._in_doubt.values()]
        return [
            _as_doubt(work)
            for work in works
            if work.change.entity == entity and work.change.action is Action.CREATE
        ]

    def _learn_created(self, work: Work, id: int | None) -> None:
        if work.change.action is Action.CREATE and id is not None:
            self._knowledge.answered(work.change, id, work.floor)

    def _send_again(self, work: Work, left: Sequence[str]) -> None:
        """As it was planned; of an update, what still differs."""
        if left:
            work.change = work.change.only(left)
        work.is_again = True
        if not work.is_given:
            self._again[work.change.n] = work
        self._sender.add(work)
        self._check_end()  # its lane may be closed

    def _overturn(self, doubt: Doubt, reason: str) -> None:
        """It had its final word, and is held after all. Its record stays its own."""
        was = self._journal.kind(doubt.n)
        assert was in (Kind.APPLIED, Kind.REJECTED), f"row {doubt.n} has not been sent again"
        self._counts[was.value] -= 1
        self._counts["held"] += 1
        own = self._journal.created_id(doubt.n)
        self._journal.note(Entry(kind=Kind.HELD, n=doubt.n, id=own, reason=reason))

    def _conclude(
        self, work: Work, kind: Kind, *, record_id: int | None = None, reason: str | None = None
    ) -> None:
        """Written down before anything that depends on it can happen."""
        is_final = kind in (Kind.APPLIED, Kind.REJECTED)
        if is_final and work.is_again and work.change.action is Action.CREATE:
            self._doubts.sent_again(_as_doubt(work))
        if work.cleared and kind in (Kind.REJECTED, Kind.HELD):
            record_id, reason = work.change.id, f"{reason}. {_emptied(work, kind)}"
        self._note(Entry(kind=kind, n=work.change.n, id=record_id, reason=reason))
        self._feed.settled(work.change.n, was_given=work.is_given)
        self._again.pop(work.change.n, None)
        self._check_end()

    def _note(self, entry: Entry) -> None:
        self._journal.note(entry)
        self._settled += 1
        self._counts["pending"] -= 1
        self._counts[entry.kind.value] += 1

    # --- telling ---

    async def _watch(self, watch: Watch) -> None:
        try:
            while True:
                watch(self._progress())
                await asyncio.sleep(0.25)
        finally:
            watch(self._progress())

    async def _tell_journal(self) -> None:
        """For `status` while this runs, and for the totals of a run that is killed."""
        while True:
            self._journal.note_usage(**self._used.so_far(), waiting=self._why_waiting())
            await asyncio.sleep(TELL_EVERY_S)

    def _why_waiting(self) -> str | None:
        return (
            self._breaker.why_waiting()
            or self._target.usage().waiting
            or self._sender.why_waiting()
            or self._doubts.why_waiting(self._feed.given)
        )

    def _progress(self) -> Progress:
        usage = self._target.usage()
        return Progress(
            counts=dict(self._counts),
            rows=self._plan.total,
            in_doubt=len(self._doubts),
            elapsed_s=self._used.so_far()["elapsed_s"],
            settled=self._settled,
            granted=usage.granted,
            used=usage.used,
            waiting=self._why_waiting(),
        )


def _emptied(work: Work, kind: Kind) -> str:
    """What its first request did, where its second one came to nothing."""
    names = work.cleared
    told = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} cleared already"
    # What is held has to be settled first.
    return told if kind is Kind.HELD else f"{told}; `bulkops undo` of this plan restores what was there"


def _as_doubt(work: Work, refusal: str | None = None, *, is_sure: bool = False) -> Doubt:
    """What was not sent by this run was sent by an earlier one."""
    return Doubt(
        change=work.change, floor=work.floor, refusal=refusal, is_earlier=not work.tries, is_sure=is_sure
    )
