"""Dividing work: in turn, to the least loaded, by a map; always the same, and never to who cannot have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.recipes.division import (
    ByMap,
    Division,
    Following,
    InTurn,
    LeastLoaded,
    Load,
    Nobody,
    Piece,
)
from bulkops.recipes.people import Colleague, Person


def colleague(id: int) -> Colleague:
    person = Person(id=id, first="P", last=str(id), email="", user="", is_active=True, is_api=False)
    return Colleague(person=person)


A, B, C = map(colleague, (1, 2, 3))
ALL = (A, B, C)


def cannot(*people: Colleague) -> Callable[[Colleague], str]:
    return lambda one: f"{one.id} is on it already" if one in people else ""


def ids(given_: Sequence[Colleague | Nobody]) -> list[int | None]:
    return [one.id if isinstance(one, Colleague) else None for one in given_]


def test_in_turn_everybody_is_next_in_the_order_of_the_job() -> None:
    """Round robin: first, second, third, first again."""
    line = InTurn(ALL)
    assert ids([line.give(Piece()) for _ in range(7)]) == [1, 2, 3, 1, 2, 3, 1]


def test_who_cannot_have_a_piece_is_asked_first_for_the_next() -> None:
    """Nobody loses a turn because of one piece, so shares stay even."""
    line = InTurn(ALL)
    pieces = [Piece(hinders=cannot(A)), Piece(), Piece(), Piece()]
    assert ids([line.give(piece) for piece in pieces]) == [2, 1, 3, 2]


def test_what_nobody_can_have_says_why_of_each() -> None:
    """The reason names all who were asked."""
    for division in (InTurn((A, B)), LeastLoaded((A, B), {1: Load(), 2: Load()})):
        nobody = division.give(Piece(hinders=cannot(A, B)))
        assert isinstance(nobody, Nobody) and nobody.is_hindered
        assert nobody.reason == "1 is on it already; 2 is on it already"


@given(st.lists(st.lists(st.sampled_from([1, 2, 3]), max_size=2), max_size=60))
def test_turns_stay_even_whoever_cannot_have_what(hindered: list[list[int]]) -> None:
    """Where at most two of three cannot have a piece, everything is given, and only to who can have it."""
    line = InTurn(ALL)
    takers = []
    for wrong in hindered:
        piece = Piece(hinders=cannot(*(one for one in ALL if one.id in wrong)))
        taker = line.give(piece)
        assert isinstance(taker, Colleague) and taker.id not in wrong
        takers.append(taker.id)
    if not any(hindered):
        shares = Counter(takers)
        assert max(shares.values(), default=0) - min((shares[one.id] for one in ALL), default=0) <= 1


def test_the_least_loaded_is_who_has_the_fewest_hours_with_what_they_were_given() -> None:
    """Hours that somebody has already count, and so does every piece that was given before."""
    loads = {1: Load(hours=10), 2: Load(hours=4), 3: Load(hours=5)}
    division = LeastLoaded(ALL, loads)
    assert ids([division.give(Piece(hours=hours)) for hours in (3.0, 3.0, 3.0, 1.0)]) == [2, 3, 2, 3]
    assert [loads[one.id].hours for one in ALL] == [10, 10, 9]


def test_pieces_without_hours_do_not_all_go_to_one_person() -> None:
    """What nobody estimated counts for the usual piece: else the least loaded would get all of it."""
    division = LeastLoaded(ALL, {one.id: Load() for one in ALL}, 2.5)
    assert ids([division.give(Piece(hours=hours)) for hours in (None, 0.0, None, None)]) == [1, 2, 3, 1]


def test_where_hours_mean_nothing_pieces_are_counted() -> None:
    """Projects have no hours: whoever leads the fewest is next."""
    loads = {1: Load(count=2), 2: Load(count=0), 3: Load(count=1)}
    division = LeastLoaded(ALL, loads, counts_hours=False)
    assert ids([division.give(Piece()) for _ in range(4)]) == [2, 2, 3, 1]


@given(st.lists(st.floats(0.25, 40.0), max_size=80), st.lists(st.floats(0, 100), min_size=3, max_size=3))
def test_the_least_loaded_ends_no_further_ahead_than_one_piece(hours: list[float], now: list[float]) -> None:
    """Whoever was given anything has at most one piece more than anybody else."""
    loads = {one.id: Load(hours=has) for one, has in zip(ALL, now, strict=True)}
    division = LeastLoaded(ALL, loads)
    takers = [division.give(Piece(hours=piece)) for piece in hours]
    for id in {one.id for one in takers if isinstance(one, Colleague)}:
        assert loads[id].hours - min(load.hours for load in loads.values()) <= max(hours) + 1e-5


def test_a_map_gives_as_it_says_and_the_rest_to_the_default() -> None:
    """What no entry names goes to the default, and without one to nobody, with the value's name."""
    named = ByMap("companyID", {7: A, 8: B}, C)
    assert ids([named.give(Piece(value=value)) for value in (8, 7, 9, None)]) == [2, 1, 3, 3]
    bare = ByMap("companyID", {7: A}, None, {9: "Acme"})
    told = [bare.give(Piece(value=value)) for value in (9, None)]
    assert [one.reason for one in told if isinstance(one, Nobody)] == [
        "companyID is 9 (Acme), which `map` does not name, and there is no `default`",
        "companyID is empty, which `map` does not name, and there is no `default`",
    ]
    assert not any(isinstance(one, Nobody) and one.is_hindered for one in told)


def test_a_map_gives_nothing_to_somebody_else() -> None:
    """Whom the map names and who cannot have it is no reason to guess another."""
    nobody = ByMap("companyID", {7: A}, C).give(Piece(value=7, hinders=cannot(A)))
    assert isinstance(nobody, Nobody) and nobody.is_hindered and "1 is on it" in nobody.reason


def test_what_hangs_on_work_goes_with_it() -> None:
    """A service call goes to whoever gets its ticket; where that is nobody, it is divided like the rest."""
    division = Following(ALL, InTurn(ALL))
    pieces = [Piece(follows=3), Piece(), Piece(follows=99), Piece(follows=3, hinders=cannot(C))]
    assert ids([division.give(piece) for piece in pieces]) == [3, 1, 2, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: InTurn(ALL),
        lambda: LeastLoaded(ALL, {one.id: Load() for one in ALL}),
        lambda: ByMap("x", {0: A, 1: B, 2: C}),
    ],
)
def test_dividing_twice_gives_the_same(make: Callable[[], Division]) -> None:
    """The same pieces in the same order go to the same people."""
    pieces = [Piece(hours=float(n % 5), value=n % 3) for n in range(50)]
    first, second = make(), make()
    assert ids([first.give(piece) for piece in pieces]) == ids([second.give(piece) for piece in pieces])
