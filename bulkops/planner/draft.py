"""A row on its way to its change: mapped, its references found, and what the target has for its key. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bulkops.plan.encoding import decode, dump, encode, load
from bulkops.record import Choice, Record, Row, RowError
from bulkops.targets.base import RecordData


@dataclass(slots=True, kw_only=True)
class Draft:
    """One row. Without a `record`, or with a `reason`, it is rejected.

    The record of a row that is rejected holds what could be told of it.
    """

    n: int
    row: Row
    record: Record | None = None
    errors: list[RowError] = field(default_factory=list)  # all that is wrong so far
    reason: str | None = None  # why it is rejected
    needs: Mapping[str, int] = field(default_factory=dict)  # rows that are written before, by field
    found: Sequence[RecordData] = ()  # what the target has for its key

    @property
    def is_open(self) -> bool:
        """Not rejected so far."""
        return self.record is not None and self.reason is None


def draft_to_json(draft: Draft) -> str:
    """All but number and row, which stand beside it. Only of a draft that is open."""
    assert draft.record is not None
    return dump(
        {
            "values": {name: encode(value) for name, value in draft.record.values.items()},
            "by": encode(draft.record.impersonate),
            "choices": {n: [c.text, c.parent, _plain(c.about)] for n, c in draft.record.choices.items()},
            "doubts": {name: _plain(error) for name, error in draft.record.doubts.items()},
            "needs": dict(draft.needs),
            "found": [{name: encode(value) for name, value in one.items()} for one in draft.found],
        }
    )


def draft_from_json(n: int, row: Row, text: str) -> Draft:
    data = load(text)
    record = Record(
        values={name: decode(value) for name, value in data["values"].items()},
        impersonate=decode(data["by"]),
        choices={
            name: Choice(text=text, parent=parent, about=_error(about))
            for name, (text, parent, about) in data["choices"].items()
        },
        doubts={name: _error(error) for name, error in data["doubts"].items()},
    )
    found = [{name: decode(value) for name, value in one.items()} for one in data["found"]]
    return Draft(n=n, row=row, record=record, needs=data["needs"], found=found)


def _plain(error: RowError) -> list[str | None]:
    return [error.message, error.column, error.value, error.field]


def _error(parts: list[str]) -> RowError:
    message, column, value, name = parts
    return RowError(message=message, column=column, value=value, field=name)
