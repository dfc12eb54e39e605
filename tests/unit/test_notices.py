"""What the changes of a step have in common: told once, with the number of rows."""

from __future__ import annotations

from bulkops.change import UNKNOWN, Action, Change, FieldDiff, Unknown
from bulkops.planner.notices import Notices
from bulkops.record import Value
from bulkops.targets.autotask.catalog import load_catalog

TICKETS = load_catalog().entities["Tickets"]


def change(action: Action, **fields: tuple[Value | Unknown, Value]) -> Change:
    diffs = {name: FieldDiff(before=before, after=after) for name, (before, after) in fields.items()}
    return Change(n=1, step="notes", entity="Tickets", action=action, fields=diffs)


def told(*changes: Change) -> list[str]:
    notices = Notices("notes", TICKETS)
    for one in changes:
        notices.add(one)
    return notices.told()


def test_updates_of_rich_text_are_counted() -> None:
    """Each field on its own, however many rows there are."""
    changes = [change(Action.UPDATE, description=("a", "b"), title=("a", "b"))] * 3
    assert told(*changes, change(Action.UPDATE, resolution=(UNKNOWN, None))) == [
        "notes: 3 updates of description: the API writes plain text, so formatting and pictures in what "
        "stands there now are lost",
        "notes: 1 update of resolution: the API writes plain text, so formatting and pictures in what "
        "stands there now are lost",
    ]


def test_where_nothing_can_be_lost_nothing_is_told() -> None:
    """A new record, an empty field, a plain field, a row that is not written."""
    assert (
        told(
            change(Action.CREATE, description=(None, "b")),
            change(Action.UPDATE, description=(None, "b")),
            change(Action.UPDATE, title=("a", "b")),
            change(Action.REJECTED, description=("a", "b")),
        )
        == []
    )
