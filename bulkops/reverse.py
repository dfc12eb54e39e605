"""What takes one applied change back, and what cannot be taken back. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bulkops.change import (
    UNKNOWN,
    Action,
    Before,
    Change,
    FieldDiff,
    Unknown,
    before_value,
    canonical,
    equal,
)
from bulkops.plan import Fate, RowState
from bulkops.record import Created, Held, Premise, Scalar, Value
from bulkops.schema import Entity, Field, FieldType
from bulkops.targets.base import RecordData
from bulkops.wording import counted

_ENDS = ("Complete", "Inactive", "Canceled")  # what people call a status of what is no longer to be done
_CREATED = ("createDate", "createDateTime", "createdDateTime")
_CHANGED = ("lastModifiedDate", "lastModifiedDateTime", "updateDateTime")
AT_ONCE = timedelta(minutes=1)  # what the API does itself along with a create
GONE = "it cannot be brought back: the API gives every record a new id"


def reversal(
    fate: Fate,
    shape: Entity,
    current: RecordData | None,
    aside: Mapping[str, Scalar],
    labels: Mapping[str, Mapping[str, str]] | None = None,
) -> Change:
    """The change that undoes `fate.change`, rejected with a reason where there is none.

    `current` is the record as it is now, None where it is not there; `aside` is what a created record gets
    where it cannot be deleted (`undo` of the step); `labels`: by field and value, what people call a number.
    """
    change = replace(
        fate.change, id=fate.id, fields={}, marker="", impersonate=None, waits_for=(), barrier=0, reason=None,
        notes=(), cleared=(), premise=None, parent=_parent(fate.change, shape, current),
        key=_key(fate.change, current),
    )  # fmt: skip
    if fate.state is not RowState.APPLIED and not is_only_cleared(fate):
        return _rejected(change, _unsettled(fate))
    written = fate.written
    if written.action is Action.DELETE:
        return _of_delete(change, written, shape)
    if current is None:
        return _of_missing(change, written.action, shape)
    if written.action is Action.UPDATE:
        applied = _clearing(written) if is_only_cleared(fate) else written
        return _of_update(change, applied, shape, current, labels or {})
    return _of_create(change, written, shape, current, aside)


def is_only_cleared(fate: Fate) -> bool:
    """Whether it came to nothing, but emptied fields before that."""
    return fate.is_cleared and fate.state in (RowState.REJECTED, RowState.PENDING)


def _clearing(change: Change) -> Change:
    """What the first of its two requests did."""
    fields = {name: FieldDiff(before=change.fields[name].before, after=None) for name in change.cleared}
    return replace(change, fields=fields, cleared=())


def _key(change: Change, current: RecordData | None) -> dict[str, Value]:
    """As it was, with ids where it named what the plan was to create."""
    now = current or {}
    return {
        name: now.get(name) if isinstance(value, Created) else value
        for name, value in change.key.items()
        if name in now or not isinstance(value, Created)
    }


def _unsettled(fate: Fate) -> str:
    if fate.state is RowState.HELD:
        return f"it is held ({fate.reason}): settle it with `bulkops resolve` first"
    return "it is in doubt: apply the plan again, which finds out"


def _parent(change: Change, shape: Entity, current: RecordData | None) -> int | None:
    """The id in the path of a child entity."""
    if change.parent is None or shape.parent is None:
        return None
    found = (current or {}).get(shape.parent.field)
    if isinstance(found, int):
        return found
    return None if isinstance(change.parent, Created) else change.parent


def _is_mere_link(shape: Entity) -> bool:
    """Whether a record says nothing but what it connects (who is a secondary resource of which task): then
    another one of the same content is as good, whatever its id.
    """
    fields = [field for field in shape.fields.values() if field.name != "id"]
    can_be_replaced = "create" in shape.can and "update" not in shape.can
    return can_be_replaced and all(field.reference and field.is_required for field in fields)


def _of_delete(change: Change, applied: Change, shape: Entity) -> Change:
    if _is_mere_link(shape):
        if missing := _missing(shape, applied):
            return _rejected(change, f"{missing} was empty, and the API makes no {shape.name} without it")
        return _of_link(change, applied)
    return _rejected(change, f"{shape.name} {change.id} was deleted, and {GONE}")


def _missing(shape: Entity, deleted: Change) -> str:
    """A field that was empty, and without which it cannot be made again."""
    empty = (name for name, field in shape.fields.items() if field.is_required and not field.is_read_only)
    return next((name for name in empty if name not in deleted.fields and name != "id"), "")


def _of_link(change: Change, applied: Change) -> Change:
    """The same connection once more, known by what it connects."""
    held: dict[str, Value] = {
        name: diff.before
        for name, diff in applied.fields.items()
        if diff.before is not None and not isinstance(diff.before, Unknown)
    }
    fields = {name: FieldDiff(before=None, after=value) for name, value in held.items()}
    return replace(change, id=None, action=Action.CREATE, key=held, fields=fields)


def _of_missing(change: Change, action: Action, shape: Entity) -> Change:
    if action is Action.CREATE and not shape.is_restricted:
        return replace(change, action=Action.UNCHANGED)
    hidden = ", or this API user may not see it" if shape.is_restricted else ""
    return _rejected(change, f"{change.entity} {change.id} is not there any more{hidden}")


def _of_update(
    change: Change,
    applied: Change,
    shape: Entity,
    current: RecordData,
    labels: Mapping[str, Mapping[str, str]],
) -> Change:
    fields: dict[str, FieldDiff] = {}
    for name, diff in applied.fields.items():
        field = shape.find(name)
        now: Value | Unknown = current.get(field.name if field else name)
        if isinstance(diff.before, Unknown):
            continue
        if isinstance(now, Unknown):  # the way back makes the API change it first
            fields[name] = FieldDiff(before=UNKNOWN, after=diff.before)
            continue
        if equal(field, now, diff.before):
            continue
        if equal(field, diff.before, diff.after):  # somebody else had set it to that: no doing of ours
            continue
        if not equal(field, now, diff.after):
            known = labels.get(name, {})
            was = "emptied" if diff.after is None else f"set to {_told(diff.after, known)}"
            return _rejected(change, f"{name} was {was} and is {_told(now, known)} now: it was changed since")
        fields[name] = FieldDiff(before=diff.after, after=diff.before)
    if fields:
        return replace(change, action=Action.UPDATE, fields=fields)
    if unreadable := unknown_before(applied):
        names = ", ".join(unreadable)
        return _rejected(change, f"what {names} held before could not be read, so it cannot be restored")
    return replace(change, action=Action.UNCHANGED)


def with_lost(
    back: Change, applied: Change, shape: Entity, current: RecordData, *, by: str, held: Before
) -> Change:
    """`back`, with what the API set to nothing when `applied` set the field `by`: as it was, where that field
    is taken back too, or somebody has done so already. What nobody could read stays.
    """
    diff, field = applied.fields.get(by), shape.find(by)
    is_back = (
        diff is not None
        and not equal(field, diff.before, diff.after)
        and equal(field, current.get(by), diff.before)
    )
    lost = _emptied(held, shape, current) if is_back or by in back.fields else {}
    if not lost:
        return back
    back = replace(back, action=Action.UPDATE, fields={**back.fields, **lost})
    if not is_back or back.id is None:
        return back
    told = f"{by} is as it was already: {', '.join(lost)} comes back without it"
    premise = Premise(entity=back.entity, id=back.id, values={by: current.get(by)})
    return replace(back, notes=(*back.notes, told), premise=premise)


def _emptied(held: Before, shape: Entity, current: RecordData) -> dict[str, FieldDiff]:
    fields: dict[str, FieldDiff] = {}
    for name, was in held.items():
        field, now = shape.find(name), current.get(name)
        is_empty = now is None or equal(field, now, 0)
        if is_empty and was is not None and not isinstance(was, Held | Unknown) and not equal(field, was, 0):
            fields[name] = FieldDiff(before=UNKNOWN if now is None else now, after=was)
    return fields


def _told(value: object, labels: Mapping[str, str]) -> str:
    if value is None:
        return "empty"
    label = labels.get(str(value))
    return f"{value!r} ({label})" if label else repr(value)


def unknown_before(change: Change) -> list[str]:
    """The fields of an update whose earlier value nobody knows."""
    return [name for name, diff in change.fields.items() if isinstance(diff.before, Unknown)]


def _of_create(
    change: Change, applied: Change, shape: Entity, current: RecordData, aside: Mapping[str, Scalar]
) -> Change:
    if edited := _edited(applied, shape, current):
        return _rejected(change, f"{edited} of {shape.name} {change.id}: it was changed since it was created")
    if "delete" in shape.can:
        if filled := _filled(applied, shape, current):
            return _rejected(
                change,
                f"{filled} of {shape.name} {change.id}, which was not sent: it was filled in since, by "
                "somebody or by the API. Empty it, or delete the record in Autotask",
            )
        fields = {
            name: FieldDiff(before=before_value(shape.find(name), value), after=None)
            for name, value in current.items()
            if name != "id" and value is not None
        }
        return replace(change, action=Action.DELETE, fields=fields)
    wanted = aside or _inactive(shape)
    if not wanted:
        return _rejected(
            change,
            f"{shape.name} records can neither be deleted nor set inactive through the API: see to it in "
            f"Autotask{_advice(shape)}",
        )
    fields = {
        name: FieldDiff(before=current.get(name), after=value)
        for name, value in wanted.items()
        if not equal(shape.find(name), current.get(name), value)
    }
    return replace(change, action=Action.UPDATE if fields else Action.UNCHANGED, fields=fields)


def _advice(shape: Entity) -> str:
    """What a step of a job can say of such records; of what has no status, as notes, there is nothing."""
    status = shape.find("status")
    if "update" not in shape.can or status is None or status.is_read_only or status.is_fixed:
        return ""
    labels = [item.label for item in status.picklist or () if item.is_active]
    value = next((label for label in (*_ENDS, *labels) if label in labels), "…")
    return f". A step of a job can say what they get instead, as in `undo: {{status: {{value: {value}}}}}`"


def _edited(applied: Change, shape: Entity, current: RecordData) -> str:
    """The first field that no longer holds what was sent, with both values."""
    for name, diff in applied.fields.items():
        field = shape.find(name)
        if field is None or not _tells(field) or isinstance(diff.after, Created):
            continue
        if not equal(field, current.get(field.name), diff.after):
            return f"{name} was {diff.after!r} and is {current.get(field.name)!r} now"
    return ""


def _filled(applied: Change, shape: Entity, current: RecordData) -> str:
    """The first text that the record holds and that was not sent, unless nobody has changed it since: then it
    is what the API fills in by itself. Numbers, references and the like have too many defaults to tell.
    """
    stamps = [
        [
            made
            for name in names
            if isinstance(made := canonical(shape.find(name), current.get(name)), datetime)
        ]
        for names in (_CREATED, _CHANGED)
    ]
    if all(stamps) and max(stamps[1]) - min(stamps[0]) < AT_ONCE:
        return ""
    for field in shape.fields.values():
        value = current.get(field.name)
        is_text = field.type is FieldType.STRING and not field.picklist and _tells(field)
        if is_text and isinstance(value, str) and value.strip() and field.name not in applied.fields:
            return f"{field.name} is {value!r}"
    return ""


def _tells(field: Field) -> bool:
    """Whether a difference is somebody's doing: rich text and texts may be the server's own."""
    return field.is_queryable and not (field.is_path_only or field.is_rich_text or field.is_read_only)


def _inactive(shape: Entity) -> dict[str, Scalar]:
    field = shape.active_field()
    if field is None or field.is_read_only or field.is_fixed:
        return {}
    return {field.name: 0 if field.type.is_whole else False}


def _rejected(change: Change, reason: str) -> Change:
    return replace(change, action=Action.REJECTED, reason=reason)


class Coverage:
    """How far `undo` could take back the changes of a step, counted as they are planned."""

    def __init__(self, shape: Entity, *, has_aside: bool) -> None:
        self._shape = shape
        # Whether what it creates stays.
        self.lasts = "delete" not in shape.can and not has_aside and not _inactive(shape)
        self._aside = "" if "delete" in shape.can else _aside_text(has_aside=has_aside)
        self._lasting: Counter[str] = Counter()
        self._altered: Counter[str] = Counter()
        self._along: Counter[str] = Counter()

    def add(self, change: Change) -> None:
        if change.action is Action.DELETE:
            if _is_mere_link(self._shape) and not _missing(self._shape, change):
                self._altered["deleted {}, which come back with new ids"] += 1
            else:
                self._lasting["deleted {}, which cannot be brought back"] += 1
        elif change.action is Action.CREATE:
            if self.lasts:
                self._lasting["created {}, which the API can neither delete nor set inactive"] += 1
            elif self._aside:
                self._altered[self._aside] += 1
        elif change.action is Action.UPDATE:
            self._add_update(change)

    def _add_update(self, change: Change) -> None:
        # What another row makes the API change is kept just before it is written.
        fields = {name: self._shape.find(name) for name in unknown_before(change)}
        unknown = [name for name, one in fields.items() if one is None or one.is_udf or not one.is_queryable]
        if len(unknown) == len(change.fields):
            self._lasting["{} of which nobody can read what they hold before"] += 1
        elif unknown:
            text = f"{{}} of which {', '.join(unknown)} stays, since nobody can read what it holds before"
            self._altered[text] += 1
        if tally := change.along:
            self._along[tally.word] += len(tally.records)

    def lasting(self) -> list[str]:
        """What cannot be taken back: one phrase a kind, with its count."""
        return [f"{count:,} {text.format(self._shape.name)}" for text, count in self._lasting.items()]

    def altered(self) -> list[str]:
        """What comes back, but not as it was."""
        name = self._shape.name
        told = [f"{count:,} {text.format(name)}" for text, count in self._altered.items()]
        for word, count in self._along.items():
            told.append(
                f"{counted(count, word)} that the API completes with {name}: opened again, with the hours "
                "that remain now where these can be read and the API takes them"
            )
        return told


def _aside_text(*, has_aside: bool) -> str:
    return f"created {{}}, which {'get what `undo` of the step says' if has_aside else 'are set inactive'}"
