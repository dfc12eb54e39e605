"""The fault script: which request goes wrong, and what is said about a script that cannot be understood."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.simulator.faults import Call, Do, FaultError, FaultScript, read_faults


def script(*faults: dict[str, Any], seed: int = 1) -> FaultScript:
    made = FaultScript(seed)
    made.install(read_faults({"faults": list(faults)}))
    return made


def struck(made: FaultScript, count: int, entity: str = "Tasks") -> list[int]:
    """Which of `count` creates go wrong, from 1."""
    return [n for n in range(1, count + 1) if made.choose("POST", entity, Call.CREATE)]


def test_nth_counts_from_one_and_from_its_installing() -> None:
    """Promises exactly the requests named, again after the same script was installed once more."""
    fault = {"method": "POST", "entity": "Tasks", "when": {"nth": [3, 7]}, "do": "drop"}
    made = script(fault)
    assert struck(made, 10) == [3, 7]
    made.install(read_faults([fault]))
    assert struck(made, 4) == [3]


def test_every_strikes_at_each_multiple() -> None:
    """Promises the 10th, 20th, 30th request."""
    assert struck(script({"entity": "tasks", "when": {"every": 10}, "do": "drop"}), 35) == [10, 20, 30]


def test_only_requests_that_fit_are_counted() -> None:
    """Promises that other entities and other calls do not move the count."""
    made = script({"method": "POST", "entity": "Tasks", "when": {"nth": [2]}, "do": "drop"})
    assert made.choose("POST", "Tasks", Call.CREATE) is None
    assert made.choose("POST", "Tasks", Call.QUERY) is None
    assert made.choose("POST", "Tickets", Call.CREATE) is None
    assert made.choose("POST", "Tasks", Call.CREATE) is not None


def test_the_first_fault_that_holds_wins_and_all_that_fit_count() -> None:
    """Promises order of the script, and counts that do not depend on who won."""
    made = script(
        {"entity": "Tasks", "when": {"nth": [2]}, "do": "drop"},
        {"entity": "Tasks", "when": {"every": 2}, "do": "garbage"},
    )
    chosen = [made.choose("POST", "Tasks", Call.CREATE) for _ in range(4)]
    assert [fault.do if fault else None for fault in chosen] == [None, Do.DROP, None, Do.GARBAGE]


@pytest.mark.parametrize(
    ("method", "call"), [("POST", Call.CREATE), ("PATCH", Call.UPDATE), ("DELETE", Call.DELETE)]
)
def test_a_verb_alone_means_its_write(method: str, call: Call) -> None:
    """Promises create for POST and update for PATCH where the script names no call."""
    assert read_faults([{"method": method, "do": "drop"}])[0].call is call


def test_a_fault_without_when_always_strikes() -> None:
    """Promises that no condition is no condition."""
    assert struck(script({"do": "drop"}), 3) == [1, 2, 3]


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_chances_are_always_the_same_for_the_same_seed(seed: int, chance: float) -> None:
    """Promises that a run with chances can be repeated from its seed."""
    fault = {"when": {"chance": chance}, "do": "drop"}
    assert struck(script(fault, seed=seed), 50) == struck(script(fault, seed=seed), 50)


def test_a_chance_is_met_about_as_often_as_it_says() -> None:
    """Promises that 0.2 strikes about every fifth time."""
    assert 120 < len(struck(script({"when": {"chance": 0.2}, "do": "drop"}), 1000)) < 280


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ({"do": "explode"}, "faults[0].do"),
        ({"do": "drop", "entity": "Taskz"}, "did you mean Tasks?"),
        ({"do": "drop", "call": "creates"}, "faults[0].call"),
        ({"do": "drop", "wen": {"nth": [1]}}, "did you mean when?"),
        ({"do": "drop", "when": {"nth": [0]}}, "faults[0].when.nth"),
        ({"do": "drop", "when": {"chance": 2}}, "faults[0].when.chance"),
        ({"do": "drop", "when": {"nth": [1], "every": 2}}, "faults[0].when"),
        ({"do": "status"}, "'code'"),
        ({"do": "late_commit"}, "'ms'"),
        ({"do": "edit", "entity": "Tasks", "fields": {"titel": "x"}}, "did you mean title?"),
    ],
)
def test_a_wrong_script_is_refused_with_its_place(fault: dict[str, Any], place: str) -> None:
    """Promises a sentence that names the fault and what is wrong with it."""
    with pytest.raises(FaultError) as caught:
        read_faults({"faults": [fault]})
    assert place in str(caught.value)
