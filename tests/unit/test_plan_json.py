"""Changes as JSON: whatever a plan holds comes back as it went in."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import UNKNOWN, Action, Change, FieldDiff
from bulkops.plan.encoding import change_from_json, change_to_json, decode, dump, encode, load
from bulkops.record import Created, FromStep, Lookup

TEXT = st.text(st.characters(codec=None))  # lone surrogates and NUL too
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False)
    | TEXT
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
CREATED = st.builds(Created, change=st.integers(1, 2**31))
VALUE = (
    SCALAR
    | CREATED
    | st.builds(
        Lookup, entity=TEXT, fields=TEXTS, values=st.lists(SCALAR, max_size=3).map(tuple), column=TEXT
    )
    | st.builds(FromStep, step=TEXT, key=TEXTS, column=TEXT)
)
CHANGE = st.builds(
    Change,
    n=st.integers(1, 10**9),
    step=TEXT,
    entity=TEXT,
    action=st.sampled_from(Action),
    line=st.none() | st.integers(1, 2**40),
    file=TEXT,
    sheet=TEXT,
    id=st.none() | st.integers(-(2**63), 2**70),
    key=st.dictionaries(TEXT, VALUE, max_size=3),
    fields=st.dictionaries(
        TEXT, st.builds(FieldDiff, before=VALUE | st.just(UNKNOWN), after=VALUE), max_size=4
    ),
    parent=st.none() | st.integers(0, 2**63) | CREATED,
    impersonate=st.none() | st.integers(1, 2**40),
    waits_for=st.lists(st.integers(1, 10**9), max_size=4).map(tuple),
    barrier=st.integers(0, 10**9),
    reason=st.none() | TEXT,
)


@given(CHANGE)
def test_every_change_comes_back_as_it_went_in(change: Change) -> None:
    """No field of a change is lost or altered: any text, any number, any reference."""
    back = change_from_json(change.n, change_to_json(change))
    assert back == change
    assert repr(back) == repr(change)  # 1, 1.0 and True are equal, and are not the same


@given(SCALAR)
def test_every_scalar_keeps_its_type(value: object) -> None:
    """A value is read back as the type that it was, also beyond 64 bits and beyond every number."""
    back = decode(load(dump(encode(value))))  # type: ignore[arg-type]
    assert (type(back), repr(back)) == (type(value), repr(value))


def test_not_a_number_comes_back() -> None:
    """A NaN is no null: null would clear a field."""
    assert math.isnan(decode(load(dump(encode(math.nan)))))


def test_references_and_unknowns_are_written_as_the_contract_says() -> None:
    """`{"change": 17}` for what another change creates, `{"unknown": true}` for what cannot be read."""
    assert encode(Created(change=17)) == {"change": 17}
    assert encode(UNKNOWN) == {"unknown": True}


def test_defaults_take_no_room() -> None:
    """A change is stored compactly: what is at its default is left out."""
    change = Change(n=1, step="tasks", entity="Tasks", action=Action.UNCHANGED)
    assert orjson.loads(change_to_json(change)) == {"step": "tasks", "entity": "Tasks", "action": "unchanged"}


def test_a_value_that_is_no_value_is_refused() -> None:
    """A list in a field is a bug of the planner and never reaches a plan."""
    with pytest.raises(TypeError, match="list"):
        encode([1])  # type: ignore[arg-type]
