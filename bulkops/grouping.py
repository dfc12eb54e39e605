"""Many sentences as few: those that differ only in their numbers and in what they quote are told together.

Memory is bounded by the kinds of sentences, not by how many there are. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ONE_BY_ONE = 30  # sentences that are told one by one; more are told in groups
PLACES = 3  # of a group
GROUPS = 30  # that are told
MOST_GROUPS = 1000  # that are told apart
LONGEST = 40  # characters of a quoted text beside a place

# A column's name stays what it is, whatever digits it holds.
_PARTS = re.compile(
    r"(?P<kept>column [^:'\"]+)"
    r"|(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>\d(?:[\d.,]*\d)?)"
)
_GAP = "…"


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
