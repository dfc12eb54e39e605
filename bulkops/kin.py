"""The rows of a step that need other rows of it: parents are planned before their children.

A child may stand above its parent in the file, and what becomes of it depends on what becomes of the parent.
So all rows are taken in first, in the order of the file, and come out again when the rows they need are done;
rows that need each other in a cycle never do. They wait on disk, so memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bulkops.change import Change
from bulkops.draft import Draft, draft_from_json, draft_to_json
from bulkops.links import Links, key_digest, references
from bulkops.planjson import change_from_json, change_to_json, dump, load
from bulkops.record import Row

_TABLES = (
    "CREATE TABLE kin (n INTEGER PRIMARY KEY, line INTEGER, cells TEXT NOT NULL, draft TEXT, change TEXT)",
    "CREATE TABLE asked (n INTEGER NOT NULL, key BLOB NOT NULL)",
    "CREATE TABLE needs (needed INTEGER, n INTEGER, PRIMARY KEY (needed, n)) WITHOUT ROWID",
    "CREATE INDEX needs_of ON needs (n)",
    "CREATE TABLE unmet (n INTEGER PRIMARY KEY, count INTEGER NOT NULL)",
    "CREATE TABLE ready (n INTEGER PRIMARY KEY)",
)
_NAMES = ("kin", "asked", "needs", "unmet", "ready")


class Kin:
    """One step's rows. First `take` all of them, then `settle` what is `ready` until nothing is left."""

    def __init__(self, links: Links, step: str) -> None:
        self._file = links.file
        self._step = step
        for statement in (*(f"DROP TABLE IF EXISTS {name}" for name in _NAMES), *_TABLES):
            self._file.execute(statement)

    def take(self, drafts: Iterable[Draft], done: Iterable[tuple[Row, Change]]) -> None:
        """Rows that are open, and rows whose change is known already."""
        drafts = list(drafts)
        self._file.executemany(
            "INSERT INTO kin (n, line, cells, draft) VALUES (?, ?, ?, ?)",
            [(d.n, d.row.line, dump(d.row.cells), draft_to_json(d)) for d in drafts],
        )
        self._file.executemany(
            "INSERT INTO kin (n, line, cells, change) VALUES (?, ?, ?, ?)",
            [(c.n, row.line, dump(row.cells), change_to_json(c)) for row, c in done],
        )
        self._file.executemany("INSERT INTO asked VALUES (?, ?)", list(self._asked(drafts)))

    def _asked(self, drafts: Iterable[Draft]) -> Iterator[tuple[int, bytes]]:
        for draft in drafts:
            if draft.record is not None:
                for _, ref in references(draft.record):
                    if ref.step == self._step:
                        yield draft.n, key_digest(ref.step, ref.key)

    def close_intake(self) -> None:
        """From here on every row is known: what each needs becomes row numbers."""
        # What is not open is known already: nothing to wait for.
        self._file.execute(
            "INSERT OR IGNORE INTO needs SELECT links.n, asked.n FROM asked JOIN links USING (key)"
            " JOIN kin ON kin.n = links.n WHERE kin.change IS NULL"
        )
        self._file.execute("INSERT INTO unmet SELECT n, count(*) FROM needs GROUP BY n")
        self._file.execute(
            "INSERT INTO ready SELECT n FROM kin WHERE change IS NULL AND n NOT IN (SELECT n FROM unmet)"
        )

    def ready(self, most: int) -> list[Draft]:
        """Rows that need no row that is still open, in the order of the file."""
        return self._drafts("SELECT n FROM ready ORDER BY n LIMIT ?", most)

    def _drafts(self, which: str, value: int) -> list[Draft]:
        found = self._file.execute(f"SELECT n, line, cells, draft FROM kin WHERE n IN ({which})", (value,))
        return [
            draft_from_json(n, Row(cells=tuple(load(cells)), line=line), text)
            for n, line, cells, text in found.fetchall()
        ]

    def settle(self, changes: Sequence[Change]) -> None:
        """These rows are done: what needed nothing else is ready."""
        ns = [(change.n,) for change in changes]
        self._file.executemany(
            "UPDATE kin SET change = ?, draft = NULL WHERE n = ?", [(change_to_json(c), c.n) for c in changes]
        )
        self._file.executemany("DELETE FROM ready WHERE n = ?", ns)
        self._file.executemany("DELETE FROM unmet WHERE n = ?", ns)
        self._file.executemany(
            "UPDATE unmet SET count = count - 1 WHERE n IN (SELECT n FROM needs WHERE needed = ?)", ns
        )
        self._file.executemany(
            "INSERT OR IGNORE INTO ready SELECT n FROM unmet"
            " WHERE count = 0 AND n IN (SELECT n FROM needs WHERE needed = ?)",
            ns,
        )

    def cycle(self) -> list[Draft]:
        """Rows of which each needs the next, and the last one the first; none where no open row is left.

        To be asked when none is ready.
        """
        way: dict[int, None] = {}
        n: int | None = self._file.execute("SELECT min(n) FROM unmet").fetchone()[0]
        while n is not None and n not in way:
            way[n] = None
            n = self._file.execute(
                "SELECT min(needed) FROM needs JOIN kin ON kin.n = needed"
                " WHERE needs.n = ? AND change IS NULL",
                (n,),
            ).fetchone()[0]
        passed = list(way)
        ring = passed[passed.index(n) :] if n is not None else []
        return [draft for one in ring for draft in self._drafts("SELECT ?", one)]

    def planned(self) -> Iterator[tuple[Row, Change]]:
        """Every row with its change, in the order of the file. To be asked when nothing is open."""
        for n, line, cells, text in self._file.execute("SELECT n, line, cells, change FROM kin ORDER BY n"):
            yield Row(cells=tuple(load(cells)), line=line), change_from_json(n, text)
