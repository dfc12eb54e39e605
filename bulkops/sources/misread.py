"""Whether a text file is read with another delimiter than it is written with: what the job names tells.

One sentence that names the likely delimiter, in place of one for every column that is not there.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence

from bulkops.sources.base import Dialect
from bulkops.sources.dialect import DELIMITERS, reader_options, widths
from bulkops.sources.files import BREAK
from bulkops.wording import counted, shown

_NO_SIGN = " _\"'`\ufeff"  # stand in names, or around them


def misread(
    text: str,
    dialect: Dialect,
    *,
    named: Collection[str],
    columns: Sequence[str] | None,
    can_set: bool = True,
) -> str:
    """What is wrong with the delimiter, and what it should be; nothing where no other one fits far better.

    `text` begins with the header, of whose names `named` should be some. Where the file has none, `columns`
    are its columns. `can_set`: whether the job can say what is right, which it cannot of a file given on the
    command line.
    """
    if columns:
        return _misread_rows(text, dialect, len(columns))
    header = BREAK.split(text, maxsplit=1)[0]
    signs = [*DELIMITERS, *(sign for sign in header if not (sign.isalnum() or sign in _NO_SIGN))]
    wanted = set(named)
    hits = {sign: len(wanted & _names(header, sign, dialect.quote)) for sign in dict.fromkeys(signs)}
    now = len(wanted & _names(header, dialect.delimiter, dialect.quote))
    best = max(hits, key=lambda sign: hits[sign])
    if hits[best] <= 2 * now or hits[best] < min(2, len(wanted)):
        return ""
    return (
        f"read with {_word(dialect.delimiter)} as delimiter, its header {shown(header)} has "
        f"{now or 'none'} of the {counted(len(wanted), 'column')} that the job names; with {_word(best)} "
        f"it has {hits[best]}. {_advice(best, dialect) if can_set else 'Save it with commas'}"
    )


def _misread_rows(text: str, dialect: Dialect, width: int) -> str:
    shares = {sign: _share(text, sign, dialect.quote, width) for sign in (*DELIMITERS, dialect.delimiter)}
    best = max(shares, key=lambda sign: shares[sign])
    if width == 1 or shares[dialect.delimiter] or shares[best] < 0.5:
        return ""
    return (
        f"read with {_word(dialect.delimiter)} as delimiter, none of its first rows has the {width} cells "
        f"that `columns` names; with {_word(best)} most of them have. {_advice(best, dialect)}"
    )


def _share(text: str, delimiter: str, quote: str, width: int) -> float:
    """Of the first rows, how many are so wide. The last one may be cut off."""
    found = widths(text, delimiter, quote, is_whole=False)
    return found.count(width) / len(found) if found else 0.0


def _names(header: str, delimiter: str, quote: str) -> set[str]:
    options = reader_options(delimiter, quote if quote != delimiter else "")
    try:
        return {name.strip() for name in next(csv.reader([header], **options), ())}  # type: ignore[arg-type]
    except csv.Error:
        return set()


def _advice(delimiter: str, dialect: Dialect) -> str:
    sign = "tab" if delimiter == "\t" else f'"{delimiter}"'
    rest = ", or leave it out" if dialect.delimiter_found == "given" and delimiter in DELIMITERS else ""
    return f"Set `delimiter: {sign}` in the source{rest}"


def _word(sign: str) -> str:
    return "a tab" if sign == "\t" else f"`{sign}`"
