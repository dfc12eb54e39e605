"""By what people know the record that a row is about, where the row itself tells it. Pure.

Rows that a query or a recipe made, and those of an export, are known by their id, which tells nobody
anything: beside it they hold the record's name.
"""

from __future__ import annotations

from collections.abc import Iterable

from bulkops.change import Change
from bulkops.plan import StepInfo
from bulkops.record import Row
from bulkops.references import NAMES
from bulkops.targets.base import RecordData

RESOURCES = "Resources"
PEOPLE = ("firstName", "lastName")


class RowNames:
    """The names in the rows of these steps."""

    def __init__(self, steps: Iterable[StepInfo]) -> None:
        self._places = {step.name: _places(step.columns) for step in steps}

    def of(self, change: Change, row: Row) -> str:
        """Nothing where the row is known by something better than an id, or has no name."""
        is_known = bool(change.key.keys() - {"id"}) and change.file != change.entity
        is_record = change.id is not None or "id" in change.key or change.file == change.entity
        if is_known or not is_record:
            return ""
        return self.beside(change.step, row)

    def beside(self, step: str, row: Row) -> str:
        """The name that stands in the row, whatever else it is known by."""
        cells = (row.cells[place] for place in self._places.get(step, ()) if place < len(row.cells))
        return " ".join(filter(None, map(str.strip, cells)))


def _places(columns: tuple[str, ...]) -> tuple[int, ...]:
    known = [name for name in NAMES if name in columns]
    names = [name for name in known if name in PEOPLE] or known[:1]
    return tuple(columns.index(name) for name in names)


def full_name(person: RecordData) -> str:
    """First and last name, as far as they were read."""
    return " ".join(str(person[part]) for part in PEOPLE if person.get(part))


def name_of(record: RecordData) -> str:
    """What people call a record, as far as it was read."""
    return full_name(record) or next((str(record[name]) for name in NAMES if record.get(name)), "")
