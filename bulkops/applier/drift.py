"""Whether somebody changed a record since the plan was made: its fields against what the plan saw. Pure.

What the plan saw is what a change found in the fields that it writes, and its premise: what its own record,
or another one, held besides, and without which nobody would have planned it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bulkops.change import Action, Change, Unknown, before_value, equal, is_shown
from bulkops.record import Created, Held, Tally, Value
from bulkops.schema import Entity
from bulkops.targets.base import RecordData
from bulkops.wording import counted

WHO = ("lastActivityResourceID", "lastModifiedByResourceID", "lastActivityBy", "lastModifiedBy")
"""Where a record says who changed it last."""

LONGEST = 40  # characters of a value in a sentence

Labels: TypeAlias = Mapping[str, Mapping[str, str]]  # field → value → label
NO_LABELS: Labels = {}
NO_NAMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """`texts`: each field that is neither what the plan saw nor what it wants; empty where there is none."""

    texts: tuple[str, ...]
    by: str = ""
    is_done: bool = False  # an update whose every field holds what the plan wants

    def sentence(self) -> str:
        by = f", last changed by {self.by}" if self.by else ""
        return f"{'; '.join(self.texts)}: it was changed since the plan was made{by}"


def drifted(
    shape: Entity,
    change: Change,
    record: RecordData,
    labels: Labels = NO_LABELS,
    people: Mapping[str, str] = NO_NAMES,
    *,
    own: Collection[str] = (),
) -> Drift:
    """What `record`, as it is now, says of the fields that `change` was planned from.

    `own` are those that the plan itself has made the API change. `labels`: by field and value, what people
    call a value that is a number; `people`: resources by id.
    """
    is_delete = change.action is Action.DELETE
    texts: list[str] = []
    done = 0
    for name, diff in change.fields.items():
        field = shape.find(name)
        if field is None or not is_shown(field, record) or (is_delete and field.is_read_only):
            continue
        now = record.get(field.name)
        if not is_delete and equal(field, now, diff.after):
            done += 1
        elif not (
            isinstance(diff.before, Unknown | Created) or name in own or equal(field, now, diff.before)
        ):
            texts.append(_text(name, diff.before, now, labels))
    if is_delete:
        texts += _filled(shape, change, record, labels)
    is_done = not is_delete and not texts and done == len(change.fields)
    if change.premise is not None and (change.premise.entity, change.premise.id) == (
        change.entity,
        change.id,
    ):
        texts += [] if is_done else strayed(shape, change, record, labels).texts
    return Drift(texts=tuple(texts), by=_who(shape, record, people) if texts else "", is_done=is_done)


def _filled(shape: Entity, change: Change, record: RecordData, labels: Labels) -> list[str]:
    """What was empty when the plan was made, and would be lost now."""
    return [
        _text(name, None, now, labels)
        for name in deletable_fields(shape)
        if name not in change.fields and (now := record.get(name)) is not None and now != ""
    ]


def deletable_fields(shape: Entity) -> list[str]:
    """What somebody may have filled in, of a record that is to be deleted."""
    fields = shape.fields.values()
    return [one.name for one in fields if one.is_queryable and not (one.is_read_only or one.is_path_only)]


def found_in(shape: Entity, change: Change, record: RecordData) -> dict[str, Value | Unknown]:
    """What `record` holds in the fields that `change` writes, where the plan saw something else there, or
    could not know.

    What is as planned already is given as planned, so that it is seen to be the same without the shape.
    """
    found: dict[str, Value | Unknown] = {}
    for name, diff in change.fields.items():
        field = shape.find(name)
        if field is None or not is_shown(field, record) or isinstance(diff.before, Created):
            continue
        now = record.get(field.name)
        if isinstance(diff.before, Unknown) or not equal(field, now, diff.before):
            found[name] = diff.after if equal(field, now, diff.after) else before_value(field, now)
    return found


def lost_in(shape: Entity, change: Change, record: RecordData) -> dict[str, Value | Unknown]:
    """What `record` holds in the fields that the API empties, where the plan knew something else."""
    held = {name: record.get(name) for name in change.loses}
    return {
        name: now
        for name, now in held.items()
        if now is not None and not equal(shape.find(name), now, change.loses[name])
    }


def recounted(tally: Tally, now: Held, own: Collection[int] = (), *, is_over: bool = False) -> str:
    """What is said where other records belong to a record than the plan saw, or nothing. `own` are those that
    the plan itself has written; `is_over`: it is told after they were written over.
    """
    was, is_now = tally.records.keys() - set(own), now.records.keys() - set(own)
    if was == is_now:
        return ""
    had, has = (counted(len(ids), tally.word) if ids else f"no {tally.word}s" for ids in (was, is_now))
    if len(was) != len(is_now):
        if is_over:
            return f"it had {has}, and not {len(was):,}"
        return f"it had {had} and has {f'{len(is_now):,}' if is_now else 'none'} now"
    others = _others(tally.entity, was, is_now)
    if is_over:
        return f"it had {has}, but not the ones that the plan saw ({others})"
    return f"it had {had}, and has as many but not the same now ({others})"


def _others(entity: str, was: Collection[int], now: Collection[int]) -> str:
    """The first one that is gone, and the first that is new."""
    gone, new = min(set(was) - set(now)), min(set(now) - set(was))
    return f"{entity} {gone} is none any more, {new} is one"


def restated(shape: Entity, tally: Tally, now: Held) -> bool:
    """Whether something of what belongs to a record is other than the plan saw it."""
    if recounted(tally, now):
        return True
    return any(
        not equal(shape.find(name), value, now.records[id].get(name))
        for id, record in tally.records.items()
        for name, value in record.items()
    )


def strayed(
    shape: Entity,
    change: Change,
    record: RecordData,
    labels: Labels = NO_LABELS,
    people: Mapping[str, str] = NO_NAMES,
) -> Drift:
    """What `record`, as it is now, says of the premise of `change`, but for what the change itself writes."""
    premise = change.premise
    own = change.fields if premise and (premise.entity, premise.id) == (change.entity, change.id) else ()
    texts = [
        _text(name, before, record.get(field.name), labels)
        for name, before in (premise.values.items() if premise else ())
        if name not in own and (field := shape.find(name)) is not None and field.is_queryable
        if not equal(field, record.get(field.name), before)
    ]
    return Drift(texts=tuple(texts), by=_who(shape, record, people) if texts else "")


def _text(name: str, before: object, now: object, labels: Labels) -> str:
    known = labels.get(name, {})
    return f"{name} was {shown(before, known)} and is {shown(now, known)} now"


def _who(shape: Entity, record: RecordData, people: Mapping[str, str]) -> str:
    for name in WHO:
        if shape.find(name) is not None and record.get(name) is not None:
            is_person = name.endswith(("ResourceID", "By"))
            who = shown(record[name], people) if is_person else str(record[name])
            return f"resource {who}" if name.endswith("ResourceID") else who
    return ""


def shown(value: object, labels: Mapping[str, str]) -> str:
    """A value in a sentence: texts quoted, a number with what people call it."""
    if value is None or value == "":
        return "empty"
    text = str(value)
    if isinstance(value, str):
        return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
    return f"{text} ({labels[text]})" if labels.get(text) else text
