"""What a workbook says of a sheet that its reader does not tell: errors, missing results, hidden rows.

The reader gives an empty cell for an error and for a formula without a stored result; both must be seen.
A sheet without a sign of them is only looked through as bytes, which costs half of reading it; the others
are parsed. Facts: ECMA-376 part 1, 18.3.1.4 (c), 18.3.1.40 (f), 18.3.1.73 (row).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat
from zipfile import ZipFile

_SIGNS = (b'="e"', b"='e'", b"<f", b":f", b"hidden=")
_COLUMNS = re.compile(rb" r=[\"']([A-Za-z]+)[0-9]").findall
_ROWS = re.compile(rb" r=[\"'][A-Za-z]+([0-9]+)").findall
_LARGE_ROWS = re.compile(rb" r=[\"'][A-Za-z]+([0-9]{6,})").findall
_LARGE_ROW = 100_000  # the first with six digits: smaller ones matter only beside many columns
_MANY_COLUMNS = 1000
_CHUNK = 1 << 20
_OVERLAP = 64

Cell = tuple[int, int]
"""Row and column, both from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """The cells that hold no value although something stands in them, and the rows that nobody sees."""

    errors: dict[Cell, str] = field(default_factory=dict)  # the error's text: #N/A
    uncalculated: set[Cell] = field(default_factory=set)  # formulas without a stored result
    hidden: set[int] = field(default_factory=set)  # rows, by hand or by a filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a sheet's bytes show before anything is parsed."""

    rows: int  # at most
    columns: int
    has_oddities: bool  # possibly

    @property
    def cells(self) -> int:
        return self.rows * self.columns


def glance(book: ZipFile, sheet: str) -> Glance:
    """How far a sheet reaches, and whether it is worth parsing. Raises KeyError where there is no such sheet.

    The reader makes room for every cell up to the last row and column, so one stray cell can be too much.
    """
    part = _part(book, sheet)
    columns: set[bytes] = set()
    large_rows: set[bytes] = set()
    has_signs = False
    with book.open(part) as file:
        for chunk in _overlapping(file):
            columns.update(_COLUMNS(chunk))
            large_rows.update(_LARGE_ROWS(chunk))
            has_signs = has_signs or any(sign in chunk for sign in _SIGNS)
    width = max((_column(letters.decode()) for letters in columns), default=1)
    height = max(map(int, large_rows), default=_LARGE_ROW - 1)
    if not large_rows and width > _MANY_COLUMNS:
        with book.open(part) as file:
            height = max((int(row) for chunk in _overlapping(file) for row in _ROWS(chunk)), default=1)
    return Glance(rows=height, columns=width, has_oddities=has_signs)


def find_oddities(book: ZipFile, sheet: str) -> Oddities:
    """Parses a sheet. Raises what zipfile and expat raise."""
    with book.open(_part(book, sheet)) as file:
        return _Parser().parse(file)


def cell_name(cell: Cell) -> str:
    """`F7`."""
    row, column = cell
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return f"{letters}{row}"


def _part(book: ZipFile, sheet: str) -> str:
    """The name of the part that holds a sheet's cells."""
    links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    for node in ElementTree.fromstring(book.read("xl/workbook.xml")).iter():
        if _local(node.tag) == "sheet" and node.get("name") == sheet:
            link = next((value for key, value in node.attrib.items() if _local(key) == "id"), None)
            return posixpath.normpath(posixpath.join("/xl", targets[link])).lstrip("/")
    raise KeyError(sheet)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _overlapping(file: IO[bytes]) -> Iterator[bytes]:
    """Chunks that begin with the end of the one before, so that no sign is cut in two."""
    end = b""
    while chunk := file.read(_CHUNK):
        yield end + chunk
        end = (end + chunk)[-_OVERLAP:]


class _Parser:
    """Reads a sheet's XML once. A cell without a reference follows the one before it."""

    def __init__(self) -> None:
        self.found = Oddities()
        self._row = self._column = 0
        self._kind = ""  # of the cell
        self._pending: Cell | None = None  # a formula whose result was not met yet
        self._is_value = False

    def parse(self, file: IO[bytes]) -> Oddities:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ParseFile(file)
        self._close()
        return self.found

    def _start(self, tag: str, given: dict[str, str]) -> None:
        match _local(tag):
            case "row":
                self._close()
                self._row, self._column = int(given.get("r", self._row + 1)), 0
                if given.get("hidden") in ("1", "true"):
                    self.found.hidden.add(self._row)
            case "c":
                self._close()
                self._column = _column(given["r"]) if "r" in given else self._column + 1
                self._kind = given.get("t", "n")
            case "f" if self._kind not in ("str", "e"):  # the result of a text may be empty
                self._pending = (self._row, self._column)
            case "v":
                self._is_value = True
                if self._kind == "e":
                    self.found.errors[self._row, self._column] = ""

    def _end(self, tag: str) -> None:
        self._is_value = False

    def _text(self, text: str) -> None:
        if not self._is_value:
            return
        self._pending = None
        if self._kind == "e":
            self.found.errors[self._row, self._column] += text

    def _close(self) -> None:
        """The cell is over."""
        if self._pending is not None:
            self.found.uncalculated.add(self._pending)
            self._pending = None
        self._kind = ""


def _column(reference: str) -> int:
    """7 for `G12`."""
    number = 0
    for sign in reference:
        if not sign.isalpha():
            break
        number = number * 26 + ord(sign.upper()) - 64
    return number
