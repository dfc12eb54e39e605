"""What people call the rows, the records and the values of a plan, as far as the plan itself knows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

from bulkops.applier.drift import WHO, Labels, shown
from bulkops.change import Change
from bulkops.naming import RESOURCES, RowNames
from bulkops.plan import Plan
from bulkops.plan.seal import CHUNK
from bulkops.record import Row
from bulkops.targets.base import RecordData


class KnownNames:
    """Of one plan. A field that refers to an entity has the names that any field of the plan has for that."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rows = RowNames(plan.header.steps)
        self._own: Mapping[str, Labels] = plan.header.extra.get("labels", {})
        self._by_reference: dict[str, dict[str, str]] = defaultdict(dict)
        for entity, fields in self._own.items():
            for name, labels in fields.items():
                if refers := self._refers(entity).get(name):
                    self._by_reference[refers].update(labels)
        self._chunk = lru_cache(maxsize=2)(self._rows_of)
        self.labels = lru_cache(maxsize=None)(self._labels_of)  # of an entity: field → value → label

    @property
    def people(self) -> Mapping[str, str]:
        """Names of resources by id."""
        return self._by_reference.get(RESOURCES, {})

    def unnamed(self, entity: str, record: RecordData) -> Iterator[int]:
        """The people in a record, as far as there is no name for them."""
        refers = {name for name, refers in self._refers(entity).items() if refers == RESOURCES}
        for name in {*refers, *WHO}:
            id = record.get(name)
            if isinstance(id, int) and str(id) not in self.people:
                yield id

    def learn(self, people: Mapping[str, str]) -> bool:
        """Names of resources by id, beside those of the plan. Whether there are any."""
        self._by_reference[RESOURCES].update(people)
        self.labels.cache_clear()
        return bool(people)

    def _labels_of(self, entity: str) -> Labels:
        referring = {
            name: self._by_reference[refers]
            for name, refers in self._refers(entity).items()
            if refers in self._by_reference
        }
        return {**self._own.get(entity, {}), **referring}

    def _refers(self, entity: str) -> dict[str, str]:
        facts = self._plan.header.entities.get(entity, {}).get("fields", {})
        return {name: field["reference"] for name, field in facts.items() if field.get("reference")}

    def record(self, change: Change, entity: str, id: int) -> str:
        """The record that the row of a change is about: `Projects 12 "Bakery"`."""
        return _with_name(f"{entity} {id}", self._rows.beside(change.step, self._row(change)))

    def row(self, change: Change) -> str:
        """`row 3 (tasks.csv:4), update Tasks 12 "Paint"`; by its key where that is how it is known."""
        place = f" ({change.place})" if change.line is not None else ""
        record = change.entity if change.id is None else f"{change.entity} {change.id}"
        key = [f"{name}={shown(value, {})}" for name, value in change.key.items() if name != "id"]
        name = self._rows.of(change, self._row(change))
        return _with_name(f"row {change.n}{place}, {' '.join([change.action, record, *key])}", name)

    def _row(self, change: Change) -> Row:
        return self._chunk((change.n - 1) // CHUNK)[(change.n - 1) % CHUNK]

    def _rows_of(self, chunk: int) -> list[Row]:
        """A chunk at a time: many rows of a batch may be held together."""
        rows = self._plan.rows(after=chunk * CHUNK)
        return list(islice(rows, CHUNK))


def _with_name(text: str, name: str) -> str:
    return f'{text} "{name}"' if name else text
