"""The rows of a step that need other rows of it: parents are planned before their children.

A child may stand above its parent in the file, and what becomes of it depends on what becomes of the parent.
So all rows are taken in first, in the order of the file, and come out again when the rows they need are done.
They wait on disk, so memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bulkops.change import Change
from bulkops.plan.encoding import cells_from_json, cells_to_json, change_from_json, change_to_json
from bulkops.planner.draft import Draft, draft_from_json, draft_to_json
from bulkops.planner.kinship import Kinship, cycle_text
from bulkops.planner.links import Links
from bulkops.record import Row

_TABLE = "kin (n INTEGER PRIMARY KEY, line INTEGER, cells TEXT NOT NULL, draft TEXT, change TEXT)"


class Kin:
    """One step's rows. First `take` all of them and `close`; then `settle` what is `ready` until none is."""

    def __init__(self, links: Links, step: str, file: str) -> None:
        """`file` is what messages call the source."""
        self._file = links.file
        self._source = file
        self._order = Kinship(links.file, step)
        self._file.execute("DROP TABLE IF EXISTS kin")
        self._file.execute(f"CREATE TABLE {_TABLE}")

    def take(self, drafts: Sequence[Draft], done: Iterable[tuple[Row, Change]]) -> None:
        """Rows that are open, and rows whose change is known already."""
        self._order.ask([((d.n, d.row.line), d.record) for d in drafts if d.record])
        self._file.executemany(
            "INSERT INTO kin (n, line, cells, draft) VALUES (?, ?, ?, ?)",
            [(d.n, d.row.line, cells_to_json(d.row.cells), draft_to_json(d)) for d in drafts],
        )
        self._file.executemany(
            "INSERT INTO kin (n, line, cells, change) VALUES (?, ?, ?, ?)",
            [(c.n, row.line, cells_to_json(row.cells), change_to_json(c)) for row, c in done],
        )

    def close(self) -> None:
        """No row comes any more."""
        self._order.close()

    def ready(self, most: int) -> list[Draft]:
        """Rows that need no row that is open; where there is none, those of a cycle, with its reason."""
        if ns := self._order.ready(most):
            return [self._draft(n) for n in ns]
        ring = self._order.cycle()
        drafts = [self._draft(n) for n, _ in ring]
        for draft in drafts:
            draft.reason = cycle_text(ring, self._source)
        return drafts

    def _draft(self, n: int) -> Draft:
        line, cells, text = self._file.execute(
            "SELECT line, cells, draft FROM kin WHERE n = ?", (n,)
        ).fetchone()
        return draft_from_json(n, Row(cells=cells_from_json(cells), line=line), text)

    def settle(self, changes: Sequence[Change]) -> None:
        """These rows are done."""
        self._order.settle(change.n for change in changes)
        self._file.executemany(
            "UPDATE kin SET change = ?, draft = NULL WHERE n = ?", [(change_to_json(c), c.n) for c in changes]
        )

    def planned(self) -> Iterator[tuple[Row, Change]]:
        """Every row with its change, in the order of the file. To be asked when none is open."""
        for n, line, cells, text in self._file.execute("SELECT n, line, cells, change FROM kin ORDER BY n"):
            yield Row(cells=cells_from_json(cells), line=line), change_from_json(n, text)
