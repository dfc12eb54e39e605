"""What many seeds add up to, and the table that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.campaign.history import Breach
from tests.campaign.trial import Outcome

TARGETS = {"key": 0.999, "marker": 0.999, "fingerprint": 0.99}  # of creates in doubt, settled by themselves


@dataclass(slots=True, kw_only=True)
class Tally:
    """Sums over seeds."""

    seeds: int = 0
    runs: int = 0
    deaths: int = 0
    stops: int = 0
    writes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    in_doubt: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    breaches: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.runs += outcome.runs
        self.deaths += outcome.deaths
        self.stops += outcome.stops
        self.writes += outcome.writes
        self.faults += outcome.faults
        self.ends += outcome.ends
        self.in_doubt += outcome.in_doubt
        self.held += outcome.held
        self.breaches.update(finding.breach.value for finding in outcome.findings)
        if outcome.findings:
            self.failed.append(outcome)

    def settled_share(self, known_by: str) -> float | None:
        """Of the creates in doubt, how many were settled without a person; None where there was none."""
        doubts = self.in_doubt[known_by]
        return 1 - self.held[known_by] / doubts if doubts else None

    def table(self, elapsed_s: float) -> str:
        """For a terminal, and for a README."""
        width = 34
        return "\n".join(f"{name:<{width}} {value}" for name, value in self._lines(elapsed_s)) + "\n"

    def _lines(self, elapsed_s: float) -> Iterator[tuple[str, str]]:
        yield "seeds", f"{self.seeds:,}"
        yield "runs of apply", f"{self.runs:,}"
        yield "crash points", f"{self.deaths:,}"
        yield "stopped or cut off", f"{self.stops:,}"
        yield "injected faults", f"{sum(self.faults.values()):,}"
        for kind, count in self.faults.most_common():
            yield f"  {kind}", f"{count:,}"
        yield "rows", f"{sum(self.ends.values()):,} ({_listed(self.ends)})"
        yield "intents written", f"{self.writes:,}"
        yield "creates in doubt", f"{sum(self.in_doubt.values()):,}"
        for known_by in TARGETS:
            yield f"  known by {known_by}", self._settled(known_by)
        for breach in Breach:
            yield breach.value, f"{self.breaches[breach.value]:,}"
        yield "time", f"{elapsed_s:,.0f} s, {self.seeds / max(elapsed_s, 0.001):.1f} seeds a second"

    def _settled(self, known_by: str) -> str:
        share = self.settled_share(known_by)
        if share is None:
            return "none"
        doubts, held = self.in_doubt[known_by], self.held[known_by]
        return f"{doubts:,}: {share:.2%} settled by themselves, {held:,} held"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common() if count)


def tallied(outcomes: Iterable[Outcome]) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally
