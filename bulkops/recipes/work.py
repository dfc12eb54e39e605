"""What a person holds that can be handed over: whose records those are, when they are still open, how long
they take, and the steps that hand them over. Pure.

Sources: TasksEntity.htm, TicketsEntity.htm, TaskSecondaryResourcesEntity.htm and the others of these names
(REST-FACTS 8.1); status 5 is Complete for projects, tasks and tickets of every tenant (REST-FACTS 8.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bulkops.job.model import FieldSpec, MadeSource, Step, StepAction
from bulkops.recipes.base import MadeRows
from bulkops.record import Scalar
from bulkops.references import name_fields
from bulkops.schema import Entity
from bulkops.targets.autotask.rules.people import values_of
from bulkops.targets.autotask.rules.places import COMPLETE
from bulkops.targets.base import Filter, RecordData

TO, ROLE, HOURS = "to", "role", "hours"  # columns beside the fields: for people, in results
CLOSED = ("closed", "lost", "implemented")  # labels of Opportunities.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """The way from a record to one that it refers to."""

    field: str
    entity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of work. `name` is what `entities` calls it; its records hold a person in `person`.

    An entry that only connects a person with work (a secondary resource, somebody sent on a service call)
    has `hops`, which lead to that work, and cannot be updated: another is created, and the old one deleted.
    """

    name: str
    entity: str
    person: str
    role: str = ""
    is_desk: bool = False  # whether its roles are those of the service desk, else those of departments
    work: str  # the entity that `where` is about
    hops: tuple[Hop, ...] = ()
    also_on: Hop | None = None  # entries by which people are on the same work beside this: `field` names it
    hours: tuple[str, ...] = ()  # the first that holds something counts

    @property
    def is_entry(self) -> bool:
        return bool(self.hops)

    @property
    def link(self) -> str:
        """The field of an entry that says what it is an entry of."""
        return self.hops[0].field


_TASK_HELPERS = Hop(field="taskID", entity="TaskSecondaryResources")
_TICKET_HELPERS = Hop(field="ticketID", entity="TicketSecondaryResources")

KINDS = (
    Kind(
        name="Tasks", entity="Tasks", work="Tasks", person="assignedResourceID",
        role="assignedResourceRoleID", also_on=_TASK_HELPERS, hours=("remainingHours", "estimatedHours"),
    ),
    Kind(
        name="Tickets", entity="Tickets", work="Tickets", person="assignedResourceID",
        role="assignedResourceRoleID", is_desk=True, also_on=_TICKET_HELPERS, hours=("estimatedHours",),
    ),
    Kind(name="Projects", entity="Projects", work="Projects", person="projectLeadResourceID"),
    Kind(
        name="TaskSecondaryResources", entity="TaskSecondaryResources", work="Tasks", person="resourceID",
        role="roleID", hops=(Hop(field="taskID", entity="Tasks"),),
    ),
    Kind(
        name="TicketSecondaryResources", entity="TicketSecondaryResources", work="Tickets",
        person="resourceID", role="roleID", is_desk=True, hops=(Hop(field="ticketID", entity="Tickets"),),
    ),
    Kind(
        name="ServiceCalls", entity="ServiceCallTaskResources", work="ServiceCalls", person="resourceID",
        hops=(
            Hop(field="serviceCallTaskID", entity="ServiceCallTasks"),
            Hop(field="serviceCallID", entity="ServiceCalls"),
        ),
    ),
    Kind(
        name="ServiceCalls", entity="ServiceCallTicketResources", work="ServiceCalls", person="resourceID",
        hops=(
            Hop(field="serviceCallTicketID", entity="ServiceCallTickets"),
            Hop(field="serviceCallID", entity="ServiceCalls"),
        ),
    ),
    Kind(name="CompanyToDos", entity="CompanyToDos", work="CompanyToDos", person="assignedToResourceID"),
    Kind(name="Opportunities", entity="Opportunities", work="Opportunities", person="ownerResourceID"),
)  # fmt: skip
"""In the order in which they are handed over: what hangs on other work comes after it."""

FOLLOWED: Mapping[str, tuple[Hop, Hop]] = {
    "ServiceCallTaskResources": (Hop(field="taskID", entity="Tasks"), _TASK_HELPERS),
    "ServiceCallTicketResources": (Hop(field="ticketID", entity="Tickets"), _TICKET_HELPERS),
}
"""Whose new owner a service call goes to, where its task or ticket is handed over as well: that of the work
itself, or of the giver's place beside it.
"""


def step_of(entity: str) -> str:
    """The step that puts somebody there."""
    is_entry = any(kind.entity == entity and kind.is_entry for kind in KINDS)
    return f"{entity} in" if is_entry else entity


_PLACES: Mapping[tuple[str, str], str] = {
    ("Tasks", "projectID"): "projectID",
    ("Tasks", "phaseID"): "phaseID",
    ("Tasks", "companyID"): "projectID",  # the project's company is the task's
    ("Tickets", "companyID"): "companyID",
    ("Tickets", "queueID"): "queueID",
    ("Tickets", "projectID"): "projectID",
    ("Projects", "companyID"): "companyID",
    ("Projects", "projectID"): "id",
    ("ServiceCalls", "companyID"): "companyID",
    ("CompanyToDos", "companyID"): "companyID",
    ("Opportunities", "companyID"): "companyID",
}


def field_for(work: str, by: str) -> str:
    """The field of a work's records from which the value of `by` is known; nothing where none is."""
    return _PLACES.get((work, by), "")


def is_of_project(work: str, by: str) -> bool:
    """Whether that field holds a project, and the value is the company of that."""
    return (work, by) == ("Tasks", "companyID")


def open_filter(work: Entity) -> Filter | None:
    """Which of its records are still to be done, as far as a query can tell. None: all that there are."""
    match work.name:
        case "Tasks" | "Tickets" | "Projects":
            return {"op": "noteq", "field": "status", "value": COMPLETE}
        case "CompanyToDos":
            return {"op": "notExist", "field": "completedDate"}
        case "Opportunities":
            ended = sorted(values_of(work, "status", *CLOSED))
            return {"op": "notIn", "field": "status", "value": ended} if ended else None
    return None


_SIGNS = ("isComplete", "canceledDateTime", "status")  # of a service call that is over


def is_open(work: Entity, record: RecordData) -> bool:
    """What a query cannot tell: a service call is over by any of three signs, each of which may be empty."""
    if work.name != "ServiceCalls":
        return True
    is_over = record.get("isComplete") in (True, 1) or record.get("canceledDateTime") is not None
    return not is_over and record.get("status") not in values_of(work, "status", "complete")


def open_fields(work: Entity) -> list[str]:
    """What tells whether a record is still to be done: the fields of `open_filter` and `is_open`."""
    names = {"CompanyToDos": ("completedDate",), "ServiceCalls": _SIGNS}.get(work.name, ("status",))
    return [name for name in names if work.find(name)]


def hours_of(kind: Kind, record: RecordData) -> float | None:
    """What remains to be done, else what was estimated. None: nobody said; open work of which nothing remains
    is estimated again.
    """
    return next((hours for hours in hours_said(kind, record) if hours), None)


def hours_said(kind: Kind, record: RecordData) -> Iterator[float]:
    """What a record says of its hours: what remains, then what was estimated."""
    for name in kind.hours:
        value = record.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)


def number(value: Scalar) -> int | None:
    """The id in a field."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- steps ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A kind's steps and their rows. `gone` are the entries that are deleted, where it is one of entries."""

    kind: Kind
    shape: Entity
    work: Entity
    rows: MadeRows
    gone: MadeRows | None = None
    steps: tuple[Step, ...] = field(default=())

    @property
    def names(self) -> list[str]:
        """The fields by which people know the work."""
        return name_fields(self.work)


def stage(
    kind: Kind, shape: Entity, work: Entity, *, whose: str, where: str, entities: Collection[str]
) -> Stage:
    """The steps that hand a kind of work over. `whose`: for messages; `where`: the recipe's place;
    `entities`: all whose records are handed over.
    """
    if not kind.is_entry:
        return _records(kind, shape, whose, where)
    after = frozenset(step_of(led.entity) for led in FOLLOWED.get(kind.entity, ()) if led.entity in entities)
    return _entries(kind, shape, work, whose, where, after=after)


def _records(kind: Kind, shape: Entity, whose: str, where: str) -> Stage:
    written = [kind.person, *([kind.role] if kind.role else [])]
    about = [*([HOURS] if kind.hours else []), TO, *([ROLE] if kind.role else [])]
    columns = list(dict.fromkeys(["id", *name_fields(shape), *about, *written]))
    rows = MadeRows(kind.entity, columns, display=f"{kind.entity} of {whose}")
    step = _step(
        kind.entity, kind, StepAction.UPDATE, MadeSource(rows=rows), written=["id", *written], where=where
    )
    return Stage(kind=kind, shape=shape, work=shape, rows=rows, steps=(step,))


def _entries(
    kind: Kind, shape: Entity, work: Entity, whose: str, where: str, *, after: frozenset[str]
) -> Stage:
    """`after`: the steps that hand over what these follow."""
    written = [kind.link, kind.person, *([kind.role] if kind.role else [])]
    names = name_fields(work)
    columns = ["id", *names, TO, *([ROLE] if kind.role else []), *written]
    rows = MadeRows(kind.entity, columns, display=f"{kind.entity} of {whose}")
    gone = MadeRows(kind.entity, ["id", *names, kind.link, TO], display=f"{kind.entity} of {whose}")
    made = _step(
        step_of(kind.entity), kind, StepAction.CREATE, MadeSource(rows=rows, needs=after), written=written,
        where=where,
    )  # fmt: skip
    source = MadeSource(rows=gone, needs=frozenset({made.name, *after}))
    out = _step(f"{kind.entity} out", kind, StepAction.DELETE, source, written=["id"], where=where)
    return Stage(kind=kind, shape=shape, work=work, rows=rows, gone=gone, steps=(made, out))


def _step(
    name: str, kind: Kind, action: StepAction, source: MadeSource, *, written: Sequence[str], where: str
) -> Step:
    """Every field from the column of its name. Records are known by their id, new entries by whom they
    connect with what.
    """
    match = (kind.link, kind.person) if action is StepAction.CREATE else ("id",)
    file, _, line = where.rpartition(":")
    return Step(
        name=name,
        entity=kind.entity,
        action=action,
        source=source,
        match=match,
        fields={one: FieldSpec(column=one, where=where) for one in written},
        file=file,
        line=int(line) if line.isdecimal() else 0,
    )
