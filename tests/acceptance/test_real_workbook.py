"""A real workbook that nobody here wrote, as a project: every record and field against another reading.

What the tenant holds afterwards is compared with what `openpyxl` makes of the same sheet. The file is not
part of this repository: where it is not beside it, the test is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

PLAN = Path(__file__).resolve().parents[3] / "shared" / "data" / "project-plan.xlsx"
pytestmark = pytest.mark.skipif(not PLAN.exists(), reason="the folder with published sample data is not here")

PLAN_JOB = """
version: 1
name: relay
tenant: acme
steps:
  - name: projects
    entity: Projects
    action: upsert
    source: {file: project.csv}
    match: [extProjectNumber]
    fields:
      extProjectNumber: Key
      projectName: Name
      companyID: {value: Cobalt Freight Ltd., lookup: companyName}
      projectType: {value: Client}
      status: {value: In Progress}
      startDateTime: {value: 2023-01-02}
      endDateTime: {value: 2023-06-30}
  - name: phases
    entity: Phases
    action: upsert
    source: {file: project-plan.xlsx}
    match: [projectID, externalID]
    fields:
      projectID: {value: RELAY, from: projects}
      externalID: ID
      title:                                # what has no dates of its own is a heading
        template: "{% if not row['Start Date'] %}{{ Task.strip() }}{% endif %}"
        empty: reject
      description: {template: "Requirement {{ ReqId or '-' }}, {{ Duration }} weeks"}
    ignore: PHASES
  - name: tasks
    entity: Tasks
    action: upsert
    source: {file: project-plan.xlsx, sheet: Project Plan}
    match: [externalID]
    fields:
      externalID: ID
      projectID: {value: RELAY, from: projects}
      phaseID: {column: ID, labels: PARENTS, from: phases}
      title: {template: "{{ Task.strip() }}"}
      status: {value: New}
      taskType: {value: FixedWork}
      estimatedHours: {template: "{{ Duration | float * 40 }}"}
      startDateTime: {column: Start Date, empty: reject}
      endDateTime: End Date
      assignedResourceID: {template: "{{ Resourcing.split(',')[0] }}", lookup: firstName}
      assignedResourceRoleID: {template: "{% if Resourcing %}Engineer{% endif %}", lookup: name}
      billingCodeID: {value: Project Work, lookup: name}
    ignore: TASKS
"""
TEAM = ("Arun", "Bex", "Charley", "Danielle", "Eliza")


def outline(rows: Iterable[Mapping[str, Any]]) -> dict[int, int | None]:
    """The heading above each row, told by leading spaces as in the sheet."""
    above: dict[int, int] = {}
    parents: dict[int, int | None] = {}
    for row in rows:
        depth = (len(row["Task"]) - len(row["Task"].lstrip())) // 3
        parents[row["ID"]] = above.get(depth - 1)
        above[depth] = row["ID"]
    return parents


def test_a_plan_from_a_workbook_becomes_a_project_with_phases_and_tasks(desk: Desk) -> None:
    """A sheet drawn by a person: calculated dates, hidden rows and columns, a chart beside the table, two
    people in a cell, headings told by spaces. 9 headings become phases and 30 rows tasks; what is no heading,
    or no task, is said to be so. Again: nothing to do."""
    sheet = openpyxl.load_workbook(PLAN, data_only=True).worksheets[0]
    header, *records = list(sheet.iter_rows(values_only=True))
    rows: list[dict[Any, Any]] = [dict(zip(header, cells, strict=True)) for cells in records]
    parents = outline(rows)
    people = dict(
        zip(TEAM, desk.simulator.staff(*({"firstName": n, "userName": n} for n in TEAM)), strict=True)
    )
    desk.write("project-plan.xlsx", PLAN.read_bytes())
    desk.table("project.csv", ("Key", "Name"), ("RELAY", "Relay network"))
    names = [str(name) for name in header if name]
    job = PLAN_JOB.replace("PARENTS", json.dumps({str(n): str(up or "") for n, up in parents.items()}))
    job = job.replace("PHASES", desk.ignoring(names, "ID", "Start Date", "Task", "ReqId", "Duration"))
    used = ("ID", "Task", "Duration", "Start Date", "End Date", "Resourcing")
    desk.write("relay.yaml", job.replace("TASKS", desk.ignoring(names, *used)))

    desk.migrate("relay.yaml", create=1 + 9 + 30, rejected=30 + 9)

    [project] = desk.made("Projects", "extProjectNumber", ["RELAY"]).values()
    ours = [row for row in desk.simulator.rows("Phases") if row["projectID"] == project["id"]]
    phases = {row["externalID"]: row for row in ours}
    tasks = desk.made("Tasks", "externalID", [str(row["ID"]) for row in rows if row["Start Date"]])
    assert (len(ours), len(phases), len(tasks)) == (9, 9, 30)
    for row in rows:
        key = str(row["ID"])
        if row["Start Date"] is None:
            said = f"Requirement {row['ReqId'] or '-'}, {row['Duration']} weeks"
            assert not desk.differences(phases[key], {"title": row["Task"].strip(), "description": said})
            continue
        above = parents[row["ID"]]
        expected = {
            "projectID": project["id"],
            "phaseID": phases[str(above)]["id"] if above else None,
            "title": row["Task"].strip(),
            "estimatedHours": row["Duration"] * 40.0,
            "startDateTime": row["Start Date"].strftime("%Y-%m-%dT00:00:00.000Z"),
            "endDateTime": row["End Date"].strftime("%Y-%m-%dT00:00:00.000Z"),
            "assignedResourceID": people[row["Resourcing"].split(",")[0]],
        }
        assert not desk.differences(tasks[key], expected), key
