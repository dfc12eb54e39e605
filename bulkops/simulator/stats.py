"""What happened: counts for `/_simulator/stats` and one line a request for `/_simulator/log`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

LOG_ENTRIES = 1_000_000  # the newest ones are kept; about 200 bytes each


class Entry(NamedTuple):
    """One request. `status` is None where the connection was closed instead of an answer."""

    t: float  # epoch seconds, when it arrived
    method: str
    path: str
    entity: str
    status: int | None
    in_flight: int  # of its entity and integration code when it arrived, itself included
    item_id: int | None


@dataclass(slots=True)
class Log:
    """Requests in the order in which they were answered, numbered from 1."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=LOG_ENTRIES))
    count: int = 0

    def add(self, entry: Entry) -> int:
        self.entries.append(entry)
        self.count += 1
        return self.count

    def note_item(self, n: int, item_id: int | None) -> None:
        """The record that a request made only after it was logged."""
        place = n - 1 - (self.count - len(self.entries))
        if place >= 0:
            self.entries[place] = self.entries[place]._replace(item_id=item_id)

    def after(self, n: int) -> Iterator[dict[str, Any]]:
        first = self.count - len(self.entries)  # how many are forgotten
        for number, entry in enumerate(islice(self.entries, max(0, n - first), None), max(n, first) + 1):
            yield {"n": number, **entry._asdict()}


@dataclass(slots=True)
class Flights:
    """How many requests are in flight, per integration code and entity, whatever the thread limit counts."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def enter(self, key: tuple[str, str]) -> int:
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key]

    def leave(self, key: tuple[str, str]) -> None:
        self.counts[key] -= 1


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset."""

    requests: int = 0
    by_call: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=lambda: {"threads": 0, "hour": 0})
    max_in_flight: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=lambda: {"create": 0, "update": 0, "delete": 0})

    def note_call(self, label: str) -> None:
        self.requests += 1
        self.by_call[label] = self.by_call.get(label, 0) + 1

    def note_in_flight(self, entity: str, count: int) -> None:
        if count > self.max_in_flight.get(entity, 0):
            self.max_in_flight[entity] = count
