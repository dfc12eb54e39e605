"""What earlier steps of a plan will have made of records that exist: a later step is planned from that.

Only for entities that more than one step writes or looks at; for all others nothing is remembered. Of what
an earlier step creates, only what rules about who is put on it later look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

from bulkops.change import UNKNOWN, Action, Change, Unknown, equal
from bulkops.plan.encoding import decode, dump, encode, load
from bulkops.record import Scalar, Value
from bulkops.schema import Entity
from bulkops.scratch import open_scratch
from bulkops.targets.base import RecordData

HELPED = {"Tasks": "TaskSecondaryResources"}
"""What a plan may create and then put people on, under rules that look at both."""
_OF_NEW = ("title", "assignedResourceID", "billingCodeID", "departmentID")  # what is remembered of it
A_BATCH = 5_000  # records, of which it is remembered what they hold until their rows are planned
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
        self._expected: dict[int, list[tuple[str, int, Collection[str]]]] = {}
        self._held: dict[tuple[str, int], RecordData] = {}  # what moved records hold, until they are planned
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
            self._leave(change.entity, change.id, change.n, change.after(), is_gone=is_gone)
        if (tally := change.along) is not None:
            becomes = {**dict.fromkeys(tally.keeps, 0), tally.field: tally.unless}
            self._shared |= {tally.entity} if self._is_back else set()
            for id in tally.records:
                self._leave(tally.entity, id, change.n, becomes)
        self._move(change.n, is_write=change.action.is_write)

    def _leave(
        self, entity: str, id: int, n: int, fields: Mapping[str, Value | Unknown], *, is_gone: bool = False
    ) -> None:
        if entity in self._shared:
            self._put(entity, id, n, fields, is_gone=is_gone)

    def expect(self, n: int, moves: Iterable[tuple[str, int, Collection[str]]]) -> None:
        """Row `n`, if it goes, makes the API change these fields of records as well, nobody knows to what."""
        if found := list(moves):
            self._expected[n] = found

    def _move(self, n: int, *, is_write: bool) -> None:
        expected = self._expected.pop(n, ())
        for entity, id, names in expected if is_write else ():
            if entity in self._shared:
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

    def chained(self, change: Change, shape: Entity) -> Change:
        """An update that builds on what earlier rows leave: it waits for them, and falls with them. What they
        make the API change is told, so that it is no drift.
        """
        if change.action is not Action.UPDATE or change.entity not in self._shared:
            return change
        left = self._left(change.entity, change.id)
        mine = {name: left[name] for name in change.fields if name in left}
        moved = {name: n for name, (value, n) in mine.items() if decode(value) == UNKNOWN}
        held = self._held.get((change.entity, change.id or 0), {})
        fields = dict(change.fields)
        for name in moved.keys() & held.keys():
            # What it holds already is written for what it becomes, from a value that nobody knows.
            if not equal(shape.find(name), held[name], fields[name].after):
                fields[name] = replace(fields[name], before=held[name])
        builds_on = {n for name, (_, n) in mine.items() if name not in moved}
        waits_for = tuple(sorted({*change.waits_for, *builds_on}))
        return replace(change, fields=fields, waits_for=waits_for, moved=moved) if mine else change

    def met(self, entity: str, records: Sequence[RecordData]) -> Sequence[RecordData]:
        """As `seen`, with UNKNOWN in what earlier rows make the API change: whatever is wanted there is to be
        written, also what the record holds already.
        """
        seen = self.seen(entity, records)
        if entity not in self._moved:
            return seen
        if len(self._held) > A_BATCH:
            self._held.clear()
        return [self._unsettled(entity, record) for record in seen]

    def _unsettled(self, entity: str, record: RecordData) -> RecordData:
        id = int(record["id"] or 0)
        left = self._left(entity, id)
        moved = [name for name, (value, _) in left.items() if name in record and decode(value) == UNKNOWN]
        if not moved:
            return record
        self._held[entity, id] = record
        return {**record, **dict.fromkeys(moved, cast("Scalar", UNKNOWN))}

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
