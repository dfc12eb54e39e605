"""Many sentences as few."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.grouping import GROUPS, MOST_GROUPS, ONE_BY_ONE, PLACES, Grouped, pattern
from bulkops.record import RowError


def lines(*told: tuple[str, str]) -> list[str]:
    grouped = Grouped()
    for place, text in told:
        grouped.add(place, text)
    return list(grouped.lines())


def error(value: str, message: str, column: str = "Zip") -> str:
    return str(RowError(message=message, column=column, value=value))


def test_few_are_told_one_by_one_in_their_order() -> None:
    """Nobody needs groups to read a page."""
    told = [(f"a.csv:{n}", f"has {n} cells") for n in range(ONE_BY_ONE)]
    assert lines(*told) == [f"{place}: {text}" for place, text in told]


def test_many_are_told_by_kind_with_their_first_places() -> None:
    """What differs is left out of the sentence and shown beside the place; outliers stay as they are."""
    told = [(f"a.csv:{n}", error(f"SE-{n}", f"has {n} characters, the field takes 10")) for n in range(100)]
    told += [(f"a.csv:{n}", error(f"it's {n}", "is no number", "Col 2")) for n in range(5)]
    told.insert(7, ("a.csv:8", "line 8 has 3 cells, the header has 2: is it cut off?"))
    assert lines(*told) == [
        "100 times: column Zip …: has … characters, the field takes 10",
        "    a.csv:0 'SE-0'; a.csv:1 'SE-1'; a.csv:2 'SE-2'; and 97 more",
        "5 times: column Col 2 …: is no number",
        '    a.csv:0 "it\'s 0"; a.csv:1 "it\'s 1"; a.csv:2 "it\'s 2"; and 2 more',
        "a.csv:8: line 8 has 3 cells, the header has 2: is it cut off?",
    ]


def test_columns_whose_names_hold_numbers_are_told_apart() -> None:
    """Address 1 and Address 2 are two things to correct."""
    assert pattern(error("x", "is empty", "Address 1")) != pattern(error("x", "is empty", "Address 2"))
    assert pattern(error("12", "is empty")) == pattern(error("a \"b\" 'c'", "is empty"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["is no date", "has 7 of 9", "", "no 'x' here"]),
            st.text(max_size=12),
            st.sampled_from(["A", "B 2", "it's"]),
        ),
        max_size=200,
    )
)
def test_the_counts_always_add_up(told: list[tuple[str, str, str]]) -> None:
    """Whatever the cells hold: every sentence is in one group, and all of them are told."""
    grouped = Grouped()
    for n, (message, value, column) in enumerate(told):
        grouped.add(f"f:{n}", error(value, message, column))
    if not grouped.is_shortened:
        assert len(list(grouped.lines())) == len(told)
        return
    found = list(grouped.lines())
    times = sum(int(line.split()[0]) for line in found if " times: " in line[:12])
    single = sum(line.startswith("f:") for line in found)
    assert times + single == len(told) == grouped.total


def test_kinds_without_end_are_counted() -> None:
    """Memory and output stay bounded, and what is left out has its number."""
    words = [f"{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}{chr(97 + n // 676)} is wrong" for n in range(1200)]
    found = lines(*((f"a:{n}", word) for n, word in enumerate(words)))
    assert len(set(words)) == 1200 > MOST_GROUPS
    assert len(found) == GROUPS + 1
    assert found[-1] == f"… and {1200 - GROUPS:,} others, of {MOST_GROUPS - GROUPS:,} more kinds"


def test_a_small_group_among_many_is_told_sentence_by_sentence() -> None:
    """Up to as many places as are shown anyway."""
    told = [("a:1", f"has {n} cells") for n in range(50)] + [("b:1", f"is {n} apart") for n in range(PLACES)]
    assert lines(*told)[2:] == [f"b:1: is {n} apart" for n in range(PLACES)]
