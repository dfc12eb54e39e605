"""Whether a record that somebody names can be what a held create made. Only reads, and decides by the row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bulkops.change import Change, FieldDiff, same_key
from bulkops.errors import PlanError
from bulkops.plan import Plan
from bulkops.record import Created, Scalar, Value
from bulkops.schema import Entity
from bulkops.settle.fingerprint import different, is_alike, is_text, read_fields
from bulkops.settle.knowledge import Known
from bulkops.targets.base import RecordData, Target
from bulkops.wording import shown


async def check_record(plan: Plan, change: Change, record_id: int, target: Target) -> str | None:
    """Reads the record and compares it with the row; what differs and still may be, in a sentence.

    PlanError where it is not there or plainly another record: another key, or most of its texts are others.
    Raises what the target's reads raise; RefusedError where the entity cannot be read.
    """
    database = await target.identity()
    if database != plan.header.database:
        raise PlanError(
            f"{plan.path} was made for database {plan.header.database}, and tenant {plan.header.tenant} is "
            f"database {database} now: its ids are others"
        )
    shape = await target.describe(change.entity)
    sent = _resolved(plan, change)
    names = read_fields(shape, [sent])
    where = {"op": "eq", "field": "id", "value": record_id}
    records = [one async for one in target.read(shape.name, where, fields=["id", *names])]
    if not records:
        raise PlanError(
            f"there is no {shape.name} {record_id} in tenant {plan.header.tenant}, or its API user does not "
            f"see it"
        )
    return _judged(shape, sent, records[0])


def _judged(shape: Entity, change: Change, record: RecordData) -> str | None:
    others = different(Known(shape=shape), change, record)
    told = "; ".join(_told(name, record.get(name), change) for name in others)
    about, row = f"{shape.name} {record['id']}", f"row {change.n} ({change.place})"
    if _is_another(shape, change, record, others):
        raise PlanError(f"{about} is not what {row} makes: {told}. Is the id right?")
    return f"{about} is not quite what {row} makes: {told}" if others else None


def _is_another(shape: Entity, change: Change, record: RecordData, others: Collection[str]) -> bool:
    """By its key, where it has one; else where most of its texts are others, or of its values."""
    names = read_fields(shape, [change])
    keys = [name for name in names if change.key.get(name) is not None]
    if keys:
        return any(not same_key(shape.find(name), record.get(name), change.key[name]) for name in keys)
    sent = {
        name: diff.after for name, diff in change.fields.items() if name in names and diff.after is not None
    }
    texts = {name: value for name, value in sent.items() if is_text(shape.find(name))} or sent
    strange = [name for name in texts if name in others and not is_alike(texts[name], record.get(name))]
    return 2 * len(strange) > len(texts)


def _told(name: str, found: Scalar, change: Change) -> str:
    sent = change.fields[name].after if name in change.fields else change.parent
    return f"{name} is {_text(found)}, and {_text(sent)} in the row"


def _text(value: Value | None) -> str:
    return "empty" if value is None else shown(str(value))


def _resolved(plan: Plan, change: Change) -> Change:
    """With ids where it refers to what other rows created; None where no id is known."""

    def known(value: Value) -> Value:
        return plan.fate(value.change).id if isinstance(value, Created) else value

    parent = change.parent
    return replace(
        change,
        parent=plan.fate(parent.change).id if isinstance(parent, Created) else parent,
        key={name: known(value) for name, value in change.key.items()},
        fields={
            name: FieldDiff(before=None, after=known(diff.after)) for name, diff in change.fields.items()
        },
    )
