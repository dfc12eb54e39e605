"""The mark that bulkops writes into a free text field, where a step asks for it, to know its creates again.

A mark is in one plan only and on one row of it, so a record that has it was made by that row. Pure.
"""

from __future__ import annotations

from bulkops.schema import Field, FieldType

NONCE = 8  # characters of a plan's id that are in its marks
LONGEST = len("bulkops-") + NONCE + len("-999999999")  # characters


def mark(nonce: str, n: int) -> str:
    """The mark of row `n`: `bulkops-5f0c9a1e-17`."""
    return f"bulkops-{nonce}-{n}"


def unfit(field: Field) -> str:
    """Why a field cannot hold marks, as the end of a sentence; nothing where it can."""
    if field.is_read_only or field.name == "id":
        return "is read-only"
    if field.type is not FieldType.STRING or field.picklist is not None or field.reference:
        return "holds no free text"
    if 0 < field.length < LONGEST:
        return f"takes {field.length} characters, and a mark has up to {LONGEST}"
    return ""
