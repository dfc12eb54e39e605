"""The simulator's paths: what is there, with which verbs, and how it is counted."""

from __future__ import annotations

import pytest

from bulkops.simulator.catalog import entries
from bulkops.simulator.faults import Call
from bulkops.simulator.routes import Kind, find

BASE = "/ATServicesRest/V1.0"


def methods(path: str) -> set[str]:
    """The verbs of a path; empty where it is a 404."""
    found = find(BASE + path)
    return set(found.route.methods) if found else set()


@pytest.mark.parametrize(
    "path",
    [
        "/ATServicesRest/V1.0/Projects/12/Tasks",
        "/atservicesrest/v1.0/projects/12/tasks/",
        "/ATServicesRest//V1.0//Projects/12/Tasks//",
        "/ATServicesRest/V1%2E0/Projects/12/Tasks",
    ],
)
def test_spelling_of_a_path_does_not_matter(path: str) -> None:
    """Promises any case, doubled and trailing slashes, as live clients send them."""
    found = find(path)
    assert found is not None
    assert (found.route.entity, found.route.kind, found.ids) == ("Tasks", Kind.COLLECTION, (12,))


@pytest.mark.parametrize(
    ("path", "verbs"),
    [
        ("/Tasks", set()),
        ("/TicketNotes", set()),
        ("/Contacts", set()),
        ("/Tickets/5/TimeEntries", set()),
        ("/Accounts/query", set()),
        ("/Companies/abc", set()),
        ("/Tasks/%23", set()),
        ("/TicketAttachments/entityInformation/userDefinedFields", set()),
        ("/Projects/5/Tasks/query", set()),
        ("/Companies", {"PATCH", "POST", "PUT"}),
        ("/Companies/5", {"GET"}),
        ("/Contacts/5", {"GET"}),
        ("/TicketSecondaryResources/5", {"GET"}),
        ("/TimeEntries/5", {"GET", "DELETE"}),
        ("/Companies/5/Contacts/6", {"GET", "DELETE"}),
        ("/TaskNotes", {"PATCH", "POST", "PUT"}),
        ("/Tasks/5/Notes", {"GET", "PATCH", "POST", "PUT"}),
        ("/Expenses/5/Items", {"GET", "PATCH", "POST", "PUT"}),
        ("/UserDefinedFields/5/ListItems", {"GET", "PATCH", "POST", "PUT"}),
        ("/Projects/5/Tasks/entityInformation/fields", {"GET"}),
        ("/Companies/5/invoiceSettings", {"GET", "PUT"}),
        ("/Companies/5/invoiceSettings/contactRecipients/7", {"DELETE"}),
        ("/Invoices/5/InvoicePdf", {"GET"}),
        ("/Resources/5/TimeOffBalances/2026", {"GET"}),
        ("/ContractServiceAdjustments/query", set()),
    ],
)
def test_a_path_takes_the_verbs_of_the_vendor(path: str, verbs: set[str]) -> None:
    """Promises the vendor's own list of operations, odd names included; nothing is a 404."""
    assert methods(path) == verbs


@pytest.mark.parametrize("name", sorted(entries()))
def test_every_entity_is_written_only_through_its_own_paths(name: str) -> None:
    """Promises for each entity that root and parent take exactly what the catalog says."""
    entry = entries()[name]
    assert methods(f"/{name}") == set(entry["root"])
    assert methods(f"/{name}/1") == set(entry["item"])
    assert methods(f"/{name}/query") == set(entry["query"])
    assert methods(f"/{name}/query/count") == set(entry["count"])
    assert methods(f"/{name}/entityInformation") == {"GET"}
    if "parent" in entry:
        first, second = entry["parent"]["path"]
        assert methods(f"/{first}/1/{second}") == set(entry["parent"]["collection"])
        by_year = {"GET"} if name == "ResourceTimeOffBalances" else set()
        assert methods(f"/{first}/1/{second}/2") == set(entry["parent"]["item"]) | by_year


@pytest.mark.parametrize(
    ("method", "path", "label", "call"),
    [
        ("POST", "/Projects/5/Tasks", "Tasks", Call.CREATE),
        ("PATCH", "/Projects/5/Tasks", "Tasks", Call.UPDATE),
        ("PUT", "/Companies", "Companies", Call.UPDATE),
        ("DELETE", "/Companies/5/Contacts/6", "Contacts", Call.DELETE),
        ("POST", "/Tasks/query", "Tasks/query", Call.QUERY),
        ("POST", "/Tasks/query/next", "Tasks/query/next", Call.QUERY),
        ("GET", "/Tasks/query/count", "Tasks/query/count", Call.COUNT),
        ("GET", "/Tasks/5", "Tasks", Call.GET),
        (
            "GET",
            "/Projects/5/Tasks/entityInformation/fields",
            "Tasks/entityInformation/fields",
            Call.METADATA,
        ),
        ("GET", "/ThresholdInformation", "ThresholdInformation", Call.METADATA),
    ],
)
def test_a_request_is_counted_by_its_own_entity(method: str, path: str, label: str, call: Call) -> None:
    """Promises the names of statistics and fault scripts: no ids, a child path under its own entity."""
    found = find(BASE + path)
    assert found is not None
    assert (found.route.label, found.route.call(method)) == (label, call)
