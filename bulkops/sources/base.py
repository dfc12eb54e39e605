"""The contract of a source: rows of text with the line of each, read anew as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from bulkops.record import Locator, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a text file is written, and how that was found out: for the plan to print."""

    encoding: str  # a Python codec's name; the byte order mark is not part of the text
    delimiter: str  # one character
    quote: str  # one character; empty: nothing is quoted
    encoding_found: str  # "given", "byte order mark", "guessed: …"
    delimiter_found: str
    warning: str = ""  # a sentence where something was guessed

    def __str__(self) -> str:
        shown = {"\t": "tab", " ": "space"}.get(self.delimiter, self.delimiter)
        text = f"encoding {self.encoding} ({self.encoding_found}), delimiter {shown} ({self.delimiter_found})"
        return text if self.quote == '"' else f"{text}, quote {self.quote or 'none'}"


class Source(Protocol):
    """Rows of text cells. Nothing is altered: no types are guessed, no cell is trimmed."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The header's names, trimmed, in file order; a name may stand twice, `column 5` stands for none."""
        ...

    @property
    def file(self) -> str:
        """The file as the job names it."""
        ...

    @property
    def sheet(self) -> str:
        """The sheet of a workbook, or nothing."""
        ...

    @property
    def display(self) -> str:
        """What the source is called in messages and plans: `tasks.csv`; `tasks.xlsx, sheet Tasks`."""
        ...

    @property
    def dialect(self) -> Dialect | None:
        """How the text is written, where it is text."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was guessed, or is easily overlooked: whole sentences for the plan to print."""
        ...

    @property
    def is_result(self) -> bool:
        """Whether bulkops wrote it: a result file, which may hold no row."""
        ...

    @property
    def dropped(self) -> int:
        """How many rows `distinct` leaves out; known once `rows()` was begun."""
        ...

    def rows(self) -> Iterator[Row]:
        """Every row in file order, from the start at each call. Raises SourceError where reading fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What sources that drop nothing have in common."""

    file: str
    columns: tuple[str, ...]
    sheet: str = ""
    dialect: Dialect | None = None
    warnings: tuple[str, ...] = ()
    is_result: bool = False

    @property
    def display(self) -> str:
        return str(Locator(file=self.file, sheet=self.sheet or None))

    @property
    def dropped(self) -> int:
        return 0
