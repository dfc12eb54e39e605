"""Tickets go to another company, from the command line: contact and location of the old one go first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

JOB = """\
version: 1
name: moves
tenant: acme
limits: {{update: {{percent: 100, count: 500}}}}
steps:
  - name: tickets
    entity: Tickets
    action: {action}
    source: {{file: tickets.csv}}
    match: [externalID]
    fields:
      externalID: Key
      companyID: {{column: Company, lookup: companyNumber}}
      title: Title
      status: {{value: New}}
      priority: {{value: Medium}}
      queueID: {{value: Post Sale}}
      contactID: {{column: Contact{lookup}}}
"""
HEADER = ("Key", "Company", "Title", "Contact")


@pytest.fixture
def place(desk: Desk) -> Place:
    """Of the ways in which the API may take a move, the one that refuses more."""
    desk.simulator.call("switches", {"ticket_company": "stored"})
    return Place(desk)


class Place:
    """Two companies, each with a person and a location, and three tickets of the first one."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        load = desk.simulator.load
        firm = {"companyType": 1, "ownerResourceID": 4, "isActive": True, "phone": "1"}
        names = ("Old", "New")
        self.firms = load("Companies", *({**firm, "companyName": n, "companyNumber": n} for n in names))
        self.people = load(
            "Contacts",
            *(
                {
                    "companyID": id,
                    "firstName": "P",
                    "lastName": n,
                    "emailAddress": f"{n}@m.test",
                    "isActive": 1,
                }
                for id, n in zip(self.firms, names, strict=True)
            ),
        )
        self.sites = load(
            "CompanyLocations",
            *({"companyID": id, "name": f"Site {id}", "isActive": True} for id in self.firms),
        )
        ticket = {"companyID": self.firms[0], "status": 1, "priority": 2, "queueID": 29683354, "title": "T"}
        held = {"contactID": self.people[0], "companyLocationID": self.sites[0]}
        self.tickets = load(
            "Tickets",
            {**ticket, **held, "externalID": "M-1"},
            {**ticket, **held, "externalID": "M-2"},
            {**ticket, "externalID": "M-3"},
        )

    def plan(
        self, *rows: tuple[str, ...], action: str = "update", lookup: str = ", lookup: emailAddress"
    ) -> dict[str, Any]:
        self.desk.table("tickets.csv", HEADER, *rows)
        self.desk.write("moves.yaml", JOB.format(action=action, lookup=lookup))
        return self.desk.plan("moves.yaml")

    def now(self) -> dict[str, tuple[Any, Any, Any, Any]]:
        """Of each ticket: company, contact, location, title."""
        return {
            row["externalID"]: (row["companyID"], row["contactID"], row["companyLocationID"], row["title"])
            for row in self.desk.simulator.rows("Tickets")
            if str(row.get("externalID") or "").startswith("M-")
        }


ALL = (("M-1", "New", "T", ""), ("M-2", "New", "U", "New@m.test"), ("M-3", "New", "T", ""))


@pytest.mark.parametrize(("action", "switch"), [("update", "merged"), ("upsert", "stored")])
def test_contact_and_location_are_cleared_before_the_company_changes(
    place: Place, action: str, switch: str
) -> None:
    """The plan shows what goes and how many, counts two writes for each, and there and back is the same."""
    place.desk.simulator.call("switches", {"ticket_company": switch})
    (old, new), (al, bo), (site, _) = place.firms, place.people, place.sites
    before = place.desk.simulator.rows("Tickets")
    planned = place.plan(*ALL, action=action)
    assert planned["counts"]["update"] == 3 and planned["counts"]["rejected"] == 0
    assert planned["calls"]["write"] == 5
    told = " ".join(planned["warnings"])
    assert "2 updates: what is of the company that they leave is cleared first" in told
    assert "(1 contact, 2 locations in all)" in told
    shown = place.desk.run("show", "moves.plan").out
    assert f"contactID          {al} (P Old) → (empty)" in shown
    assert f"contactID          {al} (P Old) → {bo} (cleared first)" in shown
    rows = {row["id"]: row for row in place.desk.run("show", "moves.plan", "--json").rows}
    assert [rows[id].get("cleared") for id in place.tickets] == [
        ["companyLocationID", "contactID"], ["companyLocationID", "contactID"], None,
    ]  # fmt: skip
    assert place.desk.simulator.rows("Tickets") == before

    done = place.desk.apply("moves.plan")
    assert done["counts"]["applied"] == 3 and done["calls"]["write"] == 5
    moved = {"M-1": (new, None, None, "T"), "M-2": (new, bo, None, "U"), "M-3": (new, None, None, "T")}
    assert place.now() == moved
    again = place.desk.plan("moves.yaml", "-o", "again.plan")
    assert again["counts"]["unchanged"] == 3

    back = place.desk.run("undo", "moves.plan", "--json").json
    assert (back["counts"]["update"], back["calls"]["write"]) == (3, 4)
    assert place.desk.apply("moves.undo.plan")["counts"]["applied"] == 3
    assert place.now() == {
        "M-1": (old, al, site, "T"),
        "M-2": (old, al, site, "T"),
        "M-3": (old, None, None, "T"),
    }
    assert place.desk.plan("moves.yaml", "-o", "third.plan")["counts"]["update"] == 3


def test_a_contact_that_was_not_there_before_is_cleared_on_the_way_back(place: Place) -> None:
    """What the plan set is of the company that the ticket leaves again."""
    place.plan(("M-3", "New", "T", "New@m.test"))
    place.desk.apply("moves.plan")
    assert place.now()["M-3"] == (place.firms[1], place.people[1], None, "T")
    assert place.desk.run("undo", "moves.plan", "--json").json["calls"]["write"] == 2
    place.desk.apply("moves.undo.plan")
    assert place.now()["M-3"] == (place.firms[0], None, None, "T")


def test_a_row_that_keeps_the_old_contact_is_rejected_and_nothing_of_it_is_written(place: Place) -> None:
    """It asks for two things that exclude each other: column, text and way out are named."""
    before = place.now()
    planned = place.plan(("M-1", "New", "X", str(place.people[0])), ("M-2", "New", "X", ""), lookup="")
    assert (planned["counts"]["rejected"], planned["counts"]["update"]) == (1, 1)
    (reason,) = [
        row["reason"] for row in place.desk.run("show", "moves.plan", "--json").rows if row["reason"]
    ]
    assert f"column Contact '{place.people[0]}'" in reason
    assert "leave contactID empty, or give one of the new company" in reason
    assert "(1 contact, 1 location in all)" in " ".join(planned["warnings"])
    place.desk.apply("moves.plan", code=4)
    assert place.now()["M-1"] == before["M-1"]


def test_each_of_the_two_requests_is_a_write(place: Place) -> None:
    """`--stop-after` stops between them; the next apply looks, and sends what is left and no more."""
    place.plan(ALL[1])
    stopped = place.desk.apply("moves.plan", "--stop-after", "1", code=6)
    assert (stopped["calls"]["write"], stopped["counts"]["pending"]) == (1, 1)
    assert place.now()["M-2"] == (place.firms[0], None, None, "T")
    done = place.desk.apply("moves.plan")
    assert (done["calls"]["write"], done["counts"]["applied"]) == (2, 1)
    assert place.now()["M-2"] == (place.firms[1], place.people[1], None, "U")


def test_what_is_stopped_half_way_can_be_undone(place: Place) -> None:
    """Without going on: the row is pending, and its contact and location come back."""
    place.plan(ALL[1])
    place.desk.apply("moves.plan", "--stop-after", "1", code=6)
    assert place.now()["M-2"] == (place.firms[0], None, None, "T")
    place.desk.run("undo", "moves.plan")
    place.desk.apply("moves.undo.plan")
    assert place.now()["M-2"] == (place.firms[0], place.people[0], place.sites[0], "T")
    assert place.desk.apply("moves.plan")["counts"]["applied"] == 1
    assert place.now()["M-2"] == (place.firms[1], place.people[1], None, "U")


REFUSED = {
    "method": "PATCH", "entity": "Tickets", "when": {"nth": [2]}, "do": "status", "code": 500,
    "body": {"errors": ["The ticket category does not allow this."]},
}  # fmt: skip


@pytest.mark.parametrize("text", ["Value does not exist for the required field title.", "Nobody knows this."])
def test_a_move_that_is_refused_half_way_says_so_and_can_be_undone(place: Place, text: str) -> None:
    """Rejected, with the API's text and what is cleared by now; undo restores it."""
    place.plan(ALL[0])
    place.desk.simulator.faults({**REFUSED, "body": {"errors": [text]}})
    assert place.desk.apply("moves.plan", code=4)["counts"]["rejected"] == 1
    assert place.now()["M-1"] == (place.firms[0], None, None, "T")
    (row,) = place.desk.results("moves.plan")["rejected"]
    assert text in row["bulkops_reason"]
    assert "companyLocationID and contactID are cleared already" in row["bulkops_reason"]
    back = place.desk.run("undo", "moves.plan", "--json").json
    assert (back["counts"]["update"], back["calls"]["write"]) == (1, 1)
    place.desk.apply("moves.undo.plan")
    assert place.now()["M-1"] == (place.firms[0], place.people[0], place.sites[0], "T")


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("do", ["drop", "drop_after_commit", "late_commit"])
def test_a_move_whose_answer_is_lost_is_made_once(place: Place, do: str, nth: int) -> None:
    """Whichever of the two it was, and whether it was carried out or not."""
    place.plan(ALL[1])
    fault = {"method": "PATCH", "entity": "Tickets", "when": {"nth": [nth]}, "do": do, "code": 500, "ms": 50}
    place.desk.simulator.faults(fault)
    assert place.desk.apply("moves.plan")["counts"]["applied"] == 1
    assert place.now()["M-2"] == (place.firms[1], place.people[1], None, "U")
    committed = place.desk.simulator.stats()["committed"]["update"]
    assert committed == 2


def test_what_somebody_sets_in_between_is_held(place: Place) -> None:
    """A contact that is neither what it was nor empty is somebody's doing."""
    place.plan(ALL[1])
    place.desk.apply("moves.plan", "--stop-after", "1", code=6)
    edit = {"id": place.tickets[1], "contactID": place.people[0], "companyLocationID": None, "title": "Z"}
    place.desk.simulator.call("edit/Tickets", {"items": [edit]})
    assert place.desk.apply("moves.plan", code=4)["counts"]["held"] == 1
    (row,) = place.desk.results("moves.plan")["held"]
    assert "it was stopped between its two requests, and title is 'Z' now" in row["bulkops_reason"]
    assert "companyLocationID is cleared already" in row["bulkops_reason"]
