"""Opens the source of a step: the reader of its kind, then what is read back, then what is distinct."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import replace

from bulkops.errors import SourceError
from bulkops.job.model import FileSource, FrameSource, WrittenAs
from bulkops.sources.base import Source, Table
from bulkops.sources.distinct import DistinctRows
from bulkops.sources.resultfile import restored
from bulkops.sources.standin import advice, stand_in_warnings
from bulkops.wording import sentences

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")


def open_source(
    spec: FileSource | FrameSource,
    *,
    missing: Collection[str] = ("",),
    unread: Container[str] = (),
    named: Collection[str] = (),
) -> Source:
    """The source of a step, looked at so far that columns and dialect are known and one row was seen.

    `missing` are the texts that mean "no value": rows without a key are not alike in `distinct`. In the
    columns `unread` of a sheet an error is no fault of its row. `named` are columns that the job names: where
    another delimiter fits them far better, the file is refused. A result file of bulkops, of whatever
    type, gives the rows and columns of its source; one that is fed back may have no row.

    Raises SourceError: no such file, not of its type, unknown encoding, no header, no row; JobError where
    `distinct` names a column that is not there.
    """
    if isinstance(spec, FileSource) and spec.is_override:
        source = _stand_in(spec, unread, named)
    else:
        is_guarded = isinstance(spec, FileSource) and spec.exported is WrittenAs.CSV
        source = restored(_opened(spec, unread, named), is_guarded=is_guarded)
    if spec.distinct is None:
        return source
    return DistinctRows(source, spec.distinct, missing=missing)


def _stand_in(spec: FileSource, unread: Container[str], named: Collection[str]) -> Source:
    """A file in place of the job's own: a result file, or a new export with what is to be told of it."""
    try:
        opened = _opened(spec, unread, named)
    except SourceError as error:
        if told := advice(spec):
            raise SourceError(sentences(str(error), told)) from error
        raise
    source = restored(opened, is_fed_back=True)
    if source.is_result or not isinstance(opened, Table):
        return source
    return replace(opened, warnings=(*opened.warnings, *stand_in_warnings(spec, opened)))


def _opened(spec: FileSource | FrameSource, unread: Container[str], named: Collection[str]) -> Source:
    if isinstance(spec, FrameSource):
        from bulkops.sources.frame import open_frame

        return open_frame(spec)
    match spec.file.suffix.lower():
        case ".xlsx":
            from bulkops.sources.excel import open_excel

            return open_excel(spec, unread)
        case ".jsonl":
            from bulkops.sources.jsonl import open_jsonl

            return open_jsonl(spec)
        case ".parquet":
            from bulkops.sources.parquet import open_parquet

            return open_parquet(spec)
        case suffix if suffix in TEXT_SUFFIXES:
            from bulkops.sources.csvfile import open_csv

            return open_csv(spec, named)
        case suffix:
            known = " ".join((*TEXT_SUFFIXES, ".xlsx", ".jsonl", ".parquet"))
            raise SourceError(
                f"{spec.display}: '{suffix or spec.file.name}' files cannot be read. "
                f"Save the table as CSV in UTF-8; known are {known}"
            )
