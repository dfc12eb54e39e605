"""Text to typed value, by the type of the field. Pure.

A converter takes the text of a cell that holds something and gives the value to send. It raises
ValueError with a sentence for the user: what is wrong with the text, and what would be right.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TypeAlias

from bulkops.job.model import NumberSpec
from bulkops.record import Scalar, StoredText
from bulkops.schema import Field, FieldType

Convert: TypeAlias = Callable[[str], Scalar]

_LIMITS = {FieldType.SHORT: 2**15, FieldType.INTEGER: 2**31, FieldType.LONG: 2**63}
_EXACT = 2.0**53  # from here on a JSON number no longer tells neighbours apart
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?").fullmatch
_FRACTION = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?").fullmatch
_FLAG_NAME = re.compile(r"is[A-Z]").match
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPACES = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " "})


def plain_converter(field: Field, number: NumberSpec | None, *, shipped_length: int = 0) -> Convert:
    """The converter of a field that holds neither a picklist nor a date.

    `shipped_length` is what the catalog says, where the tenant has spoken.
    """
    clean = _number_cleaner(number)
    if is_flag(field):
        return _flag
    if field.type.is_whole:
        return _whole_converter(field, clean)
    if field.type.is_fraction:
        return _fraction_converter(clean)
    if field.type is FieldType.BOOLEAN:
        return _boolean
    return _base64 if field.type is FieldType.BYTES else text_converter(field.length, shipped_length)


def is_flag(field: Field) -> bool:
    """Yes or no kept as 1 or 0: `Contacts.isActive` and its like refuse true and false on the wire."""
    return field.type.is_whole and field.picklist is None and _FLAG_NAME(field.name) is not None


def text_converter(length: int, shipped_length: int = 0) -> Convert:
    """Text as it stands in the source, to the letter, spaces at its ends included; `length` 0: any."""

    def convert(text: str) -> Scalar:
        if length and len(text) > length:
            raise ValueError(_too_long(text, length, shipped_length))
        return sendable(text)

    return convert


def _too_long(text: str, length: int, shipped_length: int) -> str:
    blanks = len(text) - len(text.strip())
    more = f" ({blanks} of them blanks at its ends)" if blanks else ""
    said = f" in this tenant (the shipped catalog says {shipped_length})" if shipped_length > length else ""
    return f"has {len(text)} characters{more}, the field takes {length}{said}"


def sendable(text: str) -> str:
    """The text, if every character can travel as JSON and be stored."""
    if "\0" in text:
        raise ValueError("holds a NUL character, which no field can store")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a character (a lone surrogate)") from None
    return str(text)


def _whole_converter(field: Field, clean: Callable[[str], str]) -> Convert:
    limit = _LIMITS[field.type]
    is_id = bool(field.reference) or field.name == "id"
    wanted = "no id. To find the record by another field, set `lookup`" if is_id else "no whole number"

    def convert(text: str) -> Scalar:
        digits = clean(text)
        if _WHOLE(digits) is None:
            raise ValueError(f"is {wanted}{_grouped_hint(text)}")
        number = int(digits.partition(".")[0]) if len(digits) < 40 else limit
        if not -limit <= number < limit:
            raise ValueError(f"is outside {-limit} to {limit - 1}, the range of this {field.type} field")
        return number

    return convert


def _fraction_converter(clean: Callable[[str], str]) -> Convert:
    def convert(text: str) -> Scalar:
        digits = clean(text)
        if _FRACTION(digits) is None:
            raise ValueError(f"is no number{_grouped_hint(text)}")
        number = float(digits) + 0.0  # no -0
        if abs(number) >= _EXACT:
            raise ValueError("is too large to be sent without loss (the limit is 9,007,199,254,740,991)")
        return number

    return convert


def _grouped_hint(text: str) -> str:
    if "," in text and any(char.isdigit() for char in text):
        return '. If "," is its decimal sign or groups thousands, say so: number: {decimal: ","}'
    return ""


def _number_cleaner(number: NumberSpec | None) -> Callable[[str], str]:
    """Takes a number as the source writes it to digits with a point; other text is left as it is."""
    if number is None:
        return lambda text: text.strip()
    decimal = number.decimal
    thousands = (number.thousands or "").translate(_SPACES)
    # Groups are checked, so that 1.5 is not read as 15 where "." groups thousands.
    group = f"[1-9][0-9]{{0,2}}({re.escape(thousands)}[0-9]{{3}})+|" if thousands else ""
    shape = re.compile(f"[+-]?({group}[0-9]*)({re.escape(decimal)}[0-9]*)?([eE][+-]?[0-9]{{1,4}})?").fullmatch

    def clean(text: str) -> str:
        if isinstance(text, StoredText):
            return text.strip()
        text = text.strip().translate(_SPACES)
        if shape(text) is None:
            raise ValueError(_not_written_so(decimal, thousands))
        whole = text.replace(thousands, "") if thousands else text
        return whole.replace(decimal, ".")

    return clean


def _not_written_so(decimal: str, thousands: str) -> str:
    groups = f" and thousands grouped by '{thousands}'" if thousands else ""
    return f"is no number with '{decimal}' as its decimal sign{groups}"


def _boolean(text: str) -> Scalar:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError("is neither true, yes or 1 nor false, no or 0. Other words need `labels`")
    return value


def _flag(text: str) -> Scalar:
    return int(bool(_boolean(text)))


def _base64(text: str) -> Scalar:
    try:
        base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64, as which this field travels") from None
    return text.strip()
