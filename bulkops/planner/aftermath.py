"""What earlier steps of a plan will have made of records that exist: a later step is planned from that.

Only for entities that more than one step writes or looks at; for all others nothing is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from bulkops.change import Action, Change
from bulkops.plan.encoding import decode, dump, encode, load
from bulkops.scratch import open_scratch
from bulkops.targets.base import RecordData


class Aftermath:
    """Fields of records as earlier steps leave them. Memory stays flat."""

    def __init__(self, entities: Iterable[str], *, also: Collection[str] = ()) -> None:
        """`entities`: of each step, in any order; `also`: those at whose records later steps look."""
        counted = Counter(entities)
        self._shared = {entity for entity, steps in counted.items() if steps > 1}
        if counted.total() > 1:
            self._shared |= counted.keys() & set(also)
        self._file = open_scratch(
            "CREATE TABLE left (entity TEXT, id INTEGER, n INTEGER, is_gone INTEGER, fields TEXT,"
            " PRIMARY KEY (entity, id)) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, change: Change) -> None:
        """An update or a delete of a record that exists."""
        if change.entity not in self._shared or change.action not in (Action.UPDATE, Action.DELETE):
            return
        fields = {**self._fields(change.entity, change.id), **change.after()}
        text = dump({name: encode(value) for name, value in fields.items()})
        is_gone = change.action is Action.DELETE
        self._file.execute(
            "INSERT OR REPLACE INTO left VALUES (?, ?, ?, ?, ?)",
            (change.entity, change.id, change.n, is_gone, text),
        )

    def _fields(self, entity: str, id: int | None) -> dict[str, Any]:
        asked = "SELECT fields FROM left WHERE entity = ? AND id = ?"
        found = self._file.execute(asked, (entity, id)).fetchone()
        return {name: decode(value) for name, value in load(found[0]).items()} if found else {}

    def seen(self, entity: str, records: Sequence[RecordData]) -> Sequence[RecordData]:
        """The records as a later step will meet them."""
        if entity not in self._shared:
            return records
        return [{**record, **self._known(entity, record)} for record in records]

    def _known(self, entity: str, record: RecordData) -> dict[str, Any]:
        """Of the fields that were read."""
        left = self._fields(entity, int(record["id"] or 0))
        return {name: value for name, value in left.items() if name in record}

    def gone_by(self, entity: str, id: int | None) -> int | None:
        """The row of an earlier step that deletes the record."""
        if entity not in self._shared or id is None:
            return None
        asked = "SELECT n FROM left WHERE entity = ? AND id = ? AND is_gone"
        found = self._file.execute(asked, (entity, id)).fetchone()
        return int(found[0]) if found else None
