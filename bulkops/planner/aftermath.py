"""What earlier steps of a plan will have made of records that exist: a later step is planned from that.

Only for entities that more than one step writes or looks at; for all others nothing is remembered. Of what
an earlier step creates, only what rules about who is put on it later look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from bulkops.change import Action, Change
from bulkops.plan.encoding import decode, dump, encode, load
from bulkops.record import Value
from bulkops.scratch import open_scratch
from bulkops.targets.base import RecordData

HELPED = {"Tasks": "TaskSecondaryResources"}
"""What a plan may create and then put people on, under rules that look at both."""
_OF_NEW = ("title", "assignedResourceID", "billingCodeID", "departmentID")  # what is remembered of it
_NEW = " (new)"  # behind the entity of a record that has the number of its row for an id


class Aftermath:
    """Fields of records as earlier steps leave them. Memory stays flat."""

    def __init__(self, entities: Iterable[str], *, also: Collection[str] = ()) -> None:
        """`entities`: of each step, in any order; `also`: those at whose records later steps look."""
        counted = Counter(entities)
        self._shared = {entity for entity, steps in counted.items() if steps > 1}
        if counted.total() > 1:
            self._shared |= counted.keys() & set(also)
        self._made = {entity for entity, helpers in HELPED.items() if helpers in counted}
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
        """An update or a delete of a record that exists, or a create of what others are put on."""
        if change.action is Action.CREATE and change.entity in self._made:
            after = change.after()
            told = {name: after[name] for name in _OF_NEW if name in after}
            self._put(change, change.entity + _NEW, change.n, told)
        if change.entity not in self._shared or change.action not in (Action.UPDATE, Action.DELETE):
            return
        fields = {**self._fields(change.entity, change.id), **change.after()}
        self._put(change, change.entity, change.id, fields)

    def _put(self, change: Change, entity: str, id: int | None, fields: Mapping[str, Value]) -> None:
        text = dump({name: encode(value) for name, value in fields.items()})
        is_gone = change.action is Action.DELETE
        self._file.execute(
            "INSERT OR REPLACE INTO left VALUES (?, ?, ?, ?, ?)", (entity, id, change.n, is_gone, text)
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

    def made(self, entity: str, n: int) -> RecordData | None:
        """Some fields of what the row of this number creates."""
        return self._fields(entity + _NEW, n) or None if entity in self._made else None

    def gone_by(self, entity: str, id: int | None) -> int | None:
        """The row of an earlier step that deletes the record."""
        if entity not in self._shared or id is None:
            return None
        asked = "SELECT n FROM left WHERE entity = ? AND id = ? AND is_gone"
        found = self._file.execute(asked, (entity, id)).fetchone()
        return int(found[0]) if found else None
