"""Typed cells as text, in the shortest form that keeps what is stored: for sources that are no text.

Whole numbers without a point, others with as few digits as tell them from their neighbours and never with
an exponent; dates as ISO 8601, without the time where it is midnight; true and false; lists and tables as
compact JSON; nothing for no value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from bulkops.record import Row, StoredText

_STORED = frozenset({float, int, Decimal, datetime, date})
_WHOLE = 2.0**53  # up to here a whole float has no other digits than its own


def rows_of(values: Sequence[Sequence[Any]], names: Sequence[str], first: int) -> Iterator[Row]:
    """The rows of a block of columns, whose first row has the number `first`."""
    faults: dict[int, str] = {}
    columns = [
        _column_texts(column, f"column {name}", first, faults)
        for name, column in zip(names, values, strict=True)
    ]
    for n, cells in enumerate(zip(*columns, strict=True), start=first):
        yield Row(cells=cells, line=n, fault=faults.get(n, ""))


def _column_texts(column: Sequence[Any], name: str, first: int, faults: dict[int, str]) -> list[str]:
    try:
        return [value if type(value) is str else cell_text(value) for value in column]
    except ValueError:  # once more, one by one
        return [_text_or_fault(value, name, n, faults) for n, value in enumerate(column, start=first)]


def _text_or_fault(value: Any, name: str, n: int, faults: dict[int, str]) -> str:
    try:
        return cell_text(value)
    except ValueError as error:
        faults.setdefault(n, f"row {n}: {name} {error}")
        return ""


def cell_text(value: Any) -> str:
    """The text of a cell. Raises ValueError with a sentence's end where it has none: `holds …`."""
    kind = type(value)
    if kind not in _BY_TYPE:
        kind = _kind(value)
    text = _BY_TYPE[kind](value)
    return StoredText(text) if text and kind in _STORED else text


def _number(value: float) -> str:
    if -_WHOLE < value < _WHOLE and value == (whole := int(value)):
        return str(whole)
    if not math.isfinite(value):
        if math.isnan(value):
            return ""  # how tables of numbers say that there is none
        raise ValueError("holds an infinite number")
    text = repr(value)
    return _decimal(Decimal(text)) if "e" in text else text.removesuffix(".0")


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        return _number(float(value))
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _whole(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise ValueError("holds a number with thousands of digits") from None


def _precision(microsecond: int) -> str:
    return "auto" if microsecond % 1000 else "milliseconds"


def _moment(value: datetime) -> str:
    if getattr(value, "nanosecond", 0):  # a pandas.Timestamp
        return value.isoformat()
    if not value.microsecond:
        return value.isoformat().removesuffix("T00:00:00")
    return value.isoformat(timespec=_precision(value.microsecond))


def _time(value: time) -> str:
    if not value.microsecond:
        return value.isoformat()
    return value.isoformat(timespec=_precision(value.microsecond))


def _duration(value: timedelta) -> str:
    """Hours beyond 24 as a sheet shows them: 26:30:00."""
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(value.days * 86_400 + value.seconds, 60)
    text = f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    if not value.microseconds:
        return text
    fraction = f"{value.microseconds:06}"
    return f"{text}.{fraction[:3] if fraction.endswith('000') else fraction}"


def _bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("holds bytes that are no UTF-8 text") from None


def _json(value: Any) -> str:
    try:
        return json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), default=cell_text, allow_nan=False
        )
    except (TypeError, ValueError, RecursionError):
        raise ValueError("holds a nested value that JSON cannot tell") from None


def _kind(value: Any) -> type:
    """The type of which other libraries have made their own: a pandas.Timestamp is a datetime."""
    for kind in _BY_TYPE:
        if isinstance(value, kind):
            return kind
    raise ValueError(f"holds a {type(value).__name__}, which is no text, number or date")


_BY_TYPE: dict[type, Callable[[Any], str]] = {
    str: str,
    float: _number,
    bool: lambda value: "true" if value else "false",
    int: _whole,
    type(None): lambda _: "",
    datetime: _moment,
    date: date.isoformat,
    time: _time,
    timedelta: _duration,
    Decimal: _decimal,
    bytes: _bytes,
    UUID: str,
    dict: _json,
    list: _json,
    tuple: _json,
}
"""In this order for subclasses: bool before int, datetime before date."""
