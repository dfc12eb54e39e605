"""Who is given which piece of work: in turn, the least loaded, or as a map says. Pure, and always the same:
pieces come by rising id, and colleagues stand in the order of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bulkops.recipes.people import Colleague

AN_HOUR = 1.0  # what a piece without hours counts for where none has any


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of work. `hinders` says why somebody cannot have it, and nothing where they can.

    `value` is what a map looks at; `follows`: whoever already got the work that this one hangs on.
    """

    hours: float | None = None
    value: Hashable = None
    follows: int | None = None
    hinders: Callable[[Colleague], str] = lambda _: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """Why nobody gets a piece. `is_hindered`: whoever should have had it cannot."""

    reason: str
    is_hindered: bool = True


class Division(Protocol):
    """Of the pieces of one kind."""

    def give(self, piece: Piece) -> Colleague | Nobody:
        """Who gets the next piece."""
        ...


def _nobody(piece: Piece, colleagues: Sequence[Colleague]) -> Nobody:
    return Nobody(reason="; ".join(dict.fromkeys(piece.hinders(one) for one in colleagues)))


class InTurn:
    """One after the other. Who cannot have a piece is the next to be asked."""

    def __init__(self, colleagues: Sequence[Colleague]) -> None:
        self._line = list(colleagues)

    def give(self, piece: Piece) -> Colleague | Nobody:
        for n, one in enumerate(self._line):
            if not piece.hinders(one):
                self._line.append(self._line.pop(n))
                return one
        return _nobody(piece, self._line)


@dataclass(slots=True, kw_only=True)
class Load:
    """What somebody has to do."""

    count: int = 0
    hours: float = 0.0


@dataclass(slots=True)
class LeastLoaded:
    """To whom has the least to do, of hours or, where a kind has none, of pieces.

    `loads` is what each has by now, and goes on from kind to kind. `usual` is what a piece counts for of
    which nobody said how long it takes: without that, all such pieces would go to one person.
    """

    colleagues: Sequence[Colleague]
    loads: dict[int, Load]
    usual: float = AN_HOUR
    counts_hours: bool = True
    _given: dict[int, int] = field(default_factory=dict)

    def give(self, piece: Piece) -> Colleague | Nobody:
        able = [one for one in self.colleagues if not piece.hinders(one)]
        if not able:
            return _nobody(piece, self.colleagues)
        taker = min(able, key=self._burden)  # the first of those who have as little
        load = self.loads[taker.id]
        load.count += 1
        load.hours += piece.hours if piece.hours else self.usual
        return taker

    def _burden(self, one: Colleague) -> tuple[float, int]:
        load = self.loads[one.id]
        return (round(load.hours, 6), load.count) if self.counts_hours else (load.count, load.count)


@dataclass(frozen=True, slots=True)
class ByMap:
    """As the job says for each value of a field; `default` is for all others. `names` are those values'."""

    by: str
    colleagues: Mapping[Hashable, Colleague]
    default: Colleague | None = None
    names: Mapping[Hashable, str] = field(default_factory=dict)

    def give(self, piece: Piece) -> Colleague | Nobody:
        taker = self.colleagues.get(piece.value, self.default)
        if taker is None:
            name = self.names.get(piece.value)
            value = "empty" if piece.value is None else f"{piece.value} ({name})" if name else piece.value
            told = f"{self.by} is {value}, which `map` does not name, and there is no `default`"
            return Nobody(reason=told, is_hindered=False)
        return _nobody(piece, [taker]) if piece.hinders(taker) else taker


class Following:
    """Where a piece hangs on work that is handed over as well, it goes with that; else as `other` says."""

    def __init__(self, colleagues: Sequence[Colleague], other: Division) -> None:
        self._colleagues = {one.id: one for one in colleagues}
        self._other = other

    def give(self, piece: Piece) -> Colleague | Nobody:
        leader = self._colleagues.get(piece.follows) if piece.follows is not None else None
        if leader is not None and not piece.hinders(leader):
            return leader
        return self._other.give(piece)
