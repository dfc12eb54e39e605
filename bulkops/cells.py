"""How cells stand in result files: guarded so that a spreadsheet runs none of them, and back to the letter.

Writing puts one `'` before a cell that a spreadsheet would take for a formula; reading takes it away again.
"""

from __future__ import annotations

GUARDED = ("=", "+", "-", "@", "\t", "\r", "'")

RESULT_COLUMNS = (
    "bulkops_row",
    "bulkops_line",
    "bulkops_step",
    "bulkops_entity",
    "bulkops_action",
    "bulkops_id",
    "bulkops_reason",
)
"""The columns that a result file has after the source's own, in their order."""

SURPLUS = "bulkops_surplus"
"""One column more: what did not fit under the header, in rows with another number of cells than it.

Such a row is brought to the header's width so that it can be looked at. It must not be read back as if it
were whole: reading refuses it until somebody has emptied this cell.
"""

RESULT_PREFIX = "bulkops_"


def escape_cell(text: str) -> str:
    """The cell as a result file holds it."""
    return "'" + text if text.startswith(GUARDED) else text


def unescape_cell(text: str) -> str:
    """The cell as it was: `unescape_cell(escape_cell(text)) == text` for every text.

    A `'` that guards nothing was typed by somebody ('s-Hertogenbosch) and stays.
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(GUARDED) else text


def is_result_file(columns: tuple[str, ...]) -> bool:
    """Whether a header is that of a result file, possibly with columns taken out by hand."""
    return any(name in RESULT_COLUMNS for name in columns)
