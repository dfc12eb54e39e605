"""What people call the record of a row: told beside an id, which tells nobody anything."""

from __future__ import annotations

import pytest

from bulkops.change import Action, Change
from bulkops.naming import RowNames
from bulkops.plan import StepInfo
from bulkops.record import Row


def step(*columns: str) -> StepInfo:
    return StepInfo(
        name="s", entity="Tasks", action="update", match=("id",), file="f", columns=columns, read=1,
        dropped=0, rows=1,
    )  # fmt: skip


def change(**more: object) -> Change:
    parts: dict[str, object] = {"n": 1, "step": "s", "entity": "Tasks", "action": Action.UPDATE, **more}
    return Change(**parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "cells", "about", "name"),
    [
        (("id", "title"), ("7", " Build it "), {"id": 7, "key": {"id": 7}, "file": "Tasks"}, "Build it"),
        (("id", "title"), ("7", "Build it"), {"key": {"id": 7}, "file": "t.csv"}, "Build it"),
        (("title", "to"), ("Build it", "Kim"), {"key": {"taskID": 7}, "file": "Tasks"}, "Build it"),
        (("lastName", "firstName"), ("Lee", "Kim"), {"id": 7, "key": {"id": 7}}, "Kim Lee"),
        (("Id", "title"), ("7", "Build it"), {"id": 7, "key": {"externalID": "7"}, "file": "t.csv"}, ""),
        (("title",), ("Build it",), {"action": Action.CREATE, "file": "t.csv"}, ""),
        (("id", "title"), ("7",), {"id": 7, "key": {"id": 7}}, ""),
        (("id", "hours"), ("7", "3"), {"id": 7, "key": {"id": 7}}, ""),
    ],
)  # fmt: skip
def test_a_record_known_by_its_id_has_the_name_that_its_row_holds(
    columns: tuple[str, ...], cells: tuple[str, ...], about: dict[str, object], name: str
) -> None:
    """A record of a query, an export or a recipe; what has a key of its own, a short row, or no name column
    gets none."""
    assert RowNames([step(*columns)]).of(change(**about), Row(cells=cells)) == name


def test_a_step_that_is_not_in_the_header_has_no_names() -> None:
    """Nothing is guessed."""
    assert RowNames([]).of(change(id=7, key={"id": 7}), Row(cells=("Build it",))) == ""
