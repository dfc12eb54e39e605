"""One small job that has everything: creates, updates and deletes, parents and children, references to rows
of other steps and of the same one, keys, a user-defined field, and rows that are the same to the letter."""

from __future__ import annotations

from tests.campaign.worlds import Step, World

FIRM = {"companyType": 1, "ownerResourceID": 4, "isActive": True}

SMALL = World(
    loaded={
        "Companies": [
            {"id": 5000, "companyName": "Old 0", "companyNumber": "O-0", "phone": "0", **FIRM},
            {"id": 5001, "companyName": "Old 1", "companyNumber": "O-1", "phone": "0", **FIRM},
        ],
        "CompanyLocations": [
            {"id": 5100, "name": "Loc 0", "companyID": 5000, "city": "old", "isActive": True},
            {"id": 5101, "name": "Loc 1", "companyID": 5001, "city": "old", "isActive": True},
        ],
        "ContactGroups": [
            {"id": 5200, "name": "Group 0", "isActive": True},
            {"id": 5201, "name": "Group 1", "isActive": True},
        ],
        "TicketChecklistItems": [{"id": 5300, "ticketID": 7000, "itemName": "Item", "isImportant": False}],
        "Tickets": [
            {"id": 7000, "title": "Old", "externalID": "OT-0", "companyID": 5000, "status": 1, "priority": 2}
        ],
    },
    steps=[
        Step(
            name="companies", entity="Companies", action="upsert", match=["companyNumber"],
            fields={
                "companyNumber": "Number", "companyName": "Name", "phone": "Phone",
                "companyType": {"value": "Customer"}, "ownerResourceID": {"value": "4"},
                "parentCompanyID": {"column": "Parent", "from": "companies"},
            },
            udf={"Legacy ID": "Number"}, columns=("Number", "Name", "Phone", "Parent"),
            rows=[("N-2", "Child", "2", "N-1"), ("N-1", "Parent", "1", "O-0"), ("O-0", "Old 0", "9", "")],
        ),
        Step(
            name="contacts", entity="Contacts", action="create", match=["companyID", "emailAddress"],
            fields={
                "companyID": {"column": "Company", "from": "companies"}, "firstName": "First",
                "lastName": "Last", "emailAddress": "Mail", "isActive": {"value": "1"},
            },
            columns=("Company", "First", "Last", "Mail"),
            rows=[("N-1", "Ann", "A", "a@x.test"), ("O-0", "Ben", "B", "b@x.test")],
        ),
        Step(
            name="locations", entity="CompanyLocations", action="update", match=["name"],
            fields={"name": "Name", "city": "City"}, columns=("Name", "City"),
            rows=[("Loc 0", "new"), ("Loc 1", "new")],
        ),
        Step(
            name="groups", entity="ContactGroups", action="delete", match=["name"],
            fields={"name": "Name"}, columns=("Name",), rows=[("Group 0",), ("Group 1",)],
        ),
        Step(
            name="tickets", entity="Tickets", action="create", match=["udf:Legacy ID"],
            fields={
                "companyID": {"column": "Company", "from": "companies"}, "title": "Title",
                "status": {"value": "New"}, "priority": {"value": "Medium"},
                "queueID": {"value": "Post Sale"},
            },
            udf={"Legacy ID": "Key"}, columns=("Key", "Company", "Title"), rows=[("K-1", "N-2", "Help")],
        ),
        Step(
            name="notes", entity="TicketNotes", action="create", match=[],
            fields={
                "ticketID": {"column": "Ticket", "lookup": "externalID"}, "title": "Title",
                "description": "Text", "noteType": {"value": "Task Notes"},
                "publish": {"value": "All Autotask Users"},
            },
            columns=("Ticket", "Title", "Text"),
            rows=[("OT-0", "Said", "Same"), ("OT-0", "Said", "Same"), ("OT-0", "Said", "Other")],
        ),
        Step(
            name="items", entity="TicketChecklistItems", action="delete", match=["itemName"],
            fields={"itemName": "Name"}, columns=("Name",), rows=[("Item",)],
        ),
    ],
)  # fmt: skip
ENTITIES = ("Companies", "Contacts", "CompanyLocations", "ContactGroups", "Tickets", "TicketNotes",
            "TicketChecklistItems")  # fmt: skip
ROWS = 14
