"""What a plan in the making adds up to: its counts, how long it will take, how much it would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bulkops.change import Action, Change
from bulkops.estimate import ASSUMED_LATENCY_S, Pace, estimate_s
from bulkops.safety import LabelKind, Limit, Measured, Tally
from bulkops.targets.base import Target

SHARES = (0.75, 1.0)  # of the tenant's budget, for which the time is estimated


class Totals:
    """Of all changes that were added, in their order."""

    def __init__(self) -> None:
        self.counts: Counter[Action] = Counter()
        self._stages: list[Counter[str]] = [Counter()]  # writes by entity; one stage waits for the one before
        self._barrier = 0  # of the last stage
        self._tally = Tally()
        self.writes = 0  # requests: a change may take two

    def add(self, change: Change, labels: Iterable[LabelKind] = ()) -> None:
        self.counts[change.action] += 1
        if change.action.is_write:
            self._stage(change.barrier)[change.entity] += change.requests
            self.writes += change.requests
        self._tally.add(change, labels)

    def _stage(self, barrier: int) -> Counter[str]:
        """Changes of one barrier are one stage; those that wait for nobody are written in the first."""
        if barrier > self._barrier and self._stages[-1]:
            self._stages.append(Counter())
        self._barrier = max(barrier, self._barrier)
        return self._stages[-1] if barrier else self._stages[0]

    def by_action(self) -> dict[str, int]:
        """As the plan's header has it."""
        return {action.value: self.counts[action] for action in Action}

    def limited(self, limits: Mapping[str, Limit]) -> list[str]:
        """The entities of which somebody has to count the records: a limit is on the share of them."""
        counts = self._tally.counts()
        shared = {
            entity: None
            for kind, by_entity in counts.items()
            if kind in limits and limits[kind].percent is not None
            for entity in by_entity
        }
        return list(shared)

    def measured(self, limits: Mapping[str, Limit], totals: Mapping[str, int]) -> Measured:
        """What would change, and of how much."""
        return Measured(counts=self._tally.counts(), totals=totals, limits=limits)

    def estimates(self, target: Target, latency_s: float | None) -> dict[str, float]:
        """Seconds by share: three quarters, all, and what the tenant's settings say."""
        usage = target.usage()
        pace = Pace(
            requests=usage.requests,
            window_s=usage.window_s,
            others=usage.others,
            per_entity=target.per_entity,
            latency_s=latency_s or ASSUMED_LATENCY_S,
        )
        stages: Sequence[Mapping[str, int]] = self._stages
        shares = sorted({*SHARES, usage.share})
        return {str(share): estimate_s(stages, share=share, pace=pace) for share in shares}
