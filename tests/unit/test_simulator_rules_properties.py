"""What holds of every body of every entity that the simulated service is sent, found by random search."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkops.simulator import firm, picklists, validation
from bulkops.simulator.store import Row, Store
from bulkops.simulator.switches import Switches
from bulkops.simulator.values import UnreadableError, reader

CATALOG: dict[str, dict[str, Any]] = json.loads(
    resources.files("bulkops.data").joinpath("catalog.json").read_text("utf-8")
)["entities"]
CREATABLE = sorted(name for name, entry in CATALOG.items() if "create" in entry["can"])
KINDS = ["integer", "long", "short", "decimal", "double", "boolean", "datetime", "string"]
ACTOR = 4


def founded() -> Store:
    store = Store(now=lambda: "2026-06-01T08:00:00.000Z", switches=Switches(), ci=1)
    picklists.load(store)
    firm.found(store, empty=False)
    return store


def check(
    store: Store, entity: str, body: Any, *, parent: int | None, impersonating: int | None = None
) -> tuple[Row, list[str]]:
    return validation.check_create(
        store, entity, body, parent_id=parent, actor=ACTOR, impersonating=impersonating
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SHARED = founded()  # property tests take their own rows away again


def plausible(store: Store, entity: str, field: str) -> st.SearchStrategy[Any]:
    """Values of which many are right for the field."""
    facts = CATALOG[entity]["fields"][field]
    if facts.get("ref") and store.table(facts["ref"]):
        return st.sampled_from(store.table(facts["ref"]).ids)
    if facts.get("picklist") is not None and facts["type"] != "boolean":
        return st.sampled_from([value["value"] for value in store.picklists[entity][field]] or [None])
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "datetime": st.datetimes().map(lambda moment: moment.isoformat()),
        "decimal": st.floats(0, 20),
        "double": st.floats(0, 20),
        "string": st.text(max_size=facts.get("length") or 60),
        "byte[]": st.just("QUJD"),
    }
    return kinds.get(facts["type"], st.integers(0, 1))


@st.composite
def bodies(draw: st.DrawFn, *, wild: bool) -> tuple[str, dict[str, Any], int | None]:
    """An entity, a body for it and a parent's id."""
    often = ["Companies", "Contacts", "Projects", "Phases", "Tasks", "Tickets", "TaskNotes", "TimeEntries"]
    entity = draw(st.sampled_from(often) | st.sampled_from(CREATABLE))
    fields = CATALOG[entity]["fields"]
    required = [name for name, facts in fields.items() if facts.get("required") and name != "id"]
    others = draw(st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True))
    names = others if wild else [*required, *(name for name in others if name != "id")]
    body = {
        name: draw(JSON if wild and draw(st.booleans()) else plausible(SHARED, entity, name))
        for name in names
    }
    if wild:
        body |= draw(st.dictionaries(st.sampled_from(["userDefinedFields", "id", "x"]), JSON, max_size=2))
    parent = CATALOG[entity].get("parent")
    if parent is None:
        return entity, body, None
    ids = SHARED.table(parent["entity"]).ids
    return entity, body, draw(st.sampled_from(ids)) if ids else 77


@given(bodies(wild=True), st.integers(-1, 10) | st.none())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_makes_it_fall(
    asked: tuple[str, dict[str, Any], int | None], impersonating: int | None
) -> None:
    """Whatever the body: a row of the entity's own fields, or error texts; never an exception, never both."""
    entity, body, parent = asked
    row, errors = check(SHARED, entity, body, parent=parent, impersonating=impersonating)
    assert bool(row) != bool(errors) or not (row or errors or body)  # some need nothing to be said
    assert all(errors)
    assert set(row) <= {*CATALOG[entity]["fields"], "userDefinedFields"}


@given(bodies(wild=False))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_accepted_row_is_accepted_again_unchanged(asked: tuple[str, dict[str, Any], int | None]) -> None:
    """Sending a new record back as it was read changes nothing a client can write, and is no error."""
    entity, body, parent = asked
    made, errors = check(SHARED, entity, body, parent=parent)
    if errors or str(made.get("projectType")) == "8":  # a Baseline project cannot be written again
        return
    table = SHARED.table(entity)
    row = table[table.insert(made)]
    changes, errors = validation.check_update(SHARED, entity, row, row, actor=ACTOR, impersonating=None)
    table.delete(row["id"])
    assert errors == []
    assert {name: row[name] for name in changes} == changes


@given(st.sampled_from(KINDS), st.booleans(), JSON | st.datetimes().map(str) | st.integers().map(str))
@settings(max_examples=400, deadline=None)
def test_what_was_stored_reads_as_itself(kind: str, date_only: bool, value: Any) -> None:
    """A value that was read once is in its final form, so sending a record back changes nothing."""
    read = reader("field", kind, date_only=date_only)
    try:
        stored = read(value)
    except UnreadableError as error:
        assert str(error).endswith("Path 'field'.")
        return
    assert stored is None or read(stored) == stored
