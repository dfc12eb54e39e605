"""Service calls, to-dos and opportunities, as far as the help pages and the switches say."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches

NOW = "2026-06-01T08:00:00.000Z"
ACTOR = 29851892  # the API user
COMPLETE, NEW = 2, 3  # ServiceCalls.status in the simulated tenant
ACTIVE, LOST, CLOSED = 1, 2, 3  # Opportunities.status


def founded(**switches: object) -> Store:
    made = Store(now=lambda: NOW, switches=Switches(), ci=1)
    picklists.load(made)
    firm.found(made, empty=False)
    made.switches.update(switches)
    return made


@pytest.fixture
def store() -> Store:
    return founded()


def create(store: Store, entity: str, parent: int | None = None, **body: Any) -> list[str]:
    row, errors = validation.check_create(
        store, entity, body, parent_id=parent, actor=ACTOR, impersonating=None
    )
    if not errors:
        made = store.table(entity).insert(row)
        validation.after_commit(store, entity, "create", store.table(entity)[made], {})
    return errors


def update(store: Store, entity: str, row_id: int, **body: Any) -> list[str]:
    row = store.table(entity)[row_id]
    changes, errors = validation.check_update(store, entity, row, body, actor=ACTOR, impersonating=None)
    if not errors:
        store.table(entity).update(row_id, changes)
    return errors


def delete(store: Store, entity: str, row_id: int) -> None:
    row = store.table(entity)[row_id]
    assert validation.check_delete(store, entity, row) == []
    store.table(entity).delete(row_id)
    validation.after_commit(store, entity, "delete", row, {})


def id_of(store: Store, entity: str, field: str, value: Any) -> int:
    return store.table(entity).ids_of(field, value)[0]


def newest(store: Store, entity: str) -> Row:
    return store.table(entity)[store.table(entity).ids[-1]]


def company(store: Store, number: str) -> int:
    return id_of(store, "Companies", "companyNumber", number)


def call(store: Store, **more: Any) -> Row:
    times = {"startDateTime": "2026-06-15T08:00:00Z", "endDateTime": "2026-06-15T09:30:00Z"}
    return {"companyID": company(store, "C-1001"), "status": NEW} | times | more


# service calls


def test_a_service_call_is_a_time_at_a_company(store: Store) -> None:
    """ServiceCallsEntity.htm: start, stop, company. INFER: in that order, at a place of the company's."""
    assert create(store, "ServiceCalls", **call(store)) == []
    made = newest(store, "ServiceCalls")
    assert (made["duration"], made["isComplete"], made["creatorResourceID"]) == (1.5, 0, ACTOR)
    assert create(store, "ServiceCalls", **call(store, status=None)) == []
    assert newest(store, "ServiceCalls")["isComplete"] == 0
    early, bakery = "2026-06-15T07:00:00Z", id_of(store, "CompanyLocations", "name", "Bakery")
    assert len(create(store, "ServiceCalls", **call(store, endDateTime=early))) == 1
    assert "same companyID" in create(store, "ServiceCalls", **call(store, companyLocationID=bakery))[0]
    assert len(update(store, "ServiceCalls", made["id"], endDateTime=early)) == 1
    assert update(store, "ServiceCalls", made["id"], endDateTime="2026-06-15T08:15:00Z") == []
    assert store.table("ServiceCalls")[made["id"]]["duration"] == 0.25


def test_status_and_is_complete_say_the_same(store: Store) -> None:
    """INFER: either completes a call, either opens it again; of both the status counts."""
    held = store.table("ServiceCalls").ids[0]

    def after(**body: Any) -> tuple[int, int]:
        assert update(store, "ServiceCalls", held, **body) == []
        row = store.table("ServiceCalls")[held]
        return row["status"], row["isComplete"]

    assert after(isComplete=1) == (COMPLETE, 1)
    assert after(isComplete=0) == (NEW, 0)
    assert after(status=COMPLETE) == (COMPLETE, 1)
    assert after(description="x") == (COMPLETE, 1)
    assert after(status=NEW, isComplete=1) == (NEW, 0)
    store.switches.update({"service_call_complete": "apart"})
    assert after(isComplete=1) == (NEW, 1)
    assert after(status=COMPLETE, isComplete=0) == (COMPLETE, 0)


@pytest.mark.parametrize("entity", ["ServiceCallTickets", "ServiceCallTasks"])
def test_a_call_covers_work_of_its_company_once(store: Store, entity: str) -> None:
    """INFER, so it goes with the switch `inferred`."""
    held = newest(store, "ServiceCalls")["id"]  # the bakery's
    field, own, foreign = {
        "ServiceCallTickets": ("ticketID", ("Tickets", "title", "Label printer prints upside down"),
                               ("Tickets", "externalID", "LT-1")),
        "ServiceCallTasks": ("taskID", ("Tasks", "title", "Choose a till"), ("Tasks", "externalID", "T-4")),
    }[entity]  # fmt: skip
    assert "must have the same companyID" in create(store, entity, held, **{field: id_of(store, *foreign)})[0]
    assert create(store, entity, held, **{field: id_of(store, *own)}) == []
    assert "already" in create(store, entity, held, **{field: id_of(store, *own)})[0]
    store.switches.update({"inferred": "off"})
    assert create(store, entity, held, **{field: id_of(store, *foreign)}) == []


@pytest.mark.parametrize(("switch", "is_refused"), [("any", False), ("assigned", True)])
@pytest.mark.parametrize(
    ("entity", "assigned", "stranger"),
    [("ServiceCallTicketResources", "tomas", "maria"), ("ServiceCallTaskResources", "daniel", "priya")],
)
def test_who_is_sent_on_a_call(
    entity: str, assigned: str, stranger: str, switch: str, is_refused: bool
) -> None:
    """An active person, once. INFER: whether the work must be theirs, `service_call_resource`."""
    store = founded(service_call_resource=switch)
    links = entity.removesuffix("Resources") + "s"
    held = store.table(links).ids[0]
    people = {row["userName"].split(".")[0]: row["id"] for row in store.table("Resources").values()}
    assert "already" in create(store, entity, held, resourceID=people["daniel"])[0]
    for row_id in list(store.table(entity).ids):
        delete(store, entity, row_id)
    assert create(store, entity, held, resourceID=people[assigned]) == []
    assert bool(create(store, entity, held, resourceID=people[stranger])) is is_refused
    assert "Resource does not exist" in create(store, entity, held, resourceID=people["jonas"])[0]


def test_what_hangs_on_a_call_goes_with_it(store: Store) -> None:
    """INFER: a link takes its people along, a call its links; others stay."""
    visit, evening, _ = store.table("ServiceCalls").ids
    links, people = store.table("ServiceCallTickets"), store.table("ServiceCallTicketResources")
    assert (len(links), len(people)) == (2, 3)
    delete(store, "ServiceCalls", visit)
    assert (len(links), len(people)) == (1, 1)
    delete(store, "ServiceCallTickets", links.ids[0])
    assert (len(links), len(people)) == (0, 0)
    assert len(store.table("ServiceCallTaskResources")) == 1
    delete(store, "ServiceCalls", evening)
    assert len(store.table("ServiceCallTasks")) + len(store.table("ServiceCallTaskResources")) == 0


# to-dos


def todo(store: Store, **more: Any) -> Row:
    times = {"startDateTime": "2026-06-15T08:00:00Z", "endDateTime": "2026-06-15T08:15:00Z"}
    daniel = id_of(store, "Resources", "userName", "daniel.osei")
    return {"actionType": 1, "assignedToResourceID": daniel} | times | more


def test_what_a_todo_refers_to_is_its_companys(store: Store) -> None:
    """CompanyToDosEntity.htm: contract, opportunity, ticket; contacts also of the parent company."""
    cobalt, depot = company(store, "C-1003"), company(store, "C-1004")
    ours = {
        "contractID": id_of(store, "Contracts", "contractName", "Block of 40 Hours"),
        "opportunityID": id_of(store, "Opportunities", "title", "Managed services, second year"),
        "ticketID": id_of(store, "Tickets", "title", "Port for the customs gateway"),
        "contactID": id_of(store, "Contacts", "firstName", "Ada"),
    }
    assert create(store, "CompanyToDos", cobalt, **todo(store, **ours)) == []
    held = newest(store, "CompanyToDos")["id"]
    kinds = ("Contract", "Opportunity", "Ticket")  # not the contact: the depot is a part of Cobalt
    texts = [
        f"Reference value on field: {field} of type: {kind} does not exist or is invalid."
        for field, kind in zip(ours, kinds, strict=False)
    ]
    assert create(store, "CompanyToDos", depot, **todo(store, **ours)) == texts
    ben = id_of(store, "Contacts", "firstName", "Ben")
    assert "contactID of type: Contact" in update(store, "CompanyToDos", held, contactID=ben)[0]
    assert update(store, "CompanyToDos", held, contactID=None, companyID=depot) == []
    assert store.table("CompanyToDos")[held]["companyID"] == cobalt  # the path's: ignored in a body


def test_a_todo_changes_hands_and_is_completed_by_a_date(store: Store) -> None:
    """CompanyToDosEntity.htm: completedDate completes it. INFER: it ends after it begins."""
    held = store.table("CompanyToDos").ids[0]
    priya = id_of(store, "Resources", "userName", "priya.raman")
    assert update(store, "CompanyToDos", held, assignedToResourceID=priya, completedDate=NOW) == []
    assert store.table("CompanyToDos")[held]["completedDate"] == NOW
    early = "2026-06-01T00:00:00Z"
    assert "endDateTime" in update(store, "CompanyToDos", held, endDateTime=early)[0]
    store.switches.update({"inferred": "off"})
    assert update(store, "CompanyToDos", held, endDateTime=early) == []


# opportunities


@pytest.mark.parametrize("field", ["ownerResourceID", "stage", "status", "amount", "probability"])
def test_what_an_opportunity_must_say(store: Store, field: str) -> None:
    """Field table of OpportunitiesEntity.htm: required, on create and for good."""
    held = newest(store, "Opportunities")
    body = {name: value for name, value in held.items() if value is not None and name != "userDefinedFields"}
    assert create(store, "Opportunities", **{**body, "id": 0}) == []
    text = f"Value does not exist for the required field {field}. ; on record number [1]."
    assert create(store, "Opportunities", **{**body, "id": 0, field: None}) == [text]
    assert update(store, "Opportunities", held["id"], **{field: None}) == [text]


def test_dates_of_an_opportunity_follow_its_status(store: Store) -> None:
    """REPORT: leaving Lost clears lostDate; a date that is given stays; switch `opportunity_dates`."""
    held = store.table("Opportunities").ids[0]

    def after(**body: Any) -> tuple[str | None, str | None]:
        assert update(store, "Opportunities", held, **body) == []
        row = store.table("Opportunities")[held]
        return row["lostDate"], row["closedDate"]

    day = "2026-05-30T00:00:00.000Z"
    assert after(status=LOST) == (NOW, None)
    assert after(status=CLOSED) == (None, NOW)
    assert after(status=LOST, lostDate=day) == (day, None)
    assert after(title="x") == (day, None)
    assert after(status=ACTIVE) == (None, None)
    store.switches.update({"opportunity_dates": "apart"})
    assert after(status=LOST) == (None, None)
    assert after(status=ACTIVE, lostDate=day) == (day, None)


@pytest.mark.parametrize(("switch", "refused"), [("on", 1), ("off", 0)])
def test_contact_of_an_opportunity_is_its_companys(switch: str, refused: int) -> None:
    """INFER, as for to-dos."""
    store = founded(inferred=switch)
    held = store.table("Opportunities").ids[0]
    ben = id_of(store, "Contacts", "firstName", "Ben")
    assert len(update(store, "Opportunities", held, contactID=ben)) == refused
