"""The writes in doubt of one run: looked up at once, and once more when absence has become final.

A write is *in doubt* when it may have left and no answer can be trusted. What is found is final at once;
absence is only what was seen at one moment, so nothing is concluded from it sooner than `settle_s` after the
request was sent, while other rows go on. Once an assumption is seen broken, absence is concluded no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import anyio

from bulkops.breaker import Breaker
from bulkops.errors import CallError, NotSentError, RefusedError, StopError
from bulkops.progress import Stop
from bulkops.retry import READ_TRIES
from bulkops.settle.knowledge import Knowledge
from bulkops.settle.look import Looker
from bulkops.settle.verdict import LOST, Doubt, Seen, Verdict, listed

ASK_AGAIN_S = 30.0  # after a look that failed
SOON_S, MOST_S = 0.5, 30.0  # until a like write that is in flight has been answered


class Doubts:
    """All of them; each is judged once."""

    def __init__(
        self,
        looker: Looker,
        knowledge: Knowledge,
        breaker: Breaker,
        judge: Callable[[Doubt, Verdict], None],
        overturn: Callable[[Doubt, str], None],
        *,
        settle_s: float,
    ) -> None:
        """`judge` gets each with what was found, or with ABSENT when that is final; `overturn` what was
        wrong about that after all."""
        self._looker = looker
        self._knowledge = knowledge
        self._breaker = breaker
        self._judge = judge
        self._overturn = overturn
        self._settle_s = settle_s
        self._doubts: list[Doubt] = []
        self._resent: list[Doubt] = []  # sent again after they were absent for good
        self._added = asyncio.Event()

    def __len__(self) -> int:
        return len(self._doubts)

    def add(self, doubt: Doubt) -> None:
        """Its request may land until `settle_s` from now; what was refused has had its answer."""
        is_known = doubt.is_sure or doubt.refusal is not None
        doubt.ask_at = time.monotonic()
        doubt.absent_at = doubt.ask_at + (0.0 if is_known else self._settle_s)
        self._doubts.append(doubt)
        self._added.set()

    async def settle(self, stop: Stop) -> None:
        """Looks whenever something is due; runs until it is cancelled."""
        while True:
            self._added.clear()
            due = self._due()
            pause_s = self._breaker.pause()
            if due and pause_s is None and stop.reason is None:
                await self._look(due, stop)
            elif stop.reason is None:
                await self._nap(pause_s)
            else:
                await self._added.wait()

    def _due(self) -> list[Doubt]:
        """What has to be looked at now, with all that may be mistaken for it."""
        now = time.monotonic()
        entities = {doubt.change.entity for doubt in self._doubts if doubt.ask_at <= now}
        return [doubt for doubt in self._doubts if doubt.change.entity in entities]

    async def _nap(self, most_s: float | None) -> None:
        next_at = min((doubt.ask_at for doubt in self._doubts), default=None)
        # A little later: those that became due within it are looked at together.
        until_s = None if next_at is None else max(0.0, next_at - time.monotonic(), most_s or 0.0) + 0.01
        with anyio.move_on_after(until_s):
            await self._added.wait()

    async def _look(self, due: list[Doubt], stop: Stop) -> None:
        asked_at = time.monotonic()
        self._breaker.begin()
        try:
            verdicts = await self._looker.look(due)
        except (NotSentError, StopError, RefusedError) as error:
            stop(str(error))
        except CallError as error:
            self._failed(due, error, asked_at, stop)
        else:
            self._breaker.was_read()
            if any(verdict.seen is Seen.ABSENT for verdict in verdicts.values()):
                await self.check_late(is_quiet=False)
            looked_at = set(due)
            self._doubts = [doubt for doubt in self._doubts if doubt not in looked_at]
            for doubt in due:
                self._take(doubt, verdicts[doubt.n], asked_at)

    def _failed(self, due: Sequence[Doubt], error: CallError, asked_at: float, stop: Stop) -> None:
        self._breaker.failed(error, calls=READ_TRIES)
        if self._breaker.given_up is not None:
            stop(self._breaker.given_up)
        for doubt in due:
            doubt.ask_at = asked_at + ASK_AGAIN_S

    def _take(self, doubt: Doubt, verdict: Verdict, asked_at: float) -> None:
        is_late = asked_at >= doubt.absent_at
        if verdict.seen is Seen.LATER and is_late and verdict.reason:
            verdict = replace(verdict, seen=Seen.HELD)
        if verdict.seen is Seen.LATER:
            doubt.looks += 1
            wait_s = min(MOST_S, SOON_S * 2.0 ** min(doubt.looks, 10))
            doubt.ask_at = doubt.absent_at if verdict.reason else asked_at + wait_s
            self._doubts.append(doubt)
        elif verdict.seen is Seen.ABSENT and not is_late:  # it may still land
            doubt.ask_at = doubt.absent_at
            self._doubts.append(doubt)
        else:
            self._judge(doubt, self._believed(doubt, verdict))

    def _believed(self, doubt: Doubt, verdict: Verdict) -> Verdict:
        """Absence proves nothing once an assumption is broken."""
        broken = self._knowledge.broken
        is_known = doubt.is_sure or doubt.refusal is not None
        if verdict.seen is not Seen.ABSENT or is_known or broken is None:
            return verdict
        return Verdict(seen=Seen.HELD, reason=f"{LOST}, and that it is not there proves nothing: {broken}")

    def sent_again(self, doubt: Doubt) -> None:
        """It was absent for good, was sent again, and has had its final word: its first should never land."""
        self._resent.append(doubt)

    async def check_late(self, *, is_quiet: bool) -> None:
        """Whether one of them landed after all, which breaks an assumption; silent where it cannot read."""
        with suppress(CallError, RefusedError):
            twins = await self._looker.twins(self._resent, is_quiet=is_quiet)
            for doubt in [doubt for doubt in self._resent if doubt.n in twins]:
                self._resent.remove(doubt)
                ids, is_twice = twins[doubt.n], len(twins[doubt.n]) > 1
                are = "are both its records" if is_twice else "is its record"
                what = f"{doubt.change.entity} {listed(ids)} {are}"
                self._knowledge.breaks(
                    f"a request landed more than {self._settle_s:g} s after it was sent ({what})"
                )
                todo = ". Delete one of them" if is_twice else ""
                self._overturn(doubt, f"{what}: the first request landed after it was given up{todo}")

    def why_waiting(self, still_open: int) -> str | None:
        """A sentence, while of `still_open` changes only those in doubt are left."""
        if not self._doubts or still_open > len(self._doubts):
            return None
        seconds = max(0.0, max(doubt.absent_at for doubt in self._doubts) - time.monotonic())
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
        return f"the answers to {len(self._doubts)} were lost; they may still land until {until}"
