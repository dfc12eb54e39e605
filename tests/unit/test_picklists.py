"""Picklists: label, text value or number, inside the parent's value; never a guess between two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.mapping.picklists import InactiveError, Picklist, known_texts
from bulkops.schema import Field, FieldType, PicklistValue


def value(number: str, label: str, *, parent: str = "", is_active: bool = True) -> PicklistValue:
    return PicklistValue(value=number, label=label, parent=parent, is_active=is_active)


STATUS = (
    value("1", "New"),
    value("5", "Complete"),
    value("8", "Waiting Customer"),
    value("9", "Old", is_active=False),
)


def picklist(
    *values: PicklistValue,
    kind: FieldType = FieldType.INTEGER,
    is_live: bool = True,
    allow_inactive: bool = False,
) -> Picklist:
    parent = "issueType" if any(item.parent for item in values) else ""
    field = Field(name="status", type=kind, picklist=values, picklist_parent=parent)
    return Picklist(field, is_live=is_live, allow_inactive=allow_inactive)


def refusal(values: Picklist, text: str, parent: str | None = None) -> str:
    with pytest.raises(ValueError) as caught:
        values.find(text, parent)
    return str(caught.value)


@pytest.mark.parametrize("text", ["Complete", " complete ", "COMPLETE", "5", "5.0"])
def test_label_and_number_give_the_number(text: str) -> None:
    """Trimmed, in any case, and with the .0 of spreadsheets."""
    result = picklist(*STATUS).find(text)
    assert result == 5
    assert type(result) is int


def test_an_unknown_label_is_refused_with_what_is_known() -> None:
    """With the nearest one first, and without those that can no longer be chosen."""
    message = refusal(picklist(*STATUS), "Compleet")
    assert message == "is no value of status. Is it 'Complete'? Known: New, Complete, Waiting Customer"


def test_many_known_values_are_not_all_listed() -> None:
    """A sentence stays readable with 300 values."""
    values = [value(str(n), f"Queue {n}") for n in range(300)]
    assert "Queue 9 and 290 more" in refusal(picklist(*values), "nothing like it")


def test_an_inactive_value_is_refused_unless_allowed() -> None:
    """And the message says that it is inactive, not that it is unknown."""
    assert "is inactive in status" in refusal(picklist(*STATUS), "Old")
    assert picklist(*STATUS, allow_inactive=True).find("Old") == 9


def test_an_active_value_wins_over_an_inactive_one_of_the_same_label() -> None:
    """Only one of them can be chosen."""
    assert picklist(value("2", "Std"), value("3", "Std", is_active=False)).find("std") == 2


def test_two_active_values_of_one_label_are_refused() -> None:
    """Never a guess: both are named."""
    assert "can be several values of status: 2 (Std), 3 (Std)" in refusal(
        picklist(value("2", "Std"), value("3", "Std")), "Std"
    )


def test_a_number_that_is_also_a_label_is_refused_unless_they_agree() -> None:
    """Label 5 of value 30, and value 5: nobody knows which is meant."""
    assert "can be several" in refusal(picklist(value("30", "5"), value("5", "Five")), "5")
    assert picklist(value("5", "5")).find("5") == 5


def test_case_decides_between_labels_that_differ_by_case() -> None:
    """As written first; ignoring case only where that leaves one."""
    both = picklist(value("1", "New"), value("2", "NEW"))
    assert (both.find("New"), both.find("NEW")) == (1, 2)
    assert "can be several" in refusal(both, "new")


SUBISSUES = (
    value("10", "Other", parent="1"), value("11", "Disk", parent="1"),
    value("20", "Other", parent="2"), value("21", "Paper", parent="2"),
)  # fmt: skip


def test_a_dependent_value_is_found_inside_its_parents() -> None:
    """The same label under two parents is two values."""
    values = picklist(*SUBISSUES)
    assert (values.find("Other", "1"), values.find("Other", "2")) == (10, 20)
    assert values.depends == "issueType"


def test_a_dependent_value_outside_its_parent_is_refused() -> None:
    """With the parent that would be right, and what can be chosen under this one."""
    message = refusal(picklist(*SUBISSUES), "Paper", "1")
    assert message == "is no value of status where issueType is 1, only where it is 2. Known: Other, Disk"
    message = refusal(picklist(*SUBISSUES), "Papre", "2")
    assert message == "is no value of status where issueType is 2. Is it 'Paper'? Known: Other, Paper"


def test_parents_are_named_by_their_labels() -> None:
    """Nobody knows a number by heart; a label under several parents names them all."""
    issues = Field(
        name="issueType", type=FieldType.INTEGER, picklist=(value("1", "Computer"), value("2", "Printer"))
    )
    shape = Field(
        name="subIssueType", type=FieldType.INTEGER, picklist_parent="issueType",
        picklist=(*SUBISSUES, value("31", "Other", parent="3")),
    )  # fmt: skip
    values = Picklist(shape, is_live=True, parent=issues)
    assert refusal(values, "Paper", "1") == (
        "is no value of subIssueType where issueType is Computer (1), only where it is Printer (2). "
        "Known: Other, Disk"
    )
    assert refusal(values, "Other", "") == (
        "is no value of subIssueType where issueType is empty, "
        "only where it is Computer (1) or Printer (2) or 3"
    )


def test_a_value_that_stands_under_no_parent_stands_under_all() -> None:
    """A dependent list may hold values of its own."""
    values = picklist(*SUBISSUES, value("40", "Any"))
    assert values.find("Any", "1") == values.find("Any", "") == values.find("any") == 40


def test_what_is_a_value_under_no_parent_is_known_before_the_parent_is() -> None:
    """A misspelt label needs no record to be refused."""
    values = picklist(*SUBISSUES)
    values.check("Paper")
    values.check("other")
    with pytest.raises(ValueError, match=r"is no value of status\. Is it 'Disk'"):
        values.check("Dsik")


def test_an_inactive_value_is_told_with_the_value() -> None:
    """So that a record which holds it already can be left as it is."""
    with pytest.raises(InactiveError) as caught:
        picklist(*STATUS).find("old")
    assert caught.value.value == 9


def test_a_list_of_a_user_defined_field_holds_the_items_text() -> None:
    """Whatever number stands behind it."""
    shape = Field(
        name="udf:Ranking", type=FieldType.STRING, picklist=(value("7", "Golden"), value("Silver", ""))
    )
    values = Picklist(shape, is_live=True)
    assert [values.find(text) for text in ("golden", "7", "silver")] == ["Golden", "Golden", "Silver"]


def test_a_value_that_only_the_catalog_knows_is_told_so() -> None:
    """Both sides are named: the tenant's word counts."""
    shape = Field(name="status", type=FieldType.INTEGER, picklist=(value("1", "Neu"),))
    shipped = Field(name="status", type=FieldType.INTEGER, picklist=(value("1", "New"),))
    message = refusal(Picklist(shape, is_live=True, shipped=shipped), "new")
    assert message.startswith("is no value of status in this tenant, though the shipped catalog has it")


def test_without_its_parent_a_dependent_value_must_be_the_only_one() -> None:
    """Paper is one value; Other is two, and the message says what would tell."""
    assert picklist(*SUBISSUES).find("Paper") == 21
    assert "Map issueType too" in refusal(picklist(*SUBISSUES), "Other")


def test_offline_what_is_not_known_passes() -> None:
    """The shipped catalog knows few values: a tenant's own label is no fault of the job."""
    for values in (picklist(is_live=False), picklist(*STATUS, is_live=False)):
        assert values.find("Our own status") == "Our own status"
        assert values.find("42") == 42
    assert picklist(*STATUS, is_live=False).find("complete") == 5


def test_a_tenant_without_values_takes_numbers_only() -> None:
    """A label cannot be right there."""
    assert picklist().find("42") == 42
    assert "has no values in this tenant" in refusal(picklist(), "New")


@pytest.mark.parametrize(
    ("kind", "result"),
    [(FieldType.STRING, "1"), (FieldType.BOOLEAN, True), (FieldType.LONG, 1), (FieldType.SHORT, 1)],
)
def test_the_value_has_the_type_of_its_field(kind: FieldType, result: object) -> None:
    """Lists in text fields and of user-defined fields hold the text."""
    found = picklist(value("1", "Paid"), kind=kind).find("Paid")
    assert found == result
    assert type(found) is type(result)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.text("aAbB1 ", min_size=1, max_size=3), st.booleans()), max_size=6
    ),
    st.text("aAbB1 ", max_size=3).filter(str.strip),
    st.booleans(),
)
def test_any_text_is_one_known_value_or_a_sentence(
    items: list[tuple[int, str, bool]], text: str, is_live: bool
) -> None:
    """What is found is an active value of that label or number, and asking again gives the same."""
    values = [value(str(n), label, is_active=active) for n, label, active in items]
    listed = picklist(*values, is_live=is_live)
    try:
        found = listed.find(text)
    except ValueError as error:
        assert str(error).startswith(("is ", "can be several"))
    else:
        assert listed.find(text) == found
        matching = [v for v in values if text.strip().casefold() in (v.label.strip().casefold(), v.value)]
        assert found in {int(v.value) for v in matching if v.is_active} or not matching


def test_known_texts_of_nothing() -> None:
    """An empty list is said to be empty."""
    assert known_texts("x", []) == "None is known"
