"""What somebody changed is told in words beside numbers, as far as the plan knows them."""

from __future__ import annotations

from pathlib import Path

from bulkops.applier.drift import drifted
from bulkops.applier.known import KnownNames
from bulkops.change import Action, Change, FieldDiff
from bulkops.plan import Fate, RowState
from bulkops.record import Row
from bulkops.reverse import reversal
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.base import RecordData
from tests.unit.test_drift import plan_of

TASKS = load_catalog().entities["Tasks"]
LABELS = {"assignedResourceID": {"12": "Jane Doe", "13": "Kim Lee"}}
GIVEN = Change(
    n=1, step="Tasks", entity="Tasks", action=Action.UPDATE, id=7, key={"id": 7},
    fields={"assignedResourceID": FieldDiff(before=12, after=13), "title": FieldDiff(before="12", after="a")},
)  # fmt: skip


def test_a_drift_names_who_had_it() -> None:
    """A number that the plan has no name for stays a number, and a text a text."""
    seen = drifted(TASKS, GIVEN, {"id": 7, "assignedResourceID": 14, "title": "b"}, LABELS)
    assert seen.texts == (
        "assignedResourceID was 12 (Jane Doe) and is 14 now",
        "title was '12' and is 'b' now",
    )
    assert drifted(TASKS, GIVEN, {"id": 7, "assignedResourceID": 14, "title": "12"}).texts == (
        "assignedResourceID was 12 and is 14 now",
    )


def test_a_drift_names_who_did_it() -> None:
    """As far as the plan has a name for them."""
    record: RecordData = {"id": 7, "assignedResourceID": 14, "title": "12", "lastActivityResourceID": 13}
    people = {"13": "Kim Lee"}
    assert drifted(TASKS, GIVEN, record, LABELS, people).by == "resource 13 (Kim Lee)"
    assert drifted(TASKS, GIVEN, {**record, "lastActivityResourceID": 14}, LABELS, people).by == "resource 14"


def test_a_name_is_known_wherever_the_plan_has_it(tmp_path: Path) -> None:
    """What one field calls a person, every field that refers to people calls so, of whatever entity; what a
    field says itself goes first.
    """
    person = {"type": "integer", "reference": "Resources"}
    shape = {"is_queryable": True, "parent": None}
    plan = plan_of(
        tmp_path,
        [GIVEN],
        entities={
            "Tasks": {**shape, "fields": {"assignedResourceID": person, "creatorResourceID": person}},
            "Tickets": {**shape, "fields": {"completedByResourceID": person, "status": {"type": "integer"}}},
        },
        extra={"labels": {"Tasks": LABELS, "Tickets": {"status": {"5": "Complete"}}}},
    )
    names = KnownNames(plan)
    assert names.people == LABELS["assignedResourceID"]
    assert names.labels("Tasks")["creatorResourceID"]["13"] == "Kim Lee"
    assert names.labels("Tickets") == {
        "completedByResourceID": LABELS["assignedResourceID"], "status": {"5": "Complete"},
    }  # fmt: skip
    assert names.labels("Projects") == {}


def test_what_cannot_be_taken_back_names_whom_it_was_given_to() -> None:
    """The way back is rejected with the same words."""
    fate = Fate(change=GIVEN, row=Row(cells=()), state=RowState.APPLIED, id=7, reason=None)
    back = reversal(fate, TASKS, {"id": 7, "assignedResourceID": 14, "title": "a"}, {}, LABELS)
    assert back.action is Action.REJECTED
    assert back.reason == "assignedResourceID was set to 13 (Kim Lee) and is 14 now: it was changed since"
