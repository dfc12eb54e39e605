"""The table of who has how much, as lines for people: what a recipe has put into a plan's header. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEY = "workload"
"""Where the header's `extra` and `plan --json` have it: a row for each entity and person."""

NOTES = "workload_notes"
"""Sentences about that table."""

_HEAD = ("", "", "now", "change", "then")


def workload_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line of heads and one for each row; an entity is named in its first one."""
    if not rows:
        return
    table, last = [_HEAD], ""
    for row in rows:
        entity = row["entity"]
        person = f"{row['name']} ({row['id']})"
        amounts = (_amount(row[part], signed=part == "change") for part in _HEAD[2:])
        table.append((entity if entity != last else "", person, *amounts))  # type: ignore[arg-type]
        last = entity
    widths = [max(len(line[n]) for line in table) for n in range(len(_HEAD))]
    for line in table:
        left = [line[n].ljust(widths[n]) for n in range(2)]
        right = [line[n].rjust(widths[n]) for n in range(2, len(_HEAD))]
        yield "  ".join([*left, *right]).rstrip()


def _amount(part: Mapping[str, Any], *, signed: bool) -> str:
    """`1,204 (3,300.5 h)`; `+400 (+1,100 h)`; a dash where nobody counted."""
    count, hours = part["count"], part.get("hours")
    if count is None:
        return "–"
    sign = "+" if signed else ""
    told = f"{count:{sign},}" if count or not signed else "0"
    if "hours" not in part or hours is None:
        return told
    whole = round(hours, 1)
    text = f"{whole:{sign},.1f}".removesuffix(".0") if whole else "0"
    return f"{told} ({text} h)"
