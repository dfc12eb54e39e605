"""The limits on how much one plan may change."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import Action, Change, FieldDiff
from bulkops.record import Created, Value
from bulkops.safety import DEFAULTS, Limit, Measured, Tally, check_limits, label_kind, refusals
from bulkops.schema import Entity, Field, FieldType, PicklistValue

TASKS = Entity(
    name="Tasks", singular="Task", can={"create": "child", "update": "child"}, is_queryable=True,
    fields={
        "status": Field(
            name="status", type=FieldType.INTEGER,
            picklist=(PicklistValue(value="1", label="New"), PicklistValue(value="5", label="Complete ")),
        ),
        "title": Field(name="title", type=FieldType.STRING),
        "udf:Legacy ID": Field(name="udf:Legacy ID", type=FieldType.STRING),
    },
)  # fmt: skip


def measured(
    counts: Mapping[str, Mapping[str, int]], totals: Mapping[str, int], limits: Mapping[str, Limit] = DEFAULTS
) -> Measured:
    return Measured(counts=counts, totals=totals, limits=limits)


def change(action: Action, **fields: Value) -> Change:
    return Change(
        n=1, step="s", entity="Tasks", action=action,
        fields={name: FieldDiff(before=1, after=after) for name, after in fields.items()},
    )  # fmt: skip


def test_a_refusal_names_the_measured_and_the_allowed_number_and_the_way_out() -> None:
    """One sentence tells how much, how much is allowed, and exactly what to type."""
    (sentence,) = refusals(measured({"update": {"Tasks": 412}}, {"Tasks": 1000}), {})
    assert sentence == (
        "update: 412 of the 1,000 Tasks (41.2 %), the limit is 25 %. "
        "If that is meant, release exactly these: --allow update=412"
    )


def test_two_rows_about_one_record_are_no_more_than_all_records() -> None:
    """A record that two steps change is there once; records that are created are more than there were."""
    all_of_them = {kind: Limit(percent=100) for kind in ("create", "update", "delete")}
    counts = {kind: {"Tasks": 46} for kind in all_of_them}
    (sentence,) = refusals(measured(counts, {"Tasks": 45}, all_of_them), {})
    assert sentence.startswith("create: 46 of the 45 Tasks (102.2 %), the limit is 100 %.")
    half = {"update": Limit(percent=50)}
    (sentence,) = refusals(measured({"update": {"Tasks": 46}}, {"Tasks": 45}, half), {})
    assert "update: 45 of the 45 Tasks (100.0 %), the limit is 50 %" in sentence
    assert sentence.endswith("--allow update=46")


@pytest.mark.parametrize("kind", ["update", "delete"])
@pytest.mark.parametrize(
    ("count", "total", "is_refused"),
    [
        (250, 1000, False),  # 25 % exactly is allowed
        (251, 1000, True),
        (500, 100_000, False),
        (501, 100_000, True),
        (9, 9, False),  # too few records for a share to mean anything
        (10, 10, True),
        (3, 10, True),
        (2, 10, False),
    ],
)
def test_updates_and_deletes_have_limits_by_default(
    kind: str, count: int, total: int, is_refused: bool
) -> None:
    """More than 25 % of an entity of 10 records or more, or more than 500 rows, needs somebody's word."""
    assert bool(refusals(measured({kind: {"Tasks": count}}, {"Tasks": total}), {})) == is_refused


def test_creates_have_no_limit_unless_set() -> None:
    """A migration may create what it wants, until the job says otherwise."""
    counts = {"create": {"Tasks": 100_000}}
    assert refusals(measured(counts, {"Tasks": 10}), {}) == []
    (sentence,) = refusals(measured(counts, {}, {"create": Limit(count=50)}), {})
    assert sentence.startswith("create: 100,000 rows, the limit is 50.")


def test_rows_are_counted_over_all_entities_and_shares_within_each() -> None:
    """Two entities with 300 updates each are 600 rows; the share is each entity's own."""
    facts = measured({"update": {"Tasks": 300, "Projects": 300}}, {"Tasks": 10_000, "Projects": 600})
    (sentence,) = refusals(facts, {})
    assert "600 rows, the limit is 500 and 300 of the 600 Projects (50.0 %)" in sentence
    assert sentence.endswith("--allow update=600")
    assert refusals(facts, {"update": 600}) == []


def test_a_wrong_number_is_refused_and_named() -> None:
    """A number typed for another plan releases nothing."""
    facts = measured({"update": {"Tasks": 412}}, {"Tasks": 1000})
    for wrong in (411, 413, 0):
        (sentence,) = refusals(facts, {"update": wrong})
        assert sentence.endswith(f"--allow update=412 (not {wrong})")
    assert refusals(facts, {"delete": 412})


def test_an_unneeded_release_is_ignored() -> None:
    """A number for a limit that is not in the way changes nothing."""
    facts = measured({"update": {"Tasks": 3}}, {"Tasks": 1000})
    assert refusals(facts, {"update": 99, "delete": 1, "status=Complete": 7}) == []


def test_setting_a_label_can_be_limited_and_released() -> None:
    """A limit on `status=Complete` counts the rows that set it, and is released by its own number."""
    facts = measured({"status=Complete": {"Tasks": 8}}, {"Tasks": 20}, {"status=Complete": Limit(percent=30)})
    (sentence,) = refusals(facts, {})
    assert sentence.startswith("status=Complete: 8 of the 20 Tasks (40.0 %), the limit is 30 %.")
    assert refusals(facts, {"Status=complete": 8}) == []


def test_limits_survive_the_plan_file() -> None:
    """What the planner measured is what the applier checks, through the header's JSON."""
    facts = measured({"update": {"Tasks": 412}}, {"Tasks": 1000})
    header = SimpleNamespace(limits=facts.to_json())
    assert check_limits(header) == refusals(facts, {})
    assert check_limits(header, {"update": 412}) == []
    assert check_limits(SimpleNamespace(limits={})) == []


def test_a_label_is_understood_as_the_picklist_does() -> None:
    """Label or number, case and blanks ignored; an unknown label or field is no kind of this entity."""
    by_label, by_number = label_kind("Status = complete", TASKS), label_kind("status=5", TASKS)
    assert by_label is not None and by_number is not None
    assert by_label.values == by_number.values == {5}
    assert label_kind("status=Gone", TASKS) is None
    assert label_kind("state=Complete", TASKS) is None
    assert label_kind("status=", TASKS) is None
    udf = label_kind("udf:Legacy ID=a=b", TASKS)
    assert udf is not None and udf.values == {"a=b"}


def test_the_tally_counts_writes_by_kind_and_by_label() -> None:
    """Creates and updates that set the label count; deletes, other values and unwritten rows do not."""
    kind = label_kind("status=Complete", TASKS)
    assert kind is not None
    tally = Tally()
    for item in (
        change(Action.UPDATE, status=5),
        change(Action.CREATE, status="5"),
        change(Action.UPDATE, status=1),
        change(Action.UPDATE, title="x"),
        change(Action.UPDATE, status=Created(change=3)),
        change(Action.DELETE, status=5),
        change(Action.REJECTED, status=5),
        change(Action.UNCHANGED),
    ):
        tally.add(item, [kind])
    assert tally.counts() == {
        "update": {"Tasks": 4},
        "create": {"Tasks": 1},
        "delete": {"Tasks": 1},
        "status=Complete": {"Tasks": 2},
    }


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from(["Tasks", "Projects"]), st.integers(1, 2000)), st.integers(0, 4000))
def test_the_exact_number_always_releases_and_no_other_does(
    counts: dict[str, int], given_number: int
) -> None:
    """Whatever the plan: its own number releases it, every other number leaves the refusal standing."""
    facts = measured({"update": counts}, {"Tasks": 1000, "Projects": 40})
    number = sum(counts.values())
    assert refusals(facts, {"update": number}) == []
    if given_number != number:
        assert len(refusals(facts, {"update": given_number})) == len(refusals(facts, {}))
