"""The simulator's tables: ids that rise, rows that are whole when read, indexes that never lie."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator.catalog import entries
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches


def new_store() -> Store:
    return Store(now=lambda: "2026-11-21T20:00:00.123Z", switches=Switches(), ci=1)


def test_every_entity_of_the_catalog_has_a_table() -> None:
    """Promises all 232 entities."""
    store = new_store()
    assert len(store.tables()) == 232
    assert store.entities is entries()


def test_a_read_row_has_every_field_and_every_udf() -> None:
    """Promises nulls for what was never set, although only what is set is stored."""
    store = new_store()
    store.udfs["Tasks"] = [{"name": "Legacy ID"}, {"name": "Wave"}]
    udfs = [{"name": "Wave", "value": "1"}]
    row_id = store.table("Tasks").insert({"title": "Pack", "phaseID": None, "userDefinedFields": udfs})
    row = store.table("Tasks")[row_id]
    assert set(entries()["Tasks"]["fields"]) < set(row)
    assert (row["title"], row["phaseID"], row["externalID"]) == ("Pack", None, None)
    assert row["userDefinedFields"] == [{"name": "Legacy ID", "value": None}, {"name": "Wave", "value": "1"}]
    assert set(store.table("Tasks").stored(row_id) or ()) == {"id", "title", "userDefinedFields"}


def test_a_read_row_is_the_readers_own() -> None:
    """Promises that changing what was read changes no record."""
    table = new_store().table("Tasks")
    row_id = table.insert({"title": "Pack"})
    table[row_id]["title"] = "Unpack"
    assert table[row_id]["title"] == "Pack"


def test_ids_begin_high_rise_and_keep_what_was_loaded() -> None:
    """Promises tenant-like ids, and never an id twice."""
    table = new_store().table("Companies")
    first = table.insert({"companyName": "A"})
    table.insert({"id": 0, "companyName": "Us"})
    table.insert({"id": first + 50, "companyName": "B"})
    table.delete(first + 50)
    assert first > 29_682_884
    assert table.insert({"companyName": "C"}) == first + 51
    assert list(table) == [0, first, first + 51]
    with pytest.raises(ValueError, match="exists already"):
        table.insert({"id": 0})


def test_an_update_sets_clears_and_merges_udfs() -> None:
    """Promises that null clears, and that only the UDFs listed change."""
    store = new_store()
    store.udfs["Tasks"] = [{"name": "A"}, {"name": "B"}]
    table = store.table("Tasks")
    row_id = table.insert({"title": "T", "externalID": "X", "userDefinedFields": {"A": "1", "B": "2"}})
    table.update(row_id, {"externalID": None, "userDefinedFields": [{"name": "A", "value": None}]})
    row = table[row_id]
    assert row["externalID"] is None
    assert row["userDefinedFields"] == [{"name": "A", "value": None}, {"name": "B", "value": "2"}]


@pytest.mark.parametrize(
    ("field", "stored", "asked"),
    [
        ("externalID", " Ext-1 ", "EXT-1"),
        ("projectID", 7, 7.0),
        ("startDateTime", "2026-01-02T03:00:00.000Z", "2026-01-02T04:00:00+01:00"),
        ("udf:Legacy ID", "L-1", "l-1 "),
    ],
)
def test_find_compares_as_the_server_does(field: str, stored: Any, asked: Any) -> None:
    """Promises trimmed, case-blind text and dates as moments."""
    store = new_store()
    store.udfs["Tasks"] = [{"name": "Legacy ID"}]
    udfs = {"Legacy ID": stored} if field.startswith("udf:") else {}
    row_id = store.table("Tasks").insert({field: stored} if not udfs else {"userDefinedFields": udfs})
    assert [row["id"] for row in store.table("Tasks").find(field, asked)] == [row_id]


TITLES = st.sampled_from([None, "a", "A ", "b", "c"])
STEPS = st.lists(st.tuples(st.sampled_from(["insert", "update", "delete"]), st.integers(0, 9), TITLES))


@given(STEPS)
def test_an_index_always_agrees_with_the_rows(steps: list[tuple[str, int, str | None]]) -> None:
    """Promises that after any changes a look-up finds exactly the rows that hold the value."""
    table = new_store().table("Tasks")
    table.index("title")
    for action, row_id, title in steps:
        if action == "insert" and row_id not in table:
            table.insert({"id": row_id, "title": title})
        elif action == "update" and row_id in table:
            table.update(row_id, {"title": title})
        elif action == "delete" and row_id in table:
            table.delete(row_id)
    for key in ("a", "b", "c"):
        expected = [n for n in sorted(table) if (table[n]["title"] or "").strip().lower() == key]
        assert list(table.ids_of("title", key)) == expected
    assert table.ids == sorted(table)
