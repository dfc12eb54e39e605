"""Whether somebody changed a record since the plan was made: its fields against what the plan saw. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bulkops.change import Action, Change, Unknown, equal
from bulkops.record import Created
from bulkops.schema import Entity
from bulkops.targets.base import RecordData

WHO = ("lastActivityResourceID", "lastModifiedByResourceID", "lastActivityBy", "lastModifiedBy")
"""Where a record says who changed it last."""

LONGEST = 40  # characters of a value in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """`texts`: each field that is neither what the plan saw nor what it wants; empty where there is none."""

    texts: tuple[str, ...]
    by: str = ""
    is_done: bool = False  # an update whose every field holds what the plan wants

    def sentence(self) -> str:
        by = f", last changed by {self.by}" if self.by else ""
        return f"{'; '.join(self.texts)}: it was changed since the plan was made{by}"


def drifted(shape: Entity, change: Change, record: RecordData) -> Drift:
    """What `record`, as it is now, says of the fields that `change` was planned from."""
    is_delete = change.action is Action.DELETE
    texts: list[str] = []
    done = 0
    for name, diff in change.fields.items():
        field = shape.find(name)
        if field is None or not field.is_queryable or (is_delete and field.is_read_only):
            continue
        now = record.get(field.name)
        if not is_delete and equal(field, now, diff.after):
            done += 1
        elif not isinstance(diff.before, Unknown | Created) and not equal(field, now, diff.before):
            texts.append(f"{name} was {_shown(diff.before)} and is {_shown(now)} now")
    is_done = not is_delete and not texts and done == len(change.fields)
    return Drift(texts=tuple(texts), by=_who(shape, record) if texts else "", is_done=is_done)


def _who(shape: Entity, record: RecordData) -> str:
    for name in WHO:
        if shape.find(name) is not None and record.get(name) is not None:
            return f"resource {record[name]}" if name.endswith("ResourceID") else str(record[name])
    return ""


def _shown(value: object) -> str:
    if value is None or value == "":
        return "empty"
    text = str(value)
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…") if isinstance(value, str) else text
