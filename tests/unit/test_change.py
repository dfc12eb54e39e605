"""The one equality and the diff that rests on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.change import (
    UNKNOWN,
    Action,
    Change,
    FieldDiff,
    Unknown,
    diff,
    equal,
    match_key,
    same_key,
)
from bulkops.record import Created, Lookup, Record, Scalar, Value
from bulkops.schema import Entity, Field, FieldType

INTEGER = Field(name="status", type=FieldType.INTEGER)
NUMBER = Field(name="hours", type=FieldType.DOUBLE)
BOOLEAN = Field(name="isActive", type=FieldType.BOOLEAN)
TEXT = Field(name="title", type=FieldType.STRING, length=255)
RICH = Field(name="description", type=FieldType.STRING, is_rich_text=True)
MOMENT = Field(name="startDateTime", type=FieldType.DATETIME)
DAY = Field(name="endDateTime", type=FieldType.DATETIME, is_date_only=True)
HIDDEN = Field(name="remainingHours", type=FieldType.DOUBLE, is_queryable=False)
FROZEN = Field(name="parentID", type=FieldType.INTEGER, is_read_only=True, is_required=True)
FROZEN_HIDDEN = Field(name="secret", type=FieldType.STRING, is_read_only=True, is_queryable=False)
IN_PATH = Field(name="ownerID", type=FieldType.INTEGER, is_path_only=True)
UDF = Field(name="udf:Legacy ID", type=FieldType.STRING)
UDF_NUMBER = Field(name="udf:Hours", type=FieldType.DOUBLE)
FIELDS = (INTEGER, NUMBER, BOOLEAN, TEXT, RICH, MOMENT, DAY, HIDDEN, FROZEN, FROZEN_HIDDEN, IN_PATH, UDF)
READABLE = tuple(f for f in FIELDS if f.is_queryable and not f.is_path_only)
ENTITY = Entity(
    name="Things", singular="Thing", can={"create": "root", "update": "root"}, is_queryable=True,
    fields={f.name: f for f in FIELDS},
)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "a", "b"),
    [
        (INTEGER, 5, 5.0),
        (INTEGER, 5, "5"),
        (INTEGER, "5.0", "5"),
        (INTEGER, True, 1),
        (INTEGER, "false", 0),
        (NUMBER, 0.1, "0.1"),
        (NUMBER, "1.50", 1.5),
        (NUMBER, -0.0, 0),
        (BOOLEAN, True, 1),
        (BOOLEAN, "True", True),
        (BOOLEAN, 0.0, False),
        (TEXT, " Acme ", "Acme"),
        (TEXT, "a\r\nb", "a\nb"),
        (TEXT, "", None),
        (TEXT, "  ", None),
        (INTEGER, "", None),
        (RICH, "one  two \r\nthree\u00a0four", "one two\nthree four"),
        (MOMENT, "2024-03-01T10:00:00Z", "2024-03-01T11:00:00+01:00"),
        (MOMENT, "2024-03-01T10:00:00.000Z", "2024-03-01T10:00:00"),
        (MOMENT, "2024-03-01", "2024-03-01T00:00:00.00Z"),
        (DAY, "2024-03-01T23:30:00-05:00", "2024-03-01T00:00:00Z"),
        (DAY, "2024-03-01", "2024-03-01T00:00:00.000"),
        (DAY, "2024-02-29T00:00:00Z", "2/29/2024 12:00:00 AM"),
        (DAY, "2024-12-01", "12/1/2024"),
        (UDF_NUMBER, 12.5, "12.50"),
        (UDF_NUMBER, 1000, "1000.00"),
        (None, " x ", "x"),
    ],
)
def test_what_the_server_stores_alike_is_equal(shape: Field | None, a: Scalar, b: Scalar) -> None:
    """Two spellings that the server stores the same way are no change."""
    assert equal(shape, a, b)
    assert equal(shape, b, a)


@pytest.mark.parametrize(
    ("shape", "a", "b"),
    [
        (INTEGER, 0, None),
        (INTEGER, 5, 6),
        (BOOLEAN, False, None),
        (BOOLEAN, True, False),
        (TEXT, "Acme", "ACME"),
        (TEXT, "007", "7"),
        (TEXT, "a b", "a  b"),
        (RICH, "a\nb", "a b"),
        (MOMENT, "2024-03-01T10:00:00Z", "2024-03-01T10:00:00+01:00"),
        (DAY, "2024-03-01", "2024-03-02"),
        (INTEGER, "1_0", 10),
        (INTEGER, "abc", 5),
        (MOMENT, "soon", "2024-03-01"),
        (DAY, "2024-03-011", "2024-03-01"),
        (DAY, "2024-03-01", "1/3/2024 12:00:00 AM"),
        (DAY, "2024-03-01", "30/3/2024"),
        (UDF_NUMBER, 12.5, "12,5"),
        (INTEGER, Created(change=1), 1),
        (INTEGER, Created(change=1), Created(change=2)),
        (NUMBER, UNKNOWN, None),
    ],
)
def test_what_the_server_stores_apart_differs(shape: Field | None, a: Value | Unknown, b: Value) -> None:
    """A difference the server would keep is a change, the case of a text included."""
    assert not equal(shape, a, b)
    assert not equal(shape, b, a)


@pytest.mark.parametrize(
    ("shape", "a", "b"),
    [
        (TEXT, "ACME ", "acme"),
        (TEXT, "Ñandú", "ñandÚ"),
        (TEXT, "Caf\u00e9", "cafe\u0301"),
        (TEXT, "STRASSE", "straße"),
        (UDF, "ab-1", "AB-1"),
        (INTEGER, "0012", 12),
        (INTEGER, Created(change=3), Created(change=3)),
    ],
)
def test_keys_ignore_case_and_the_way_accents_are_typed(shape: Field, a: Value, b: Value) -> None:
    """A natural key finds its record as the server's own queries would."""
    assert same_key(shape, a, b)


@pytest.mark.parametrize(("a", "b"), [("Acme", "Acme Ltd"), ("Jose", "José"), ("007", "7"), ("a", None)])
def test_keys_that_differ_by_more_than_case_stay_apart(a: str, b: str | None) -> None:
    """Accents and leading zeros belong to a key."""
    assert not same_key(TEXT, a, b)


# Text with what files really hold: blanks, newlines, digits, dates, case pairs, odd scripts.
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "5", "5.0", " 5", "05", "true", "FALSE", "nan", "inf", "1e5", "ß", "SS", "İ"]),
    st.sampled_from(
        ["2024-03-01", "2024-03-01T00:00:00Z", "2024-03-01T01:00:00+01:00", "0001-01-01T00+05:00"]
    ),
)
scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 3), st.floats(), texts
)
shapes = st.sampled_from([None, *READABLE])
values: st.SearchStrategy[Value] = st.one_of(
    scalars,
    st.builds(Created, change=st.integers(1, 3)),
    st.builds(Lookup, entity=st.just("Companies"), fields=st.just(("id",)), values=st.tuples(texts)),
)


@settings(deadline=None)  # the machine may be busy
@given(shapes, values, values, values)
def test_equal_is_an_equivalence(shape: Field | None, a: Value, b: Value, c: Value) -> None:
    """Whatever the values: equal to itself, both ways round, and through a third."""
    assert equal(shape, a, a)
    assert equal(shape, a, b) == equal(shape, b, a)
    if equal(shape, a, b) and equal(shape, b, c):
        assert equal(shape, a, c)


@settings(deadline=None)  # the machine may be busy
@given(shapes, values, values)
def test_equal_values_are_the_same_key_and_keys_can_be_joined_on(
    shape: Field | None, a: Value, b: Value
) -> None:
    """Ignoring case only ever joins more, and a key's form can stand in a dictionary."""
    if equal(shape, a, b):
        assert same_key(shape, a, b)
        assert len({match_key(shape, a), match_key(shape, b)}) == 1


records = st.dictionaries(st.sampled_from([f.name for f in READABLE]), scalars)


@settings(deadline=None)  # the machine may be busy
@given(records, records)
def test_a_diff_applied_leaves_nothing_to_do(wanted: dict[str, Scalar], current: dict[str, Scalar]) -> None:
    """What a diff sends makes the record what was asked for: the second diff is empty."""
    record = Record(values=wanted)
    applied = dict(current)
    for name, change in diff(record, current, ENTITY).items():
        assert not isinstance(change.after, Created | Lookup)
        applied[name] = change.after  # type: ignore[assignment]
    assert diff(record, applied, ENTITY) == {}


@settings(deadline=None)  # the machine may be busy
@given(records, st.integers(-12, 12))
def test_what_the_server_made_of_a_value_is_no_change(wanted: dict[str, Scalar], offset: int) -> None:
    """The server's own spelling of what was written is not planned again."""
    wanted = wanted | {"startDateTime": datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC).isoformat()}
    record = Record(values=wanted)
    assert diff(record, {name: _stored(name, value, offset) for name, value in wanted.items()}, ENTITY) == {}


def _stored(name: str, value: Scalar, offset: int) -> Scalar:
    """One plausible way to give back what was stored, different from the text that was sent."""
    shape = ENTITY.fields[name]
    if isinstance(value, str) and shape.type is FieldType.STRING:
        return (value.strip() or None) and f"{value.strip()}\t"
    if name == "startDateTime" and isinstance(value, str):
        moment = datetime.fromisoformat(value).astimezone(timezone(timedelta(hours=offset)))
        return moment.isoformat(timespec="milliseconds")
    if shape.type.is_whole and isinstance(value, int) and abs(value) < 2**53:
        return float(value)
    return value


def test_a_create_gives_every_value_and_no_before() -> None:
    """A create shows all that is sent; what is empty is not sent; the id and a parent in the path neither."""
    record = Record(
        values={
            "id": 7,
            "ownerID": 3,
            "title": "T",
            "status": 0,
            "description": " ",
            "hours": None,
            "parentID": 0,
        }
    )
    assert diff(record, None, ENTITY) == {
        "title": FieldDiff(before=None, after="T"),
        "status": FieldDiff(before=None, after=0),
        "parentID": FieldDiff(before=None, after=0),
    }


def test_an_update_gives_only_what_differs() -> None:
    """PATCH carries changed fields only; None clears what was there."""
    record = Record(values={"title": "New", "status": "5", "description": None, "udf:Legacy ID": None})
    current: dict[str, Scalar] = {"id": 1, "title": "Old", "status": 5, "description": "x"}
    assert diff(record, current, ENTITY) == {
        "title": FieldDiff(before="Old", after="New"),
        "description": FieldDiff(before="x", after=None),
    }


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("40", 41.5, 40),
        ("12.50", 13.0, 12.5),
        ("12345678901234567890.12", 1.0, "12345678901234567890.12"),
        ("n/a", 1.0, "n/a"),
        (None, 1.0, None),
    ],
)
def test_a_user_defined_number_is_shown_as_a_number(before: Scalar, after: float, shown: Scalar) -> None:
    """The wire has text; the plan what the field holds, unless a digit would be lost."""
    entity = replace(ENTITY, fields={**ENTITY.fields, UDF_NUMBER.name: UDF_NUMBER})
    found = diff(Record(values={"udf:Hours": after}), {"udf:Hours": before}, entity)["udf:Hours"]
    assert found == FieldDiff(before=shown, after=after)
    assert type(found.before) is type(shown)
    assert equal(UDF_NUMBER, found.before, before)


def test_a_protected_user_defined_field_is_unknown_before() -> None:
    """It is read as five stars, whatever it holds."""
    found = diff(Record(values={"udf:Legacy ID": "x"}), {"udf:Legacy ID": "*****"}, ENTITY)
    assert found == {"udf:Legacy ID": FieldDiff(before=UNKNOWN, after="x")}
    assert diff(Record(values={"title": "x"}), {"title": "*****"}, ENTITY)["title"].before == "*****"


def test_a_field_that_cannot_be_read_is_always_sent() -> None:
    """Nobody can say that a field that cannot be read is right already; a frozen one is not sent."""
    record = Record(values={"remainingHours": 2.0, "secret": "x"})
    assert diff(record, {"remainingHours": 2.0}, ENTITY) == {
        "remainingHours": FieldDiff(before=UNKNOWN, after=2.0)
    }


def test_a_reference_to_a_created_record_is_always_a_change() -> None:
    """An id that does not exist yet differs from every id that does."""
    record = Record(values={"status": Created(change=17)})
    assert diff(record, {"status": 17}, ENTITY)["status"].after == Created(change=17)


def test_after_gives_what_is_sent() -> None:
    """The values of a change are the after-side of its fields."""
    change = Change(
        n=1, step="s", entity="Things", action=Action.UPDATE, fields={"status": FieldDiff(before=1, after=5)}
    )
    assert change.after() == {"status": 5}


@pytest.mark.parametrize("action", list(Action))
def test_only_creates_updates_and_deletes_write(action: Action) -> None:
    """Unchanged and rejected rows cost no call."""
    assert action.is_write == (action.value in ("create", "update", "delete"))
