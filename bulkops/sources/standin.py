"""A file given with --source that bulkops did not write: a new export in place of the job's own file.

What the job says of how its own file is written does not count for it, and its cells are kept to the letter.
Where either can be other than somebody expected, that is told.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from bulkops.cells import unescape_cell
from bulkops.job.model import FileSource
from bulkops.sources.base import Dialect, Source
from bulkops.wording import counted, shown


def stand_in_warnings(spec: FileSource, source: Source) -> list[str]:
    """What the user of a stand-in should know. Reads it once. Raises SourceError where reading fails."""
    said = [*_unlike(spec, source.dialect), *_guarded(source)]
    return [f"{source.display}: {text}" for text in said]


def advice(spec: FileSource) -> str:
    """What to add where a stand-in cannot be read, or not as the job needs it; empty where nothing is."""
    usual = spec.stands_for if spec.is_override else None
    if usual is None:
        return ""
    names = ("encoding", "delimiter", "quote", "columns")
    keys = [name for name in names if getattr(usual, name) is not None]
    if usual.header_row != 1:
        keys.append(f"header_row: {usual.header_row}")
    if not keys:
        return ""
    return (
        f"What the job says of its own file ({', '.join(keys)}) does not count for a file given with "
        "--source: save it with its header in line 1, and text as CSV in UTF-8"
    )


def _unlike(spec: FileSource, found: Dialect | None) -> Iterator[str]:
    """Where the job's own words would have read the file otherwise, and nothing shows which is right."""
    usual = spec.stands_for
    if usual is None or found is None:
        return
    if usual.encoding and found.warning and not _is_same(usual.encoding, found.encoding):
        yield (
            f"was read as {found.encoding}, not as {usual.encoding}, which the job says of its own file. "
            "If that is what this one is written in, save it as UTF-8"
        )
    if usual.quote is not None and usual.quote != found.quote:
        yield (
            f"was read with {found.quote} around cells, not with {usual.quote or 'none'}, which the job says "
            f"of its own file. If this one is like that, save it with {found.quote}"
        )


def _is_same(one: str, other: str) -> bool:
    try:
        return codecs.lookup(one).name == codecs.lookup(other).name
    except LookupError:
        return False


def _guarded(source: Source) -> Iterator[str]:
    """Cells that look like those of a result file whose columns of bulkops were cut out."""
    count, first = 0, ""
    for row in source.rows():
        for cell in row.cells:
            if cell[:1] == "'" and unescape_cell(cell) != cell:
                count += 1
                first = first or f"{shown(cell)} in line {row.line}"
    if count:
        yield (
            f"has {counted(count, 'cell')} with a ' before a sign, the first one {first}. They are kept to "
            "the letter. If it was a result file or an export of bulkops, give it a column bulkops_entity, "
            "which may be empty, and the ' is taken away"
        )
