"""Delimited text files: every row with the line where it begins, in constant memory, no cell altered.

The standard library's reader is used in its strict mode: where it would have to guess what a quote
means, the row gets a fault instead.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from bulkops.errors import SourceError
from bulkops.job.model import FileSource
from bulkops.record import Row
from bulkops.sources.base import Dialect, Table
from bulkops.sources.dialect import (
    SAMPLE_BYTES,
    Delimiter,
    Encoding,
    find_delimiter,
    find_encoding,
    reader_options,
    result_delimiter,
)
from bulkops.sources.files import BREAK, breaks, must_be_file, open_text, unreadable
from bulkops.sources.misread import misread
from bulkops.sources.resultfile import may_be_empty

CELL_LIMIT = 1 << 24  # characters: the largest attachment in base64 fits; an unclosed quote ends here
_SET = "Set `encoding` in the job's source to what it is written in (cp1252: Windows, western Europe)"
_SAVE = "Save it as CSV in UTF-8"  # of a file given on the command line, for which the job says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFile(Table):
    """A delimited text file whose dialect and header are known. Every `rows()` opens it anew."""

    path: Path
    dialect: Dialect
    skip: int  # bytes of the byte order mark
    hint: str  # what to do where a byte is no text
    first: int  # line of the first record after the header

    def rows(self) -> Iterator[Row]:
        with open_text(self.path, self.dialect.encoding, self.skip, self.file, hint=self.hint) as file:
            for _ in range(self.first - 1):
                file.readline()
            yield from _read(file, self.dialect, line=self.first, width=len(self.columns), display=self.file)


def open_csv(spec: FileSource, named: Collection[str] = ()) -> CsvFile:
    """Finds dialect and header and sees that there is a row. Raises SourceError with what to do.

    `named` are columns that the job names: they tell a delimiter that is not the file's.
    """
    csv.field_size_limit(CELL_LIMIT)
    must_be_file(spec.file, spec.display)
    try:
        with spec.file.open("rb") as binary:
            encoding = find_encoding(
                binary, given=spec.encoding, display=spec.display, can_set=not spec.is_override
            )
    except OSError as error:
        raise unreadable(spec.display, error) from error
    with _text(spec, encoding) as file:
        for _ in range(spec.header_row - 1):
            file.readline()
        text = file.read(SAMPLE_BYTES)
        sample = _Sample(text=text, is_whole=not file.read(1))
    _must_be_lines(sample, spec)
    dialect = _dialect(spec, encoding, sample)
    can_set = not spec.is_override
    if wrong := misread(sample.text, dialect, named=named, columns=spec.columns, can_set=can_set):
        raise SourceError(f"{spec.display}: {wrong}")
    made = _with_header(spec, encoding, dialect)
    if next(made.rows(), None) is None and not may_be_empty(spec, made.columns):
        raise SourceError(f"{spec.display}: holds no row{'' if spec.columns else ' after the header'}")
    return made


def _text(spec: FileSource, encoding: Encoding) -> AbstractContextManager[TextIO]:
    return open_text(spec.file, encoding.codec, encoding.skip, spec.display, hint=_hint(spec))


def _hint(spec: FileSource) -> str:
    return _SAVE if spec.is_override else _SET


@dataclass(frozen=True, slots=True)
class _Sample:
    text: str  # from the header on
    is_whole: bool


def _must_be_lines(sample: _Sample, spec: FileSource) -> None:
    if not sample.text.strip("\r\n\x1a"):
        place = f" from line {spec.header_row} on (`header_row`)" if spec.header_row > 1 else ""
        raise SourceError(f"{spec.display}: is empty{place}")
    if not sample.is_whole and not BREAK.search(sample.text):
        raise SourceError(
            f"{spec.display}: has no line end in its first {SAMPLE_BYTES} characters, so it is no table. "
            f"{_SAVE if spec.is_override else 'Set `encoding`'} if it is one"
        )


def _dialect(spec: FileSource, encoding: Encoding, sample: _Sample) -> Dialect:
    quote = _quote(spec)
    if spec.delimiter is not None:
        delimiter = Delimiter(char=_delimiter(spec, quote), found="given")
    else:
        of_results = None if spec.columns else result_delimiter(sample.text, quote)
        delimiter = of_results or find_delimiter(
            sample.text,
            is_whole=sample.is_whole,
            quote=quote,
            width=len(spec.columns) if spec.columns else None,
            first="\t" if spec.file.suffix.lower() == ".tsv" else ",",
        )
    return Dialect(
        encoding=encoding.codec,
        delimiter=delimiter.char,
        quote=quote,
        encoding_found=encoding.found,
        delimiter_found=delimiter.found,
        warning=encoding.warning,
    )


def _delimiter(spec: FileSource, quote: str) -> str:
    char = spec.delimiter or ""
    if len(char) != 1 or char in "\r\n" or char == quote:
        raise SourceError(
            f"{spec.display}: '{char}' is no delimiter. Give one character, such as ',' ';' 'tab' '|'"
        )
    return char


def _quote(spec: FileSource) -> str:
    char = '"' if spec.quote is None else spec.quote
    if len(char) > 1 or char in ("\r", "\n"):
        raise SourceError(f"{spec.display}: '{char}' is no quote. Give one character, or 'none'")
    return char


def _with_header(spec: FileSource, encoding: Encoding, dialect: Dialect) -> CsvFile:
    """The file with its columns: those of the job, or those of its header."""
    if spec.columns:
        columns, first = tuple(spec.columns), spec.header_row
    else:
        columns, first = _header(spec, encoding, dialect)
    return CsvFile(
        path=spec.file, file=spec.display, columns=columns, dialect=dialect, skip=encoding.skip, first=first,
        hint=_hint(spec),
        warnings=(dialect.warning,) if dialect.warning else (),
    )  # fmt: skip


def _header(spec: FileSource, encoding: Encoding, dialect: Dialect) -> tuple[tuple[str, ...], int]:
    """The names in the header, and the line after it."""
    with _text(spec, encoding) as file:
        for _ in range(spec.header_row - 1):
            file.readline()
        counted = _Counted(file)
        row = next(_read(counted, dialect, line=spec.header_row, width=None, display=spec.display), None)
    if row is None:
        raise SourceError(f"{spec.display}: is empty")
    if row.fault:
        raise SourceError(f"{spec.display}:{row.line}: the header cannot be read: {row.fault}")
    names = tuple(name.strip() or f"column {n}" for n, name in enumerate(row.cells, start=1))
    return names, spec.header_row + counted.lines


class _Counted:
    """Lines that are counted as they are taken."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.lines = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.lines += 1
            yield line


def _read(
    file: TextIO | _Counted, dialect: Dialect, *, line: int, width: int | None, display: str
) -> Iterator[Row]:
    """Records as rows. The hot loop: one pass, with the lines of the current record at hand.

    `line` is the number of the first line. `width` is None for a header.
    """
    csv.field_size_limit(CELL_LIMIT)
    pending: list[str] = []

    def remembered() -> Iterator[str]:
        for text in file:
            pending.append(text)
            yield text

    lines = remembered()
    options: Any = reader_options(dialect.delimiter, dialect.quote)
    strict = csv.reader(lines, strict=True, **options)
    while True:
        try:
            for cells in strict:
                if len(cells) == width:
                    yield Row(cells=tuple(cells), line=line)
                elif not _is_blank(cells, width):
                    fault = "" if width is None else _count_fault(cells, width, line, len(pending), dialect)
                    yield Row(cells=tuple(cells), line=line, fault=fault)
                line += len(pending)
                pending.clear()
            return
        except csv.Error as error:
            _finish(error, pending, lines, options, f"{display}:{line}")
            # What its quotes mean is not known, so the record stays what it is: one text.
            raw = "".join(pending).rstrip("\r\n")
            yield Row(cells=(raw,), line=line, fault=_quote_fault(line, len(pending), dialect))
            line += len(pending)
            pending.clear()


def _is_blank(cells: Sequence[str], width: int | None) -> bool:
    """No record: an empty line, or one of spaces where a record has several cells."""
    return not cells or (len(cells) == 1 and width != 1 and not cells[0].strip())


def _finish(error: csv.Error, pending: list[str], lines: Iterator[str], options: Any, where: str) -> None:
    """Takes the lines that still belong to the record in `pending`, as a reader that guesses would.

    Raises SourceError where the record has no end.
    """
    if "unexpected end" in str(error):
        cells = next(csv.reader(tuple(pending), **options))
        raise _never_closed(where, breaks("", "".join(cells[:-1])))
    try:
        next(csv.reader(chain(tuple(pending), lines), **options))
    except csv.Error:
        raise SourceError(
            f"{where}: a cell that begins in this record holds more than {CELL_LIMIT} characters. "
            "Is a quote not closed?"
        ) from None


def _never_closed(where: str, after: int) -> SourceError:
    file, _, line = where.rpartition(":")
    return SourceError(
        f"{file}:{int(line) + after}: a quote opened in this line is never closed, "
        'so everything after it is one cell. Close it, or double it ("") if it belongs to the text'
    )


def _span(line: int, lines: int) -> str:
    return f"line {line}" if lines == 1 else f"the record of lines {line} to {line + lines - 1}"


def _count_fault(cells: Sequence[str], width: int, line: int, lines: int, dialect: Dialect) -> str:
    shown = "tab" if dialect.delimiter == "\t" else dialect.delimiter
    why = f"does a cell hold a '{shown}' without quotes?" if len(cells) > width else "is it cut off?"
    return f"{_span(line, lines)} has {len(cells)} cells, the header has {width}: {why}"


def _quote_fault(line: int, lines: int, dialect: Dialect) -> str:
    mark = dialect.quote
    return (
        f"{_span(line, lines)} has text after a closing quote: "
        f"a {mark} that belongs to a cell's text must be doubled ({mark}{mark})"
    )
