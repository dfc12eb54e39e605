"""The one door to a tenant: slot first, then token, then send. Whoever waits here can be sent home (`drain`).

Keeps what the limiter believes in step with what the server counts: it asks ThresholdInformation whenever
the limiter wants to know.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from bulkops.errors import CallError, NotSentError, TenantError, ThrottledError
from bulkops.limiter import Limiter, Token
from bulkops.pool import Pool, Slot
from bulkops.targets.autotask.connection import Connection, MovedError
from bulkops.targets.autotask.errors import Kind
from bulkops.targets.autotask.route import VERSION
from bulkops.targets.base import SPENT, CallCount, Usage
from bulkops.tenant import Budget
from bulkops.transport import Answer

logger = logging.getLogger(__name__)

THRESHOLD = "ThresholdInformation"
THRESHOLD_PATH = f"{VERSION}/{THRESHOLD}"
DEFAULT_REQUESTS = 10_000  # in a window, all integrations together (REST_Thresholds_Limits.htm)
DEFAULT_WINDOW_S = 3600.0
AFTER_FAILURE_S = 5.0  # at least so long between a poll that failed and the next
STOPPING = "the run is being stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What ThresholdInformation says; None where it does not. It counts everybody's calls."""

    count: int | None = None  # in the server's window
    requests: int | None = None  # that are allowed in a window
    window_s: float | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Threshold:
        minutes = _whole(data.get("requestThresholdTimeframe"))
        return cls(
            count=_whole(data.get("currentTimeframeRequestCount")),
            requests=_whole(data.get("externalRequestThreshold")) or None,
            window_s=minutes * 60.0 if minutes else None,
        )


def requests(budget: Budget, said: Threshold) -> int:
    """How many calls the tenant's window holds; the operator's word wins."""
    return budget.requests or said.requests or DEFAULT_REQUESTS


def window_s(budget: Budget, said: Threshold) -> float:
    """How long the tenant's window is; the operator's word wins."""
    return budget.window_s or said.window_s or DEFAULT_WINDOW_S


def _whole(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as the door takes it. `parent` is the parent entity of a child's path."""

    kind: Kind
    entity: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] | None = None
    parent: str | None = None


class Door:
    """Every call of one tenant passes here."""

    def __init__(
        self,
        connection: Connection,
        limiter: Limiter,
        pool: Pool,
        calls: CallCount,
        *,
        budget: Budget,
        said: Threshold,
    ) -> None:
        self.connection = connection
        self.calls = calls
        self._limiter = limiter
        self._pool = pool
        self._budget = budget
        self._said = said
        self.is_drained = False
        self._why_drained = STOPPING
        self._waiting: set[anyio.CancelScope] = set()  # calls that have not left yet
        self._pauses: dict[int, str] = {}  # why a call waits before it is sent again
        self._failure = ""  # why the last call that failed did

    async def call(self, request: Request, *, poll: bool = False) -> Answer:
        """One attempt. Raises as `Transport.send`; NotSentError where the run is stopped before it left."""
        try:
            return await self._pass(request, poll)
        except MovedError:
            return await self._pass(request, poll)

    async def _pass(self, request: Request, poll: bool) -> Answer:
        if self.is_drained:
            raise NotSentError(self._why_drained)
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                async with self._pool.slot(request.entity, request.parent) as slot:
                    token = await self._limiter.acquire(poll=poll)
                    self._waiting.discard(scope)  # from here on it is in flight and finishes
                    return await self._send(request, token, slot)
            finally:
                self._waiting.discard(scope)
        raise NotSentError(self._why_drained)

    async def _send(self, request: Request, token: Token, slot: Slot) -> Answer:
        if self.calls.is_spent:
            self.drain(SPENT)
        if self.is_drained:
            token.unused()
            raise NotSentError(self._why_drained)
        self._count(request.kind, 1)
        try:
            answer = await self.connection.send(
                request.method, request.path, kind=request.kind, body=request.body, headers=request.headers
            )
        except CallError as error:
            self._failure = str(error)
            self._account(token, request.kind, error)
            raise
        except BaseException:
            token.lost()
            slot.cut_off()
            raise
        token.answered()
        return answer

    def _account(self, token: Token, kind: Kind, error: CallError) -> None:
        match error:
            case NotSentError():
                token.unused()
                self._count(kind, -1)
            case ThrottledError():
                token.answered(counted=False)
                if error.kind == "hour":
                    self._limiter.refused()
            case CallError(status=None):
                token.lost()
            case _:
                token.answered()

    def _count(self, kind: Kind, calls: int) -> None:
        if kind is Kind.READ:
            self.calls.read += calls
        else:
            self.calls.write += calls

    # --- waiting and stopping ----------------------------------------------------------------------------

    def drain(self, why: str = STOPPING) -> None:
        """Nothing more is sent: waiting and new calls raise NotSentError, what is in flight finishes."""
        if not self.is_drained:
            self._why_drained = why
        self.is_drained = True
        for scope in tuple(self._waiting):
            scope.cancel()

    async def pause(self, wait_s: float) -> None:
        """A wait between two attempts, which holds nothing. NotSentError once the door is drained."""
        with self._can_be_sent_home() as scope:
            self._pauses[id(scope)] = self._why_paused(wait_s)
            try:
                await anyio.sleep(wait_s)
            finally:
                del self._pauses[id(scope)]
        if self.is_drained:
            raise NotSentError(self._why_drained)

    def _why_paused(self, wait_s: float) -> str:
        """Names the server: somebody has to see whether it is there."""
        server = self.connection.host
        why = self._failure if server in self._failure else f"{server}: {self._failure or 'no answer'}"
        return f"{why}; the same call is sent again in {wait_s:.1f} s"

    @contextmanager
    def _can_be_sent_home(self) -> Iterator[anyio.CancelScope]:
        if self.is_drained:
            raise NotSentError(self._why_drained)
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                yield scope
            finally:
                self._waiting.discard(scope)

    def why_waiting(self) -> str | None:
        return (
            self._limiter.why_waiting() or self._pool.why_waiting() or next(iter(self._pauses.values()), None)
        )

    def usage(self) -> Usage:
        granted, used, others = self._limiter.usage()
        return Usage(
            granted=granted,
            used=used,
            others=others,
            window_s=window_s(self._budget, self._said),
            requests=requests(self._budget, self._said),
            share=self._budget.share,
            waiting=self.why_waiting(),
            in_flight=self._pool.in_flight(),
        )

    # --- what the server counts --------------------------------------------------------------------------

    async def keep_learning(self) -> None:
        """Asks ThresholdInformation whenever the limiter wants to know, until the run stops."""
        while not self.is_drained:
            try:
                await self._limiter.poll_due()
                await self.learn()
            except (CallError, TenantError) as error:
                logger.info("the tenant's usage could not be read", extra={"reason": str(error)})
                await anyio.sleep(AFTER_FAILURE_S)

    async def learn(self, *, poll: bool = True) -> Answer:
        """Tells the limiter what the server has counted. One attempt, with a token for polls or for calls.

        TenantError where what it says leaves no call for us.
        """
        request = Request(kind=Kind.READ, entity=THRESHOLD, method="GET", path=THRESHOLD_PATH)
        answer = await self.call(request, poll=poll)
        self._said = said = Threshold.of(answer.data)
        if said.count is not None:
            self._limiter.learn(
                count=said.count,
                requests=requests(self._budget, said),
                window_s=window_s(self._budget, said),
                polled=poll,
            )
        return answer
