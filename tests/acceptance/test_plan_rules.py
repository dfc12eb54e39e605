"""What a plan keeps, marks and shows, and which words it does not take, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

MARKED = """\
version: 1
name: marked
tenant: acme
steps:
  - name: customers
    entity: Companies
    action: create
    source: {file: c.csv}
    marker: companyNumber
    fields:
      companyName: Name
      phone: Phone
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
"""
GONE = """\
version: 1
name: gone
tenant: acme
steps:
  - name: people
    entity: Contacts
    action: delete
    source: {file: p.csv}
    match: [emailAddress]
    fields: {emailAddress: Mail}
"""


def test_a_marked_create_whose_answer_was_lost_is_known_again(desk: Desk) -> None:
    """Without any match: the plan shows the mark, the tenant has it once, and nothing is held."""
    desk.table("c.csv", ("Name", "Phone"), *((f"Same {n % 2}", "1") for n in range(8)))
    desk.write("marked.yaml", MARKED)
    desk.plan("marked.yaml")
    changes = desk.run("show", "marked.plan", "--json").rows
    marks = [change["fields"]["companyNumber"]["after"] for change in changes]
    assert len(set(marks)) == 8 and all(mark.startswith("bulkops-") for mark in marks)
    assert "(bulkops' own mark)" in desk.run("show", "marked.plan").out
    desk.simulator.faults(
        {"method": "POST", "entity": "Companies", "when": {"nth": [3, 6]}, "do": "drop_after_commit"}
    )
    assert desk.apply("marked.plan")["counts"]["applied"] == 8
    found = [
        row["companyNumber"] for row in desk.simulator.rows("Companies") if row["companyNumber"] in marks
    ]
    assert sorted(found) == sorted(marks)


def test_a_kind_that_does_not_exist_is_a_usage_error(desk: Desk) -> None:
    """Nothing is written; a kind that exists and is not needed is ignored."""
    desk.plan(desk.customers(2))
    for allow in ("updates=2", "companyType=Custmer=2", "status=Complete=2"):
        told = desk.refused("apply", "customers.plan", "--yes", "--allow", allow, code=2)
        assert "there is no kind" in told and "`create`, `update`" in told
    desk.refused("run", "customers.yaml", "--yes", "--allow", "updates=2", code=2)
    assert desk.simulator.writes() == 0
    desk.apply("customers.plan", "--allow", "update=7", "--allow", "companyType=Customer=1")
    assert desk.simulator.writes() == 2


def test_a_delete_plan_shows_all_that_goes(desk: Desk) -> None:
    """`show` has every field of the record, `plan` the first of them; both before anything is written."""
    company = desk.simulator.rows("Companies")[0]["id"]
    person = {"companyID": company, "firstName": "Jo", "lastName": "Lee", "emailAddress": "jo@x.test",
              "isActive": 1, "phone": "555", "city": "Leeds"}  # fmt: skip
    (number,) = desk.simulator.load("Contacts", person)
    desk.write("gone.yaml", GONE)
    desk.table("p.csv", ("Mail",), ("jo@x.test",))
    brief = desk.run("plan", "gone.yaml").out
    assert f"- Contacts {number}" in brief and "→" not in brief
    (line,) = desk.run("show", "gone.plan", "--json").out.splitlines()
    fields = {name: diff["before"] for name, diff in json.loads(line)["fields"].items()}
    assert fields == person
    assert desk.simulator.writes() == 0


def test_status_tells_what_is_held_and_how_it_is_settled(desk: Desk) -> None:
    """Row, place, record, moment and the command; the same in held.csv."""
    desk.table("c.csv", ("Name", "Phone"), ("Twice", "1"))
    desk.write("held.yaml", MARKED.replace("    marker: companyNumber\n", "").replace("marked", "held"))
    desk.simulator.faults({"method": "POST", "entity": "Companies", "when": {"nth": [1]}, "do": "drop"})
    desk.plan("held.yaml")
    twin = {"companyName": "Twice", "phone": "1", "companyType": 1, "ownerResourceID": 4}
    desk.apply("held.plan", "--stop-after", "1", code=6)
    desk.simulator.load("Companies", twin, twin)
    assert desk.apply("held.plan", code=4)["counts"]["held"] == 1
    told = desk.run("status", "held.plan").out
    assert "row 1 (c.csv:2): " in told and 'create Companies companyName="Twice"' in told
    assert "bulkops resolve held.plan --row N --created ID | --not-created" in told
    (row,) = desk.results("held.plan")["held"]
    assert "bulkops resolve held.plan --row 1 --created ID | --not-created" in row["bulkops_reason"]
