"""Opens an Excel workbook: says what a file is that is none, picks the sheet, and loads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.sources.files import must_be_file, read_head, unreadable
from bulkops.sources.sheetxml import Oddities, find_oddities, glance
from bulkops.wording import did_you_mean, listed, shown

_RESULTS = {"applied", "unchanged", "rejected", "held", "pending"}
_CORRECTED = "rejected"  # of a workbook of results, what is fed back
_HEAD = 1 << 16
MOST_CELLS = 150_000_000  # of a sheet: some 4 GB in memory
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OTHER_PARTS = {
    "xl/workbook.bin": "a binary workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a presentation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A sheet in memory."""

    name: str
    cells: Any  # a python_calamine.CalamineSheet
    oddities: Oddities


def load_sheet(spec: FileSource) -> Sheet:
    """The sheet that the job means. Raises SourceError: no workbook, damaged, no such sheet, several."""
    must_be_file(spec.file, spec.display)
    _must_be_zip(read_head(spec.file, spec.display, _HEAD), spec)
    with _mapped(spec.display):
        from python_calamine import CalamineWorkbook

        with ZipFile(spec.file) as parts:
            _must_be_workbook(parts.namelist(), spec.display)
            with CalamineWorkbook.from_path(spec.file) as book:
                return _pick(_Book(book, parts, spec.display), spec)


@contextmanager
def _mapped(display: str) -> Iterator[None]:
    """Whatever the readers raise on a file that is not as it should be becomes one sentence."""
    try:
        yield
    except (SourceError, MemoryError):
        raise
    except BadZipFile as error:
        raise SourceError(f"{display}: is damaged or cut off. Save or copy it again") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not a reader's
            raise unreadable(display, error) from error
        raise _damaged(display, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a bug in the reader's Rust
            raise
        raise _damaged(display, error) from error


def _damaged(display: str, error: BaseException) -> SourceError:
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return SourceError(
        f"{display}: cannot be read as an Excel workbook ({why}). Open it in a spreadsheet program and save "
        "it again as .xlsx"
    )


def _must_be_zip(head: bytes, spec: FileSource) -> None:
    """A workbook is a zip archive. Says of anything else what it is, as far as it is easily known."""
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0\t\r\n ").lower()
    if head.startswith(b"PK"):
        return
    if not head:
        what, advice = "is empty", "Save or copy it again"
    elif head.startswith(b"\xd0\xcf\x11\xe0"):
        what, advice = _compound(spec.file)
    elif start.startswith((b"<", b"<\0")):
        what = "is a web page or XML under the name of a workbook"
        advice = "Open it in a spreadsheet program and save it as .xlsx"
    elif b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        what, advice = "is a text file under the name of a workbook", "If it is CSV, give it the ending .csv"
    else:
        what, advice = "is no Excel workbook", "Save the table as .xlsx, or as CSV in UTF-8"
    raise SourceError(f"{spec.display}: {what}. {advice}")


def _compound(path: Path) -> tuple[str, str]:
    """Old workbooks and encrypted ones are in the same container."""
    if _ENCRYPTED in path.read_bytes():
        return "is protected by a password", "Save it without one"
    return "is an old Excel workbook (.xls) under another name", "Save it as .xlsx"


def _must_be_workbook(parts: list[str], display: str) -> None:
    """Of a package without the usual main part its reader says what is wrong."""
    kind = next((kind for part, kind in _OTHER_PARTS.items() if part in parts), None)
    if kind is None and "_rels/.rels" in parts:
        return
    what = kind or "a zip archive"
    raise SourceError(f"{display}: is {what}, not an Excel workbook. Save the table as .xlsx")


class _Book:
    """A workbook that is open: its sheets by name."""

    def __init__(self, book: Any, parts: ZipFile, display: str) -> None:
        from python_calamine import SheetTypeEnum, SheetVisibleEnum

        tables = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        self.names = [sheet.name for sheet in tables]
        self.visible = [sheet.name for sheet in tables if sheet.visible == SheetVisibleEnum.Visible]
        self._book, self._parts, self._display = book, parts, display

    def load(self, name: str) -> Sheet:
        seen = glance(self._parts, name)
        if seen.cells > MOST_CELLS:
            raise SourceError(
                f"{self._display}, sheet {name}: reaches over {seen.rows:,} rows and {seen.columns:,} "
                "columns, too much to be read at once. Delete what stands far from the table, or save it "
                "as CSV"
            )
        cells = self._book.get_sheet_by_name(name)
        oddities = find_oddities(self._parts, name) if seen.has_oddities else Oddities()
        return Sheet(name=name, cells=cells, oddities=oddities)


def _pick(book: _Book, spec: FileSource) -> Sheet:
    """The sheet that the job means."""
    wanted = _wanted(spec, book.names)
    if wanted is not None:
        return book.load(wanted)
    names = book.visible or book.names
    found: list[Sheet] = []
    for name in names:
        sheet = book.load(name)
        if sheet.cells.start is not None:
            found.append(sheet)
        if len(found) > 1:
            raise SourceError(f"{spec.display}: has several sheets with rows. {_which(spec, names)}")
    if not found:
        raise SourceError(f"{spec.display}: holds no row in any of its sheets, {listed(book.names, 'and')}")
    return found[0]


def _which(spec: FileSource, names: list[str]) -> str:
    """How to say which sheet is meant: the job's `sheet` is about its own file only."""
    if not spec.is_override:
        return f"Name the one to read with `sheet`: {listed(names)}"
    usual = (
        f", or call it {shown(spec.usual_sheet)} like that of the job's own file" if spec.usual_sheet else ""
    )
    return f"Of {listed(names, 'and')}, save the one to read as a file of its own{usual}"


def _wanted(spec: FileSource, names: list[str]) -> str | None:
    """The sheet to read where that can be told from its name alone."""
    if spec.sheet is not None:
        if spec.sheet not in names:
            hint = did_you_mean(spec.sheet, names) or "Name one of them"
            there = f"Its sheets are {listed(names, 'and')}" if names else "It has no sheet with cells"
            raise SourceError(f"{spec.display}: has no sheet {shown(spec.sheet)}. {there}. {hint}")
        return spec.sheet
    if set(names) == _RESULTS:
        return _CORRECTED
    return spec.usual_sheet if spec.usual_sheet in names else names[0] if len(names) == 1 else None
