"""An API user who sees some records only: the switch `restricted` in metadata and in every kind of read."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.simulator import metadata, routes
from bulkops.simulator.asked import Asked
from bulkops.simulator.limits import Uploads, Window
from bulkops.simulator.query import Pages, Query
from bulkops.simulator.service import Service
from bulkops.simulator.store import Store
from bulkops.simulator.switches import Switches

EVERYTHING = Query(filter=[{"op": "gte", "field": "id", "value": 0}])


def store_of(restricted: str) -> Store:
    """Four contacts and four companies, with the ids 1 to 4."""
    switches = Switches()
    switches.set("restricted", restricted)
    store = Store(now=lambda: "2026-11-21T20:00:00.123Z", switches=switches, ci=1)
    for n in range(1, 5):
        store.table("Companies").insert({"id": n, "companyName": f"Company {n}"})
        store.table("Contacts").insert({"id": n, "lastName": f"Contact {n}", "companyID": 2})
    return store


def access(store: Store, entity: str) -> Any:
    return metadata.information(store, entity)["info"]["userAccessForQuery"]


def test_nothing_is_restricted_at_first() -> None:
    """Every record is seen until a switch says otherwise."""
    store = store_of("")
    assert access(store, "Contacts") == "All"
    assert Pages(store, "Contacts").count(EVERYTHING) == 4


def test_restricted_entities_say_so_and_hide_odd_ids() -> None:
    """Metadata, queries, counts and a parent's children agree; other entities are seen whole."""
    store = store_of("contacts")
    assert access(store, "Contacts") == "Restricted" and access(store, "Companies") == "All"
    pages = Pages(store, "Contacts")
    assert [row["id"] for row in pages.page(EVERYTHING, None, link="")["items"]] == [2, 4]
    assert pages.count(EVERYTHING) == 2
    assert pages.visible([1, 2, 3, 4]) == [2, 4]
    assert Pages(store, "Companies").count(EVERYTHING) == 4


def test_all_entities_are_told_in_one_answer() -> None:
    """The call that answers for all entities says the same as the one for each."""
    store = store_of("Contacts,Tickets")
    told = {d["info"]["name"]: d["info"] for d in metadata.all_information(store)["entityDescriptions"]}
    restricted = [name for name, info in told.items() if info["userAccessForQuery"] == "Restricted"]
    assert restricted == ["Contacts", "Tickets"]


def test_an_entity_that_nobody_may_query_stays_none() -> None:
    """Restricted is less than All, never more than None."""
    store = store_of("")
    silent = next(name for name in store.entities if access(store, name) == "None")
    assert access(store_of(silent), silent) == "None"


def test_a_wrong_name_is_told_with_a_suggestion() -> None:
    """The switch takes entities only, in any case, and what was set before stays."""
    switches = Switches()
    switches.set("restricted", " TICKETS , contacts ")
    assert switches.restricted == "Tickets,Contacts"
    with pytest.raises(ValueError, match="did you mean Companies"):
        switches.set("restricted", "Companys")
    assert switches.restricted == "Tickets,Contacts"
    switches.set("restricted", "")
    assert not switches.is_restricted("Tickets")


def test_a_single_record_is_hidden_too() -> None:
    """A GET of one record answers as for a record that is not there."""
    store = store_of("Contacts")
    service = Service(store, Window(threshold=0, window_s=1, clock=lambda: 0), Uploads(clock=lambda: 0))

    def seen(row_id: int) -> bool:
        found = routes.find(f"/ATServicesRest/V1.0/Contacts/{row_id}")
        assert found is not None
        asked = Asked(method="GET", route=found.route, ids=found.ids, query="", body=b"", origin="",
                      impersonate=None)  # fmt: skip
        return b'"item":null' not in service.answer(asked).body

    assert not seen(1) and seen(2)
