"""The contract of a source: rows of text with the line of each, read anew as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")


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
    def display(self) -> str:
        """What the source is called in messages and plans."""
        ...

    @property
    def dialect(self) -> Dialect | None:
        """How the text is written, where it is text."""
        ...

    def rows(self) -> Iterator[Row]:
        """Every row in file order, from the start at each call. Raises SourceError where reading fails."""
        ...


def open_source(spec: FileSource) -> Source:
    """The source of a step, looked at so far that columns and dialect are known and one row was seen.

    Raises SourceError: no such file, not a text file, unknown encoding, no header, no row.
    """
    suffix = spec.file.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        from bulkops.sources.csvfile import open_csv

        return open_csv(spec)
    known = " ".join(TEXT_SUFFIXES)
    raise SourceError(
        f"{spec.display}: '{suffix or spec.file.name}' files cannot be read. "
        f"Save the table as CSV in UTF-8; known are {known}"
    )
