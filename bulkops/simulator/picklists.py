"""The tenant's picklists: known values as the facts have them, the rest of the simulated firm's own making.

Only a few values are the same in every tenant (catalog.json holds those); a real tenant's lists come from
`entityInformation/fields`. Here every picklist field of every entity gets values, some of them inactive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from bulkops.simulator.store import Store

ENTRY = re.compile(r"(\S+) ([^()]+?)(?: \(([^)]*)\))?")

# The fields of a list, then its values: `number label (flags)`. Flags: default, system, inactive, parent N.
# A field without an entity is meant wherever no line names it with one.
LISTS = """
# companies and contacts
Companies.companyType
    1 Customer (default); 2 Lead; 3 Prospect; 4 Dead; 6 Cancellation; 7 Vendor; 8 Partner
    9 Reseller (inactive)
Companies.classification
    1 Managed Services; 2 Break-Fix; 3 Block Hours; 200 Delinquent; 201 Do Not Call (inactive)
Companies.marketSegmentID
    29682771 Health Care; 29682772 Manufacturing; 29682773 Public Sector; 29682774 Retail
    29682775 Dot-com (inactive)
Companies.territoryID
    29682778 Local; 29682779 North; 29682780 South; 29682781 Overseas (inactive)
Companies.competitorID
    29682782 Bluewater IT; 29682783 Harbor Systems; 29682784 In-House Department
Companies.invoiceMethod
    1 E-mail (default); 2 Post; 3 Fax (inactive)
Companies.billToAddressToUse
    1 Company Address; 2 Parent Company; 3 Company Billing Address; 4 Company Location
CompanyNotes.actionType CompanyToDos.actionType
    0 General (system); 1 Phone Call (default); 2 Meeting; 3 E-mail; 4 Fax (inactive)
CompanyAlerts.alertTypeID
    1 Company Detail Alert; 2 New Ticket Alert; 3 Ticket Detail Alert
Contacts.namePrefix
    1 Mr.; 2 Mrs.; 3 Ms.; 4 Dr.; 5 Miss (inactive)
Contacts.nameSuffix
    1 Jr.; 2 Sr.; 3 II; 4 III; 5 Esq. (inactive)
# projects, tasks and their notes
Projects.status
    1 New (system, default); 2 Inactive (system); 5 Complete (system); 8 In Progress; 9 On Hold
    10 Waiting Customer; 12 Change Order (inactive)
Projects.projectType
    2 Proposal (system); 3 Template (system); 4 Internal (system); 5 Client (system, default)
    8 Baseline (system)
Tasks.status
    1 New (system, default); 5 Complete (system); 7 Waiting Customer; 8 In Progress
    9 Waiting Materials; 10 Scheduled; 12 Waiting Vendor; 15 Customer Note Added (inactive)
Tasks.taskType
    1 FixedWork (default); 2 FixedDuration
Tasks.taskCategoryID
    2 Standard (system, default); 5 Migration; 6 On-Site; 7 Old Import (inactive)
Tasks.priorityLabel
    1 High; 2 Medium (default); 3 Low; 4 Critical; 5 Whenever (inactive)
TaskNotes.noteType TicketNotes.noteType
    1 Task Summary; 2 Task Detail (system); 3 Task Notes (default); 13 Workflow Rule Note (system)
    99 Old System (inactive)
ProjectNotes.noteType
    5 Project Notes (system, default); 6 Project Status; 7 Change Request; 8 Minutes (inactive)
ConfigurationItemNotes.noteType
    1 General (default); 2 Maintenance; 3 Audit (inactive)
# tickets
Tickets.status TicketCategoryFieldDefaults.status
    1 New (system, default); 5 Complete (system); 7 Waiting Customer; 8 In Progress
    9 Waiting Materials; 10 Scheduled; 11 Escalate; 12 Waiting Vendor; 19 Customer Note Added
    24 On Hold (inactive)
Tickets.priority TicketCategoryFieldDefaults.priority
    1 High; 2 Medium (default); 3 Low; 4 Critical; 5 Project (inactive)
Tickets.queueID TicketCategoryFieldDefaults.queueID ResourceRoles.queueID ResourceRoleQueues.queueID
    5 Client Portal (system); 6 Post Sale (system); 8 Monitoring Alert
    29682833 Level I Support (default); 29683354 Level II Support; 29683378 Administration
    29683379 Night Shift (inactive)
Tickets.issueType TicketCategoryFieldDefaults.issueTypeID
    10 Computer; 11 Network; 12 Account; 13 Software; 14 Fax Machine (inactive)
Tickets.subIssueType TicketCategoryFieldDefaults.subIssueTypeID
    101 Hardware Failure (parent 10); 102 Slow (parent 10); 103 Does Not Start (parent 10)
    110 Wireless (parent 11); 111 Firewall (parent 11); 112 Other (parent 11)
    120 Password Reset (parent 12); 121 New User (parent 12); 122 Other (parent 12)
    130 Installation (parent 13); 131 Error Message (parent 13); 140 Paper Jam (inactive, parent 14)
Tickets.source TicketCategoryFieldDefaults.sourceID
    1 Client Portal; 2 Phone (default); 3 Fax (inactive); 4 E-mail; 6 Walk-In; 8 Monitoring Alert
Tickets.ticketType TicketCategoryFieldDefaults.ticketTypeID
    1 Service; 2 Incident; 3 Service Request (default); 4 Problem; 5 Change Request
    6 Alert (inactive)
Tickets.ticketCategory
    1 Standard (system, default); 2 Monitoring Alert (system); 3 Onboarding; 4 RMA
    5 Paper Form (inactive)
Tickets.monitorTypeID
    1 Performance; 2 Service; 3 Online
Tickets.rmaStatus
    1 Requested (default); 2 Approved; 3 Closed
Tickets.rmaType
    1 Repair; 2 Replace; 3 Credit
Tickets.changeApprovalStatus
    1 Not Assigned (default); 2 Assigned; 3 Requested; 4 Partially Approved; 5 Approved; 6 Rejected
Tickets.changeApprovalType
    1 All Must Approve (default); 2 One Must Approve
Tickets.changeApprovalBoard
    1 Standard Board; 2 Emergency Board
# people, time and money
Resources.licenseType
    1 Administrator (system); 2 Professional (system, default); 3 Team Member (system)
    4 Dashboard (system); 5 Contractor (system); 7 API User (system)
Resources.userType
    1 System Administrator; 9 Full Access (default); 10 Technician; 11 Time and Expense; 17 API User
Resources.resourceType
    Employee Employee (default); Contractor Contractor; Intern Intern (inactive)
Resources.payrollType
    1 Salary (default); 2 Salary Non-Exempt; 3 Hourly; 4 Contractor
Resources.gender
    M Male; F Female; X Other
Resources.greeting
    1 Mr.; 2 Mrs.; 3 Ms.; 4 Dr.
Resources.suffix
    Jr. Jr.; Sr. Sr.; III III; Esq. Esq. (inactive)
Resources.travelAvailabilityPct
    0% None (default); 25% A Quarter; 50% Half; 100% Always
Resources.emailTypeCode Resources.emailTypeCode2 Resources.emailTypeCode3
    PRIMARY Primary (default); SECONDARY Secondary; PERSONAL Personal; PAGER Pager (inactive)
Resources.locationID
    1 Headquarters (default); 2 Lakeside Office
ResourceSkills.skillLevel
    1 Beginner; 2 Intermediate; 3 Advanced; 4 Expert
BillingCodes.billingCodeType
    0 Normal (system, default); 1 System (system); 2 Non-Billable (system)
BillingCodes.useType
    1 Work Type; 2 Internal; 3 Expense; 4 Material Cost; 5 Milestone; 6 Recurring Service; 7 Product
BillingCodes.generalLedgerAccount
    1 4000 Labor; 2 4100 Hardware; 3 4200 Services (inactive)
TimeEntries.timeEntryType
    6 ProjectTask (system); 10 RegularTime (system); 19 ITServiceRequest (system)
ServiceCalls.status
    1 Canceled; 2 Complete; 3 New (default)
Contracts.contractType
    1 Time and Materials (system); 3 Fixed Price (system); 4 Block Hours (system); 6 Retainer (system)
    7 Recurring Service (system); 8 Incident (system)
Contracts.status
    0 Inactive; 1 Active (default)
Contracts.timeReportingRequiresStartAndStopTimes
    0 No (default); 1 Yes
Contracts.contractCategory
    1 Managed (default); 2 Advisory; 3 Old Terms (inactive)
Contracts.billingPreference
    1 Immediately without review (default); 2 On time sheet approval; 3 Reconcile on invoice
Contracts.contractPeriodType periodType
    m Monthly (default); q Quarterly; s Semi-Annual; y Yearly; o One-Time
ContractBlocks.isPaid ContractRetainers.isPaid ContractTicketPurchases.isPaid
    0 No; 1 Yes
Opportunities.status
    0 Not Ready To Buy; 1 Active (default); 2 Lost; 3 Closed; 4 Implemented
Opportunities.stage
    1 Identified (default); 2 Qualified; 3 Proposal; 4 Commitment; 5 Handshake (inactive)
Opportunities.rating
    1 Hot; 2 Warm; 3 Cold
Opportunities.revenueSpreadUnit
    Months Months (default); Years Years
ProjectCharges.status TicketCharges.status ContractCharges.status ChangeOrderCharges.status
    1 Need to Order (default); 2 On Order; 3 Ready to Deliver; 4 Delivered; 5 Canceled (inactive)
Products.productCategory
    1 Hardware (default); 2 Software; 3 Service; 4 Typewriters (inactive)
UserDefinedFieldDefinitions.dataType
    1 Text; 2 Text Area; 3 Number; 4 Date; 5 List
UserDefinedFieldDefinitions.udfType
    1 Company; 2 Contact; 3 Opportunity; 4 Sales Order; 5 Configuration Item; 6 Product; 7 Contract
    8 Project; 9 Task; 10 Ticket; 11 Site Configuration; 12 Subscription
UserDefinedFieldDefinitions.displayFormat
    1 Drop-Down (default); 2 List
# wherever the field is
publish
    1 All Autotask Users; 2 Internal Users Only; 4 Internal & Co-Managed
serviceLevelAgreementID
    1 Standard (default); 2 Premium; 3 Round the Clock; 4 Legacy 2015 (inactive)
chargeType
    1 Operational (default); 2 Capitalized
paymentTerm
    1 Net 30 days (default); 2 Net 14 days; 3 Due on Receipt; 4 Net 60 days (inactive)
attachmentType
    FILE_ATTACHMENT File Attachment (default); FILE_LINK File Link; FOLDER_LINK Folder Link; URL URL
parentType
    1 Company; 2 Contact; 3 Opportunity; 4 Project; 5 Ticket; 6 Task; 7 Resource; 8 Time Entry
    9 Expense Report; 10 Expense Item; 11 Configuration Item; 12 Company Note; 13 Ticket Note
    14 Task Note; 15 Project Note; 16 Contract Note; 17 Configuration Item Note; 18 Sales Order
    19 Document; 20 Article
creatorType completedByType lastActivityPersonType
    1 Resource (system); 2 Contact (system)
displayColorRGB displayColor
    1 Grey (default); 2 Red; 3 Orange; 4 Green; 5 Blue; 6 Purple (inactive)
timeZoneID
    1 UTC (default); 2 Eastern Time; 3 Central European Time; 4 Pacific Time
"""
FORMATS = {  # a number in some entities, the format itself in others
    "dateFormat": ("MM/dd/yyyy", "dd/MM/yyyy", "yyyy-MM-dd"),
    "timeFormat": ("hh:mm", "HH:mm"),
    "numberFormat": ("X,XXX.XX", "X.XXX,XX"),
}


def load(store: Store) -> None:
    """Gives every picklist field of every entity its values; what was there is replaced."""
    store.picklists.clear()
    for entity, facts in store.entities.items():
        lists = {
            name: [_parsed(entry, n) for n, entry in enumerate(_entries(entity, name, field["type"]), 1)]
            for name, field in facts["fields"].items()
            if "picklist" in field
        }
        if lists:
            store.picklists[entity] = lists


def value(
    text: str, label: str, order: int, *, parent: str = "", flags: Sequence[str] = ()
) -> dict[str, Any]:
    """One value in the metadata's shape; of the flags default, system and inactive count."""
    return {
        "value": text,
        "label": label,
        "isDefaultValue": "default" in flags,
        "sortOrder": order,
        "parentValue": parent,
        "isActive": "inactive" not in flags,
        "isSystem": "system" in flags,
    }


def _parsed(entry: str, order: int) -> dict[str, Any]:
    found = ENTRY.fullmatch(entry)
    if not found:
        raise ValueError(f"not a picklist value: {entry!r}")
    text, label, written = found.groups(default="")
    flags = written.split(", ")
    parents = [flag.removeprefix("parent ") for flag in flags if flag.startswith("parent ")]
    return value(text, label, order, parent=parents[0] if parents else "", flags=flags)


def _entries(entity: str, field: str, kind: str) -> list[str]:
    known = _lists()
    found = known.get(f"{entity}.{field}") or known.get(field)
    if found is None and field in FORMATS:
        return [f"{text if kind == 'string' else n} {text}" for n, text in enumerate(FORMATS[field], 1)]
    if found is None:  # a list nobody has published: any tenant has some values
        first, second, third, old = "ABCD" if kind == "string" else "1234"
        found = [f"{first} First (default)", f"{second} Second", f"{third} Third", f"{old} Former (inactive)"]
    if kind != "string" and not all(entry.split()[0].isdecimal() for entry in found):
        return [
            f"{n} {entry.split(' ', 1)[1]}" for n, entry in enumerate(found, 1)
        ]  # text keys, a number here
    return found


@lru_cache(maxsize=1)
def _lists() -> dict[str, list[str]]:
    """`LISTS` by field name."""
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in LISTS.splitlines():
        if line.startswith(" "):
            for name in names:
                found.setdefault(name, []).extend(line.strip().split("; "))
        elif line and not line.startswith("#"):
            names = line.split()
    return found
