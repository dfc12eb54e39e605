"""The fault script: which requests go wrong, and how. Decides only; `exchange` does it.

A fault counts every request that its method, entity and call fit, from 1, from its installing; the first
fault whose `when` holds wins. Chances are drawn from the seed, one for each request that fits.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bulkops.simulator.catalog import UDFS, names, shapes, suggest


class Call(StrEnum):
    """What a request does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    QUERY = "query"
    COUNT = "count"
    GET = "get"
    METADATA = "metadata"


class Do(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    STATUS_AFTER_COMMIT = "status_after_commit"
    DROP = "drop"
    DROP_AFTER_COMMIT = "drop_after_commit"
    DELAY = "delay"
    LATE_COMMIT = "late_commit"
    GARBAGE = "garbage"
    TRUNCATE = "truncate"
    HTML_404 = "html_404"
    UNAUTHORIZED = "unauthorized"
    EDIT = "edit"
    THREAD_LIMIT = "thread_limit"
    HOUR_LIMIT = "hour_limit"


NEEDS = {
    Do.STATUS: "code",
    Do.STATUS_AFTER_COMMIT: "code",
    Do.DELAY: "ms",
    Do.LATE_COMMIT: "ms",
    Do.EDIT: "fields",
}
CALL_OF_METHOD = {"POST": Call.CREATE, "PATCH": Call.UPDATE, "PUT": Call.UPDATE, "DELETE": Call.DELETE}
KEYS = {"method", "entity", "call", "when", "do", "code", "body", "ms", "fields"}
SERVICES = (
    "zoneInformation",
    "ThresholdInformation",
    "EntityInformation",
    "Modules",
    "Version",
    "VersionInformation",
    "Authenticate",
)


class FaultError(ValueError):
    """A fault script that cannot be understood; the message says where in it."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. `nth`, `every` and `chance` are all empty where it always strikes."""

    do: Do
    method: str = ""
    entity: str = ""  # casefolded
    call: Call | None = None
    nth: frozenset[int] = frozenset()
    every: int = 0
    chance: float | None = None
    code: int = 0
    body: Any = None
    ms: float = 0.0
    fields: Mapping[str, Any] | None = None
    seen: int = 0

    def fits(self, method: str, entity: str, call: Call) -> bool:
        return (
            (not self.method or self.method == method)
            and (not self.entity or self.entity == entity)
            and (self.call is None or self.call is call)
        )

    def strikes(self, rng: random.Random) -> bool:
        """Counts one more request that fits, and says whether it goes wrong."""
        self.seen += 1
        if self.chance is not None:
            return rng.random() < self.chance
        if self.every:
            return self.seen % self.every == 0
        return not self.nth or self.seen in self.nth


class FaultScript:
    """The faults in force."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = random.Random(seed)
        self._faults: list[Fault] = []

    def install(self, faults: Sequence[Fault]) -> None:
        """Replaces the script; counts and chances begin anew."""
        self._faults = list(faults)
        self._rng = random.Random(self._seed)

    def choose(self, method: str, entity: str, call: Call) -> Fault | None:
        """The fault of one request."""
        if not self._faults:
            return None
        chosen = None
        folded = entity.casefold()
        for fault in self._faults:
            if fault.fits(method, folded, call) and fault.strikes(self._rng) and chosen is None:
                chosen = fault
        return chosen


def read_faults(script: Any) -> list[Fault]:
    """From `{"faults": [...]}` or the array alone. Raises FaultError that names the fault and the key."""
    items = script.get("faults") if isinstance(script, Mapping) else script
    if not isinstance(items, list):
        raise FaultError('a fault script is {"faults": [...]}')
    return [_read(item, f"faults[{place}]") for place, item in enumerate(items)]


def _read(item: Any, where: str) -> Fault:
    if not isinstance(item, Mapping):
        raise FaultError(f"{where}: a fault is an object")
    _known(item, KEYS, where)
    do = _one_of(item.get("do"), Do, f"{where}.do")
    method = str(item.get("method") or "").upper()
    call = item.get("call")
    fault = Fault(
        do=do,
        method=method,
        entity=_entity(item.get("entity"), where),
        call=CALL_OF_METHOD.get(method) if call is None else _one_of(call, Call, f"{where}.call"),
        body=item.get("body"),
    )
    _read_when(fault, item.get("when"), f"{where}.when")
    _read_arguments(fault, item, where)
    return fault


def _read_when(fault: Fault, when: Any, where: str) -> None:
    if when is None:
        return
    if not isinstance(when, Mapping) or len(when) != 1:
        raise FaultError(f'{where}: give one of {{"nth": [3]}}, {{"every": 10}}, {{"chance": 0.02}}')
    _known(when, {"nth", "every", "chance"}, where)
    ((kind, value),) = when.items()
    if kind == "nth":
        numbers = value if isinstance(value, list) else [value]
        fault.nth = frozenset(int(_number(n, f"{where}.nth", 1)) for n in numbers)
        if not fault.nth:
            raise FaultError(f"{where}.nth: give at least one number")
    elif kind == "every":
        fault.every = int(_number(value, f"{where}.every", 1))
    else:
        fault.chance = _number(value, f"{where}.chance", 0, 1)


def _read_arguments(fault: Fault, item: Mapping[str, Any], where: str) -> None:
    needed = NEEDS.get(fault.do)
    if needed is not None and item.get(needed) is None:
        raise FaultError(f"{where}: {fault.do} needs {needed!r}")
    if item.get("code") is not None:
        fault.code = int(_number(item["code"], f"{where}.code", 200, 599))
    if item.get("ms") is not None:
        fault.ms = _number(item["ms"], f"{where}.ms", 0)
    fields = item.get("fields")
    if fields is not None and not isinstance(fields, Mapping):
        raise FaultError(f"{where}.fields: an object of fields and their values")
    shape = shapes().get(names().get(fault.entity, ""))
    for name in fields or ():
        if shape and name.casefold() not in shape.folded and name.casefold() != UDFS.casefold():
            raise FaultError(
                f"{where}.fields: {shape.name} have no field {name!r}{suggest(name, shape.fields)}"
            )
    fault.fields = fields


def _entity(name: Any, where: str) -> str:
    if name is None:
        return ""
    folded = str(name).casefold()
    if folded not in names() and folded not in {service.casefold() for service in SERVICES}:
        raise FaultError(f"{where}.entity: there is no entity {name!r}{suggest(str(name), names().values())}")
    return folded


def _one_of(value: Any, kind: Any, where: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise FaultError(f"{where}: {value!r} is not one of {', '.join(kind)}") from None


def _number(value: Any, where: str, low: float, high: float = float("inf")) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        limit = f"a number from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
        raise FaultError(f"{where}: {value!r} is not {limit}")
    return float(value)


def _known(item: Iterable[str], keys: set[str], where: str) -> None:
    for key in item:
        if key not in keys:
            raise FaultError(f"{where}: there is no key {key!r}{suggest(key, keys)}")
