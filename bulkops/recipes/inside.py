"""What is in projects: their open tasks with the hours of these, what ends after them. Only reads, in bulk:
the work of 500 projects a query, never a read a project.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from bulkops.errors import NoRouteError, RefusedError, RejectedError
from bulkops.recipes.base import Known
from bulkops.recipes.work import KINDS, hours_said, number
from bulkops.record import Tally
from bulkops.references import candidates
from bulkops.schema import Entity
from bulkops.targets.autotask.query import MAX_CONDITIONS
from bulkops.targets.autotask.rules import READS
from bulkops.targets.autotask.rules.case import record_day
from bulkops.targets.autotask.rules.places import COMPLETE, open_tasks
from bulkops.targets.autotask.rules.related import KEPT
from bulkops.targets.base import Filter, RecordData, Target

_REMEMBERED = 20_000  # records: of more, the plan's rules read again what they want to know
_SHOWN = 3  # of what ends late
_UNREADABLE = (RefusedError, RejectedError, NoRouteError)
_TASKS = next(kind for kind in KINDS if kind.entity == "Tasks")
_ENDS: Mapping[str, str] = {"Tasks": "endDateTime", "Phases": "dueDate"}
_KEPT: Mapping[str, Sequence[str]] = {"Tasks": KEPT, "Phases": ("id", *READS["Phases", "projectID"])}


@dataclass(slots=True)
class Inside:
    """Of one project. `late` is what ends after it: the day and the record in words."""

    ends: date | None
    tasks: int = 0  # open ones
    hours: float = 0.0  # of those: what remains, else what was estimated
    open: list[RecordData] = field(default_factory=list)  # the same
    late: list[tuple[date, str]] = field(default_factory=list)

    @property
    def amount(self) -> str:
        """`1 open task (12.5 hours)`."""
        return f"{self.tasks:,} open task{'' if self.tasks == 1 else 's'} ({self.hours:,.10g} hours)"

    @property
    def tally(self) -> Tally:
        """What there is to complete."""
        return open_tasks(self.open)

    @property
    def late_text(self) -> str:
        """The latest ones and how many there are besides."""
        late = sorted(self.late, reverse=True)
        more = f" and {len(late) - _SHOWN:,} more" if len(late) > _SHOWN else ""
        return ", ".join(f"{text} on {day}" for day, text in late[:_SHOWN]) + more


class Insides:
    """Looks into projects, batch by batch. `known` is what it has read, as far as it is little."""

    def __init__(self, target: Target, shapes: Mapping[str, Entity]) -> None:
        """`shapes` describe Tasks and Phases, of which those are read that are there."""
        self.known: list[Known] = []
        self._target = target
        self._shapes = [shapes[name] for name in _ENDS if name in shapes]
        self._room = _REMEMBERED  # records

    async def of(self, projects: Collection[RecordData]) -> dict[int, Inside]:
        """By project. Raises what the target's reads raise."""
        found = {
            int(one["id"] or 0): Inside(ends=record_day("Projects", one, "endDateTime")) for one in projects
        }
        ids = sorted(found)
        self._remember("Projects", "id", ids, list(projects))
        for shape in self._shapes:
            for at in range(0, len(ids), MAX_CONDITIONS):
                await self._look(shape, ids[at : at + MAX_CONDITIONS], found)
        return found

    async def _look(self, shape: Entity, ids: Sequence[int], found: Mapping[int, Inside]) -> None:
        where: Filter = {"op": "in", "field": "projectID", "value": list(ids)}
        fields, kept = READS[shape.name, "projectID"] or None, _KEPT[shape.name]
        records = []
        try:
            async for record in self._target.read(shape.name, where, fields=fields):
                records.append({name: record.get(name) for name in kept})
        except _UNREADABLE:
            if shape.name == "Tasks":  # how many the API completes would not be known
                raise
            return  # the plan's own rules tell that nobody could look
        for record in records:
            inside = found.get(number(record.get("projectID")) or -1)
            if inside is not None:
                _add(inside, record, shape)
        self._remember(shape.name, "projectID", ids, records)

    def _remember(self, entity: str, field: str, ids: Sequence[int], records: Sequence[RecordData]) -> None:
        self._room -= len(records)
        if self._room >= 0:
            self.known.append(Known(entity=entity, field=field, ids=tuple(ids), records=tuple(records)))


def _add(inside: Inside, record: RecordData, shape: Entity) -> None:
    if shape.name == "Tasks" and record.get("status") != COMPLETE:
        inside.tasks += 1
        inside.open.append(record)
        inside.hours = round(inside.hours + (next(hours_said(_TASKS, record), 0.0)), 2)
    day = record_day(shape.name, record, _ENDS[shape.name])
    if day is not None and inside.ends is not None and day > inside.ends:
        inside.late.append((day, f"{shape.name} {candidates(shape, [record])}"))
