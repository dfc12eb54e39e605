"""One entity's work while a plan is applied: what is ready, what is armed, what is in flight.

ready → armed (its intent is durable) → in flight → settled, or back to armed after a wait, or in doubt.
Plain state changes only; the applier awaits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bulkops.change import Before, Change

AHEAD = 8  # intents that may be durable before their request leaves: what a crash leaves in doubt


@dataclass(slots=True, kw_only=True, eq=False)
class Work:
    """One change on its way. `change` holds ids where the plan held references."""

    change: Change
    tries: int = 0  # requests that were started for it
    locks: int = 0  # of them, refused because of a lock or by something in between
    floor: int | None = None  # of a create: the highest id of its entity that was known before it could leave
    is_given: bool = True  # by the feed; what an earlier run left in doubt comes before its turn
    is_again: bool = False  # its first request was lost, and what it would have made was not there in time
    found: Before = field(default_factory=dict)  # what its record held, where the plan saw another value
    cleared: tuple[str, ...] = ()  # of what is emptied first: what is empty by now

    @property
    def to_clear(self) -> tuple[str, ...]:
        """The fields that its next request empties; with none left, it sends the rest."""
        return tuple(name for name in self.change.cleared if name not in self.cleared)


@dataclass(slots=True)
class Lane:
    """The work of one entity."""

    entity: str
    ready: deque[Work] = field(default_factory=deque)
    armed: deque[Work] = field(default_factory=deque)
    later: int = 0  # armed, waiting to be tried again
    why_later: str = ""  # the last answer that made one wait
    flying: set[Work] = field(default_factory=set)  # requests that left and have no answer yet
    has_answered: bool = False  # a write of this entity succeeded in this run
    closed: str | None = None  # why nothing more of it is sent
    wake_armer: asyncio.Event = field(default_factory=asyncio.Event)
    wake_sender: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def in_flight(self) -> int:
        return len(self.flying)

    @property
    def waiting(self) -> int:
        """Works that are here and not in flight."""
        return len(self.ready) + len(self.armed) + self.later

    def add(self, work: Work) -> None:
        self.ready.append(work)
        self.wake_armer.set()

    def to_arm(self, most: int | None, *, is_single: bool = False) -> list[Work]:
        """Takes what may be armed now: at most `most`, and no more than AHEAD of the wire.

        `is_single`: one at a time, armed or in flight.
        """
        ahead = 1 - len(self.flying) if is_single else AHEAD
        room = max(0, min(ahead - len(self.armed) - self.later, len(self.ready)))
        return [self.ready.popleft() for _ in range(room if most is None else min(room, most))]

    def give_back(self, works: Sequence[Work]) -> None:
        """They were taken and cannot be armed after all: first in line again."""
        self.ready.extendleft(reversed(works))

    def arm(self, works: list[Work]) -> None:
        self.armed.extend(works)
        self.wake_sender.set()

    def next(self) -> Work | None:
        """The next armed work, or None. Taking one makes room for another intent."""
        if not self.armed:
            return None
        work = self.armed.popleft()
        self.wake_armer.set()
        return work
