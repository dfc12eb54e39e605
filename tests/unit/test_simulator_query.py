"""Queries of the simulator: operators, types, groups, pages; the indexes only make them fast."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator import loading
from bulkops.simulator.filters import QueryError
from bulkops.simulator.query import Pages, read_cursor, read_query
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches

ROWS: list[dict[str, Any]] = [
    {"id": 1, "title": "Alpha", "projectID": 10, "status": 1, "estimatedHours": 2.5, "externalID": "T-1"},
    {"id": 2, "title": "beta ", "projectID": 10, "status": 5, "startDateTime": "2026-01-02T00:00:00.000Z"},
    {"id": 3, "title": "Gamma", "projectID": 20, "status": 5, "isVisibleInClientPortal": True},
    {"id": 4, "title": "alphabet", "projectID": 20, "status": 1, "isVisibleInClientPortal": False},
    {"id": 5, "projectID": 30, "status": 8, "userDefinedFields": {"Wave": "First", "Size": "10"}},
]


def store_of(rows: list[dict[str, Any]], **switches: str) -> Store:
    chosen = Switches()
    chosen.update(switches)
    store = Store(now=lambda: "2026-11-21T20:00:00.123Z", switches=chosen, ci=1)
    loading.load(
        store, {"udf": {"Tasks": ["Wave", {"name": "Size", "type": "number"}]}, "rows": {"Tasks": rows}}
    )
    return store


def ask(*filters: dict[str, Any], store: Store | None = None) -> list[int]:
    store = store or store_of(ROWS)
    query = read_query({"filter": list(filters)}, empty_filter="all")
    return [item["id"] for item in Pages(store, "Tasks").page(query, None, link="x")["items"]]


def clause(op: str, field: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"op": op, "field": field, "value": value, **more}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ([clause("eq", "title", "ALPHA")], [1]),
        ([clause("eq", "Title", "beta")], [2]),
        ([clause("noteq", "status", 5)], [1, 4, 5]),
        ([clause("noteq", "title", "Gamma")], [1, 2, 4]),
        ([clause("gt", "id", 3)], [4, 5]),
        ([clause("gte", "id", 3), clause("lte", "id", 4)], [3, 4]),
        ([clause("lt", "estimatedHours", 3)], [1]),
        ([clause("beginsWith", "title", "alpha")], [1, 4]),
        ([clause("endsWith", "title", "BET")], [4]),
        ([clause("contains", "title", "amm")], [3]),
        ([clause("exist", "title")], [1, 2, 3, 4]),
        ([clause("notExist", "title")], [5]),
        ([clause("in", "projectID", [10, 30])], [1, 2, 5]),
        ([clause("in", "id", [5, 1, 99])], [1, 5]),
        ([clause("notIn", "status", [1, 8])], [2, 3]),
        ([clause("eq", "isVisibleInClientPortal", True)], [3]),
        ([clause("eq", "isVisibleInClientPortal", "false")], [4]),
        ([clause("eq", "startDateTime", "2026-01-02T01:00:00+01:00")], [2]),
        ([clause("gte", "startDateTime", "2026-01-02")], [2]),
        ([clause("eq", "Wave", "first", udf=True)], [5]),
        ([clause("gt", "Size", 9, udf=True)], [5]),
        ([clause("eq", "id", "1")], []),
        ([clause("in", "id", ["1", 2])], [2]),
        ([clause("eq", "status", "5")], [2, 3]),
        ([clause("ne", "status", 5)], [1, 2, 3, 4, 5]),
        ([{"op": "or", "items": [clause("eq", "status", 8), clause("eq", "title", "gamma")]}], [3, 5]),
        ([{"op": "or", "items": [clause("eq", "status", 8), clause("ne", "status", 1)]}], [5]),
        ([clause("gt", "id", 1), {"op": "and", "items": [clause("eq", "status", 5)]}], [2, 3]),
        ([], [1, 2, 3, 4, 5]),
    ],
)
def test_each_operator_finds_what_the_vendor_says(filters: list[dict[str, Any]], ids: list[int]) -> None:
    """Promises the documented operators, text without case, text against a long finding nothing."""
    assert ask(*filters) == ids


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ([clause("eq", "colour", 1)], "Unable to find colour in the Task Entity"),
        ([clause("eq", "Wave", "x")], "Unable to find Wave in the Task Entity"),
        ([clause("eq", "Waves", "x", udf=True)], "Unable to find Waves in the Task Entity"),
        ([clause("eq", "remainingHours", 1)], "not queryable"),
        ([clause("eq", "isVisibleInClientPortal", None)], "must be true or false"),
        ([clause("gt", "isVisibleInClientPortal", True)], "boolean"),
        ([clause("contains", "status", "5")], "not supported on the integer field status"),
        ([clause("eq", "startDateTime", "soon")], "is not a date"),
        ([clause("in", "id", list(range(501)))], "Queries are limited to 500 or fewer 'OR' conditions."),
        (
            [clause("eq", "Wave", "x", udf=True), clause("eq", "Size", 1, udf=True)],
            "You can only query by one user-defined field at a time.",
        ),
    ],
)
def test_a_query_the_vendor_refuses_is_refused(filters: list[dict[str, Any]], text: str) -> None:
    """Promises an error with the known text, or one that names the field."""
    with pytest.raises(QueryError) as caught:
        ask(*filters)
    assert text in str(caught.value)


def test_five_hundred_or_conditions_pass_and_one_more_does_not() -> None:
    """Promises the documented limit, wherever in the groups the conditions stand."""
    items = [clause("eq", "status", n) for n in range(500)]
    assert ask({"op": "or", "items": items}) == [1, 2, 3, 4, 5]
    with pytest.raises(QueryError, match="500 or fewer 'OR' conditions"):
        ask({"op": "or", "items": [*items, {"op": "and", "items": [clause("eq", "id", 1)]}]})


@pytest.mark.parametrize(
    ("switch", "filters", "ids"),
    [
        ({"noteq_null": "include"}, [clause("noteq", "title", "Gamma")], [1, 2, 4, 5]),
        ({"text_for_number": "never"}, [clause("eq", "status", "5")], []),
        ({"text_for_number": "number"}, [clause("eq", "id", "1")], [1]),
        ({"in_limit": "off"}, [clause("in", "id", list(range(501)))], [1, 2, 3, 4, 5]),
    ],
)
def test_what_is_not_known_is_a_switch(
    switch: dict[str, str], filters: list[dict[str, Any]], ids: list[int]
) -> None:
    """Promises the other reading of each uncertain matter."""
    assert ask(*filters, store=store_of(ROWS, **switch)) == ids


@pytest.mark.parametrize(
    ("switch", "filters"),
    [
        ({"unknown_operator": "error"}, [clause("ne", "status", 5)]),
        ({"nesting": "flat"}, [{"op": "or", "items": [{"op": "and", "items": [clause("eq", "id", 1)]}]}]),
    ],
)
def test_a_switch_can_refuse_what_the_default_takes(
    switch: dict[str, str], filters: list[dict[str, Any]]
) -> None:
    """Promises that the strict reading is an error."""
    with pytest.raises(QueryError):
        ask(*filters, store=store_of(ROWS, **switch))


VALUES = st.sampled_from([None, "a", "B", "b ", "c"])
NUMBERS = st.integers(0, 4)
LEAVES = st.one_of(
    st.builds(
        clause, st.sampled_from(["eq", "noteq"]), st.just("title"), st.sampled_from(["a", "b", "C", "z"])
    ),
    st.builds(
        clause, st.sampled_from(["in", "notIn"]), st.just("title"), st.lists(st.sampled_from(["A", "b", "x"]))
    ),
    st.builds(
        clause, st.sampled_from(["eq", "gt", "lte", "noteq"]), st.sampled_from(["id", "status"]), NUMBERS
    ),
    st.builds(clause, st.just("in"), st.sampled_from(["id", "status"]), st.lists(NUMBERS, max_size=4)),
    st.builds(clause, st.sampled_from(["exist", "notExist"]), st.just("title")),
    st.builds(clause, st.just("beginsWith"), st.just("title"), st.sampled_from(["a", "b"])),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda op, items: {"op": op, "items": items},
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=8,
)


MEANS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "noteq": operator.ne,
    "gt": operator.gt,
    "lte": operator.le,
    "in": lambda held, wanted: bool(held in wanted),
    "notIn": lambda held, wanted: bool(held not in wanted),
    "beginsWith": str.startswith,
}


def passes(row: dict[str, Any], item: dict[str, Any]) -> bool:
    """The same filter, decided row by row without any index."""
    if "items" in item:
        found = [passes(row, inner) for inner in item["items"]]
        return all(found) if item["op"] == "and" else any(found)
    held, wanted, op = row.get(item["field"]), item["value"], str(item["op"])
    if op in ("exist", "notExist"):
        return bool((held is not None) == (op == "exist"))
    if held is None:
        return False
    if isinstance(held, str):
        held = held.strip().lower()
        wanted = [w.lower() for w in wanted] if isinstance(wanted, list) else wanted.lower()
    return bool(MEANS[op](held, wanted))


@given(st.lists(st.tuples(VALUES, NUMBERS), max_size=12), st.lists(FILTERS, max_size=3))
def test_a_query_always_finds_what_reading_every_row_would(
    values: list[tuple[str | None, int]], filters: list[dict[str, Any]]
) -> None:
    """Promises that indexes, bounds and merging change the time and never the result."""
    rows = [{"id": n, "title": title, "status": status} for n, (title, status) in enumerate(values)]
    expected = [row["id"] for row in rows if all(passes(row, item) for item in filters)]
    assert ask(*filters, store=store_of(rows)) == expected


@given(st.integers(0, 25), st.integers(1, 7))
def test_following_the_cursor_always_gives_every_row_once(count: int, size: int) -> None:
    """Promises pages by id without gaps or repetitions, and null behind the last one."""
    store = store_of([{"id": n * 3, "status": 1} for n in range(count)])
    query = read_query({"filter": [clause("exist", "id")], "MAXRECORDS": size}, empty_filter="all")
    found, cursor = [], None
    while True:
        page = Pages(store, "Tasks").page(query, cursor, link="u")
        found += [item["id"] for item in page["items"]]
        url = page["pageDetails"]["nextPageUrl"]
        if url is None:
            break
        cursor = read_cursor(unquote(url.partition("paging=")[2]))
    assert found == [n * 3 for n in range(count)]


@pytest.mark.parametrize("size", [0, 501, -1, "x"])
def test_a_page_size_outside_1_to_500_is_refused(size: Any) -> None:
    """Promises the vendor's text for MaxRecords out of range."""
    with pytest.raises(QueryError, match="maxCountOfRecordsToReturn must be between 1 and 500"):
        read_query({"filter": [clause("exist", "id")], "maxrecords": size}, empty_filter="all")


def test_include_fields_narrows_to_the_fields_asked_for() -> None:
    """Promises exact names whatever the case, and UDFs by their own name."""
    store = store_of(ROWS)
    body = {"IncludeFields": ["ID", "Title", "Wave"], "filter": [clause("gte", "id", 4)]}
    query = read_query(body, empty_filter="all")
    items = Pages(store, "Tasks").page(query, None, link="x")["items"]
    assert items == [
        {"id": 4, "title": "alphabet", "userDefinedFields": [{"name": "Wave", "value": None}]},
        {"id": 5, "title": None, "userDefinedFields": [{"name": "Wave", "value": "First"}]},
    ]


@pytest.mark.parametrize(("switch", "shown"), [("omit", False), ("empty", True)])
def test_udfs_are_left_out_where_no_record_has_a_value(switch: str, shown: bool) -> None:
    """Promises the documented omission, and the empty list that live answers show, by switch."""
    store = store_of(ROWS[:2], udf_collection=switch)
    items = Pages(store, "Tasks").page(read_query({"filter": []}, empty_filter="all"), None, link="x")[
        "items"
    ]
    assert [item.get("userDefinedFields") == [] for item in items] == [shown, shown]
    assert all(("userDefinedFields" in item) == shown for item in items)
