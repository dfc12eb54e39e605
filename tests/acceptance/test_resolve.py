"""`bulkops resolve`: what nobody but a person can know is told to the plan, which goes on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Desk

NAMES = [f"Client number {n} of the old list" for n in range(1, 5)]

JOB = """\
version: 1
name: clients
tenant: acme
steps:
  - name: companies
    entity: Companies
    action: create
    source: {file: clients.csv}
    MATCH
    fields:
      companyNumber: No
      companyName: Name
      phone: {value: 555-0100}
      companyType: {value: Customer}
      ownerResourceID: {value: 4}
"""
CONTACTS = """\
  - name: contacts
    entity: Contacts
    action: create
    source: {file: people.csv}
    match: [emailAddress]
    fields:
      emailAddress: Mail
      firstName: First
      lastName: Last
      isActive: {value: 1}
      companyID: {column: Client, from: companies}
"""


def lose(desk: Desk, *, is_made: bool, with_contacts: bool = False) -> None:
    """A run that is killed before it knows what became of its third create."""
    desk.table("clients.csv", ("No", "Name"), *((f"K-{n:04}", name) for n, name in enumerate(NAMES, 1)))
    people = [(f"p{n}@x.test", "Kim", f"Park{n}", f"K-{n:04}") for n in (1, 3)]
    desk.table("people.csv", ("Mail", "First", "Last", "Client"), *people)
    job = JOB.replace("MATCH", "match: [companyNumber]" if with_contacts else "ignore: []")
    desk.write("clients.yaml", job + (CONTACTS if with_contacts else ""))
    desk.tenant(settle_s=60, budget_per_entity=1)  # so that the third one is row 3
    desk.plan("clients.yaml")
    third = {"method": "POST", "entity": "Companies", "when": {"nth": [3]}}
    desk.simulator.faults({**third, "do": "delay" if is_made else "drop", "ms": 60_000})
    desk.environ["BULKOPS_STATE_DIR"] = str(desk.folder / "state")  # or its slots are waited for
    run = desk.start("apply", "clients.plan", "--yes")
    desk.simulator.until(lambda stats: stats["by_call"].get("POST Companies", 0) >= 3)
    run.kill()
    run.communicate()
    desk.environ.clear()
    desk.simulator.faults()
    desk.tenant()


def held(desk: Desk) -> list[int]:
    """The numbers of the rows that are held, as held.csv has them."""
    return [int(row["bulkops_row"]) for row in desk.results("clients.plan")["held"]]


@pytest.fixture
def lost(desk: Desk) -> Desk:
    """A client was created without `match`, the answer was lost, and somebody has renamed it since."""
    lose(desk, is_made=True)
    [made] = [row for row in desk.simulator.rows("Companies") if row["companyName"] == NAMES[2]]
    renamed = {"id": made["id"], "companyName": f"{NAMES[2]} (checked)"}
    desk.simulator.call("edit/Companies", {"items": [renamed]})
    desk.apply("clients.plan", code=4)
    assert held(desk) == [3]
    return desk


def ids(desk: Desk) -> dict[str, int]:
    """Our companies by number; fails where one is there twice."""
    return {number: row["id"] for number, row in desk.simulator.numbered().items()}


def test_a_create_whose_answer_was_lost_is_settled_with_its_id(lost: Desk) -> None:
    """`status` names the row and the command; the record is looked at; the plan is finished and nothing is
    sent again."""
    assert "row 3" in lost.run("status", "clients.plan").out
    made = ids(lost)["K-0003"]
    ran = lost.run("resolve", "clients.plan", "--row", "3", "--created", made)
    assert f"row 3 (clients.csv:4) is applied, as Companies {made}" in ran.out
    assert "is not quite what row 3" in ran.err and "(checked)" in ran.err
    writes = lost.simulator.writes()
    status = lost.apply("clients.plan")
    assert (status["state"], status["counts"]["applied"], status["counts"]["held"]) == ("finished", 4, 0)
    assert lost.simulator.writes() == writes
    assert [row["bulkops_id"] for row in lost.results("clients.plan")["applied"]][2] == str(made)


def test_an_id_that_is_not_the_row_s_is_refused(lost: Desk) -> None:
    """No such record, another row's, or plainly another one: exit 1, a sentence, and the row stays held."""
    other = next(row["id"] for row in lost.simulator.rows("Companies") if row["companyNumber"] == "C-1001")
    for wrong, sentence, more in [
        (99_999_999, "there is no Companies 99999999 in tenant acme", ()),
        (other, f"Companies {other} is not what row 3 (clients.csv:4) makes: companyN", ()),
        (ids(lost)["K-0001"], "is the record of row 1 (clients.csv:2)", ("--config", "nowhere.toml")),
    ]:
        ran = lost.run("resolve", "clients.plan", "--row", "3", "--created", wrong, *more, code=1)
        assert sentence in ran.err and not ran.out
    assert held(lost) == [3]
    assert "row 1 (clients.csv:2) is not held: it is applied" in lost.refused(
        "resolve", "clients.plan", "--row", "1", "--not-created"
    )
    assert "has no row 9" in lost.refused("resolve", "clients.plan", "--row", "9", "--not-created")


def test_a_record_that_cannot_be_read_is_taken_as_said(lost: Desk) -> None:
    """Without a tenants file, a person's word counts, and that is said."""
    made = ids(lost)["K-0003"]
    ran = lost.run("resolve", "clients.plan", "--row", "3", "--created", made, "--config", "nowhere.toml")
    assert f"Companies {made} could not be looked at, and is taken as you say" in ran.err
    assert held(lost) == []


def test_what_became_of_it_must_be_said_once(lost: Desk) -> None:
    """Neither answer, both, or no id: a usage error, exit 2, and nothing is changed."""
    for words in ((), ("--created", "5", "--not-created"), ("--created", "0"), ("--created", "x")):
        ran = lost.run("resolve", "clients.plan", "--row", "3", *words, code=2)
        assert "--created" in ran.err and "Traceback" not in ran.err
    assert held(lost) == [3]


def test_a_create_that_never_happened_is_sent_again(desk: Desk) -> None:
    """Somebody else made one that is nearly the same, so it was held: it is pending again, and then there."""
    lose(desk, is_made=False)
    [like] = [row for row in desk.simulator.rows("Companies") if row["companyName"] == NAMES[1]]
    theirs = {**like, "companyName": f"{NAMES[2]} (theirs)", "companyNumber": "K-0003"}
    desk.simulator.load("Companies", {name: value for name, value in theirs.items() if name != "id"})
    assert desk.apply("clients.plan", code=4)["counts"]["held"] == 1
    ran = desk.run("resolve", "clients.plan", "--row", "3", "--not-created")
    assert "row 3 (clients.csv:4) is pending again" in ran.out and "bulkops apply clients.plan" in ran.out
    assert desk.run("status", "clients.plan", "--json").json["counts"]["pending"] == 1
    desk.apply("clients.plan")
    assert [row["companyName"] for row in desk.simulator.rows("Companies")].count(NAMES[2]) == 1


def test_what_fell_with_a_held_row_goes_on_with_it(desk: Desk) -> None:
    """Two records have the key of a client whose answer was lost: its contact is held with it, and is created
    in the one that a person names."""
    lose(desk, is_made=True, with_contacts=True)
    [made] = [row for row in desk.simulator.rows("Companies") if row["companyName"] == NAMES[2]]
    desk.simulator.load("Companies", {name: value for name, value in made.items() if name != "id"})
    assert desk.apply("clients.plan", code=4)["counts"] == {
        "applied": 4, "unchanged": 0, "rejected": 0, "held": 2, "pending": 0,
    }  # fmt: skip
    assert "Settle row 3 instead" in desk.refused("resolve", "clients.plan", "--row", "6", "--not-created")
    ran = desk.run("resolve", "clients.plan", "--row", "3", "--created", made["id"])
    assert "1 row that needed it is pending again" in ran.out
    assert desk.apply("clients.plan")["counts"]["applied"] == 6
    [contact] = [row for row in desk.simulator.rows("Contacts") if row["emailAddress"] == "p3@x.test"]
    assert contact["companyID"] == made["id"]


def test_nothing_is_settled_by_hand_while_an_apply_runs(lost: Desk) -> None:
    """The plan belongs to the process that applies it."""
    writes = lost.simulator.writes()
    lost.run("resolve", "clients.plan", "--row", "3", "--not-created")
    lost.simulator.faults(
        {"method": "POST", "entity": "Companies", "when": {"nth": [1]}, "do": "delay", "ms": 60_000}
    )
    run = lost.start("apply", "clients.plan", "--yes")
    lost.simulator.until(lambda stats: lost.simulator.writes() > writes)
    said = lost.refused("resolve", "clients.plan", "--row", "3", "--not-created")
    assert "row 3 (clients.csv:4) is not held: it is pending" in said
    run.kill()
    run.communicate()
