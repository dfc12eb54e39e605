"""The collision rules where whole plans seldom reach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bulkops.change import Action, Change
from bulkops.job.model import StepAction
from bulkops.planner.collision import Rules, key_text
from bulkops.record import IMPERSONATE, Created, Record, RowError, Scalar, Value
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.autotask.catalog import load_catalog

THINGS = Entity(
    name="Things", singular="Thing", can={"create": "root", "update": "root"}, is_queryable=True,
    fields={
        "id": Field(name="id", type=FieldType.LONG, is_required=True, is_read_only=True),
        "title": Field(name="title", type=FieldType.STRING),
    },
)  # fmt: skip


def decide(
    action: StepAction,
    values: Mapping[str, Value],
    found: Sequence[dict[str, Scalar]] = (),
    *,
    entity: str | Entity = "Tasks",
    match: tuple[str, ...] = ("externalID",),
) -> Change:
    shape = load_catalog().entities[entity] if isinstance(entity, str) else entity
    rules = Rules(action=action, entity=shape, match=match)
    record = Record(values=values)
    row = Change(n=9, step="s", entity=shape.name, action=Action.REJECTED, key=rules.key(record))
    return rules.decide(row, record, found)


def test_a_change_that_waits_names_what_it_waits_for() -> None:
    """References to what other rows create are the order in which a change may be sent."""
    entity = load_catalog().entities["Tasks"]
    rules = Rules(action=StepAction.CREATE, entity=entity, match=())
    values: dict[str, Value] = {
        "title": "T",
        "status": 1,
        "taskType": 1,
        "projectID": Created(change=4),
        "phaseID": Created(change=2),
    }
    row = Change(n=9, step="t", entity="Tasks", action=Action.REJECTED)
    change = rules.decide(row, Record(values=values), ())
    assert (change.action, change.parent, change.waits_for) == (Action.CREATE, Created(change=4), (2, 4))


INACTIVE = RowError(message="is inactive", column="Who", field="title")


@pytest.mark.parametrize(
    ("action", "found", "fate"),
    [
        (StepAction.UPSERT, [], "rejected"),
        (StepAction.UPSERT, [{"id": 5, "externalID": "T-1", "title": "Old"}], "rejected"),
        (StepAction.UPSERT, [{"id": 5, "externalID": "T-1", "title": "T"}], "unchanged"),
        (StepAction.DELETE, [{"id": 5, "externalID": "T-1", "title": "T"}], "delete"),
    ],
)
def test_a_doubt_counts_where_the_field_is_written(
    action: StepAction, found: list[dict[str, Scalar]], fate: str
) -> None:
    """What is inactive may stay where it is, and is set nowhere."""
    tasks = load_catalog().entities["Tasks"]
    entity = replace(tasks, can={**tasks.can, "delete": "root"}, parent=None)
    rules = Rules(action=action, entity=entity, match=("externalID",))
    values: dict[str, Value] = {
        "externalID": "T-1", "title": "T", "status": 1, "taskType": 1, "projectID": 3,
    }  # fmt: skip
    found = [{**record, "status": 1, "taskType": 1, "projectID": 3} for record in found]
    row = Change(n=9, step="s", entity="Tasks", action=Action.REJECTED)
    change = rules.decide(row, Record(values=values, doubts={"title": INACTIVE}), found)
    assert change.action.value == fate
    assert change.reason == ("column Who: is inactive" if fate == "rejected" else None)


def test_who_creates_is_said_on_creates_only() -> None:
    """On an update the header does nothing at best; somebody inactive creates nothing."""
    rules = Rules(action=StepAction.UPSERT, entity=THINGS, match=("title",))
    row = Change(n=9, step="s", entity="Things", action=Action.REJECTED)
    record = Record(values={"title": "T"}, impersonate=41)
    made = rules.decide(row, record, ())
    assert (made.action, made.impersonate) == (Action.CREATE, 41)
    kept = rules.decide(row, record, [{"id": 1, "title": "t"}])
    assert (kept.action, kept.impersonate) == (Action.UPDATE, None)
    doubted = replace(record, doubts={IMPERSONATE: INACTIVE})
    assert rules.decide(row, doubted, ()).reason == "column Who: is inactive"
    assert rules.decide(row, doubted, [{"id": 1, "title": "t"}]).action is Action.UPDATE


def test_an_upsert_by_id_never_creates() -> None:
    """The API chooses ids itself: a record of a given id cannot be made."""
    change = decide(StepAction.UPSERT, {"id": 99, "title": "T"}, entity=THINGS, match=("id",))
    assert change.action is Action.REJECTED
    assert change.reason == "no Things record has id 99, and the API chooses ids itself"


def test_a_row_without_any_value_creates_nothing() -> None:
    """An empty record would be a call that nobody asked for."""
    change = decide(StepAction.CREATE, {"title": "  "}, entity=THINGS, match=())
    assert change.reason == "the row holds no value to create a record from"


def test_a_read_only_key_that_differs_by_case_is_no_change() -> None:
    """Records are found by a number that the server gave; how the file spells it is not written."""
    found: dict[str, Scalar] = {"id": 31, "taskNumber": "T20260101.0001", "title": "Old", "projectID": 7}
    values: dict[str, Value] = {"taskNumber": "t20260101.0001", "title": "New"}
    change = decide(StepAction.UPDATE, values, [found], match=("taskNumber",))
    assert (change.action, set(change.fields)) == (Action.UPDATE, {"title"})


def test_what_is_never_updated_is_made_once_and_then_unchanged() -> None:
    """Who is a secondary resource of which task: an upsert creates what is not there; what is there stays
    as it is, and a row that says otherwise is rejected with both values."""
    how: dict[str, Any] = {"entity": "TaskSecondaryResources", "match": ("taskID", "resourceID")}
    row: dict[str, Value] = {"taskID": 7, "resourceID": 4, "roleID": 5}
    assert decide(StepAction.UPSERT, row, **how).action is Action.CREATE
    there: dict[str, Scalar] = {"id": 9, "taskID": 7, "resourceID": 4, "roleID": 5}
    again = decide(StepAction.UPSERT, row, [there], **how)
    assert (again.action, again.id, again.fields) == (Action.UNCHANGED, 9, {})
    other = decide(StepAction.UPSERT, row, [{**there, "roleID": 6}], **how)
    assert other.action is Action.REJECTED
    assert other.reason == "roleID cannot be changed: it is 6, the row says 5"


def test_a_child_whose_parent_is_not_known_is_rejected() -> None:
    """A record that names no parent cannot be reached, and the reason says so."""
    found: dict[str, Scalar] = {"id": 31, "externalID": "T-1", "title": "Old", "projectID": None}
    change = decide(StepAction.UPDATE, {"externalID": "T-1", "title": "New"}, [found])
    assert (change.action, change.id) == (Action.REJECTED, 31)
    assert change.reason == "projectID is empty, and Tasks are reached through their Projects record"


def test_a_note_that_can_be_written_at_the_root_needs_no_parent() -> None:
    """Where both routes exist the parent is used when it is known."""
    note: dict[str, Value] = {"title": "N", "description": "D", "noteType": 1, "publish": 1, "taskID": 5}
    assert decide(StepAction.CREATE, note, entity="TaskNotes", match=()).parent == 5
    found: dict[str, Scalar] = {"id": 1, "title": "N", "taskID": None}
    change = decide(
        StepAction.UPDATE, {"title": "N", "publish": 2}, [found], entity="TaskNotes", match=("title",)
    )
    assert (change.action, change.parent) == (Action.UPDATE, None)


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_part_of_a_key_is_named(empty: Value) -> None:
    """Blanks are no key; 0 is one."""
    rules = Rules(
        action=StepAction.UPSERT, entity=load_catalog().entities["Tasks"], match=("projectID", "title")
    )
    assert rules.empty_part({"projectID": 0, "title": empty}) == "title"
    assert rules.empty_part({"projectID": 0, "title": "T"}) is None


def test_keys_are_told_in_a_sentence() -> None:
    """Texts are quoted and cut, what is not known yet is named by its row."""
    key: dict[str, Value] = {"a": "x" * 100, "b": Created(change=4), "c": None, "d": 5}
    assert key_text(key) == f"a '{'x' * 57}...' and b what row 4 creates and c empty and d 5"
