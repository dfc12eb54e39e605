"""Mass updates from a query, and an export that is edited and brought back: with the real command line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk, Simulator

STAMPS = {"lastActivityDateTime", "lastActivityResourceID", "lastActivityPersonType", "lastModifiedDateTime"}
"""What the server writes into a record by itself when somebody changes it."""

OPEN_TASKS = """\
version: 1
name: open-tasks
tenant: acme
limits: {{update: {{percent: 100, count: 500}}}}
steps:
  - name: tasks
    entity: Tasks
    action: update
    source:
      query: Tasks
      where:
        - {{field: status, op: noteq, value: Complete}}
        - {{field: assignedResourceID, op: eq, value: {{lookup: email, key: {email}}}}}
    match: [id]
    fields:
      id: id
      title: {{template: "{{{{ title }}}} (old)"}}
"""
DANIEL = "daniel.osei@northgate.test"


def changed(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What is other than it was, in every record and every field, by id; without the server's stamps."""
    now = {row["id"]: row for row in after}
    assert {row["id"] for row in before} == set(now)
    found = {}
    for row in before:
        other = {name: value for name, value in now[row["id"]].items() if value != row.get(name)}
        if fields := {name: value for name, value in other.items() if name not in STAMPS}:
            found[row["id"]] = fields
    return found


def edit(path: Path, cells: Mapping[tuple[int, str], str]) -> None:
    """Types over cells of an exported CSV file: by the id of the record and the column."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    by_id = {int(row["id"]): row for row in rows}
    for (number, column), text in cells.items():
        assert column in by_id[number]
        by_id[number][column] = text
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def named(simulator: Simulator, title: str) -> int:
    (found,) = [row["id"] for row in simulator.rows("Tasks") if row["title"] == title]
    return int(found)


# --- a query as source


def test_the_open_tasks_of_one_person_are_changed_and_no_others(desk: Desk) -> None:
    """By label and by e-mail; every record and every field is compared."""
    before = desk.simulator.rows("Tasks")
    (daniel,) = [row["id"] for row in desk.simulator.rows("Resources") if row["email"] == DANIEL]
    mine = [row for row in before if row["assignedResourceID"] == daniel and row["status"] != 5]
    assert len(mine) > 2
    desk.write("job.yaml", OPEN_TASKS.format(email=DANIEL))
    assert "The rows of step tasks are the tenant's" in desk.run("validate", "job.yaml").out
    planned = desk.plan("job.yaml")
    assert planned["sources"] == [{"step": "tasks", "read": len(mine), "dropped": 0, "rows": len(mine)}]
    assert planned["counts"]["update"] == len(mine)
    said = desk.run("show", "open-tasks.plan").out
    assert f"from query of Tasks where status noteq Complete and assignedResourceID eq {DANIEL}" in said
    assert desk.apply("open-tasks.plan")["counts"]["applied"] == len(mine)
    expected = {row["id"]: {"title": f"{row['title']} (old)"} for row in mine}
    assert changed(before, desk.simulator.rows("Tasks")) == expected
    results = desk.results("open-tasks.plan")["applied"]
    assert sorted(int(row["id"]) for row in results) == sorted(expected)


def test_a_record_that_somebody_changed_since_the_query_is_held(desk: Desk) -> None:
    """The others proceed."""
    desk.write("job.yaml", OPEN_TASKS.format(email=DANIEL))
    planned = desk.plan("job.yaml")
    number = named(desk.simulator, "Build the server")
    desk.simulator.call("edit/Tasks", {"items": [{"id": number, "title": "Build two servers"}]})
    counts = desk.apply("open-tasks.plan", code=4)["counts"]
    assert (counts["held"], counts["applied"]) == (1, planned["counts"]["update"] - 1)
    assert named(desk.simulator, "Build two servers") == number


def test_an_empty_query_is_no_fault(desk: Desk) -> None:
    """Exit code 0 with a sentence, also for what follows."""
    desk.write("job.yaml", OPEN_TASKS.format(email="iris.calloway@northgate.test"))
    ran = desk.run("plan", "job.yaml", "--detailed-exitcode")
    assert "tasks: the query of Tasks found no record, so there is nothing to do" in ran.out
    assert desk.plan("job.yaml")["rows"] == 0
    assert desk.apply("open-tasks.plan")["state"] == "finished"
    assert "There is nothing to write" in desk.run("run", "job.yaml", "--yes").out
    assert desk.simulator.writes() == 0


def test_a_where_that_the_api_would_misread_is_refused_before_any_read(desk: Desk) -> None:
    """With the line of each fault, offline as far as the catalog tells, by the tenant for the rest."""
    job = OPEN_TASKS.format(email=DANIEL).replace("op: noteq, value: Complete", "op: ne, value: Complete")
    desk.write("job.yaml", job)
    for command in ("validate", "plan"):
        assert "job.yaml:12:27: `op` must be `eq`, `noteq`" in desk.refused(command, "job.yaml")
    desk.write("job.yaml", job.replace("op: ne, value: Complete", "op: noteq, value: Compleet"))
    desk.run("validate", "job.yaml")
    told = desk.refused("plan", "job.yaml")
    assert "job.yaml:12: status: `Compleet` is no value of status. Is it 'Complete'?" in told
    desk.write("job.yaml", OPEN_TASKS.format(email="nobody@northgate.test"))
    told = desk.refused("plan", "job.yaml")
    assert "job.yaml:13: email 'nobody@northgate.test': no Resources record has this email" in told
    assert "POST Tasks/query" not in desk.simulator.stats()["by_call"]


# --- an export that comes back


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl", ".parquet"])
def test_an_export_at_once_brought_back_changes_nothing(desk: Desk, suffix: str) -> None:
    """0 changes, whatever it was written to; nobody has to delete a column first."""
    desk.run("export", "Companies", "-o", f"out{suffix}", "--job", "back.yaml")
    assert desk.run("validate", "back.yaml").code == 0
    counts = desk.plan("back.yaml")["counts"]
    assert counts["unchanged"] == len(desk.simulator.rows("Companies")) == sum(counts.values())


def test_an_edited_export_changes_what_was_edited_and_no_more(desk: Desk) -> None:
    """Labels, dates, numbers, texts, user-defined fields, emptied cells: every record is compared."""
    titles = ("Build the server", "Copy the data", "Cut over", "Choose a till")
    build, copy, cut, choose = (named(desk.simulator, title) for title in titles)
    before = desk.simulator.rows("Tasks")
    ran = desk.run("export", "Tasks", "-o", "tasks.csv", "--job", "back.yaml")
    assert ran.out.splitlines() == [
        f"{len(before)} Tasks records were written to tasks.csv",
        "Bring it back, once it is edited, with: bulkops plan back.yaml",
    ]
    edit(
        desk.folder / "tasks.csv",
        {
            (build, "title"): "=Build it",
            (build, "priorityLabel"): "Low",
            (copy, "endDateTime"): "2026-04-24",
            (copy, "estimatedHours"): "9.5",
            (cut, "description"): "First line\nsecond line",
            (cut, "udf:Customer Ranking"): "Golden",
            (choose, "priorityLabel"): "",
            (choose, "projectID (name)"): "only to be read",
        },
    )
    assert desk.plan("back.yaml", "--detailed-exitcode", code=3)["counts"]["update"] == 4
    assert desk.apply("back.plan", "--allow", "update=4")["counts"]["applied"] == 4
    found = changed(before, desk.simulator.rows("Tasks"))
    udfs = found[cut].pop("userDefinedFields")
    assert {item["name"]: item["value"] for item in udfs}["Customer Ranking"] == "Golden"
    assert found == {
        build: {"title": "=Build it", "priorityLabel": 3},
        copy: {"endDateTime": "2026-04-24T00:00:00.000Z", "estimatedHours": 9.5},
        cut: {"description": "First line\nsecond line"},
        choose: {"priorityLabel": None},
    }


def test_a_file_of_some_fields_and_records_comes_back_as_well(desk: Desk) -> None:
    """With a condition, and the fields that one means to edit."""
    where = '[{"field": "status", "op": "eq", "value": "New"}, {"field": "phaseID", "op": "exist"}]'
    desk.run(
        "export", "tasks", "--where", where, "--fields", "title,status", "-o", "t.csv", "--job", "b.yaml"
    )
    rows = [r for r in desk.simulator.rows("Tasks") if r["status"] == 1 and r["phaseID"] is not None]
    with (desk.folder / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(int(row["id"]), row["title"], row["status"]) for row in found] == [
        (row["id"], row["title"], "New") for row in rows
    ]
    assert desk.plan("b.yaml")["counts"]["unchanged"] == len(rows) > 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("Tasks",), 2, "-o"),
        (("Taskz", "-o", "t.csv"), 1, "`Taskz` is no entity. Did you mean `Tasks`"),
        (("Tasks", "-o", "t.ods"), 1, "t.ods: the file must end in"),
        (("Tasks", "-o", "mine.csv"), 1, "mine.csv: exists already. Name another file, or add --force"),
        (("Tasks", "-o", "t.csv", "--where", "status eq New"), 1, "--where: is no list of conditions"),
        (
            ("Tasks", "-o", "t.csv", "--where", '[{"field": "status", "op": "ne", "value": 5}]'),
            1,
            "--where:1:22: `op` must be `eq`, `noteq`",
        ),
        (
            ("Tasks", "-o", "t.csv", "--fields", "titel"),
            1,
            "--fields: Tasks has no field `titel`. Did you mean",
        ),
        (("Tasks", "-o", "no/such/t.csv"), 1, "t.csv cannot be written: No such file or directory"),
        (("Tasks", "-o", "t.csv", "--tenant", "acne"), 1, "there is no tenant 'acne'"),
        (
            ("InvoiceTemplates", "-o", "t.csv", "--job", "b.yaml"),
            1,
            "--job: InvoiceTemplates cannot be updated",
        ),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_sentence(
    desk: Desk, words: tuple[str, ...], code: int, told: str
) -> None:
    """What, where and what to do; nothing is written, and what was there stays."""
    desk.write("mine.csv", "mine\n")
    ran = desk.run("export", *words, code=code)
    assert ran.out == ""
    assert told in ran.err
    assert (desk.folder / "mine.csv").read_text() == "mine\n"
    assert sorted(path.name for path in desk.folder.iterdir()) == ["bulkops.toml", "mine.csv"]


def test_an_export_of_nothing_is_a_file_with_its_header(desk: Desk) -> None:
    """Exit code 0 with a sentence."""
    where = '{"field": "title", "op": "eq", "value": "nothing"}'
    ran = desk.run("export", "Tasks", "-o", "t.csv", "--where", where, "--fields", "title")
    assert ran.out == "Tasks: no record has all that --where asks for, so t.csv holds its header only\n"
    assert (desk.folder / "t.csv").read_text("utf-8-sig") == "id,title,bulkops_entity\n"


NOT_ASKED = {
    "a step": "steps:\n  - {name: a, entity: Tasks, action: update, match: [id],\n"
    "     fields: {id: id, title: title},\n"
    "     source: {query: Tasks, where: [{field: remainingHours, op: gt, value: 0}]}}\n",
    "reassign": f"reassign:\n  {{from: {DANIEL}, to: [tomas.lindqvist@northgate.test], entities: [Tasks],\n"
    "   where: [{field: remainingHours, op: gt, value: 0}]}\n",
    "close_projects": "close_projects:\n  {status: Complete, open_tasks: complete,\n"
    "   where: [{field: changeOrdersBudget, op: gt, value: 0}]}\n",
}


@pytest.mark.parametrize("text", NOT_ASKED.values(), ids=NOT_ASKED)
def test_a_field_that_cannot_be_queried_is_refused_with_its_line(desk: Desk, text: str) -> None:
    """The API would refuse the query, or read all there is: one sentence, before anything is asked."""
    desk.write("job.yaml", f"version: 1\nname: job\ntenant: acme\n{text}")
    told = desk.refused("plan", "job.yaml")
    line = f"job.yaml:{4 + text[: text.index('where')].count(chr(10))}:"
    assert "cannot be queried, so `where` cannot name it" in told and line in told
    assert told.count("cannot be queried") == 1 and "1 fault" in told


def test_what_the_query_no_longer_finds_is_held(desk: Desk) -> None:
    """Somebody else got a task, another one was completed: both were chosen for what they were."""
    desk.write("open-tasks.yaml", OPEN_TASKS.format(email=DANIEL))
    desk.plan("open-tasks.yaml")
    rows = [row for row in desk.run("show", "open-tasks.plan", "--json").rows if row["action"] == "update"]
    taken, done = rows[0]["id"], rows[1]["id"]
    other = next(
        row["id"] for row in desk.simulator.rows("Resources") if row["userName"] == "tomas.lindqvist"
    )
    edits = [{"id": taken, "assignedResourceID": other}, {"id": done, "status": 5}]
    desk.simulator.call("edit/Tasks", {"items": edits})
    counts = desk.apply("open-tasks.plan", code=4)["counts"]
    assert (counts["held"], counts["applied"]) == (2, len(rows) - 2)
    titles = {row["id"]: row["title"] for row in desk.simulator.rows("Tasks")}
    assert [id for id in (taken, done) if titles[id].endswith("(old)")] == []
