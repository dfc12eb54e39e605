"""Values as a server keeps them, for whoever compares records with plans: the checker's own equality."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def value_of(record: Mapping[str, Any], name: str) -> Any:
    """A field's value; `udf:Name` for a user-defined one."""
    if not name.startswith("udf:"):
        return record.get(name)
    wanted = name[4:].casefold()
    listed = record.get("userDefinedFields") or ()
    return next((item["value"] for item in listed if item["name"].casefold() == wanted), None)


def same(stored: Any, planned: Any) -> bool:
    """Whether the server keeps `planned` as `stored`: trimmed text, numbers by value, moments by instant."""
    one, other = _kept(stored), _kept(planned)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (_moment(one) is not None and _moment(one) == _moment(other))
    return one == other or (one is not None and other is not None and _number(one) == _number(other))


def _kept(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.strip().replace("\r\n", "\n") or None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def field_names(*records: Mapping[str, Any]) -> list[str]:
    """Every field of the records, `udf:Name` for user-defined ones."""
    names = {name for record in records for name in record if name != "userDefinedFields"}
    for record in records:
        names |= {f"udf:{item['name']}" for item in record.get("userDefinedFields") or ()}
    return sorted(names)
