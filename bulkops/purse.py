"""The tokens of a tenant that are out, and when each comes back. Times in, numbers out."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

MOST_GROUPS = 20_000  # of answers in a window, so that memory does not grow with a tenant's threshold


class Answers:
    """Calls that were answered at nearly the same time; their tokens come back together, with the last."""

    __slots__ = ("count", "first", "last", "taken")

    def __init__(self, *, first: float, last: float, taken: float, count: int = 1) -> None:
        self.first = first
        self.last = last
        self.taken = taken  # the earliest
        self.count = count

    def add(self, other: Answers) -> None:
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.taken = min(self.taken, other.taken)
        self.count += other.count

    def is_near(self, other: Answers, span: float, cut: float) -> bool:
        """Whether both may be one group: within `span`, and on the same side of `cut`."""
        spread = max(self.last, other.last) - min(self.first, other.first)
        return spread < span and (self.first > cut) == (other.first > cut)


class Purse:
    """Tokens that are out: flying (no answer yet), on their way back, or in doubt."""

    __slots__ = ("_back", "_coming", "_doubt", "_doubts", "_groups", "cut", "flying", "window_s")

    def __init__(self, window_s: float, groups: int = MOST_GROUPS) -> None:
        self.window_s = window_s
        self.flying = 0
        self.cut = -math.inf  # what was answered before and after is told apart: a poll left then
        self._groups = groups  # in a window, at most about that many
        self._back: deque[Answers] = deque()  # by their last
        self._coming = 0  # tokens in `_back`
        # Heap: when calls that may or may not count have landed at the latest, and how many.
        self._doubt: list[tuple[float, int]] = []
        self._doubts = 0  # tokens in `_doubt`

    @property
    def span(self) -> float:
        """Seconds of answers that come back together."""
        return self.window_s / self._groups

    @property
    def out(self) -> int:
        return self.flying + self._coming + self._doubts

    def answered(self, taken: float, now: float) -> None:
        self.report(Answers(first=now, last=now, taken=taken))

    def report(self, news: Answers) -> None:
        """Calls that were answered a while ago, perhaps before some that are known already."""
        self.flying -= news.count
        self._coming += news.count
        back = self._back
        place = len(back)
        while place and back[place - 1].last > news.last:
            place -= 1
        if place and back[place - 1].is_near(news, self.span, self.cut):
            back[place - 1].add(news)
        else:
            back.insert(place, news)

    def doubtful(self, lands_by: float, count: int = 1) -> None:
        """The server counts these calls at `lands_by` at the latest, or never."""
        self.flying -= count
        self.assume(lands_by, count)

    def assume(self, lands_by: float, count: int = 1) -> None:
        """Calls that somebody before us let go, as `doubtful`."""
        if count:
            heapq.heappush(self._doubt, (lands_by, count))
            self._doubts += count

    def unused(self, count: int = 1) -> None:
        self.flying -= count

    def settle(self, now: float) -> None:
        """Takes back the tokens whose calls have left every window of the server."""
        gone = now - self.window_s
        back, doubt = self._back, self._doubt
        while back and back[0].last <= gone:
            self._coming -= back.popleft().count
        while doubt and doubt[0][0] <= gone:
            self._doubts -= heapq.heappop(doubt)[1]

    def certain(self, asked: float, now: float) -> int:
        """How many calls are in a count for sure that the server made between `asked` and `now`.

        Equal times do not count: a coarse clock does not know which of the two came first.
        """
        since = now - self.window_s
        return sum(group.count for group in self._back if group.last < asked and group.taken > since)

    def fold(self, asked: float) -> None:
        """Drops doubts that a count made after `asked` has in it, if they ever come to count at all."""
        while self._doubt and self._doubt[0][0] < asked:
            self._doubts -= heapq.heappop(self._doubt)[1]

    def back_at(self, tokens: int) -> float:
        """When that many of the tokens out now will have come back; inf where an answer is needed first."""
        if tokens <= 0:
            return -math.inf
        groups = ((group.last, group.count) for group in self._back)
        for at, count in heapq.merge(groups, sorted(self._doubt)):
            tokens -= count
            if tokens <= 0:
                return at + self.window_s
        return math.inf

    # on paper

    def facts(self) -> dict[str, Any]:
        """All that `recall` needs to make the same purse, in plain values."""
        back = [(group.first, group.last, group.taken, group.count) for group in self._back]
        return {"flying": self.flying, "back": back, "doubt": self._doubt}

    def recall(self, facts: Mapping[str, Any]) -> None:
        self.flying = facts["flying"]
        for first, last, taken, count in facts["back"]:
            self._back.append(Answers(first=first, last=last, taken=taken, count=count))
            self._coming += count
        for lands_by, count in facts["doubt"]:
            self.assume(lands_by, count)
