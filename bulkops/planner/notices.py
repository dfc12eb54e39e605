"""What the changes of a step have in common and a user should know before they are applied. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bulkops.change import Action, Change
from bulkops.references import candidates
from bulkops.schema import Entity
from bulkops.targets.autotask.rules import Finding, Kind
from bulkops.targets.base import RecordData
from bulkops.wording import counted

SHOWN = 3  # rows that are named of those that share a sentence


@dataclass(slots=True)
class _Said:
    """A sentence that rows share: how many they are, what adds up over them, and what it means for some."""

    rows: int = 0
    amounts: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    details: list[str] = field(default_factory=list)

    def add(self, place: str, finding: Finding) -> None:
        self.rows += 1
        for name, value in finding.amounts.items():
            self.amounts[name] += value
        if finding.detail and len(self.details) < SHOWN:
            self.details.append(f"{place}: {finding.detail}")

    def text(self, action: Action, kind: Kind, text: str) -> str:
        may_fall = " may be refused" if kind is Kind.DOUBT else ""
        told = [f"{counted(self.rows, action.value)}{may_fall}: {text}"]
        if amounts := ", ".join(_amount(value, name) for name, value in self.amounts.items()):
            told.append(f" ({amounts} in all)")
        if self.details:
            more = "; and others" if self.rows > len(self.details) else ""
            told.append(f". {'; '.join(self.details)}{more}")
        return "".join(told)


class Notices:
    """Looks at the changes of one step as they pass."""

    def __init__(self, step: str, entity: Entity) -> None:
        self._step = step
        self._entity = entity
        self._rich = [field.name for field in entity.fields.values() if field.is_rich_text]
        self._flattened: Counter[str] = Counter()
        self._stays: Counter[str] = Counter()  # what undo cannot make good
        self._said: dict[tuple[Action, Kind, str], _Said] = {}

    def add(self, change: Change) -> None:
        if change.action is not Action.UPDATE:
            return
        for name in self._rich:
            if name in change.fields and change.fields[name].before is not None:
                self._flattened[name] += 1

    def say(self, change: Change, findings: Iterable[Finding], record: RecordData | None = None) -> None:
        """What is known of one change, which goes all the same. `record`: what it changes, for its name."""
        for finding in findings:
            self._stays.update([finding.stays] if finding.stays else [])
            key = (change.action, finding.kind, finding.text)
            self._said.setdefault(key, _Said()).add(self._place(change, record), finding)

    def _place(self, change: Change, record: RecordData | None) -> str:
        if change.id is None:
            return change.place or f"row {change.n}"
        return f"{change.entity} {candidates(self._entity, [record]) if record else change.id}"

    def altered(self) -> list[str]:
        """What undo would bring back otherwise than it was: one phrase a kind, with its count."""
        flat = {f"whose {name} comes back as plain text": n for name, n in self._flattened.items()}
        return [f"{n:,} {self._entity.name} {text}" for text, n in {**flat, **self._stays}.items()]

    def told(self) -> list[str]:
        """One sentence for all that shares it."""
        return [f"{self._step}: {text}" for text in (*self._flattening(), *self._saying())]

    def _flattening(self) -> Iterator[str]:
        """A write replaces rich text by plain text (_EntitiesOverview.htm)."""
        for name, count in self._flattened.items():
            yield (
                f"{counted(count, 'update')} of {name}: the API writes plain text, "
                "so formatting and pictures in what stands there now are lost"
            )

    def _saying(self) -> Iterator[str]:
        for (action, kind, text), said in self._said.items():
            yield said.text(action, kind, text)


def _amount(value: float, name: str) -> str:
    """`1 open task`, `96.5 remaining hours`."""
    return f"{value:,.10g} {name}{'' if value == 1 else 's'}"
