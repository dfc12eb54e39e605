"""What must be of the same company, of the same project, of a project that can be written. Pure.

Sources: TicketsEntity.htm, TasksEntity.htm, CompanyLocationsEntity.htm, live error texts (REST-FACTS 4.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkops.record import Held, Tally
from bulkops.targets.autotask.rules.case import Case, known_id, named
from bulkops.targets.autotask.rules.finding import Finding, Kind, doubt, effect, reject
from bulkops.targets.autotask.rules.people import referenced, values_of
from bulkops.targets.autotask.rules.related import Related
from bulkops.targets.base import RecordData

COMPLETE = 5  # of projects, tasks and tickets, in every tenant (REST-FACTS 8.2)
ANEW = "that are complete now: taken back, they are completed anew, at another time and by another"
LOST = ("status", "remainingHours")  # what a task loses when it is completed (TaskEntity.htm)
INACTIVE = 2  # of projects
SMALL = 4  # batches of updates; a job of more asks for the Baseline projects at once, not for each project


def open_tasks(tasks: Iterable[RecordData], *, keeps: tuple[str, ...] = LOST) -> Tally:
    """The tasks of a project that are open, and so are completed with it (ProjectsEntity.htm)."""
    held = {int(task["id"] or 0): {name: task.get(name) for name in keeps} for task in tasks}
    return Tally(
        entity="Tasks",
        parent="projectID",
        field="status",
        unless=COMPLETE,
        word="open task",
        keeps=keeps,
        held=Held(records=held),
    )


def project_of(case: Case, through: str = "") -> int | None:
    """The project that the change's record is in; `through` names the field that holds its task."""
    if not through:
        return case.ref("projectID")
    task = case.ref(through)
    record = case.related.one("Tasks", task) if task is not None else None
    return known_id(record, "projectID") if record is not None else None


def opens_again(case: Case) -> Iterator[Finding]:
    """Who completed it, and when, is the API's own, and written once more when it is completed again."""
    if case.is_update and case.was("status") == COMPLETE and case.ref("status") not in (None, COMPLETE):
        yield effect("who completed what is opened again, and when, is not kept", stays=ANEW)


def not_in_baseline(case: Case, through: str = "") -> Iterator[Finding]:
    """A project of type Baseline is read-only, with all that is in it (ProjectsEntity.htm and the others)."""
    number = project_of(case, through)
    project = _baseline(case, number) if number is not None else None
    if project is not None:
        yield reject(
            f"project {named('Projects', project)} is a Baseline, and the API keeps what is in one as it is: "
            "write to the project itself"
        )


def not_in_complete(case: Case, through: str = "") -> Iterator[Finding]:
    """Nothing is said of work in a project that is complete. Of a large job each project is not asked for."""
    number = project_of(case, through)
    if number is None or _is_large(case):
        return
    project = case.related.one("Projects", number)
    if project is not None and project.get("status") == COMPLETE:
        yield doubt("the project is complete", detail=f"project {named('Projects', project)}")


def _baseline(case: Case, number: int) -> RecordData | None:
    """The project, where it is one."""
    related = case.related
    if _is_large(case):
        rows = [related.many("Projects", "projectType", kind) for kind in baselines(related)]
        return next((row for found in rows for row in found or () if row["id"] == number), None)
    project = related.one("Projects", number)
    return project if project is not None and is_baseline(related, known_id(project, "projectType")) else None


def _is_large(case: Case) -> bool:
    """Whether updates are so many that not each of their projects is asked for."""
    return case.is_update and case.related.batches[case.entity.name] > SMALL


def baselines(related: Related) -> frozenset[int]:
    return values_of(related.shape("Projects"), "projectType", "baseline")


def is_baseline(related: Related, kind: int | None) -> bool:
    """4 and 5 are Internal and Client in every tenant (REST-FACTS 8.2): nobody has to be asked."""
    return kind not in (None, 4, 5) and kind in baselines(related)


def same_company(
    case: Case, field: str, entity: str, company: int | None, whose: str, *, kind: Kind = Kind.REJECT
) -> Iterator[Finding]:
    """What `field` points to is of this company, that of `whose` record."""
    record = _elsewhere(case, field, entity, company)
    if record is None:
        return
    text = (
        f"{field} {named(entity, record)} is of companyID {record['companyID']}, and {whose} is of {company}"
    )
    if kind is Kind.REJECT:
        yield reject(text, about=field)
    else:
        told = f"{field} is of another company than the record"
        yield doubt(told, about=field, detail=text)


def _elsewhere(case: Case, field: str, entity: str, company: int | None) -> RecordData | None:
    """The record that `field` points to, where it is of another company."""
    number = None if field in case.looked_up else case.ref(field)
    record = case.related.one(entity, number) if number is not None else None
    other = known_id(record, "companyID") if record is not None else None
    return record if None not in (company, other) and company != other else None


def is_parent(related: Related, company: int, other: int) -> bool | None:
    """Whether `other` is the parent company of `company`. None: nobody knows."""
    record = related.one("Companies", company)
    return None if record is None else known_id(record, "parentCompanyID") == other


def contact_of_family(case: Case, field: str, company: int | None, whose: str) -> Iterator[Finding]:
    """A contact of the company, or of its parent, where the facts allow that."""
    contact = _elsewhere(case, field, "Contacts", company)
    other = known_id(contact, "companyID") if contact is not None else None
    if contact is None or company is None or other is None:
        return
    if is_parent(case.related, company, other) is False:
        yield reject(
            f"{field} {named('Contacts', contact)} is of companyID {other}, and {whose} is of {company}, "
            "whose parent company that is not",
            about=field,
        )


def is_active_contact(case: Case, field: str) -> Iterator[Finding]:
    contact = referenced(case, field, "Contacts")
    if contact is not None and contact.get("isActive") in (False, 0):
        yield reject(f"{field} {named('Contacts', contact)}: choose a contact that is active", about=field)
