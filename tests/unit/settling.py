"""What tests of settling share: creates that nothing but what was sent can tell, their plan, its apply."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bulkops.applier import apply_plan
from bulkops.change import Action, Change, FieldDiff
from bulkops.errors import InDoubtError
from bulkops.plan import Header, Plan, PlanWriter, Status, StepInfo
from bulkops.record import Row
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.memory import MemoryTarget, committing

LOST = InDoubtError("the connection was closed before an answer came")
LANDED = committing(LOST)
OTHERS = 77  # a resource that is not us
WORDS = "the very same words of both"
NOTE: dict[str, Any] = {"description": "d", "noteType": 1, "publish": 1}


class NoWaits(random.Random):
    """Every wait is as short as it may be."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, 0.001)


def note(n: int, text: str = "same", *, parent: int = 5, **more: Any) -> Change:
    """A note of a ticket: an entity with a creator, and nothing that is unique in it."""
    values: dict[str, Any] = {
        "title": text,
        "description": "d",
        "noteType": 1,
        "publish": 1,
        "ticketID": parent,
    }
    return _create(n, "TicketNotes", values, parent=parent, **more)


def item(
    n: int,
    name: str = "x",
    *,
    rate: float | None = None,
    kind: int | None = 2,
    department: int | None = None,
    besides: Mapping[str, Any] | None = None,
    **more: Any,
) -> Change:
    """A record of an entity without a creator."""
    values = {
        "name": name, "billingCodeType": kind, "rate": rate, "departmentID": department, **(besides or {}),
    }  # fmt: skip
    return _create(n, "BillingCodes", {k: v for k, v in values.items() if v is not None}, **more)


def _create(n: int, entity: str, values: dict[str, Any], **more: Any) -> Change:
    fields = {name: FieldDiff(before=None, after=value) for name, value in values.items()}
    return Change(
        n=n, step="only", entity=entity, action=Action.CREATE, line=n + 1, file="x.csv", fields=fields, **more
    )


BILLING = Entity(
    name="BillingCodes",
    singular="BillingCode",
    can={"create": "root", "update": "root"},
    is_queryable=True,
    fields={
        "id": Field(name="id", type=FieldType.LONG, is_read_only=True),
        "name": Field(name="name", type=FieldType.STRING, length=200),
        "billingCodeType": Field(name="billingCodeType", type=FieldType.INTEGER),
        "rate": Field(name="rate", type=FieldType.DECIMAL),
        "departmentID": Field(name="departmentID", type=FieldType.INTEGER, reference="Departments"),
    },
)
ENTITIES = {"BillingCodes": BILLING}


def plan_of(folder: Path, changes: Iterable[Change]) -> Plan:
    """A sealed plan of these changes, a step for each entity."""
    changes = list(changes)
    steps = [
        StepInfo(
            name="only", entity=entity, action="create", match=(), file="x.csv", columns=("A",),
            read=rows, dropped=0, rows=rows,
        )
        for entity, rows in Counter(change.entity for change in changes).items()
    ]  # fmt: skip
    counts = {action.value: sum(change.action is action for change in changes) for action in Action}
    header = Header(
        job="j", tenant="acme", database="1", url="u", reason="", created="2026-01-01T00:00:00+00:00",
        version="0", steps=tuple(steps), counts=counts,
        calls_read=0, calls_write=len(changes),
        estimate_s={},
    )  # fmt: skip
    with PlanWriter(folder / "x.plan") as writer:
        for change in changes:
            writer.add(Row(cells=("a",), line=change.line), change)
        writer.seal(header)
    return Plan.open(folder / "x.plan")


async def apply(plan: Plan, target: MemoryTarget) -> Status:
    async with asyncio.timeout(20):
        return await apply_plan(plan, target, rng=NoWaits())


def entity_rows(target: MemoryTarget, entity: str = "TicketNotes") -> list[str]:
    return sorted(str(row.get("title") or row.get("name")) for row in target.rows[entity].values())


def reasons(plan: Plan) -> str:
    return " | ".join(fate.reason or "" for fate in plan.fates() if fate.state == "held")
