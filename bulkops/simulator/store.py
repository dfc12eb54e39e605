"""The tenant's records: one table an entity, with rising ids and equality indexes, and what describes them.

Rows are stored without their nulls and filled up only when read, so that a million of them fit in memory.
Everything that is handed out is the reader's own copy; `insert`, `update` and `delete` are the only ways to
change a record.
"""

from __future__ import annotations

import gc
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bulkops.simulator.catalog import UDFS, Shape, entries, shapes
from bulkops.simulator.index import Index, Stored, key_of
from bulkops.simulator.switches import Switches

Row: TypeAlias = dict[str, Any]
Sink: TypeAlias = Callable[[str, int, Stored | None], None]  # entity, id, the row as stored or None

FIRST_ID = 29_682_885  # where a tenant's own records begin
ID_STEP = 1_000  # apart, so that one entity's id is rarely another's by accident
LARGE = 50_000  # rows from which the likely key fields are indexed before anybody asks
LONGEST_KEY = 255  # characters; a longer text is no key


class Table(Mapping[int, Row]):
    """The records of one entity, by id. As a mapping it gives full rows, in ascending order of id."""

    def __init__(
        self, shape: Shape, definitions: Callable[[], Sequence[Mapping[str, Any]]], first_id: int
    ) -> None:
        self.shape = shape
        self.next_id = first_id
        self.sink: Sink | None = None
        self.ids: list[int] = []  # ascending
        self.literal: set[tuple[int, str]] = set()  # id, field: what looks like markup there is plain text
        self._definitions = definitions
        self._stored: dict[int, Stored] = {}
        self._indexes: dict[str, Index] = {}
        self._blank: Row = dict.fromkeys(shape.fields) | ({UDFS: None} if shape.has_udfs else {})
        self._likely_indexed = False

    def __getitem__(self, row_id: int) -> Row:
        return self._full(self._stored[row_id])

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self._stored)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._stored

    def get(self, row_id: object, default: Any = None) -> Any:
        """The full row, a copy, or None."""
        stored = self._stored.get(row_id)  # type: ignore[call-overload]  # any key may be asked for
        return default if stored is None else self._full(stored)

    def stored(self, row_id: int) -> Stored | None:
        """The row without its nulls, UDFs as `{name: value}`: to be read, not to be changed."""
        return self._stored.get(row_id)

    def ids_of(self, field: str, value: Any) -> Sequence[int]:
        """The ids whose `field` (`udf:Name` for a UDF) equals `value`, ascending; a live view."""
        return self.index(field).ids(value)

    def find(self, field: str, value: Any) -> list[Row]:
        """The full rows whose `field` equals `value` (text trimmed and case ignored)."""
        if field == "id":
            row = self.get(value)
            return [] if row is None else [row]
        return [self._full(self._stored[row_id]) for row_id in self.ids_of(field, value)]

    def insert(self, row: Mapping[str, Any]) -> int:
        """Adds a record under its id or the next one. Raises ValueError where the id is taken."""
        row_id = row.get("id")
        if row_id is None:
            row_id = self.next_id
        elif row_id in self._stored:
            raise ValueError(f"{self.shape.name} {row_id} exists already")
        self.put(row_id, sparse(row) | {"id": row_id})
        return int(row_id)

    def update(self, row_id: int, changes: Mapping[str, Any]) -> None:
        """Sets fields, None clears; of the UDFs only those listed. Raises KeyError without such a row."""
        before = self._stored[row_id]
        after = {**before, **changes, "id": row_id}
        if UDFS in changes:
            after[UDFS] = {**before.get(UDFS, {}), **_udf_values(changes[UDFS])}
        self.put(row_id, sparse(after))

    def delete(self, row_id: int) -> None:
        """Raises KeyError where there is no such row."""
        stored = self._stored.pop(row_id)
        del self.ids[bisect_left(self.ids, row_id)]
        for index in self._indexes.values():
            index.remove(row_id, stored)
        if self.sink is not None:
            self.sink(self.shape.name, row_id, None)

    def put(self, row_id: int, stored: Stored) -> None:
        """Sets a whole row in its stored form, new or not."""
        before = self._stored.get(row_id)
        self._stored[row_id] = stored
        if before is None:
            self._note_id(row_id)
        for index in self._indexes.values():
            if before is None:
                index.add(row_id, stored)
            else:
                index.replace(row_id, before, stored)
        if self.sink is not None:
            self.sink(self.shape.name, row_id, stored)

    def index(self, field: str) -> Index:
        """The index of a field, built when first asked for."""
        found = self._indexes.get(field)
        if found is None:
            found = Index(getter(field), key_of(self.shape.kinds.get(field, "string")))
            found.fill(self._stored.items())
            self._indexes[field] = found
        return found

    def bulk_loaded(self) -> None:
        """Makes a large table quick to ask."""
        self._index_likely_keys()
        if len(self._stored) >= LARGE:
            gc.freeze()  # else a collection in the middle of a query walks through all the records

    def state(self) -> tuple[int, dict[int, Stored]]:
        """What `restore` takes back: rows are never changed in place, so this is cheap."""
        return self.next_id, dict(self._stored)

    def restore(self, state: tuple[int, dict[int, Stored]]) -> None:
        self.next_id, self._stored = state[0], dict(state[1])
        self.ids = sorted(self._stored)
        self.literal.clear()
        self._indexes.clear()
        self._likely_indexed = False
        self.bulk_loaded()

    def _index_likely_keys(self) -> None:
        """What records are looked up by is indexed before a query has to wait for it."""
        if self._likely_indexed or len(self._stored) < LARGE:
            return
        self._likely_indexed = True
        for field, facts in self.shape.fields.items():
            if field != "id" and is_likely_key(facts):
                self.index(field)
        for definition in self._definitions():
            self.index(f"udf:{definition['name']}")

    def _note_id(self, row_id: int) -> None:
        if not self.ids or row_id > self.ids[-1]:
            self.ids.append(row_id)
        else:
            insort(self.ids, row_id)
        if row_id >= self.next_id:
            self.next_id = row_id + 1

    def _full(self, stored: Stored) -> Row:
        row: Row = {**self._blank, **stored}
        if self.shape.has_udfs:
            row[UDFS] = self._udf_list(stored.get(UDFS) or {})
        return row

    def _udf_list(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        listed = [{"name": item["name"], "value": values.get(item["name"])} for item in self._definitions()]
        known = {item["name"] for item in listed}
        return listed + [
            {"name": name, "value": value} for name, value in values.items() if name not in known
        ]


class Store:
    """One tenant. `now` gives UTC as `2026-11-21T20:00:00.123Z`."""

    def __init__(self, *, now: Callable[[], str], switches: Switches, ci: int) -> None:
        self.entities: dict[str, dict[str, Any]] = entries()
        self.picklists: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.udfs: dict[str, list[dict[str, Any]]] = {}
        self.recipients: dict[int, dict[str, list[int]]] = {}  # company → invoice recipients by kind
        self.switches = switches
        self.api_resource_id = 4  # who the API user is
        self.ci = ci  # the database's own number
        self._now = now
        self._tables = {
            name: Table(shape, lambda name=name: self.udfs.get(name, ()), FIRST_ID + ID_STEP * place)  # type: ignore[misc]
            for place, (name, shape) in enumerate(shapes().items())
        }

    def now(self) -> str:
        return self._now()

    def table(self, name: str) -> Table:
        return self._tables[name]

    def tables(self) -> Mapping[str, Table]:
        return self._tables

    def listen(self, sink: Sink | None) -> None:
        """Every change of a record is told to `sink` from now on."""
        for table in self._tables.values():
            table.sink = sink


def getter(field: str) -> Callable[[Stored], Any]:
    """Reads a field (`udf:Name` for a UDF) of a stored row; None where it has none."""
    if field.startswith("udf:"):
        name = field[4:]
        return lambda row: row[UDFS].get(name) if UDFS in row else None
    return lambda row: row.get(field)


def sparse(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in its stored form."""
    stored = {name: value for name, value in row.items() if value is not None}
    if UDFS in stored:
        values = {k: v for k, v in _udf_values(stored[UDFS]).items() if v is not None}
        if values:
            stored[UDFS] = values
        else:
            del stored[UDFS]
    return stored


def is_likely_key(facts: Mapping[str, Any]) -> bool:
    """Names, numbers and codes, references and picklists; not amounts, dates and long texts."""
    if facts["type"] == "string":
        return 0 < int(facts.get("length", 0)) <= LONGEST_KEY
    return facts["type"] in ("integer", "long", "short")


def _udf_values(udfs: Any) -> Mapping[str, Any]:
    """UDFs as `{name: value}`, from that or from the wire's list."""
    if isinstance(udfs, Mapping):
        return udfs
    return {item["name"]: item.get("value") for item in udfs or ()}
