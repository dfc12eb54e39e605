"""How cells stand in result files: guarded so that a spreadsheet runs none of them, and back to the letter.

Writing puts one `'` before a cell that a spreadsheet would take for a formula; reading takes it away again.
Which cells held a number or a date, and which were not there, stands in a column of its own, since text
alone does not tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from bulkops.record import StoredText

GUARDED = ("=", "+", "-", "@", "\t", "\r", "'")

REASON = "bulkops_reason"
RESULT_COLUMNS = (
    "bulkops_row",
    "bulkops_line",
    "bulkops_step",
    "bulkops_entity",
    "bulkops_action",
    "bulkops_id",
    REASON,
)
"""The columns that a result file has after the source's own, in their order."""

SURPLUS = "bulkops_surplus"
"""One column more: what did not fit under the header, in rows with another number of cells than it.

Such a row is brought to the header's width so that it can be looked at. It must not be read back as if it
were whole: reading refuses it until somebody has emptied this cell.
"""

STORED = "bulkops_stored"
"""One column more: the cells that held a number or a date, by column, as JSON: `{"Hours": "1.125"}`. Those
that the record did not have stand there without a text: `{"Due": ""}`.

What a job says of decimal signs and date formats is not meant for them, and as text 1.125 could be eleven
hundred. A cell counts as stored while it still has this text; what somebody typed over it is text.
"""

RESULT_PREFIX = "bulkops_"

_WHOLE = re.compile("-?[0-9]+").fullmatch  # says the same in every way that numbers are written


def escape_cell(text: str) -> str:
    """The cell as a result file holds it."""
    return "'" + text if text.startswith(GUARDED) else text


def unescape_cell(text: str) -> str:
    """The cell as it was: `unescape_cell(escape_cell(text)) == text` for every text.

    A `'` that guards nothing was typed by somebody ('s-Hertogenbosch) and stays.
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(GUARDED) else text


def is_result_file(columns: Iterable[str], *, is_fed_back: bool = False) -> bool:
    """Whether a header is that of a result file, possibly with columns taken out by hand.

    In a file that is fed back every column with our prefix is a sign, whatever its name has become.
    """
    known = {*RESULT_COLUMNS, SURPLUS, STORED}
    return any(name in known or (is_fed_back and name.startswith(RESULT_PREFIX)) for name in columns)


def stored_texts(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells of a row that must not come back as mere text, by column. `cells` may be more, or fewer.

    Of columns that share a name none is told: no job can read them.
    """
    texts = {
        name: str(cell)
        for name, cell in zip(columns, cells, strict=False)
        if type(cell) is StoredText and not _WHOLE(cell)
    }
    if len(set(columns)) == len(columns):  # counting each name is slow where a record lacks many
        return texts
    return {name: text for name, text in texts.items() if columns.count(name) == 1}


def stored_to_json(texts: Mapping[str, str]) -> str:
    """The cell of the column `STORED`; empty where nothing is to be told."""
    return json.dumps(texts, ensure_ascii=False) if texts else ""


def stored_from_json(text: str) -> dict[str, str]:
    """What `stored_to_json` wrote. ValueError where somebody has made something else of it."""
    if not text.strip():
        return {}
    texts = json.loads(text)
    if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
        raise ValueError("is no table of texts")
    return texts
