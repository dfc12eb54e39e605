"""JSON values as the service's deserializer reads them: what becomes what, and the text when it cannot.

The service answers `Unexpected character encountered while parsing value: t` for true in a number field;
that is the wording of the .NET JSON library, so the other texts here are that library's too. It takes text
for numbers, booleans and dates, and empty text there as null. Numbers are no booleans (REST_API_Calls.htm:
only true and false are).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

Reader: TypeAlias = Callable[[Any], Any]  # JSON value → stored value; raises UnreadableError

BITS = {"short": 16, "integer": 32, "long": 64}
WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
DECIMAL = re.compile(r"\s*[+-]?(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
MONTH_FIRST = re.compile(  # what the invariant culture takes beside ISO 8601
    r"(\d{1,2})/(\d{1,2})/(\d{4})(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AP]M))?)?",
    re.ASCII | re.IGNORECASE,
)


class UnreadableError(ValueError):
    """A value the field's type cannot take; `str(error)` is the deserializer's text."""


def reader(name: str, kind: str, *, date_only: bool = False) -> Reader:
    """The reader of one field; `kind` is the catalog's type."""
    if kind in BITS:
        return _whole(name, BITS[kind])
    if kind in ("double", "decimal"):
        return _fraction(name, kind)
    if kind == "boolean":
        return _boolean(name)
    if kind == "datetime":
        return _moment(name, date_only=date_only)
    return _text(name)


def _whole(name: str, bits: int) -> Reader:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def read(value: Any) -> int | None:
        if type(value) is int:
            number = value
        elif isinstance(value, float):
            raise UnreadableError(f"Input string '{value}' is not a valid integer. Path '{name}'.")
        elif not isinstance(value, str):
            raise _unexpected(name, value)
        elif not value:
            return None
        elif WHOLE.fullmatch(value) and len(value) < 40:
            number = int(value)
        else:
            raise UnreadableError(f"Could not convert string to integer: {value}. Path '{name}'.")
        if low <= number <= high:
            return number
        raise UnreadableError(f"JSON integer {number} is too large or small for an Int{bits}. Path '{name}'.")

    return read


def _fraction(name: str, kind: str) -> Reader:
    def read(value: Any) -> float | None:
        if type(value) is float or type(value) is int:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        elif not isinstance(value, str):
            raise _unexpected(name, value)
        elif not value:
            return None
        else:
            number = float(value.replace(",", "")) if DECIMAL.fullmatch(value) else math.nan
        if math.isfinite(number):
            return number
        raise UnreadableError(f"Could not convert string to {kind}: {value}. Path '{name}'.")

    return read


def _boolean(name: str) -> Reader:
    def read(value: Any) -> bool | None:
        if value is True or value is False:
            return bool(value)
        if not isinstance(value, str):
            raise _unexpected(name, value)
        if not value:
            return None
        word = value.strip().lower()
        if word not in ("true", "false"):
            raise UnreadableError(f"Could not convert string to boolean: {value}. Path '{name}'.")
        return word == "true"

    return read


def _text(name: str) -> Reader:
    def read(value: Any) -> str:
        if type(value) is str:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        raise _unexpected(name, value)

    return read


def _moment(name: str, *, date_only: bool) -> Reader:
    """UTC text `2012-10-24T05:00:00.000Z`. A date-only field keeps the date as written, at midnight."""

    def read(value: Any) -> str | None:
        if not isinstance(value, str):
            raise _unexpected(name, value)
        if not value:
            return None
        try:
            moment = _parse(value)
            if date_only:
                moment = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            return stored(moment)
        except (ValueError, OverflowError):
            raise UnreadableError(f"Could not convert string to DateTime: {value}. Path '{name}'.") from None

    return read


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        found = MONTH_FIRST.fullmatch(text.strip())
    if not found:
        raise ValueError(text)
    month, day, year, hour, minute, second, half = found.groups(default="0")
    clock = int(hour)
    if half != "0":
        clock = clock % 12 + (12 if half.upper() == "PM" else 0)
    return datetime(int(year), int(month), int(day), clock, int(minute), int(second))  # noqa: DTZ001


def stored(moment: datetime) -> str:
    """A moment as rows hold it. Without a zone it is UTC already (REST_API_Calls.htm)."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _unexpected(name: str, value: Any) -> UnreadableError:
    if isinstance(value, bool):
        first = "t" if value else "f"
    elif isinstance(value, (dict, list)):
        first = "{" if isinstance(value, dict) else "["
    else:
        first = str(value)[:1]
    return UnreadableError(f"Unexpected character encountered while parsing value: {first}. Path '{name}'.")
