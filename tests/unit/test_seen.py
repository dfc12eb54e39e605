"""Keys a step has seen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.planner.seen import First, SeenKeys


def test_the_second_row_with_a_key_learns_of_the_first() -> None:
    """The first row keeps the key, whoever comes later is told its number and line."""
    with SeenKeys() as seen:
        assert seen.first(("a", 1), 1, 2) is None
        assert seen.first(("a", 2), 2, 3) is None
        assert seen.first(("a", 1), 3, 4) == First(n=1, line=2)
        assert seen.first(("a", 1), 4, None) == First(n=1, line=2)


def test_a_row_without_a_line_is_known_by_its_number() -> None:
    """Sources without lines still name the first row."""
    with SeenKeys() as seen:
        assert seen.first(("k",), 7, None) is None
        assert seen.first(("k",), 8, None) == First(n=7, line=None)


def test_half_a_character_in_a_key_breaks_nothing() -> None:
    """A lone surrogate is a key like any other."""
    with SeenKeys() as seen:
        assert seen.first(("\ud800",), 1, None) is None
        assert seen.first(("\ud800",), 2, None) == First(n=1, line=None)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.one_of(st.text(max_size=3), st.integers(0, 3)), st.text(max_size=2))))
def test_exactly_the_keys_that_came_before_are_seen(keys: list[tuple[str | int, str]]) -> None:
    """No key is mistaken for another one, and none is forgotten."""
    firsts: dict[tuple[str | int, str], int] = {}
    with SeenKeys() as seen:
        for n, key in enumerate(keys, start=1):
            found = seen.first(key, n, None)
            assert (found.n if found else n) == firsts.setdefault(key, n)
