"""What a rule of the API says about one change. Pure.

Only a fact that the vendor states, or that live tenants answer with, and that has no other reading, rejects
a row. Of everything else the user is told, the row goes, and the API decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from bulkops.record import Tally

Moved: TypeAlias = tuple[str, int, tuple[str, ...]]
"""Entity, id and fields of a record."""


class Kind(StrEnum):
    REJECT = "reject"  # the API refuses it
    DOUBT = "doubt"  # the API may refuse it: reports and inferences are not enough to take the row away
    EFFECT = "effect"  # the API does more than the row says, or less


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`text` of a rejection is about its row; otherwise it is what many rows share, and told once.

    That of a doubt says why the API may refuse. `detail` is what it means for this row, `amounts` are what
    adds up over rows: `{"open task": 4}`. `clears` are fields that have to be empty before the rest
    of the row can be written; `tally` are the records that the API changes with the row's own, `loses`
    fields that it empties in that one; `stays`, what undo cannot make good, goes on after their number and
    entity: `3 Tasks whose …`; `moves` are records and fields that the API changes to what nobody knows.
    """

    kind: Kind
    text: str
    about: str = ""  # the field of the row
    detail: str = ""
    amounts: Mapping[str, float] = field(default_factory=dict)
    clears: tuple[str, ...] = ()
    tally: Tally | None = None
    loses: tuple[str, ...] = ()
    stays: str = ""
    moves: tuple[Moved, ...] = ()


def reject(text: str, *, about: str = "") -> Finding:
    return Finding(kind=Kind.REJECT, text=text, about=about)


def doubt(text: str, *, about: str = "", detail: str = "", stays: str = "") -> Finding:
    return Finding(kind=Kind.DOUBT, text=text, about=about, detail=detail, stays=stays)


def effect(
    text: str,
    *,
    detail: str = "",
    amounts: Mapping[str, float] | None = None,
    clears: tuple[str, ...] = (),
    tally: Tally | None = None,
    about: str = "",
    loses: tuple[str, ...] = (),
    stays: str = "",
    moves: tuple[Moved, ...] = (),
) -> Finding:
    return Finding(
        kind=Kind.EFFECT,
        text=text,
        detail=detail,
        amounts=amounts or {},
        clears=clears,
        tally=tally,
        about=about,
        loses=loses,
        stays=stays,
        moves=moves,
    )
