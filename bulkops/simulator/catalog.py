"""The entities as the vendor publishes them: the shipped file of facts, and what every request needs of it.

The file is read as data; nothing of the engine is imported.
"""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

UDFS = "userDefinedFields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One entity. `entry` is its raw catalog record; the rest is derived from it."""

    name: str
    singular: str  # the older API's name, as error texts print it
    entry: Mapping[str, Any]
    fields: Mapping[str, Mapping[str, Any]]  # exact name → facts; always has `id`
    folded: Mapping[str, str]  # casefolded name → exact name
    kinds: Mapping[str, str]  # exact name → the API's data type
    hidden: tuple[str, ...]  # ids that travel in the path only: kept, never shown
    files: tuple[str, ...]  # byte[] fields: only one route shows them
    rich: tuple[str, ...]  # fields that hold rich text in the interface
    has_udfs: bool
    parent_field: str = ""  # the field that holds the id of the path's parent

    def find(self, name: str) -> str | None:
        """The exact name of a field that records show, case ignored."""
        exact = self.folded.get(name.casefold())
        return None if exact is None or exact in self.hidden else exact


@lru_cache(maxsize=1)
def entries() -> dict[str, dict[str, Any]]:
    """The raw catalog, by entity name."""
    data = importlib.resources.files("bulkops").joinpath("data", "catalog.json").read_bytes()
    entities: dict[str, dict[str, Any]] = orjson.loads(data)["entities"]
    return entities


@lru_cache(maxsize=1)
def shapes() -> dict[str, Shape]:
    """Every entity's shape, by name."""
    return {name: _shape(name, entry) for name, entry in entries().items()}


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """Casefolded entity name → exact name."""
    return {name.casefold(): name for name in entries()}


def suggest(name: str, known: Iterable[str]) -> str:
    """`, did you mean X?` for a misspelt name, or nothing."""
    by_fold = {item.casefold(): item for item in known}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f", did you mean {by_fold[close[0]]}?" if close else ""


def _shape(name: str, entry: dict[str, Any]) -> Shape:
    fields: dict[str, dict[str, Any]] = dict(entry["fields"])
    if "id" not in fields:  # entities whose fields no public source lists
        fields = {"id": {"type": "long", "required": True, "readOnly": True}} | fields
    return Shape(
        name=name,
        singular=entry["soap"],
        entry=entry,
        fields=fields,
        folded={field.casefold(): field for field in fields},
        kinds={field: facts["type"] for field, facts in fields.items()},
        hidden=tuple(field for field, facts in fields.items() if facts.get("pathOnly")),
        files=tuple(field for field, facts in fields.items() if facts["type"] == "byte[]"),
        rich=tuple(field for field, facts in fields.items() if facts.get("richText")),
        has_udfs="udf" in entry,
        parent_field=entry["parent"]["field"] if "parent" in entry else "",
    )
