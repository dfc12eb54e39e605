"""The tenant's own records as rows: read once, 500 a call, then given from disk as often as asked.

A row is a record of the queried entity. Its line is the record's id, its cells are texts as a file would hold
them: numbers in digits, so also the values of picklists and references, dates as ISO 8601, true and false.
The records wait in a temporary file that nobody else can read, so memory does not grow with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from bulkops.plan.encoding import cells_from_json, cells_to_json, dump, load
from bulkops.readback import readable, to_text
from bulkops.record import Premise, Row
from bulkops.references import name_fields, record_id
from bulkops.schema import Entity
from bulkops.scratch import open_scratch
from bulkops.sources.base import Dialect
from bulkops.targets.base import Filter, RecordData, Target

BATCH = 500  # records written at once
_TABLE = "CREATE TABLE records (id INTEGER PRIMARY KEY, cells TEXT NOT NULL, record TEXT)"


def query_columns(entity: Entity, named: Sequence[str] | None) -> tuple[str, ...]:
    """The columns of a query: what the step names, the id, and the fields by which people know a record.

    `named` is None where any can be named. Where one is named that is not there, all are given: so that
    messages can tell what there is; no row is read then. Offline a user-defined field is taken as named.
    """
    known = [shape.name for shape in readable(entity)]
    if named is None:
        return tuple(known)
    unseen = [name for name in named if name.startswith("udf:") and entity.has_udfs and not entity.is_live]
    if not set(named) <= {*known, *unseen}:
        return (*known, *unseen)
    wanted = {"id", *name_fields(entity), *named}
    return (*(name for name in known if name in wanted), *unseen)


class QueryRows:
    """The rows of a step's query. None until `fetch` has read them; `close` gives the disk back."""

    sheet = ""
    dialect: Dialect | None = None
    is_result = False
    dropped = 0

    def __init__(self, entity: Entity, columns: Sequence[str], *, step: str) -> None:
        self.file = entity.name
        self.display = f"query of {entity.name}"
        self.columns = tuple(columns)
        self.warnings: tuple[str, ...] = ()
        if entity.is_restricted:
            self.warnings = (f"{step}: {seen_in_part(entity)}",)
        self._shapes = {shape.name: shape for shape in readable(entity)}
        self._step = step
        self._guarded: tuple[str, ...] = ()
        self._records: sqlite3.Connection | None = None

    async def fetch(
        self,
        target: Target,
        questions: Sequence[Filter],
        *,
        also: Sequence[str] | None = None,
        guarded: Sequence[str] = (),
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Reads what the questions find, each record once. Raises what the target's reads raise.

        `also`: fields that are read as well, where the rows are to carry their records (`Row.found`);
        `guarded`: those that must still hold the same when the row is written (`Row.premise`).
        """
        self._guarded = tuple(guarded) if also is not None else ()
        also = also and [*also, *guarded]
        self._records = file = open_scratch(_TABLE)
        names = list(dict.fromkeys([*self.columns, *(also or ())]))
        readers = [(name, to_text(self._shapes[name])) for name in self.columns]
        batch: list[tuple[int, str, str | None]] = []
        read = 0
        async for record in records(target, self.file, questions, names):
            cells = [text(record.get(name)) for name, text in readers]
            kept = None if also is None else dump({name: record.get(name) for name in ("id", *also)})
            batch.append((record_id(record), cells_to_json(cells), kept))
            if len(batch) == BATCH:
                read += _keep(file, batch)
                progress(read)
                batch = []
        read += _keep(file, batch)
        if not read:
            told = f"{self._step}: the {self.display} found no record, so there is nothing to do"
            self.warnings = (*self.warnings, told)

    def rows(self) -> Iterator[Row]:
        if self._records is None:
            return
        for number, cells, record in self._records.execute("SELECT * FROM records ORDER BY id"):
            found = None if record is None else load(record)
            yield Row(
                cells=cells_from_json(cells), line=number, found=found, premise=self._premise(number, found)
            )

    def _premise(self, number: int, found: RecordData | None) -> Premise | None:
        if found is None or not self._guarded:
            return None
        values = {name: found[name] for name in self._guarded}
        return Premise(entity=self.file, id=number, values=values)

    def close(self) -> None:
        if self._records is not None:
            self._records.close()
            self._records = None


def seen_in_part(entity: Entity) -> str:
    """What to tell where the API user may not see all records of an entity."""
    return f"this API user sees only some {entity.name} records, so a query finds no others"


def _keep(file: sqlite3.Connection, batch: Sequence[tuple[int, str, str | None]]) -> int:
    """Two questions may find one record: it is kept once. Returns how many are new."""
    if not batch:
        return 0
    return file.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?)", batch).rowcount


async def records(
    target: Target, entity: str, questions: Sequence[Filter], fields: Sequence[str]
) -> AsyncIterator[RecordData]:
    """What the questions find, one after the other; a record that several find comes several times."""
    for question in questions:
        async for record in target.read(entity, question, fields=fields):
            yield record
