"""What rules know of other records, and what they asked for that nobody has read yet. Pure: reads nothing.

A rule asks for what it needs; where that is not known it gets None, says nothing, and is asked again once
somebody has read what is `wanted` and `put` it here. So no rule can forget to say what it reads.

What the plan itself does before the rule's own row counts: records are given as earlier rows leave them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bulkops.schema import Entity
from bulkops.targets.base import RecordData

REMEMBERED = 20_000  # values, with the records that answered to them, from one batch to the next

Question: TypeAlias = tuple[str, str]
"""An entity and the field by which its records are asked for."""

ALL: tuple[str, ...] = ()

READS: Mapping[Question, Sequence[str]] = {
    ("BillingCodes", "id"): ("name", "useType", "isActive"),
    ("Companies", "id"): ("companyName", "parentCompanyID"),
    ("CompanyLocations", "id"): ("name", "companyID", "isActive"),
    ("ConfigurationItems", "installedByContactID"): ("installedByContactID",),
    ("Contacts", "id"): ("firstName", "lastName", "companyID", "isActive"),
    ("Contracts", "id"): ("contractName", "companyID"),
    ("Opportunities", "id"): ("title", "companyID"),
    ("Phases", "id"): ("title", "projectID", "parentPhaseID"),
    ("Phases", "projectID"): ("title", "projectID", "dueDate"),
    ("Projects", "id"): (
        "projectName", "companyID", "projectType", "status", "startDateTime", "endDateTime",
    ),
    ("Projects", "projectType"): ("projectName", "projectType"),
    ("ResourceRoleDepartments", "resourceID"): (
        "resourceID", "roleID", "isActive", "departmentID", "isDefault",
    ),
    ("ResourceRoles", "resourceID"): ("resourceID", "roleID", "departmentID", "queueID"),
    ("ResourceRoles", "roleID"): ("resourceID", "roleID"),
    ("ResourceServiceDeskRoles", "resourceID"): ("resourceID", "roleID", "isActive"),
    ("Resources", "id"): ("firstName", "lastName", "isActive", "licenseType"),
    ("Roles", "id"): ("name", "isActive"),
    ("ServiceCallTaskResources", "serviceCallTaskID"): ("serviceCallTaskID", "resourceID"),
    ("ServiceCallTasks", "id"): ("serviceCallID", "taskID"),
    ("ServiceCallTicketResources", "serviceCallTicketID"): ("serviceCallTicketID", "resourceID"),
    ("ServiceCallTickets", "id"): ("serviceCallID", "ticketID"),
    ("TaskPredecessors", "successorTaskID"): ("predecessorTaskID", "successorTaskID"),
    ("TaskPredecessors", "predecessorTaskID"): ("predecessorTaskID", "successorTaskID"),
    ("TaskSecondaryResources", "resourceID"): ("taskID", "resourceID"),
    ("TaskSecondaryResources", "taskID"): ("taskID", "resourceID"),
    ("Tasks", "id"): (
        "title", "projectID", "assignedResourceID", "billingCodeID", "departmentID", "startDateTime",
        "endDateTime",
    ),
    # remainingHours cannot be asked for (REST-FACTS 8.1.6), so all fields are, and it is among them.
    ("Tasks", "projectID"): ALL,
    ("TicketAdditionalContacts", "contactID"): ("contactID",),
    ("TicketChecklistItems", "ticketID"): ("ticketID", "isImportant", "isCompleted"),
    ("TicketNotes", "createdByContactID"): ("createdByContactID",),
    ("TicketSecondaryResources", "resourceID"): ("ticketID", "resourceID"),
    ("TicketSecondaryResources", "ticketID"): ("ticketID", "resourceID"),
    ("Tickets", "contactID"): ("contactID",),
    ("Tickets", "createdByContactID"): ("createdByContactID",),
    ("Tickets", "id"): ("title", "companyID", "assignedResourceID"),
}  # fmt: skip
"""The fields that are read of a record, by how it is asked for. `ALL`: all there are, `KEPT` are kept."""

KEPT = ("id", "title", "projectID", "status", "endDateTime", "estimatedHours", "remainingHours")

ENTITIES = frozenset(entity for entity, _ in READS)
"""Whose records rules look at."""


class Planned(Protocol):
    """What the plan writes before the rows that are judged now."""

    def is_written(self, entity: str) -> bool:
        """Whether an earlier row creates, changes or deletes a record of this entity."""
        ...

    def left(self, entity: str, records: Sequence[RecordData]) -> Sequence[RecordData]:
        """The records as earlier rows leave them, without those that are deleted."""
        ...

    def created(self, entity: str, id: int) -> int:
        """How many records earlier rows create under this one. Only of what `COUNTED` names."""
        ...

    def joined(self, entity: str, id: int) -> Collection[int]:
        """The resources whom these records put there."""
        ...

    def made(self, entity: str, change: int) -> RecordData | None:
        """What an earlier row creates, by its number. Only of what `COUNTED` counts under."""
        ...


COUNTED: Mapping[str, str] = {"TaskSecondaryResources": "taskID", "TicketSecondaryResources": "ticketID"}
"""Under what an entity's creates are counted: a task holds 50 secondary resources."""


@dataclass(slots=True)
class Wanted:
    """What is to be read: records by question and value, pairs, and metadata."""

    records: dict[Question, set[int]] = field(default_factory=lambda: defaultdict(set))
    pairs: dict[tuple[str, str, str], set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    shapes: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.records or self.pairs or self.shapes)


class Related:
    """Of one plan. `batches` counts how many batches of an entity were judged so far."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned
        self.wanted = Wanted()
        self.missed = False  # whether something was asked for that is still to be read
        self.batches: Counter[str] = Counter()
        self.unreadable: set[str] = set()  # entities that this API user may not read
        self._known: OrderedDict[tuple[str, str, int], tuple[RecordData, ...]] = OrderedDict()
        self._pairs: dict[tuple[str, str, str, int, int], tuple[RecordData, ...]] = {}
        self._shapes: dict[str, Entity] = {}
        self._seen: set[str] = set()  # entities of which there was a record

    # --- asked by rules ---

    def many(self, entity: str, field: str, id: int) -> Sequence[RecordData] | None:
        """The records that hold `id` in `field`. None: not known.

        Those that the plan creates or moves there are not among them: `is_whole` tells whether there are any.
        """
        if entity in self.unreadable:
            return None
        found = self._known.get((entity, field, id))
        if found is None:
            self.wanted.records[entity, field].add(id)
            self.missed = True
            return None
        self._known.move_to_end((entity, field, id))
        return [record for record in self._left(entity, found) if record.get(field) == id]

    def _left(self, entity: str, found: Sequence[RecordData]) -> Sequence[RecordData]:
        return self.planned.left(entity, found) if found and self.planned.is_written(entity) else found

    def one(self, entity: str, id: int) -> RecordData | None:
        """The record, where it is known."""
        found = self.many(entity, "id", id)
        return found[0] if found else None

    def lacks(self, entity: str, id: int) -> bool:
        """Whether it is sure that there is no such record."""
        if self._known.get((entity, "id", id)) or self.many(entity, "id", id) is None:
            return False
        return self.sees_all(entity)

    def is_unseen(self, entity: str, id: int) -> bool:
        """Whether somebody looked and did not find it: it is hidden from this API user, or gone."""
        found = self.many(entity, "id", id)
        return entity in self.unreadable if found is None else not found

    def pair(self, entity: str, field: str, id: int, other: str, other_id: int) -> bool | None:
        """Whether a record that is there already holds both values. None: not known."""
        if entity in self.unreadable:
            return None
        key = (entity, field, other, id, other_id)
        found = self._known.get((entity, field, id), self._pairs.get(key))
        if found is None:
            self.wanted.pairs[entity, field, other].add((id, other_id))
            self.missed = True
            return None
        left = self._left(entity, [record for record in found if record.get(other) == other_id])
        return bool(left)

    def is_whole(self, *entities: str) -> bool:
        """Whether earlier rows write nothing of these entities, so that what was read is all there is."""
        return not any(self.planned.is_written(entity) for entity in entities)

    def sees_all(self, *entities: str) -> bool:
        """Whether what is not found is not there: nothing of these is hidden, and some of it was seen.

        To who may not see them, records are missing without a word (REST_Security_Auth.htm).
        """
        shapes = [self.shape(entity) for entity in entities]
        is_open = all(shape is not None and shape.is_live and not shape.is_restricted for shape in shapes)
        return is_open and self._seen.issuperset(entities)

    def is_restricted(self, entity: str) -> bool:
        """Whether this API user is known to see only some of its records."""
        shape = self.shape(entity)
        return shape is not None and shape.is_restricted

    def shape(self, entity: str) -> Entity | None:
        """The entity as the tenant describes it. None: not known."""
        shape = self._shapes.get(entity)
        if shape is None and entity not in self.unreadable:
            self.wanted.shapes.add(entity)
            self.missed = True
        return shape

    def read(self, entity: str) -> Iterator[RecordData]:
        """The records of an entity that were read by their ids and are remembered."""
        return (one for (name, field, _), found in self._known.items() for one in found
                if (name, field) == (entity, "id"))  # fmt: skip

    # --- filled by whoever reads ---

    def take_wanted(self) -> Wanted:
        """What was asked for since the last time."""
        wanted, self.wanted = self.wanted, Wanted()
        return wanted

    def put(self, question: Question, ids: Iterable[int], records: Iterable[RecordData]) -> None:
        """What was read for these values; one without a record is known to have none."""
        entity, field = question
        found: dict[int, list[RecordData]] = {id: [] for id in ids}
        is_all = not READS[question]
        for record in records:
            value = record.get(field)
            self._seen.add(entity)
            if isinstance(value, int) and value in found:
                kept = {name: record.get(name) for name in KEPT} if is_all else record
                found[value].append(kept)
        for id, items in found.items():
            self._known[entity, field, id] = tuple(items)

    def put_pairs(
        self, question: tuple[str, str, str], asked: Iterable[tuple[int, int]], found: Iterable[RecordData]
    ) -> None:
        """The records that hold both values of a pair that was asked for."""
        entity, field, other = question
        held: dict[object, list[RecordData]] = defaultdict(list)
        for record in found:
            held[record.get(field), record.get(other)].append(record)
        for pair in asked:
            self._pairs[entity, field, other, *pair] = tuple(held.get(pair, ()))

    def put_shape(self, shape: Entity) -> None:
        self._shapes[shape.name] = shape

    def begin_batch(self, entity: str) -> None:
        """Forgets what was known longest, where too much is."""
        self.batches[entity] += 1
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._pairs.clear()
