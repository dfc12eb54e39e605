"""What a run has made of a tenant's records, whatever ids they got: two runs of one job must agree in it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.campaign.history import Rows

EndState: TypeAlias = Mapping[str, Counter[str]]
"""Entity → what is new, changed or gone, as text, each with how often."""

# What the server notes or numbers by itself, by the clock or in the order in which it was asked.
_SERVERS = re.compile(r"last.*|create(d|Date).*|statusDateTime|(project|task|phase|ticket)Number").fullmatch


def end_state(before: Rows, after: Rows) -> EndState:
    """New records without the ids they got: a reference to one says what that record is."""
    namer = _Namer(before, after)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for entity in {*before, *after}:
        was, now = before.get(entity, {}), after.get(entity, {})
        found[entity].update(f"gone: {record_id}" for record_id in was.keys() - now.keys())
        found[entity].update(namer.new(entity, record_id) for record_id in now.keys() - was.keys())
        found[entity].update(
            f"{record_id}: {changed}"
            for record_id in was.keys() & now.keys()
            if (changed := namer.changed(was[record_id], now[record_id]))
        )
    return {entity: texts for entity, texts in found.items() if texts}


class _Namer:
    def __init__(self, before: Rows, after: Rows) -> None:
        self._after = after
        self._new = {
            record_id: entity
            for entity, rows in after.items()
            for record_id in rows
            if record_id not in before.get(entity, {})
        }  # ids of two entities are never the same in the simulator
        self._texts: dict[int, str] = {}

    def new(self, entity: str, record_id: int) -> str:
        if record_id not in self._texts:
            self._texts[record_id] = f"new: {self.changed({'id': record_id}, self._after[entity][record_id])}"
        return self._texts[record_id]

    def changed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
        told = {
            name: self._value(value)
            for name, value in new.items()
            if value != old.get(name) and not _SERVERS(name)
        }
        return ", ".join(f"{name} {value}" for name, value in sorted(told.items()))

    def _value(self, value: Any) -> str:
        if type(value) is int and value in self._new:
            return f"({self.new(self._new[value], value)})"
        return repr(value)
