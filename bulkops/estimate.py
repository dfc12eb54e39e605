"""How long a plan's writes will take, from the model of the tenant's budget. Pure: no I/O, no clock.

The model: a few calls of an entity in flight at once, a slot free a little after its answer; answers slow
down as the window fills (half a second from 50 %, a second from 75 %: REST_Thresholds_Limits); a token
comes back one window after its call. Others' usage is taken to stay as it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

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


def estimate_s(writes: Mapping[str, int], *, share: float, pace: Pace) -> float:
    """Seconds that `writes` (calls by entity, entities one after the other) take within `share`.

    Where others use up all that the share grants, one call a window is taken to get through.
    """
    granted = max(1, math.floor(share * pace.requests) - pace.others)
    block = max(1, min(granted // 100, sum(writes.values()) // STEPS))
    out: deque[tuple[float, int]] = deque()  # when calls were answered, and how many
    now, in_window = 0.0, 0
    for count in writes.values():
        for done in range(0, count, block):
            calls = min(block, count - done)
            while out and (in_window + calls > granted or out[0][0] + pace.window_s <= now):
                answered, returned = out.popleft()
                now = max(now, answered + pace.window_s)
                in_window -= returned
            now += calls * _seconds_a_call((pace.others + in_window) / pace.requests, pace)
            out.append((now, calls))
            in_window += calls
    return round(max(now, pace.latency_s if in_window else 0.0), 1)


def _seconds_a_call(used: float, pace: Pace) -> float:
    """Time between two calls while the share `used` of the window is gone."""
    slower = next((extra for bound, extra in TIERS if used >= bound), 0.0) if pace.has_tiers else 0.0
    return (pace.latency_s + slower + pace.release_s) / max(1, pace.per_entity)
