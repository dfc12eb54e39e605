"""What is loaded into the simulator: as it is, all or nothing, with the place of what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkops.simulator import loading, metadata
from bulkops.simulator.loading import LoadError
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches


def new_store() -> Store:
    return Store(now=lambda: "2026-11-21T20:00:00.123Z", switches=Switches(), ci=1)


def test_rows_udfs_and_picklists_arrive_as_they_are() -> None:
    """Promises ids kept or given, names in any case, no rules."""
    store = new_store()
    udfs = [{"name": "W", "value": "1"}]
    first = {"ID": 31, "TITLE": " x ", "status": 777, "userDefinedFields": udfs}
    listed_udf = {"name": "L", "type": "list", "picklistValues": ["One", "Two"]}
    data = {
        "rows": {"tasks": [first, {"title": "y"}]},
        "udf": {"Tasks": ["W", listed_udf]},
        "picklists": {"Tasks": {"status": [{"value": 1, "label": "New"}]}},
    }
    loading.load(store, data)
    rows = list(store.table("Tasks").values())
    assert [row["title"] for row in rows] == [" x ", "y"]
    assert (rows[0]["id"], rows[0]["status"]) == (31, 777)
    assert rows[0]["userDefinedFields"] == [{"name": "W", "value": "1"}, {"name": "L", "value": None}]
    fields = {field["name"]: field for field in metadata.fields(store, "Tasks")["fields"]}
    assert [value["value"] for value in fields["status"]["picklistValues"]] == ["1"]
    listed = metadata.user_defined_fields(store, "Tasks")["fields"][1]
    assert (listed["isPickList"], [v["label"] for v in listed["picklistValues"]]) == (True, ["One", "Two"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "the file: an object"),
        ({"row": {}}, "did you mean rows?"),
        ({"rows": {"Taskz": []}}, "did you mean Tasks?"),
        ({"rows": {"Tasks": {}}}, "rows.Tasks: an array of rows"),
        (
            {"rows": {"Tasks": [{"title": "a"}, {"titel": "b"}]}},
            "[1]: Tasks have no field 'titel', did you mean title?",
        ),
        ({"rows": {"Tasks": [{"id": "x"}]}}, "rows.Tasks[0].id"),
        ({"rows": {"Tasks": [{"userDefinedFields": [1]}]}}, "rows.Tasks[0].userDefinedFields"),
        ({"udf": {"Roles": ["x"]}}, "udf.Roles: Roles cannot have user-defined fields"),
        ({"udf": {"Tasks": [{}]}}, "udf.Tasks[0]"),
        ({"picklists": {"Tasks": {"status": ["New"]}}}, "picklists.Tasks.status[0]"),
        ({"picklists": {"Tasks": {"stats": []}}}, "did you mean status?"),
    ],
)
def test_wrong_data_loads_nothing_and_is_named(data: Any, words: str) -> None:
    """Promises the place and a suggestion, and an untouched store."""
    store = new_store()
    with pytest.raises(LoadError) as caught:
        loading.load(store, data)
    assert words in str(caught.value)
    assert len(store.table("Tasks")) == 0


def test_a_file_that_is_no_json_is_named_with_line_and_column(tmp_path: Path) -> None:
    """Promises FILE:LINE:COLUMN."""
    path = tmp_path / "load.json"
    path.write_text('{"rows":\n {]}')
    with pytest.raises(LoadError, match=r"load\.json:2:3: "):
        loading.read_json(path)
    with pytest.raises(LoadError, match="cannot be read"):
        loading.read_json(tmp_path / "absent.json")


def test_edits_change_rows_that_are_there_and_no_others() -> None:
    """Promises that an unknown id changes nothing at all."""
    store = new_store()
    loading.put_rows(store, "Tasks", [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}])
    with pytest.raises(LoadError, match="no Tasks with the id 3"):
        loading.edit_rows(store, "Tasks", [{"id": 1, "title": "A"}, {"id": 3}])
    assert store.table("Tasks")[1]["title"] == "a"
    assert loading.edit_rows(store, "Tasks", [{"id": 1, "title": "A"}]) == [1]
    assert store.table("Tasks")[1]["title"] == "A"
