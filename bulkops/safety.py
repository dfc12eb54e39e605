"""Blast-radius limits: how much one plan may change before somebody must say its number. Pure: no I/O.

A kind is `create`, `update`, `delete`, or `field=label` (changes that set the field to that label's value).
The planner measures and warns; the applier refuses before its first write. A limit is released by naming
the plan's exact number, so that a number typed for another plan releases nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias

from bulkops.change import Action, Canonical, Change, by_label, canonical, folded
from bulkops.schema import Entity, Field
from bulkops.wording import did_you_mean, listed, shown

KINDS = ("create", "update", "delete")  # and field=label
_OF_WHAT_IS_THERE = ("update", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a plan may change of one kind. None: no limit of that sort."""

    percent: float | None = None  # of the entity's records
    count: int | None = None  # rows of the whole plan
    minimum: int = 10  # records an entity must have for `percent` to mean anything


DEFAULTS: Mapping[str, Limit] = {
    "update": Limit(percent=25, count=500),
    "delete": Limit(percent=25, count=500),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a plan would change, and of how much."""

    counts: Mapping[str, Mapping[str, int]]  # kind → entity → changes
    totals: Mapping[str, int]  # entity → records it has now
    limits: Mapping[str, Limit]

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the plan's header."""
        return {
            "counts": {kind: dict(counts) for kind, counts in self.counts.items()},
            "totals": dict(self.totals),
            "limits": {kind: asdict(limit) for kind, limit in self.limits.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measured:
        limits = {kind: Limit(**limit) for kind, limit in data.get("limits", {}).items()}
        return cls(counts=data.get("counts", {}), totals=data.get("totals", {}), limits=limits)


class HasLimits(Protocol):
    """A plan's header, as far as limits go."""

    @property
    def limits(self) -> Mapping[str, Any]: ...


def check_limits(header: HasLimits, allow: Mapping[str, int] | None = None) -> list[str]:
    """One sentence for each limit that the plan is over and that `allow` (kind → number) does not release."""
    return refusals(Measured.from_json(header.limits), allow or {})


def refusals(measured: Measured, allow: Mapping[str, int]) -> list[str]:
    """One sentence a kind: measured, allowed, and how to release it. Empty: nothing stands in the way."""
    allowed = {folded(kind.strip()): number for kind, number in allow.items()}
    sentences = []
    for kind, limit in measured.limits.items():
        counts = measured.counts.get(kind, {})
        over = list(_over(kind, limit, counts, measured.totals))
        number = sum(counts.values())
        given = allowed.get(folded(kind.strip()))
        if not over or given == number:
            continue
        sentence = (
            f"{kind}: {' and '.join(over)}. If that is meant, release exactly these: --allow {kind}={number}"
        )
        sentences.append(sentence if given is None else f"{sentence} (not {given})")
    return sentences


Labels: TypeAlias = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Entity → field → value → label, as a plan keeps them of the fields that it sets."""


def kind_fault(
    kind: str, *, limits: Iterable[str] = (), entities: Iterable[Entity] = (), labels: Labels | None = None
) -> str:
    """What is wrong with a kind that somebody names; nothing where there is such a kind.

    `limits` are those of the plan, `entities` its entities, `labels` what the tenant has chosen from.
    """
    known = {folded(name.strip()) for name in (*KINDS, *limits)}
    if folded(kind.strip()) in known or any(
        _has_label(kind, entity, (labels or {}).get(entity.name, {})) for entity in entities
    ):
        return ""
    names = [*KINDS, *(name for name in limits if name not in KINDS)]
    near = did_you_mean(kind, names)
    there_are = f"There are {listed(names, 'and')}, and field=label such as status=Complete"
    return f"there is no kind {shown(kind)}. {f'{near} ' if near else ''}{there_are}"


def _has_label(kind: str, entity: Entity, labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the entity has that field and label, as far as anybody knows without asking the tenant."""
    name, _, label = (part.strip() for part in kind.partition("="))
    field = entity.find(name)
    if field is None or not label:
        return bool(label) and name.casefold().startswith("udf:") and entity.has_udfs
    if chosen := labels.get(field.name):
        return folded(label) in {folded(text) for item in chosen.items() for text in item}
    return not field.picklist or label_kind(kind, entity) is not None


def _over(kind: str, limit: Limit, counts: Mapping[str, int], totals: Mapping[str, int]) -> Iterable[str]:
    number = sum(counts.values())
    if limit.count is not None and number > limit.count:
        yield f"{_rows(number)}, the limit is {limit.count:,}"
    if limit.percent is None:
        return
    for entity, rows in counts.items():
        total = totals.get(entity)
        # Two rows may be about one record.
        count = rows if total is None or kind not in _OF_WHAT_IS_THERE else min(rows, total)
        if total is not None and total >= limit.minimum and count * 100 > limit.percent * total:
            share = f"{count * 100 / total:.1f} %" if total else "all"
            yield f"{count:,} of the {total:,} {entity} ({share}), the limit is {limit.percent:g} %"


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelKind:
    """A `field=label` kind as one entity understands it."""

    kind: str
    field: Field
    values: frozenset[Canonical]  # several where a label stands under several parent values

    def is_set_by(self, change: Change) -> bool:
        """Whether the change gives the field that value."""
        diff = change.fields.get(self.field.name)
        return diff is not None and canonical(self.field, diff.after) in self.values


def label_kind(kind: str, entity: Entity) -> LabelKind | None:
    """`status=Complete` as `entity` understands it; None where it has no such field or no such label."""
    name, _, label = (part.strip() for part in kind.partition("="))
    field = entity.find(name)
    if field is None or not label:
        return None
    named = by_label(field, label) if field.picklist else {label}
    values = frozenset(canonical(field, value) for value in named)
    return LabelKind(kind=kind, field=field, values=values) if values else None


class Tally:
    """Counts a plan's changes by kind and entity while they pass."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, change: Change, labels: Iterable[LabelKind] = ()) -> None:
        """Counts a change that would write; others count nowhere."""
        if not change.action.is_write:
            return
        self._count(change.action.value, change.entity)
        if change.action is not Action.DELETE:
            for label in labels:
                if label.is_set_by(change):
                    self._count(label.kind, change.entity)

    def _count(self, kind: str, entity: str) -> None:
        self._counts.setdefault(kind, Counter())[entity] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        return {kind: dict(counter) for kind, counter in self._counts.items()}
