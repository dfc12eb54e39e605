"""Query bodies, what must not be asked, and pages that cannot lose a row. Pure.

Sources: REST_Advanced_Query_Features.htm (500 records a call, `id` above the last one seen), live reports
(an unknown operator is dropped without a word, a cursor of a POST is lost by a GET).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bulkops.errors import RefusedError, StopError
from bulkops.record import Scalar
from bulkops.targets.autotask.route import UDF
from bulkops.targets.base import Filter, RecordData

PAGE = 500  # records a call
MAX_CONDITIONS = 500  # values of `in` lists and items of `or`, in all of one call
SCALAR_OPS = frozenset({"eq", "noteq", "gt", "gte", "lt", "lte", "beginsWith", "endsWith", "contains"})
LIST_OPS = frozenset({"in", "notIn"})
EMPTY_OPS = frozenset({"exist", "notExist"})
GROUP_OPS = frozenset({"and", "or"})
ALL_OPS = SCALAR_OPS | LIST_OPS | EMPTY_OPS | GROUP_OPS
EVERYTHING: Filter = {"op": "exist", "field": "id"}  # an empty filter array is not a documented question


def check(where: Filter) -> None:
    """Refuses what the API answers wrongly or not at all.

    RefusedError is for what a user may have written, ValueError for lists that the caller must split.
    """
    clauses = list(_clauses(where))
    for clause in clauses:
        op = clause.get("op")
        if op not in ALL_OPS:
            raise RefusedError(f"unknown operator {op!r} in a filter. Known: {', '.join(sorted(ALL_OPS))}")
        if op not in GROUP_OPS and not clause.get("field"):
            raise RefusedError(f"a filter with {op!r} names no field")
    udfs = {str(clause["field"]).casefold() for clause in clauses if clause.get("udf")}
    if len(udfs) > 1:
        raise RefusedError("the API queries one user-defined field at a time; this filter has several")
    if conditions(where) > MAX_CONDITIONS:
        raise ValueError(f"a query holds at most {MAX_CONDITIONS} conditions, this one {conditions(where)}")


def conditions(where: Filter) -> int:
    """How many values of lists and alternatives a filter holds."""
    total = 0
    for clause in _clauses(where):
        if clause.get("op") in LIST_OPS:
            total += len(clause.get("value") or ())
        elif clause.get("op") == "or":
            total += len(clause.get("items") or ())
    return total


def _clauses(where: Filter) -> list[Filter]:
    found = [where]
    for item in where.get("items") or ():
        found.extend(_clauses(item))
    return found


def page_body(where: Filter, *, after: int | None, fields: Sequence[str] | None) -> dict[str, Any]:
    """One page: the next records by id. `after` is the last id seen, None on the first page."""
    clauses: list[Filter] = [where]
    if after is not None:
        clauses.append({"op": "gt", "field": "id", "value": after})
    body: dict[str, Any] = {"MaxRecords": PAGE, "Filter": clauses}
    if fields is not None and not any(name.startswith(UDF) for name in fields):
        # With user-defined fields all are read: how they are named in IncludeFields is not documented.
        body["IncludeFields"] = list(dict.fromkeys(["id", *fields]))
    return body


def count_body(where: Filter) -> dict[str, Any]:
    return {"Filter": [where]}


class Pages:
    """What pages have been read. Every page must go on, by rising ids, where the last one ended."""

    def __init__(self, entity: str) -> None:
        self._entity = entity
        self.last: int | None = None  # id
        self.is_done = False

    def add(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The records of one answer. StopError where rows could be lost by going on."""
        items = data.get("items")
        if not isinstance(items, list):
            raise StopError(f"the answer to a query of {self._entity} holds no list of items", status=200)
        last = self.last
        for item in items:
            number = item.get("id") if isinstance(item, dict) else None
            if type(number) is not int or (last is not None and number <= last):
                raise StopError(
                    f"the server does not return {self._entity} by rising id (after {last} came {number!r}), "
                    f"so rows could be missed or read twice: nothing more is read"
                )
            last = number
        self.last = last
        self.is_done = not items or self._says_last(data, len(items))
        return items

    @staticmethod
    def _says_last(data: Mapping[str, Any], count: int) -> bool:
        details = data.get("pageDetails")
        if not isinstance(details, dict) or "nextPageUrl" not in details:
            return count < PAGE
        return not details["nextPageUrl"]


def record(item: Mapping[str, Any], wanted: frozenset[str] | None) -> RecordData:
    """A record as read, flat: user-defined fields as `udf:Name`, values that are no scalars left out."""
    flat: RecordData = {}
    for name, value in item.items():
        if name == "userDefinedFields":
            _add_udfs(flat, value)
        elif value.__class__ is not dict and value.__class__ is not list:
            flat[name] = value
    if wanted is None:
        return flat
    return {name: value for name, value in flat.items() if name.casefold() in wanted}


def _add_udfs(flat: RecordData, udfs: Any) -> None:
    for udf in udfs or ():
        value: Scalar = udf.get("value")
        flat[f"{UDF}{udf.get('name')}"] = value


def wanted_names(fields: Sequence[str] | None) -> frozenset[str] | None:
    """The asked names in the form `record` compares; None for all."""
    return None if fields is None else frozenset({"id", *(name.casefold() for name in fields)})
