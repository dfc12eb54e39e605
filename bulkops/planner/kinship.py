"""Which rows of a step need which other rows of it, and in what order they can be done. On disk.

Rows that need each other in a cycle are never ready; `cycle` tells which they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from bulkops.planner.collision import row_text
from bulkops.planner.links import key_digest, references
from bulkops.record import Record

_TABLES = (
    "open (n INTEGER PRIMARY KEY, line INTEGER, unmet INTEGER NOT NULL)",
    "asked (n INTEGER NOT NULL, key BLOB NOT NULL)",
    "needs (needed INTEGER, n INTEGER, PRIMARY KEY (needed, n)) WITHOUT ROWID",
    "ready (n INTEGER PRIMARY KEY)",
)
SHOWN = 10  # rows of a cycle in a reason

Place: TypeAlias = tuple[int, int | None]
"""A row: its number and its line."""


class Kinship:
    """One step's rows. First `ask` for all of them and `close`; then `settle` what is `ready`."""

    def __init__(self, file: sqlite3.Connection, step: str) -> None:
        """`file` is that of the links, in which the rows of the step are or will be noted."""
        self._file = file
        self._step = step
        for table in _TABLES:
            file.execute(f"DROP TABLE IF EXISTS {table.split()[0]}")
            file.execute(f"CREATE TABLE {table}")
        file.execute("CREATE INDEX needs_of ON needs (n)")

    def ask(self, rows: Sequence[tuple[Place, Record]]) -> None:
        """Rows that are open, with what they refer to."""
        self._file.executemany("INSERT INTO open VALUES (?, ?, 0)", (place for place, _ in rows))
        asked = (
            (n, key_digest(ref.step, ref.key))
            for (n, _), record in rows
            for _, ref in references(record)
            if ref.step == self._step
        )
        self._file.executemany("INSERT INTO asked VALUES (?, ?)", asked)

    def close(self) -> None:
        """Every row of the step is noted now: texts become numbers. What is not open is not waited for."""
        self._file.execute(
            "INSERT OR IGNORE INTO needs SELECT open.n, asked.n"
            " FROM asked JOIN links USING (key) JOIN open ON open.n = links.n"
        )
        self._file.execute("UPDATE open SET unmet = (SELECT count(*) FROM needs WHERE needs.n = open.n)")
        self._file.execute("INSERT INTO ready SELECT n FROM open WHERE unmet = 0")

    def ready(self, most: int) -> list[int]:
        """Open rows that need no open row, in the order of the file."""
        return [n for (n,) in self._file.execute("SELECT n FROM ready ORDER BY n LIMIT ?", (most,))]

    def settle(self, ns: Iterable[int]) -> None:
        """These rows are done: what needed nothing else is ready."""
        done = [(n,) for n in ns]
        for statement in (
            "DELETE FROM ready WHERE n = ?",
            "DELETE FROM open WHERE n = ?",
            "UPDATE open SET unmet = unmet - 1 WHERE n IN (SELECT n FROM needs WHERE needed = ?)",
            "INSERT OR IGNORE INTO ready SELECT n FROM open"
            " WHERE unmet = 0 AND n IN (SELECT n FROM needs WHERE needed = ?)",
        ):
            self._file.executemany(statement, done)

    def cycle(self) -> list[Place]:
        """Rows of which each needs the next, and the last one the first; none where no row is open.

        To be asked when none is ready.
        """
        way: dict[int, int | None] = {}
        place = self._file.execute("SELECT n, line FROM open ORDER BY n LIMIT 1").fetchone()
        if place is None:
            return []
        while place[0] not in way:
            way[place[0]] = place[1]
            place = self._file.execute(
                "SELECT open.n, line FROM needs JOIN open ON open.n = needed WHERE needs.n = ? LIMIT 1",
                place[:1],
            ).fetchone()
        passed = list(way.items())
        return passed[list(way).index(place[0]) :]


def cycle_text(rows: Sequence[Place], file: str) -> str:
    """Why none of these rows can be planned."""
    if len(rows) == 1:
        return "the row names itself as the row it needs, which is a cycle"
    some = [row_text(n, file, line) for n, line in rows[:SHOWN]]
    if len(rows) > SHOWN:
        some.append(f"{len(rows) - SHOWN} more")
    return f"{', '.join(some[:-1])} and {some[-1]} need each other in a cycle: none can be the first"
