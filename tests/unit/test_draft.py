"""A row on its way to its change, kept on disk meanwhile: nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.planner.draft import Draft, draft_from_json, draft_to_json
from bulkops.record import IMPERSONATE, Choice, Created, FromStep, Lookup, Record, Row, RowError

TEXT = st.text(max_size=8)
VALUES = st.one_of(
    st.none(), TEXT, st.booleans(), st.integers(), st.floats(allow_nan=False),
    st.builds(Created, change=st.integers(1, 9)),
    st.builds(FromStep, step=TEXT, key=st.tuples(TEXT), column=TEXT),
)  # fmt: skip
ERRORS = st.builds(RowError, message=TEXT, column=TEXT, value=st.none() | TEXT, field=TEXT)
RECORDS = st.builds(
    Record,
    values=st.dictionaries(TEXT, VALUES, max_size=3),
    impersonate=st.none() | st.integers(0, 2**31),
    choices=st.dictionaries(TEXT, st.builds(Choice, text=TEXT, parent=TEXT, about=ERRORS), max_size=2),
    doubts=st.dictionaries(TEXT | st.just(IMPERSONATE), ERRORS, max_size=2),
)


@given(RECORDS)
def test_a_draft_comes_back_as_it_was(record: Record) -> None:
    """Values, who creates, choices that wait for the record and doubts about what is inactive."""
    row = Row(cells=("a",), line=2)
    draft = Draft(n=1, row=row, record=record, needs={"parentID": 3}, found=[{"id": 7, "title": "x"}])
    assert draft_from_json(1, row, draft_to_json(draft)) == draft


def test_a_lookup_comes_back_with_what_it_allows() -> None:
    """One that has still to be asked, too."""
    lookup = Lookup(
        entity="Resources", fields=("email",), values=("a@b.c",), column="Who", allows_inactive=True
    )
    draft = Draft(n=1, row=Row(cells=()), record=Record(values={"ownerID": lookup}))
    assert draft_from_json(1, draft.row, draft_to_json(draft)).record == draft.record
