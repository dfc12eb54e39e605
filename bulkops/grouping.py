"""Many sentences as few: those that differ only in their numbers and in what they quote are told together.

Memory is bounded by the kinds of sentences, not by how many there are. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import pairwise
from typing import TypeAlias

ONE_BY_ONE = 30  # sentences that are told one by one; more are told in groups
PLACES = 3  # of a group
GROUPS = 30  # that are told
MOST_GROUPS = 1000  # that are told apart
LONGEST = 40  # characters of a quoted text beside a place
NOTED = 10  # rows of a group whose own notes are told one by one

# A column's name stays what it is, whatever digits it holds.
_PARTS = re.compile(
    r"(?P<kept>column [^:'\"]+)"
    r"|(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>\d(?:[\d.,]*\d)?)"
)
_GAP = "…"
_AMOUNT = re.compile(r"\d[\d,]*(\.\d+)?")

Common: TypeAlias = list[list[str]]
"""Of each of several sentences, the texts around what may vary."""
Sized: TypeAlias = list[list[tuple[float, str]]]
"""Of each of them, what stands in between, each with its size, which is 0 for what is no number."""


def pattern(text: str) -> str:
    """What sentences of one kind have in common: `…` stands for each number and each quoted text."""
    return _PARTS.sub(lambda part: part["kept"] or _GAP, text)


@dataclass(slots=True)
class _Group:
    """Sentences of one pattern: the first one in pieces, which of them vary, and where some of them stand."""

    first: list[str]
    varies: set[int] = field(default_factory=set)
    count: int = 0
    places: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, place: str, pieces: list[str]) -> None:
        self.count += 1
        if len(pieces) == len(self.first):
            self.varies.update(n for n, piece in enumerate(pieces) if piece != self.first[n])
        if len(self.places) < PLACES:
            self.places.append((place, pieces))

    def lines(self) -> Iterator[str]:
        if self.count <= PLACES:
            yield from (_sentence(place, "".join(pieces)) for place, pieces in self.places)
            return
        told = "".join(_GAP if n in self.varies else piece for n, piece in enumerate(self.first))
        yield f"{self.count:,} times: {told}"
        shown = "; ".join(place + self._example(pieces) for place, pieces in self.places)
        yield f"    {shown}; and {self.count - len(self.places):,} more"

    def _example(self, pieces: list[str]) -> str:
        """The first text that is another one in each sentence."""
        for n in sorted(self.varies):
            if pieces[n][:1] in ("'", '"'):
                text = pieces[n]
                return f" {text if len(text) <= LONGEST else text[: LONGEST - 4] + '...' + text[-1]}"
        return ""


class Grouped:
    """Sentences, each with its place. `total` of them were added."""

    def __init__(self) -> None:
        self.total = 0
        self._first: list[tuple[str, str]] = []
        self._groups: dict[str, _Group] = {}
        self._beyond = 0  # sentences of kinds that are not told apart any more

    def add(self, place: str, text: str) -> None:
        self.total += 1
        if len(self._first) < ONE_BY_ONE:
            self._first.append((place, text))
        key = pattern(text)
        group = self._groups.get(key)
        if group is None and len(self._groups) == MOST_GROUPS:
            self._beyond += 1
            return
        pieces = _pieces(text)
        if group is None:
            group = self._groups[key] = _Group(pieces)
        group.add(place, pieces)

    @property
    def is_shortened(self) -> bool:
        """Whether `lines` leaves out some of what was added."""
        return self.total > len(self._first)

    def lines(self) -> Iterator[str]:
        """Few one by one, in their order; many in groups, the largest first."""
        if not self.is_shortened:
            yield from (_sentence(place, text) for place, text in self._first)
            return
        groups = sorted(self._groups.values(), key=lambda group: -group.count)
        for group in groups[:GROUPS]:
            yield from group.lines()
        rest = sum(group.count for group in groups[GROUPS:]) + self._beyond
        if rest:
            yield f"… and {rest:,} others, of {len(groups) - GROUPS:,} more kinds"


def _sentence(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text


def _pieces(text: str) -> list[str]:
    """The text cut at what may vary: even pieces are common to its pattern."""
    pieces, at = [], 0
    for part in _PARTS.finditer(text):
        if part["kept"] is None:
            pieces += [text[at : part.start()], part[0]]
            at = part.end()
    return [*pieces, text[at:]]


def cut(texts: Iterable[str]) -> tuple[Common, Sized]:
    """What such sentences have in common, and what these have of their own in between."""
    pieces = [_pieces(text) for text in texts]
    return [one[::2] for one in pieces], [[_sized(piece) for piece in one[1::2]] for one in pieces]


def _sized(piece: str) -> tuple[float, str]:
    return float(piece.replace(",", "")) if _AMOUNT.fullmatch(piece) else 0.0, piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Notes that are other ones for each row of a group.

    `which`: the places among its notes of those that are; `rows`: of whom they are told one by one: of all
    in their order, or of those with the largest amounts; `others`: what those of the others are like.
    """

    which: tuple[int, ...]
    rows: tuple[int, ...]
    others: str = ""


class Notes:
    """The notes of a group's rows, all of which have `common` in common: it remembers the rows with the
    largest amounts, and between what those of the others are.
    """

    def __init__(self, common: Common, first: Sized) -> None:
        self._common = common
        self._first = first
        self._which: set[int] = set()
        self._largest: list[tuple[list[float], int, Sized]] = []
        self._low: Sized = []
        self._high: Sized = []
        self._counting = [
            (at, place)
            for at, texts in enumerate(common)
            for place, around in enumerate(pairwise(texts))
            if _is_counting(*around)
        ]

    def take(self, n: int, own: Sized) -> None:
        self._compare(own)
        self._remember(([own[at][place][0] for at, place in self._counting], -n, own))

    def absorb(self, other: Notes) -> None:
        self._compare(other._first)
        self._which |= other._which
        for one in other._largest:
            self._remember(one)
        if other._low:
            self._widen(other._low, other._high)

    def own(self) -> Own | None:
        """None where all rows have the same notes."""
        if not self._which:
            return None
        which = tuple(sorted(self._which))
        rows = [-one[1] for one in sorted(self._largest, reverse=True)]
        if not self._low:
            return Own(which=which, rows=tuple(sorted(rows)))
        return Own(which=which, rows=tuple(rows), others="; ".join(map(self._range, which)))

    def _compare(self, own: Sized) -> None:
        if own != self._first:
            self._which.update(at for at, pieces in enumerate(own) if pieces != self._first[at])

    def _remember(self, one: tuple[list[float], int, Sized]) -> None:
        if len(self._largest) < NOTED:
            heappush(self._largest, one)
            return
        *_, own = heappushpop(self._largest, one)
        self._widen(own, own)

    def _widen(self, low: Sized, high: Sized) -> None:
        self._low = _each(min, self._low or low, low)
        self._high = _each(max, self._high or high, high)

    def _range(self, at: int) -> str:
        """`completes between 1 and 9 open tasks`; `…` for what is no amount."""
        told, pairs = self._common[at][:1], pairwise(self._common[at])
        for (_, low), (_, high), around in zip(self._low[at], self._high[at], pairs, strict=True):
            is_amount = _is_counting(*around) and _AMOUNT.fullmatch(low)
            spread = f"between {low} and {high}" if is_amount else _GAP
            told += [low if low == high else spread, around[1]]
        return "".join(told)


def _each(choose: Callable[..., tuple[float, str]], some: Sized, others: Sized) -> Sized:
    return [list(map(choose, *both)) for both in zip(some, others, strict=True)]


def _is_counting(before: str, after: str) -> bool:
    """Whether a number in between is an amount, as in `4 open tasks`, and no id or part of a date."""
    return before[-1:] in ("", " ") and after[:1] == " " and after[1:2].isalpha()
