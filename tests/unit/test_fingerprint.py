"""A fingerprint: which record is whose, where only what was sent can tell."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import Action, Change, FieldDiff
from bulkops.schema import Entity, Field, FieldType
from bulkops.settle import fingerprint
from bulkops.settle.knowledge import Known
from bulkops.settle.verdict import Doubt, Seen

ITEMS = Entity(
    name="ChecklistLibraries",
    singular="ChecklistLibrary",
    can={"create": "root"},
    is_queryable=True,
    fields={
        "id": Field(name="id", type=FieldType.LONG, is_read_only=True),
        "name": Field(name="name", type=FieldType.STRING, length=200),
    },
)


def same_row(n: int) -> Change:
    fields: dict[str, FieldDiff] = {"name": FieldDiff(before=None, after="same")}
    return Change(
        n=n, step="only", entity=ITEMS.name, action=Action.CREATE, line=n + 1, file="x.csv", fields=fields
    )


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_each_record_of_identical_rows_is_of_one_that_was_sent_before_it_was_made(
    sent: list[tuple[bool, bool, int]], rng: random.Random
) -> None:
    """Rows go out one after the other, some land, some are heard of: each record is one row's, and never a
    row's that was sent after it was made; as many rows are absent as requests that did not land, and those
    are the ones that may land the longest."""
    doubts, records, known_id, next_id = [], [], 0, 1
    for n, (is_landed, is_known, others) in enumerate(sent, 1):
        doubts.append(Doubt(change=same_row(n), floor=known_id, absent_at=float(n)))
        next_id += others  # of other people's records
        if is_landed:
            records.append({"id": next_id, "name": "same"})
            next_id += 1
        if is_known:
            known_id = next_id - 1
    told = _told(rng.sample(doubts, len(doubts)), records)
    done = {n: verdict.id for n, verdict in told.items() if verdict.seen is Seen.DONE}
    assert sorted(id or 0 for id in done.values()) == [record["id"] for record in records]
    assert all((id or 0) > (doubts[n - 1].floor or 0) for n, id in done.items())
    absent = sorted(n for n, verdict in told.items() if verdict.seen is Seen.ABSENT)
    may_land = [n for n, (is_landed, *_) in enumerate(sent, 1) if not is_landed]
    assert len(absent) == len(may_land)
    assert all(waits >= lands for waits, lands in zip(absent, may_land, strict=True))


def test_more_records_than_rows_that_may_have_made_them_hold_these_rows() -> None:
    """Two records are above the floor of the first only: one of them is somebody else's."""
    doubts = [Doubt(change=same_row(1), floor=4), Doubt(change=same_row(2), floor=6)]
    told = _told(doubts, [{"id": 5, "name": "same"}, {"id": 6, "name": "same"}])
    assert {verdict.seen for verdict in told.values()} == {Seen.HELD}
    assert "5, 6 are like it" in told[1].reason


def numbered(n: int, **values: object) -> Change:
    fields = {name: FieldDiff(before=None, after=value) for name, value in values.items()}  # type: ignore[arg-type]
    return replace(same_row(n), fields=fields)


@pytest.mark.parametrize(("rows", "names"), [(300, ["few", "many"]), (398, ["few"])])
def test_a_query_asks_for_whole_numbers_as_far_as_it_can_hold_them(rows: int, names: list[str]) -> None:
    """Fields with few values come first; what the query cannot hold any more is compared here."""
    shape = replace(ITEMS, fields={**ITEMS.fields, **{name: Field(name=name, type=FieldType.INTEGER,
                    reference="Roles") for name in ("few", "many")}})  # fmt: skip
    doubts = [Doubt(change=numbered(n, many=n, few=n % 3), floor=7) for n in range(1, rows + 1)]
    where = fingerprint.query(Known(shape=shape), doubts)
    floor, *lists = where["items"]
    assert floor == {"op": "gt", "field": "id", "value": 7}
    assert [clause["field"] for clause in lists] == names
    assert 1 + sum(len(clause["value"]) for clause in lists) <= fingerprint.VALUES


def test_a_query_asks_for_no_user_defined_field_and_for_no_text_where_a_number_belongs() -> None:
    """The API asks for the first in another way, and finds nothing by the second, without an error."""
    fields = {name: Field(name=name, type=FieldType.INTEGER) for name in ("udf:Number", "number", "text")}
    known = Known(shape=replace(ITEMS, fields={**ITEMS.fields, **fields}), steady=frozenset(fields))
    change = numbered(1, **{"udf:Number": 5, "number": 6, "text": "seven"})
    where = fingerprint.query(known, [Doubt(change=change, floor=7)])
    assert [clause["field"] for clause in where["items"]] == ["id", "number"]


def _told(doubts: list[Doubt], records: list[dict[str, Any]]) -> dict[int, Any]:
    return fingerprint.verdicts(Known(shape=ITEMS), doubts, records, ours=(), flying=(), read=())
