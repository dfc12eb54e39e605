"""How long a plan's writes will take, from the model of the tenant's budget. Pure: no I/O, no clock.

The model: entities are written at the same time, a few calls of each in flight at once, a slot free a
little after its answer; answers slow down as the window fills (half a second from 50 %, a second from 75 %:
REST_Thresholds_Limits); a token comes back one window after its call. Others' usage is taken to stay as it
is.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkops.bucket import grant
from bulkops.errors import TenantError

ASSUMED_LATENCY_S = 0.3  # of one write, where nothing was measured
STEPS = 2_000  # a plan of more calls than this is reckoned in blocks of at most 1 % of the grant
TIERS = ((0.75, 1.0), (0.50, 0.5))  # share of the window used, seconds added to each call


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What decides how fast a tenant can be written to."""

    requests: int = 10_000  # calls the tenant's window holds, all integrations
    window_s: float = 3600.0
    others: int = 0  # calls of others in the last window
    per_entity: int = 2  # in flight at once
    latency_s: float = ASSUMED_LATENCY_S  # of one call, while the window is empty
    release_s: float = 0.06  # from an answer until its slot is free
    has_tiers: bool = True


def estimate_s(stages: Sequence[Mapping[str, int]], *, share: float, pace: Pace) -> float:
    """Seconds that the writes take within `share`: calls by entity, each stage after the one before.

    What waits for single rows of its stage is taken to follow close behind them. Where others use up all
    that the share grants, one call a window is taken to get through.
    """
    total = sum(sum(stage.values()) for stage in stages)
    window = _Window(max(1, _granted(share, pace.requests) - pace.others), pace, total)
    now = 0.0
    for stage in stages:
        now = window.write(stage, now)
    return round(max(now, pace.latency_s if total else 0.0), 1)


def _granted(share: float, requests: int) -> int:
    try:
        return grant(share, requests)
    except TenantError:  # not one call, which applying will say
        return 0


class _Window:
    """The calls of the last window while a plan is played through."""

    def __init__(self, granted: int, pace: Pace, total: int) -> None:
        self._granted = granted
        self._pace = pace
        self._block = max(1, min(granted // 100, total // STEPS))
        self._out: deque[tuple[float, int]] = deque()  # when calls were answered, and how many
        self._used = 0

    def write(self, stage: Mapping[str, int], begin: float) -> float:
        """When the last call of a stage is answered that begins at `begin`."""
        lanes = [(begin, entity, count) for entity, count in stage.items() if count]
        heapq.heapify(lanes)
        end = begin
        while lanes:
            now, entity, left = lanes[0]
            calls = min(self._block, left)
            end = max(end, now := self._send(calls, now))
            if left > calls:
                heapq.heapreplace(lanes, (now, entity, left - calls))
            else:
                heapq.heappop(lanes)
        return end

    def _send(self, calls: int, now: float) -> float:
        """When these calls of one entity are answered that could leave at `now`."""
        pace, out = self._pace, self._out
        while out and (self._used + calls > self._granted or out[0][0] + pace.window_s <= now):
            answered, returned = out.popleft()
            now = max(now, answered + pace.window_s)
            self._used -= returned
        now += calls * _seconds_a_call((pace.others + self._used) / pace.requests, pace)
        out.append((now, calls))
        self._used += calls
        return now


def _seconds_a_call(used: float, pace: Pace) -> float:
    """Time between two calls of an entity while the share `used` of the window is gone."""
    slower = next((extra for bound, extra in TIERS if used >= bound), 0.0) if pace.has_tiers else 0.0
    return (pace.latency_s + slower + pace.release_s) / max(1, pace.per_entity)
