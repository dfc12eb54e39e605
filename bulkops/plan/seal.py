"""What a plan was made from, and the seal over it. Pure: no I/O.

The seal is a SHA-256 over the header and over the hashes of chunks of 1,000 rows with their changes, as
stored. It never changes: what happens while applying stands outside it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any

from bulkops.change import Action

CHUNK = 1000  # changes that share one hash
_DOMAIN = "bulkops plan 1"  # what is hashed, so that the hash of anything else is never a seal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInfo:
    """One step as planned: `read` rows in its source, `dropped` by `distinct` or `where`, `rows` planned.

    `left_out`: how many of its columns are ignored without being named.
    """

    name: str
    entity: str
    action: str
    match: tuple[str, ...]
    file: str
    columns: tuple[str, ...]
    read: int
    dropped: int
    rows: int
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The facts a plan was made from. Mappings are JSON-able; `counts` adds up to the number of changes."""

    job: str
    tenant: str
    database: str  # the target's identity, as text
    url: str
    reason: str
    created: str  # UTC, ISO 8601
    version: str  # of bulkops
    steps: tuple[StepInfo, ...]
    counts: Mapping[str, int]  # create, update, delete, unchanged, rejected
    calls_read: int  # what planning cost
    calls_write: int
    estimate_s: Mapping[str, float]  # share → seconds
    plan_id: str = field(default_factory=lambda: secrets.token_hex(16))
    warnings: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)  # thresholds of the job, measured sizes
    entities: Mapping[str, Any] = field(default_factory=dict)  # facts of the entities that apply needs
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Canonical: keys sorted, no spaces, ASCII. ValueError or TypeError where a mapping is no JSON."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        data["steps"] = [
            {item.name: getattr(step, item.name) for item in fields(step)} for step in self.steps
        ]
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict)

    @classmethod
    def from_json(cls, text: str) -> Header:
        """What `to_json` wrote. ValueError, KeyError or TypeError where it is another text."""
        data = json.loads(text)
        data["warnings"] = tuple(data["warnings"])
        data["steps"] = tuple(
            StepInfo(**{**step, "match": tuple(step["match"]), "columns": tuple(step["columns"])})
            for step in data["steps"]
        )
        return cls(**data)


def entry_bytes(n: int, line: object, cells: str, change: str) -> bytes:
    """What the seal covers of a row and its change; lengths first, so that no text shifts into the next."""
    return f"{n},{line!r},{len(cells)},{len(change)}\n{cells}{change}".encode("utf-8", "surrogatepass")


def action_letter(action: Action) -> str:
    """One letter of `chunks.actions`."""
    return "n" if action is Action.UNCHANGED else action.value[0]


def chunk_hash(entries: Iterable[bytes]) -> str:
    return sha256(b"".join(entries)).hexdigest()


def root_hash(header: str, chunks: Iterable[tuple[object, ...]]) -> str:
    """The seal: over the header's JSON and the chunks' rows (first, last, actions, hash)."""
    seal = sha256(f"{_DOMAIN}\n{len(header)}\n{header}\n".encode("utf-8", "surrogatepass"))
    for chunk in chunks:
        seal.update(f"{chunk!r}\n".encode("utf-8", "surrogatepass"))
    return seal.hexdigest()
