"""What a plan file says was planned and what happened, read with nothing but SQLite and JSON.

Shares no code with bulkops, so that a misunderstanding of its own file cannot hide from who checks it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

SETTLED = ("applied", "unchanged", "rejected", "held")
WORDS = ("intent", "doubt", "withdrawn", *SETTLED)
STATES = (*SETTLED, "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One change as it stands in the plan. A value that another change creates is `{"change": n}`."""

    n: int
    step: str
    entity: str
    action: str  # create, update, delete, unchanged, rejected
    id: Any = None
    key: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    parent: Any = None
    cleared: Sequence[str] = ()  # fields that a request of its own empties before the rest is sent
    waits_for: Sequence[int] = ()
    barrier: int = 0

    @property
    def is_write(self) -> bool:
        return self.action in ("create", "update", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the journal. `at` is epoch seconds."""

    n: int
    seq: int
    run: int
    word: str
    at: float
    id: int | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Story:
    """A plan and its journal, whole."""

    changes: Mapping[int, Planned]
    lines: Sequence[Line]  # by seq
    runs: int = 0
    rows: int = 0

    @cached_property
    def of(self) -> Mapping[int, Sequence[Line]]:
        """The lines of each change that has any."""
        told: dict[int, list[Line]] = defaultdict(list)
        for line in self.lines:
            told[line.n].append(line)
        return told

    def last(self, n: int) -> Line | None:
        return self.of[n][-1] if n in self.of else None

    def state(self, n: int) -> str:
        """Where a change stands: the journal's last word, else the plan's own."""
        last = self.last(n)
        if last is not None:
            return last.word if last.word in SETTLED else "pending"
        action = self.changes[n].action
        return action if action in ("unchanged", "rejected") else "pending"

    def record_id(self, n: int) -> int | None:
        """The record that a change made or is about, as far as it is known; an intent's id is no record's."""
        last = self.last(n)
        if last is not None and last.id is not None and last.word in SETTLED:
            return last.id
        planned = self.changes[n].id
        return planned if isinstance(planned, int) else None

    def counts(self) -> dict[str, int]:
        found = Counter(self.state(n) for n in self.changes)
        return {state: found[state] for state in STATES}

    def was_in_doubt(self, n: int) -> bool:
        """Whether its answer was lost, or the process died between its intent and its outcome."""
        lines = self.of.get(n, ())
        if any(line.word == "doubt" for line in lines):
            return True
        following = [*lines[1:], None]
        return any(
            line.word == "intent" and (after is None or after.run != line.run)
            for line, after in zip(lines, following, strict=True)
        )

    def was_tried(self, n: int) -> bool:
        """Whether a request may ever have left for it."""
        return any(line.word == "intent" for line in self.of.get(n, ()))

    def resolved(self, value: Any) -> Any:
        """A planned value as it is sent: the id where another change makes the record."""
        if isinstance(value, Mapping) and "change" in value:
            return self.record_id(value["change"])
        if isinstance(value, Mapping) and "int" in value:
            return int(value["int"], 16)
        return value


def read_story(path: Path) -> Story:
    """The story in a plan file. Opened read-only; whatever lies in its write-ahead log counts."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        changes = {n: _planned(n, text) for n, text in connection.execute("SELECT n, change FROM changes")}
        (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        names = [item[1] for item in connection.execute("PRAGMA table_info(journal)")]
        lines = [
            _line(dict(zip(names, values, strict=True)))
            for values in connection.execute("SELECT * FROM journal ORDER BY seq")
        ]
    finally:
        connection.close()
    return Story(changes=changes, lines=lines, runs=runs, rows=rows)


def _planned(n: int, text: str) -> Planned:
    data: dict[str, Any] = json.loads(text)
    fields: dict[str, Any] = data.get("fields", {})
    return Planned(
        n=n,
        step=data["step"],
        entity=data["entity"],
        action=data["action"],
        id=data.get("id"),
        key=data.get("key", {}),
        before={name: pair[0] for name, pair in fields.items()},
        after={name: pair[1] for name, pair in fields.items()},
        parent=data.get("parent"),
        cleared=data.get("cleared", ()),
        waits_for=data.get("waits_for", ()),
        barrier=data.get("barrier", 0),
    )


def _line(row: Mapping[str, Any]) -> Line:
    return Line(
        n=row["n"],
        seq=row["seq"],
        run=row["run"],
        word=row["kind"],
        at=row["at"],
        id=row["id"],
        reason=row["reason"],
    )
