"""What earlier steps of a plan will have made of records that exist: a later step is planned from that.

Only for entities that more than one step writes or looks at; for all others nothing is remembered. Of what
an earlier step creates, only what rules about who is put on it later look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from bulkops.change import UNKNOWN, Action, Change, Unknown
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

    def __init__(self, entities: Iterable[str], *, also: Collection[str] = (), is_back: bool = False) -> None:
        """`entities`: of each step, in any order; `also`: those at whose records later steps look; `is_back`:
        for a way back, which has further steps for what the API changes along with it.
        """
        self._is_back = is_back
        counted = Counter(entities)
        self._shared = {entity for entity, steps in counted.items() if steps > 1}
        if counted.total() > 1:
            self._shared |= counted.keys() & set(also)
        self._moved: set[str] = set()  # entities of which rows make the API change records
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
        """An update or a delete of a record that exists, with what the API changes along with it; or a create
        of what others are put on.
        """
        if change.action is Action.CREATE and change.entity in self._made:
            after = change.after()
            told = {name: after[name] for name in _OF_NEW if name in after}
            self._put(change.entity + _NEW, change.n, change.n, told)
        if change.action in (Action.UPDATE, Action.DELETE) and change.id is not None:
            is_gone = change.action is Action.DELETE
            emptied = dict.fromkeys(change.loses, 0)
            self._leave(change.entity, change.id, change.n, {**emptied, **change.after()}, is_gone=is_gone)
        if (tally := change.along) is not None:
            becomes = {**dict.fromkeys(tally.keeps, 0), tally.field: tally.unless}
            self._shared |= {tally.entity} if self._is_back else set()
            for id in tally.records:
                self._leave(tally.entity, id, change.n, becomes)

    def _leave(
        self, entity: str, id: int, n: int, fields: Mapping[str, Value | Unknown], *, is_gone: bool = False
    ) -> None:
        if entity in self._shared:
            self._put(entity, id, n, fields, is_gone=is_gone)

    def moved(self, n: int, entity: str, id: int, names: Collection[str]) -> None:
        """Row `n` makes the API change these fields of a record as well, nobody knows to what."""
        self._moved.add(entity)
        is_gone = self.gone_by(entity, id) is not None
        self._put(entity, id, n, dict.fromkeys(names, UNKNOWN), is_gone=is_gone)

    def _put(
        self, entity: str, id: int, n: int, fields: Mapping[str, Value | Unknown], *, is_gone: bool = False
    ) -> None:
        left = {**self._left(entity, id), **{name: [encode(value), n] for name, value in fields.items()}}
        self._file.execute(
            "INSERT OR REPLACE INTO left VALUES (?, ?, ?, ?, ?)", (entity, id, n, is_gone, dump(left))
        )

    def _left(self, entity: str, id: int | None) -> dict[str, Any]:
        """By field, its value as JSON and the row that leaves it so."""
        asked = "SELECT fields FROM left WHERE entity = ? AND id = ?"
        found = self._file.execute(asked, (entity, id)).fetchone()
        return dict(load(found[0])) if found else {}

    def _fields(self, entity: str, id: int | None) -> dict[str, Any]:
        left = {name: decode(value) for name, (value, _) in self._left(entity, id).items()}
        return {name: value for name, value in left.items() if value != UNKNOWN}

    def chained(self, change: Change) -> Change:
        """An update that builds on what earlier rows leave: it waits for them, and falls with them. What they
        make the API change is none of its own before.
        """
        if change.action is not Action.UPDATE or change.entity not in (self._shared | self._moved):
            return change
        left = self._left(change.entity, change.id)
        mine = {name: left[name] for name in change.fields if name in left and left[name][1] != change.n}
        if not mine:
            return change
        unknown = {name for name, (value, _) in mine.items() if decode(value) == UNKNOWN}
        fields = {
            name: replace(diff, before=UNKNOWN) if name in unknown else diff
            for name, diff in change.fields.items()
        }
        waits_for = {*change.waits_for, *(n for _, n in mine.values() if n < change.n)}
        return replace(change, fields=fields, waits_for=tuple(sorted(waits_for)))

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
