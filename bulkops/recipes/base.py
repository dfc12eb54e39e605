"""The contract of a recipe's expansion, and the rows that it makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from bulkops.change import Change
from bulkops.errors import Fault, RefusedError, TenantError
from bulkops.job.model import Step
from bulkops.plan.encoding import cells_from_json, cells_to_json, dump, load, premise_of, premise_parts
from bulkops.record import FromStep, Premise, Row, Scalar
from bulkops.references import References
from bulkops.schema import Entity
from bulkops.scratch import open_scratch
from bulkops.sources.base import Dialect
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import RecordData, Target

Progress: TypeAlias = Callable[[str, int], None]
"""Called now and then with what is read and how many records of it were read so far."""

Fields: TypeAlias = Mapping[str, Sequence[str]]
"""By step: the fields that planning needs of a record that a row is about."""

_ROWS = (
    "CREATE TABLE rows (n INTEGER PRIMARY KEY, line INTEGER, cells TEXT NOT NULL, fault TEXT NOT NULL,"
    " found TEXT, needs TEXT, premise TEXT)"
)
_RECORDS = "CREATE TABLE records (id INTEGER PRIMARY KEY, record TEXT NOT NULL)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All records of an entity that hold one of `ids` in `field`: read by the recipe, so by nobody again."""

    entity: str
    field: str
    ids: tuple[int, ...]
    records: tuple[RecordData, ...]


class Describer(Protocol):
    """Who knows entities: a target, or the shipped catalog where there is no tenant to ask."""

    async def describe(self, entity: str) -> Entity:
        """RefusedError where there is none of that name."""
        ...


class Expansion(Protocol):
    """A recipe on its way to a plan."""

    steps: tuple[Step, ...]
    faults: list[Fault]  # what is known to be wrong with it before any record is read

    async def resolve(self, target: Target, references: References) -> list[Fault]:
        """Finds whom and what the job names, as far as there are no faults in that. Reads a little."""
        ...

    async def read(self, fields: Fields, progress: Progress | None) -> list[Fault]:
        """Reads the records and makes the rows of all steps. Asked only where there were no faults."""
        ...

    def known(self) -> Sequence[Known]:
        """What it has read that the rules about its changes will ask for."""
        ...

    def note(self, row: Row, change: Change) -> None:
        """Every row with its change, in the plan's order."""
        ...

    def warnings(self) -> list[str]:
        """What the user should know: whole sentences."""
        ...

    def lasting(self) -> list[str]:
        """What undo could not take back, beside what is known of every change: phrases."""
        ...

    def labels(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Entity → field → value → label, beside those of picklists."""
        ...

    def extra(self) -> Mapping[str, Any]:
        """For the plan's header."""
        ...

    def close(self) -> None:
        """Gives the disk back."""
        ...


class MadeRows:
    """The rows of one step of a recipe: none until the recipe has put them there. Memory stays flat."""

    sheet = ""
    dialect: Dialect | None = None
    is_result = False
    dropped = 0  # of a file's rows, by its `distinct`

    def __init__(self, file: str, columns: Sequence[str], *, display: str) -> None:
        """`file` is the entity whose records the rows are about: a row's line is such a record's id."""
        self.file = file
        self.display = display
        self.columns = tuple(columns)
        self.warnings: tuple[str, ...] = ()
        self._made: sqlite3.Connection | None = None

    def put(
        self,
        cells: Mapping[str, str],
        *,
        line: int | None,
        fault: str = "",
        found: RecordData | None = None,
        needs: FromStep | None = None,
        premise: Premise | None = None,
        first: Sequence[str] = (),
        surplus: Sequence[str] | None = (),
    ) -> None:
        """Adds a row; of columns that `cells` leaves out it says nothing. `first`: cells of the
        first columns, as a file has them. `surplus`: those of a file that no column is for; None where it
        has too few, and so has this row.
        """
        self._made = self._made or open_scratch(_ROWS)
        rest = [cells.get(name, "") for name in self.columns[len(first) :]]
        texts = cells_to_json(first if surplus is None else [*first, *rest, *surplus])
        kept = None if found is None else dump(found)
        after = None if needs is None else dump([needs.step, list(needs.key)])
        rests = None if premise is None else dump(premise_parts(premise))
        values = (line, texts, fault, kept, after, rests)
        self._made.execute("INSERT INTO rows VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)

    def rows(self) -> Iterator[Row]:
        if self._made is None:
            return
        asked = "SELECT line, cells, fault, found, needs, premise FROM rows ORDER BY n"
        for line, cells, fault, found, needs, premise in self._made.execute(asked):
            yield Row(
                cells=cells_from_json(cells),
                line=line,
                fault=fault,
                found=None if found is None else load(found),
                needs=None if needs is None else _step_row(load(needs)),
                premise=None if premise is None else premise_of(load(premise)),
            )

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None


def _step_row(parts: Sequence[Any]) -> FromStep:
    return FromStep(step=parts[0], key=tuple(parts[1]))


class Pile:
    """Records by rising id, each once, whatever order they came in. Memory stays flat."""

    def __init__(self) -> None:
        self._file = open_scratch(_RECORDS)

    def add(self, record: RecordData) -> bool:
        """False: it was there already."""
        entry = (record["id"], dump(record))
        return self._file.execute("INSERT OR IGNORE INTO records VALUES (?, ?)", entry).rowcount > 0

    def __iter__(self) -> Iterator[RecordData]:
        for (text,) in self._file.execute("SELECT record FROM records ORDER BY id"):
            yield load(text)

    def close(self) -> None:
        self._file.close()


async def described(describer: Describer, names: Sequence[str]) -> dict[str, Entity]:
    """The entities of these names that there are. Raises where the tenant cannot be asked."""
    found: dict[str, Entity] = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = await describer.describe(name)
        except TenantError:
            raise
        except RefusedError:
            continue
    return found


def suggest(name: str) -> list[str]:
    """Entities that may have been meant."""
    return load_catalog().suggest(name)


def text_of(value: Scalar) -> str:
    """A value as a cell that the mapping reads back as the same."""
    return "" if value is None else str(value)
