"""Reads are sent again until they answer, within bounds; each wait holds neither slot nor token."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

import anyio

from bulkops.errors import CallError, InDoubtError, NotSentError, StopError
from bulkops.retry import next_read_wait

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

AT_THE_START_S = (0.1, 0.3, 0.6)  # a wrong address should be told at once
ON_THE_WAY_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # a network that comes back should not stop a run


async def reconnecting(
    call: Callable[[], Awaitable[T]], waits_s: Sequence[float], *, sleep: Sleep = anyio.sleep
) -> T:
    """`call`, tried again while no connection can be made; NotSentError after the last of the waits."""
    for wait_s in waits_s:
        try:
            return await call()
        except NotSentError:
            await sleep(wait_s)
    return await call()


async def persist(
    call: Callable[[], Awaitable[T]],
    *,
    rng: random.Random,
    waits_s: Sequence[float] = AT_THE_START_S,
    attempts: int | None = None,
    sleep: Sleep = anyio.sleep,
) -> T:
    """The answer of a read. Raises what `retry` gives up on; StopError where answers stay unusable."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return await reconnecting(call, waits_s, sleep=sleep)
        except CallError as error:
            wait_s = next_read_wait(attempt, error, rng=rng)
            if wait_s is not None and attempt != attempts:
                await sleep(wait_s)
            elif isinstance(error, InDoubtError):
                message = f"{error} (asked {attempt} times)"
                raise StopError(message, status=error.status, texts=error.texts) from error
            else:
                raise
