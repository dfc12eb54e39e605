"""Applies a plan: exactly what it says, each change once. Knows no job, no source, no steps.

The order is in the plan (`waits_for`, `barrier`); one loop obeys it. Every write: intent durable, then the
target's door (slot, then token), then the request, then its outcome (`sender`). What is not known is looked
up (`settle`), what cannot be settled is held, and applying the same plan again goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypedDict

import anyio

from bulkops.change import Change, FieldDiff
from bulkops.errors import LimitError, PlanError
from bulkops.journal import Entry, Journal, Kind
from bulkops.lane import Work
from bulkops.plan import Plan, Status
from bulkops.progress import Progress, Stop
from bulkops.record import Created, Value
from bulkops.safety import check_limits
from bulkops.sender import Quota, Sender
from bulkops.settle import Doubts, Seen, Verdict
from bulkops.targets.base import CallCount, Target

WINDOW = 2_000  # changes in memory at once
TELL_EVERY_S = 2.0  # how old the figures are that `status` reads while this runs

Watch = Callable[[Progress], None]


async def apply_plan(
    plan: Plan,
    target: Target,
    *,
    allow: Mapping[str, int] | None = None,
    stop_after: int | None = None,
    max_calls: int | None = None,
    stop: Stop | None = None,
    watch: Watch | None = None,
    rng: random.Random | None = None,
) -> Status:
    """Applies `plan`, or goes on with it.

    `allow` releases safety limits (`{"update": 412}`); `stop_after` is the number of writes to send,
    `max_calls` the number of calls to make in this run. `watch` is called about four times a second.
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
    journal = Journal.open(plan.path)
    used = Used(target.calls, max_calls)
    stop = stop or Stop()
    try:
        if not journal.is_begun:
            _check_limits(plan, allow or {})
        run = _Run(
            plan,
            journal,
            target,
            used,
            quota=Quota(writes_left=stop_after, calls=max_calls, reads_before=used.reads_before),
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
        stop: Stop,
        rng: random.Random,
    ) -> None:
        self._plan = plan
        self._used = used
        self._journal = journal
        self._target = target
        self._stop = stop
        self._open = 0  # changes in memory that are not settled
        self._settled = 0
        self._counts = Counter(plan.progress())
        self._blocked: dict[int, list[tuple[Change, set[int]]]] = defaultdict(list)
        self._is_feeding = True  # False while nothing more is taken from the plan until something moves
        self._is_fed = False
        self._fault: PlanError | None = None  # of the plan file, met on the way
        self._quota = quota
        self._moved = asyncio.Event()  # something was settled, or a stop was asked for
        self._ended = asyncio.Event()
        self._doubts = Doubts(target, self._judge)
        self._sender = Sender(
            journal=journal,
            target=target,
            quota=quota,
            stop=stop,
            rng=rng,
            conclude=self._conclude,
            doubt=self._doubts.add,
            tried=self._check_end,
        )

    async def run(self, watch: Watch | None) -> None:
        """Until every change is settled, or the run is stopped and nothing is in flight."""
        try:
            async with anyio.create_task_group() as tasks:
                self._sender.start(tasks)
                self._stop.listen(self._on_stop)
                tasks.start_soon(self._feed)
                tasks.start_soon(self._doubts.settle, self._stop)
                tasks.start_soon(self._tell_journal)
                if watch is not None:
                    tasks.start_soon(self._watch, watch)
                await self._ended.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._sender.withdraw()
        if self._fault is not None and not self._quota.sent:
            raise self._fault

    def _on_stop(self) -> None:
        self._target.drain()
        self._moved.set()
        self._sender.wake()
        self._check_end()

    def _check_end(self) -> None:
        if self._stop.reason is not None:
            if self._sender.is_quiet:
                self._ended.set()
        elif self._is_fed and self._open == 0:
            self._ended.set()
        elif not self._is_feeding and (stuck := self._sender.stuck()) is not None:
            waiting, why = stuck
            if waiting + self._waiting_for_others() >= self._open:
                self._stop(why)

    def _waiting_for_others(self) -> int:
        return len({change.n for waiting in self._blocked.values() for change, _ in waiting})

    # --- the plan's order ---

    async def _feed(self) -> None:
        try:
            await self._take_all()
        except PlanError as error:  # edited, gone or busy: what was begun is brought to its end
            self._fault = error
            self._stop(str(error))

    async def _take_all(self) -> None:
        for change in self._plan.changes(after=self._journal.settled_through()):
            if not change.action.is_write or self._journal.is_settled(change.n):
                continue
            while self._open >= WINDOW or self._is_barred(change):
                await self._until_moved()
            if self._stop.reason is not None:
                return
            self._take(change)
            if change.n % 100 == 0:  # reading is not waiting: let the others have their turn
                await asyncio.sleep(0)
        self._is_feeding = False
        self._is_fed = True
        self._check_end()

    async def _until_moved(self) -> None:
        self._moved.clear()
        self._is_feeding = False
        self._check_end()  # what it waits for may stand before a lane that is closed
        await self._moved.wait()
        self._is_feeding = True

    def _is_barred(self, change: Change) -> bool:
        return change.barrier > self._journal.settled_through() and self._stop.reason is None

    def _take(self, change: Change) -> None:
        self._open += 1
        unmet = {n for n in change.waits_for if not self._journal.is_settled(n)}
        for n in unmet:
            self._blocked[n].append((change, unmet))
        if not unmet:
            self._release([change])

    def _release(self, changes: Iterable[Change]) -> None:
        """All they waited for is settled: each can be sent, or falls with what it waited for.

        What falls takes others with it: in turn, not by recursion, since chains may be long.
        """
        queue = deque(changes)
        while queue:
            change = queue.popleft()
            entry = self._fallen(change)
            if entry is None:
                self._hand_over(change)
            else:
                self._note(entry)
                queue.extend(self._freed_by(change.n))

    def _fallen(self, change: Change) -> Entry | None:
        for n in change.waits_for:
            kind = self._journal.kind(n)
            if kind in (Kind.REJECTED, Kind.HELD):
                word = "was rejected" if kind is Kind.REJECTED else "is held"
                return Entry(kind=kind, n=change.n, reason=f"row {n}, which it needs, {word}")
        return None

    def _freed_by(self, n: int) -> Iterator[Change]:
        """What waited for change `n` last of all."""
        for change, unmet in self._blocked.pop(n, ()):
            unmet.discard(n)
            if not unmet:
                yield change

    def _hand_over(self, change: Change) -> None:
        work = Work(change=self._resolved(change))
        if self._journal.is_in_doubt(change.n):
            self._doubts.add(work)
        else:
            self._sender.add(work)

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

    def _known(self, value: Value | Created | None) -> Value:
        return self._journal.created_id(value.change) if isinstance(value, Created) else value

    # --- the rows' final words ---

    def _judge(self, work: Work, verdict: Verdict) -> None:
        """What a look at the target means for a write that was in doubt."""
        if verdict.seen is Seen.DONE:
            self._conclude(work, Kind.APPLIED, record_id=verdict.id)
        elif verdict.seen is not Seen.ABSENT:
            self._conclude(work, Kind.HELD, reason=verdict.reason)
        elif work.refusal is not None:
            self._conclude(work, Kind.REJECTED, reason=work.refusal)
        else:  # it never happened and never will: from the start
            self._sender.add(work)
            self._check_end()  # its lane may be closed

    def _conclude(
        self, work: Work, kind: Kind, *, record_id: int | None = None, reason: str | None = None
    ) -> None:
        """Written down before anything that depends on it can happen."""
        self._note(Entry(kind=kind, n=work.change.n, id=record_id, reason=reason))
        self._release(self._freed_by(work.change.n))
        self._moved.set()
        self._check_end()

    def _note(self, entry: Entry) -> None:
        self._journal.note(entry)
        self._open -= 1
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
        return self._target.usage().waiting or self._doubts.why_waiting(self._open)

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
