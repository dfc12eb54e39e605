"""Rows that are nearly the same: a record is one row's only, and what nobody can tell apart is held."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import Change, FieldDiff
from bulkops.schema import Field, FieldType
from bulkops.settle import fingerprint
from bulkops.settle.knowledge import Known
from bulkops.settle.verdict import Doubt, Seen, Verdict
from bulkops.targets.memory import MemoryTarget
from tests.unit.settling import BILLING, ENTITIES, LANDED, LOST, WORDS, apply, item, plan_of

Record: TypeAlias = dict[str, Any]
VALUES = {"department": st.sampled_from([None, 3, 4]), "rate": st.sampled_from([None, 1.5])}
SENT = st.fixed_dictionaries(VALUES)


def told(doubts: list[Doubt], records: list[Record], *, flying: tuple[Doubt, ...] = ()) -> dict[int, Verdict]:
    return fingerprint.verdicts(
        Known(shape=BILLING), doubts, records, ours=(), flying=flying, read=tuple(BILLING.fields)
    )


def record(id: int, name: str = "x", *, department: int | None = None, rate: float | None = None) -> Record:
    return {"id": id, "name": name, "billingCodeType": 2, "rate": rate, "departmentID": department}


def doubt(change: Change, floor: int = 0) -> Doubt:
    return Doubt(change=change, floor=floor)


def test_a_record_that_says_more_than_one_row_is_the_rows_that_says_as_much() -> None:
    """One row has a department, the other none: the record with the department is not both of theirs."""
    found = told([doubt(item(1)), doubt(item(2, department=3))], [record(5, department=3)])
    assert (found[2].seen, found[2].id) == (Seen.DONE, 5)
    assert found[1].seen is Seen.ABSENT


def test_a_record_for_each_of_two_rows_of_which_one_says_more() -> None:
    """The server may have given the first one a department too: two records, two rows."""
    found = told(
        [doubt(item(1)), doubt(item(2, department=3))], [record(5, department=3), record(6, department=3)]
    )
    assert sorted(verdict.id or 0 for verdict in found.values()) == [5, 6]


def test_a_record_that_either_of_two_rows_may_have_made_holds_both() -> None:
    """Each says something that the other leaves to the server, and the record has both: nobody guesses."""
    found = told(
        [doubt(item(1, department=3)), doubt(item(2, rate=1.5))], [record(5, department=3, rate=1.5)]
    )
    assert {verdict.seen for verdict in found.values()} == {Seen.HELD}


def test_a_record_that_a_create_in_flight_may_have_made_is_not_taken_yet() -> None:
    """The one in flight says more than the row in doubt, so its record looks like that of both."""
    flying = doubt(item(2, department=3))
    found = told([doubt(item(1))], [record(5, department=3)], flying=(flying,))
    assert found[1].seen is Seen.LATER


def test_of_two_records_one_may_be_of_a_create_in_flight() -> None:
    """The other one is older than that: nothing is one too many, and nothing is taken yet, not even by a row
    that says less."""
    rows = [doubt(item(1, department=3)), doubt(item(2))]
    records = [record(5, department=3), record(7, department=3)]
    found = told(rows, records, flying=(doubt(item(3, department=3), floor=6),))
    assert {verdict.seen for verdict in found.values()} == {Seen.LATER}


def test_a_create_that_left_after_a_record_was_made_did_not_make_it() -> None:
    """Its floor says so: the row in doubt need not wait for it."""
    found = told([doubt(item(1))], [record(5)], flying=(doubt(item(2), floor=5),))
    assert (found[1].seen, found[1].id) == (Seen.DONE, 5)


def test_a_near_record_that_a_create_in_flight_explains_holds_nothing() -> None:
    """It is nearly what was sent, and exactly what is in flight: the row is looked at again."""
    flying = doubt(item(2, WORDS, rate=9.0))
    found = told([doubt(item(1, WORDS, rate=1.5))], [record(5, WORDS, rate=9.0)], flying=(flying,))
    assert found[1].seen is Seen.LATER


def test_a_record_that_somebody_edited_since_holds_the_row_that_it_is_nearest_to() -> None:
    """Most of it is what the first row sent: it is not made again. The other row is simply not there."""
    rows = [doubt(item(1, department=3, rate=1.5)), doubt(item(2, "y", department=4, rate=1.5))]
    found = told(rows, [record(5, department=9, rate=1.5)])
    assert found[1].seen is Seen.HELD and "departmentID" in found[1].reason
    assert found[2].seen is Seen.ABSENT


def test_an_edited_record_holds_no_further_row_once_it_holds_one() -> None:
    """The row that it is nearest to is held by now, and no doubt any more: it explains the record still."""
    shape = replace(BILLING, fields={**BILLING.fields, "code": Field(name="code", type=FieldType.STRING)})
    rows = [item(n, department=3, rate=1.5) for n in (1, 2)]
    first, second = (
        doubt(replace(row, fields={**row.fields, "code": FieldDiff(before=None, after=f"C{row.n}")}))
        for row in rows
    )
    edited = {**record(5, department=9, rate=1.5), "code": "C1"}

    def seen(*held: Doubt) -> Seen:
        known = Known(shape=shape, held=list(held))
        read = tuple(shape.fields)
        return fingerprint.verdicts(known, [second], [edited], ours=(), flying=(), read=read)[2].seen

    assert seen() is Seen.HELD
    assert seen(first) is Seen.ABSENT


def test_an_edited_record_that_is_as_near_to_what_is_in_flight_holds_nothing_yet() -> None:
    """Whose it is will be known once that is answered."""
    flying = doubt(item(2, department=3, rate=1.5))
    found = told(
        [doubt(item(1, department=4, rate=1.5))], [record(5, department=9, rate=1.5)], flying=(flying,)
    )
    assert found[1].seen is Seen.LATER


def test_a_near_record_from_before_holds_nothing() -> None:
    """It was there when the row was sent."""
    found = told([doubt(item(1, department=3, rate=1.5), floor=5)], [record(5, department=9, rate=1.5)])
    assert found[1].seen is Seen.ABSENT


def test_a_record_that_agrees_in_no_text_or_in_less_than_half_holds_nothing() -> None:
    """Others make records too, where no creator tells whose they are."""
    found = told(
        [doubt(item(1, department=3, rate=1.5))],
        [record(5, "other", department=3, rate=1.5), record(6, department=9, rate=9.0)],
    )
    assert found[1].seen is Seen.ABSENT


@given(st.lists(st.tuples(SENT, st.booleans(), st.booleans()), min_size=1, max_size=6), st.lists(SENT))
def test_no_record_is_given_to_two_rows_or_to_one_that_did_not_make_the_like(
    sent: list[tuple[dict[str, Any], bool, bool]], strange: list[dict[str, Any]]
) -> None:
    """Rows that say more and less of the same, carried out or not, some in flight, and others' records: what
    is done has a record of its own that holds all it said, and that nothing in flight may have made."""
    rows = [doubt(item(n, **values)) for n, (values, _, _) in enumerate(sent, 1)]
    made = [values for values, is_landed, _ in sent if is_landed] + strange
    records = {id: record(id, **values) for id, values in enumerate(made, 101)}
    flying = tuple(row for row, (_, _, is_flying) in zip(rows, sent, strict=True) if is_flying)
    found = told([row for row in rows if row not in flying], list(records.values()), flying=flying)
    done = {n: verdict.id or 0 for n, verdict in found.items() if verdict.seen is Seen.DONE}
    assert len(set(done.values())) == len(done)
    for n, id in done.items():
        assert rows[n - 1].change.after().items() <= records[id].items()
        assert not any(one.change.after().items() <= records[id].items() for one in flying)


@given(st.lists(st.tuples(SENT, st.booleans()), min_size=1, max_size=6))
def test_once_what_is_absent_was_made_there_is_one_record_a_row(
    sent: list[tuple[dict[str, Any], bool]],
) -> None:
    """Nobody else's records, nothing in flight, nothing that the server adds: whatever rows say of each
    other, no row is made twice, and all are there but for those that are held."""
    rows = [doubt(item(n, **values)) for n, (values, _) in enumerate(sent, 1)]
    found = told(
        rows, [record(100 + n, **values) for n, (values, is_landed) in enumerate(sent, 1) if is_landed]
    )
    there = Counter(str(sorted(values.items())) for values, is_landed in sent if is_landed)
    again = Counter(
        str(sorted(values.items())) for n, (values, _) in enumerate(sent, 1) if found[n].seen is Seen.ABSENT
    )
    wanted = Counter(str(sorted(values.items())) for values, _ in sent)
    assert there + again <= wanted
    if all(verdict.seen is not Seen.HELD for verdict in found.values()):
        assert there + again == wanted


async def test_a_row_that_another_one_outdoes_is_not_lost(tmp_path: Path) -> None:
    """The answers to both are lost, and only the one that says more was carried out: one record each."""
    target = MemoryTarget(
        entities=ENTITIES, per_entity=1, settle_s=0.05, failures={"create": [None, LOST, LANDED]}
    )
    plan = plan_of(tmp_path, [item(1, "first"), item(2), item(3, department=3)])
    assert (await apply(plan, target)).counts["applied"] == 3
    ids = [fate.id for fate in plan.fates()]
    assert len(set(ids)) == 3
    assert target.rows["BillingCodes"][ids[2] or 0]["departmentID"] == 3


async def test_a_row_with_a_key_and_one_without_do_not_share_a_record(tmp_path: Path) -> None:
    """What was found by its key is no longer free for a row that is known by what was sent."""
    target = MemoryTarget(entities=ENTITIES, per_entity=1, failures={"create": [None, LOST, LANDED]})
    keyed = item(3, department=3, key={"departmentID": 3})
    plan = plan_of(tmp_path, [item(1, "first"), item(2), keyed])
    assert (await apply(plan, target)).counts["applied"] == 3
    ids = [fate.id for fate in plan.fates()]
    assert len(set(ids)) == 3
    assert target.rows["BillingCodes"][ids[2] or 0]["departmentID"] == 3
