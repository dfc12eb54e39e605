"""A job's `where` becomes the API's filter, or is refused with its line before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import JobError
from bulkops.export.conditions import read_conditions
from bulkops.job.model import Condition
from bulkops.questions import questions
from bulkops.record import Scalar
from bulkops.references import References
from bulkops.schema import Entity, Field, FieldType, PicklistValue
from bulkops.targets.autotask.catalog import load_catalog
from bulkops.targets.autotask.query import MAX_CONDITIONS, conditions
from bulkops.targets.base import Filter
from bulkops.targets.matching import matcher
from bulkops.targets.memory import MemoryTarget
from bulkops.where import Where, lookup_entities, read_where, resolved, where_text

CATALOG = load_catalog()
OTHERS = (
    PicklistValue(value="3", label="Other", parent="1"),
    PicklistValue(value="9", label="Other", parent="2"),
)
PEOPLE: Sequence[Mapping[str, Any]] = (
    {"id": 4, "email": "jane@acme.test", "firstName": "Jane", "lastName": "Doe", "isActive": False},
    {"id": 5, "email": "kim@acme.test", "firstName": "Kim", "lastName": "Roe", "isActive": True},
    {"id": 6, "email": "twin@acme.test", "firstName": "Ann", "lastName": "Poe", "isActive": True},
    {"id": 7, "email": "twin@acme.test", "firstName": "Bea", "lastName": "Poe", "isActive": True},
)


def tasks(*, is_live: bool = True) -> Entity:
    """Tasks with the labels and user-defined fields of a tenant, or as they are known offline."""
    shipped = CATALOG.entities["Tasks"]
    if not is_live:
        return shipped
    more = (
        Field(name="udf:Legacy ID", type=FieldType.STRING),
        Field(name="udf:Agreed Hours", type=FieldType.DOUBLE),
        Field(name="udf:Reviewed On", type=FieldType.DATETIME, is_date_only=True),
        Field(name="udf:Rank", type=FieldType.STRING, picklist=(PicklistValue(value="1", label="Golden"),)),
        Field(name="kind", type=FieldType.INTEGER, picklist=OTHERS, picklist_parent="status"),
        Field(name="notes", type=FieldType.BYTES),
    )
    fields = {**shipped.fields, **{field.name: field for field in more}}
    return replace(shipped, fields=fields, is_live=True, shipped=shipped)


def understood(text: str, *, is_live: bool = True) -> tuple[Where, list[str]]:
    """What `where` written as JSON becomes, and its faults."""
    where, faults = read_where(
        read_conditions(text, "--where"), tasks(is_live=is_live), CATALOG.find, CATALOG.suggest
    )
    return where, [str(fault) for fault in faults]


def one(field: str, op: str, value: str | None = None) -> str:
    return f'{{"field": "{field}", "op": "{op}"' + (f', "value": {value}}}' if value else "}")


def either(*items: str) -> str:
    return f'{{"op": "or", "items": [{", ".join(items)}]}}'


FILTERS: dict[str, Filter] = {
    one("status", "noteq", '"Complete"'): {"op": "noteq", "field": "status", "value": 5},
    one("STATUS", "eq", "5"): {"op": "eq", "field": "status", "value": 5},
    one("status", "gt", "1"): {"op": "gt", "field": "status", "value": 1},
    one("status", "in", '["new", 5, "Complete"]'): {"op": "in", "field": "status", "value": [1, 5]},
    one("title", "beginsWith", '" a"'): {"op": "beginsWith", "field": "title", "value": " a"},
    one("title", "eq", '"007"'): {"op": "eq", "field": "title", "value": "007"},
    one("projectID", "in", '["7", 8]'): {"op": "in", "field": "projectID", "value": [7, 8]},
    one("estimatedHours", "lte", "1.5"): {"op": "lte", "field": "estimatedHours", "value": 1.5},
    one("isTaskBillable", "eq", "true"): {"op": "eq", "field": "isTaskBillable", "value": True},
    one("phaseID", "notExist"): {"op": "notExist", "field": "phaseID"},
    one("endDateTime", "lt", '"2026-01-01"'): {
        "op": "lt", "field": "endDateTime", "value": "2026-01-01T00:00:00Z",
    },
    one("createDateTime", "gte", '"2026-01-01"'): {
        "op": "gte", "field": "createDateTime", "value": "2026-01-01T00:00:00Z",
    },
    one("createDateTime", "lte", '"2026-01-01T09:30:00+01:00"'): {
        "op": "lte", "field": "createDateTime", "value": "2026-01-01T08:30:00Z",
    },
    one("udf:legacy id", "eq", '"0012"'): {"op": "eq", "field": "Legacy ID", "udf": True, "value": "0012"},
    one("udf:Rank", "eq", '"golden"'): {"op": "eq", "field": "Rank", "udf": True, "value": "Golden"},
    one("udf:Agreed Hours", "gt", "2"): {"op": "gt", "field": "Agreed Hours", "udf": True, "value": 2.0},
    one("udf:Reviewed On", "eq", '"2026-01-01"'): {
        "op": "eq", "field": "Reviewed On", "udf": True, "value": "2026-01-01T00:00:00Z",
    },
    f'[{one("status", "eq", "5")}, {either(one("title", "exist"), one("id", "eq", "3"))}]': {
        "op": "and",
        "items": [
            {"op": "eq", "field": "status", "value": 5},
            {
                "op": "or",
                "items": [{"op": "exist", "field": "title"}, {"op": "eq", "field": "id", "value": 3}],
            },
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("text", FILTERS)
def test_a_where_becomes_the_filter_of_the_api(text: str) -> None:
    """Numbers as numbers, labels as values, dates in UTC, fields as the entity spells them."""
    where, faults = understood(text)
    assert faults == []
    assert where.filter == FILTERS[text]


def test_no_condition_is_every_record() -> None:
    """A query without `where` asks for all."""
    assert read_where((), tasks(), CATALOG.find, CATALOG.suggest) == (Where(), [])


REFUSED = {
    one("statuss", "eq", "1"): "no field `statuss`, which `where` names. Did you mean `status`?",
    one("remainingHours", "gt", "1"): "Tasks.remainingHours cannot be queried",
    one("udf:Rang", "eq", "1"): "no field `udf:Rang`, which `where` names. Did you mean `udf:Rank`?",
    one("status", "eq", '"Compleet"'): "`Compleet` is no value of status. Is it 'Complete'?",
    one("status", "eq", "99"): "`99` is no value of status",
    one("status", "gt", '"New"'): "`New` is a label, and labels have no order",
    one("kind", "eq", '"Other"'): "stands for several values, 3 (Other) and 9 (Other): take the number",
    one("status", "contains", '"New"'): "status is a picklist, and `contains` is for texts",
    one("estimatedHours", "beginsWith", "1"): "estimatedHours is a number, and `beginsWith` is for texts",
    one("endDateTime", "contains", '"2026"'): "endDateTime is a date, and `contains` is for texts",
    one("isTaskBillable", "gt", "true"): "isTaskBillable is true or false, and `gt` is for numbers",
    one("isTaskBillable", "in", '["true"]'): "isTaskBillable is true or false, and `in` is for numbers",
    one("notes", "eq", '"x"'): "notes is a file, and `eq` compares. It can be compared with `exist` or",
    one("isTaskBillable", "eq", '"perhaps"'): "`perhaps` is neither true nor false",
    one("estimatedHours", "eq", '"three"'): "estimatedHours: `three` is no number",
    one("projectID", "eq", '"Move"'): "`Move` is no id. To name the record by another field: value: {lookup:",
    one("createDateTime", "eq", '"2026-01-01"'): "is a day, and the field holds moments, so `eq` would mean",
    one("createDateTime", "lte", '"2026-01-01"'): "take `gte` for from that day on and `lt` for before it",
    one("createDateTime", "gt", '"2026-02-30"'): "`2026-02-30` is no date: write 2026-01-31",
    one("endDateTime", "lt", '"2026-01-01T10:00"'): "has a time, and the field holds calendar dates",
    one("title", "eq", '""'): "title is compared with an empty text. `exist` and `notExist` ask",
    one("title", "eq", '{"lookup": "email", "key": "a"}'): "title is a text, and a lookup gives an id",
    one("id", "eq", '{"lookup": "email", "key": "a"}'): "id refers to no entity. Name the entity to look in",
    one("projectID", "gt", '{"lookup": "projectName", "key": "a"}'): "`gt` compares with no record",
    one("projectID", "eq", '{"lookup": "nmae", "key": "a"}'): "Projects has no field `nmae`, which `lookup`",
    one("id", "eq", '{"lookup": "a", "key": "a", "entity": "Resorces"}'): "`Resorces` is no entity. Did",
    f'[{one("udf:Rank", "exist")}, {one("udf:Legacy ID", "exist")}]':
        "`udf:Rank` and `udf:Legacy ID`. The API queries one user-defined field at a time",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_api_would_misunderstand_is_refused_with_its_place(text: str) -> None:
    """A clear sentence with the line, before anything is asked."""
    _, faults = understood(text)
    assert len(faults) == 1
    assert faults[0].startswith("--where:1: ")
    assert REFUSED[text] in faults[0]


def test_every_fault_of_a_where_is_told_at_once() -> None:
    """Also those inside of groups."""
    inner = either(one("a", "exist"), one("title", "eq", '""'))
    _, faults = understood(f"[{one('b', 'exist')},\n{inner}]")
    assert [fault[:11] for fault in faults] == ["--where:1: ", "--where:2: ", "--where:2: "]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (one("status", "eq", '"Our own"'), {"op": "eq", "field": "status", "value": "Our own"}),
        (one("udf:Rank", "gt", '"2"'), {"op": "gt", "field": "Rank", "udf": True, "value": "2"}),
    ],
)
def test_offline_what_only_the_tenant_knows_passes(text: str, clause: Filter) -> None:
    """Its labels and its user-defined fields: the tenant itself is asked when the job is planned."""
    offline = tasks(is_live=False)
    status = replace(offline.fields["status"], type=FieldType.STRING, picklist=())
    shape = replace(offline, fields={**offline.fields, "status": status})
    where, faults = read_where(read_conditions(text, ""), shape, CATALOG.find, CATALOG.suggest)
    assert (where.filter, faults) == (clause, [])


async def test_lookups_become_ids_whether_or_not_a_record_is_in_use() -> None:
    """Who has left is just whom one asks for; several are found with as few reads as they fit into."""
    target = MemoryTarget({"Resources": PEOPLE})
    text = (
        '[{"field": "assignedResourceID", "op": "in", "value": [{"lookup": "email", "key": "JANE@acme.test"},'
        ' "12", {"lookup": ["lastName", "firstName"], "key": ["Roe", "Kim"]}]},'
        '{"field": "id", "op": "noteq", "value": {"lookup": "email", "key": "kim@acme.test",'
        ' "entity": "Resources"}}]'
    )
    where, faults = understood(text)
    assert faults == []
    asked, lost = await resolved(where, References(target))
    assert lost == []
    assert [item["value"] for item in asked[0]["items"]] == [[4, 12, 5], 5]
    assert target.calls.read == 2


async def test_a_lookup_that_finds_none_or_several_is_refused_with_its_line() -> None:
    """All of them at once, with the candidates."""
    target = MemoryTarget({"Resources": PEOPLE})
    lookup = '{{"field": "creatorResourceID", "op": "eq", "value": {{"lookup": "email", "key": "{}"}}}}'
    where, _ = understood(f"[{lookup.format('nobody@acme.test')},\n{lookup.format('twin@acme.test')}]")
    asked, lost = await resolved(where, References(target))
    assert asked == []
    assert [str(fault) for fault in lost] == [
        "--where:1: email 'nobody@acme.test': no Resources record has this email",
        "--where:2: email 'twin@acme.test': 2 Resources records have this email: 6 (Ann Poe), 7 (Bea Poe)",
    ]


def test_the_entities_that_lookups_search_are_known_before_they_are_asked() -> None:
    """By the field's own reference, or by name; inside of groups as well."""
    text = (
        '[{"op": "and", "items": [{"field": "phaseID", "op": "eq", "value": {"lookup": "title", "key": "a"}}'
        ']}, {"field": "id", "op": "in", "value": ["1", {"lookup": "a", "key": "b", "entity": "Tickets"}]}]'
    )
    assert list(lookup_entities(read_conditions(text, ""), tasks())) == ["Phases", "Tickets"]


def test_a_where_in_words() -> None:
    """As a plan shows it."""
    text = (
        '[{"field": "status", "op": "noteq", "value": "Complete"}, {"op": "or", "items": ['
        '{"field": "priority", "op": "in", "value": [1, 2]}, {"field": "phaseID", "op": "notExist"}]}]'
    )
    said = "status noteq Complete and (priority in 1, 2 or phaseID notExist)"
    assert where_text(read_conditions(text, "")) == said


# --- --where itself


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "--where: is empty. Write it like"),
        ("status", "--where: is no list of conditions. Write it like"),
        ('[{"field": "a", "op": "ne", "value": 1}]', "--where:1:17: `op` must be `eq`, `noteq`, `gt`"),
        ('[{"field": "a", "op": "eq", "value": null}]', "null is no value to compare with. `exist` and"),
        ('[{"field": "a", "op": "in", "value": []}]', "`value` of `in` is an empty list"),
        ('[{"feild": "a", "op": "exist"}]', "a condition has no key `feild`. Did you mean `field`?"),
        ('[{"field": "a", "op": "exist"', "a comma or } is missing before the end"),
    ],
)
def test_a_where_that_is_none_is_refused(text: str, told: str) -> None:
    """With line and column, in the words that job files are refused with."""
    with pytest.raises(JobError) as caught:
        read_conditions(text, "--where")
    assert told in str(caught.value)


def test_a_where_of_one_condition_needs_no_list() -> None:
    """An object alone is that one condition."""
    found = read_conditions(one("title", "exist"), "--where")
    assert found == read_conditions(f"[{one('title', 'exist')}]", "--where")
    assert isinstance(found[0], Condition)


# --- more conditions than one query may hold

RECORDS: list[dict[str, Scalar]] = [
    {"id": n, "projectID": n % 7, "status": n % 3, "title": f"t{n % 5}"} for n in range(60)
]


def leaves() -> st.SearchStrategy[Filter]:
    fields = st.sampled_from(["id", "projectID", "status"])
    lists = st.lists(st.integers(0, 900), min_size=1, max_size=700, unique=True)
    return st.one_of(
        st.builds(lambda field, values: {"op": "in", "field": field, "value": values}, fields, lists),
        st.builds(
            lambda field, value: {"op": "eq", "field": field, "value": value}, fields, st.integers(0, 9)
        ),
        st.just({"op": "exist", "field": "title"}),
    )


def filters() -> st.SearchStrategy[Filter]:
    def groups(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        items = st.lists(inner, min_size=1, max_size=4)
        return st.builds(lambda op, some: {"op": op, "items": some}, st.sampled_from(["and", "or"]), items)

    return st.recursive(leaves(), groups, max_leaves=6)


@given(where=filters())
def test_all_queries_of_a_filter_together_find_what_it_finds(where: Filter) -> None:
    """Whatever it holds, each is within the conditions a query may hold, and nothing is cut off."""
    shape = CATALOG.entities["Tasks"]
    try:
        parts = questions(where)
    except ValueError:
        assert conditions(where) > MAX_CONDITIONS
        return
    assert all(conditions(part) <= MAX_CONDITIONS for part in parts)
    whole, tests = matcher(where, shape), [matcher(part, shape) for part in parts]
    for record in RECORDS:
        assert any(test(record) for test in tests) == whole(record)


def test_a_long_list_is_asked_for_in_turn() -> None:
    """1,200 ids are three queries, each with the other conditions."""
    status = {"op": "eq", "field": "status", "value": 1}
    where = {"op": "and", "items": [{"op": "in", "field": "id", "value": list(range(1200))}, status]}
    parts = questions(where)
    assert [conditions(part) for part in parts] == [500, 500, 200]
    assert all(status in part["items"] for part in parts)


def test_a_long_list_of_what_is_not_wanted_is_refused() -> None:
    """It cannot be asked for in turn, so it is told with its line instead of being cut."""
    values = ", ".join(str(n) for n in range(501))
    _, faults = understood(one("id", "notIn", f"[{values}]"))
    assert len(faults) == 1
    assert "--where:1: `where` holds more than 500 conditions" in faults[0]
