"""Typed cells as text: the shortest form that loses nothing."""

# ruff: noqa: DTZ001 - cells have no zone

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkops.record import is_absent
from bulkops.sources.texts import cell_text

CASES: list[tuple[Any, str]] = [
    (1.0, "1"),
    (1.1, "1.1"),
    (0.1 + 0.2, "0.30000000000000004"),
    (-0.0, "0"),
    (12345678901234567890.0, "12345678901234567000"),
    (1e-7, "0.0000001"),
    (2**64, "18446744073709551616"),
    (True, "true"),
    (False, "false"),
    (None, ""),
    (float("nan"), ""),
    (Decimal("NaN"), ""),
    (Decimal("1.10"), "1.1"),
    (Decimal("100"), "100"),
    (Decimal("-0.00"), "0"),
    (date(2016, 2, 29), "2016-02-29"),
    (datetime(2016, 2, 29), "2016-02-29"),
    (datetime(2016, 2, 29, 1, 16), "2016-02-29T01:16:00"),
    (datetime(2016, 2, 29, 1, 16, 0, 500_000), "2016-02-29T01:16:00.500"),
    (datetime(2016, 2, 29, 0, 0, 0, 1), "2016-02-29T00:00:00.000001"),
    (datetime(2016, 2, 29, tzinfo=UTC), "2016-02-29T00:00:00+00:00"),
    (time(8, 30), "08:30:00"),
    (time(0, 1, 26, 400_000), "00:01:26.400"),
    (timedelta(days=1, hours=2, minutes=30), "26:30:00"),
    (timedelta(seconds=-90, milliseconds=-5), "-00:01:30.005"),
    (b"caf\xc3\xa9", "café"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ([1, "é", None, date(2016, 2, 29)], '[1,"é",null,"2016-02-29"]'),
    ({"a": [1.5]}, '{"a":[1.5]}'),
]


@pytest.mark.parametrize(("value", "text"), CASES)
def test_every_type_has_one_shortest_form(value: Any, text: str) -> None:
    """Numbers without needless digits or exponents, dates without a needless time, the rest to the letter."""
    assert cell_text(value) == text
    assert not is_absent(cell_text(value))  # whatever stands in a cell, the cell is there


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("inf"), "holds an infinite number"),
        (Decimal("-Infinity"), "holds an infinite number"),
        pytest.param(10**5000, "holds a number with thousands of digits", id="a long number"),
        (b"\xff", "holds bytes that are no UTF-8 text"),
        (1j, "holds a complex, which is no text, number or date"),
        ([1j], "holds a nested value that JSON cannot tell"),
        ([float("nan")], "holds a nested value that JSON cannot tell"),
    ],
)
def test_what_has_no_text_is_told(value: Any, said: str) -> None:
    """Nothing is guessed: the sentence says what stands there."""
    with pytest.raises(ValueError, match=f"^{said}$"):
        cell_text(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(1.7976931348623157e308)
@example(2.0**53)
def test_a_number_reads_back_as_itself_and_has_no_exponent(value: float) -> None:
    """The text means exactly the stored number, and no shorter one would."""
    text = cell_text(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")
    digits = text.replace("-", "").replace(".", "").strip("0")
    assert len(digits) <= len(repr(value).partition("e")[0].replace("-", "").replace(".", "").strip("0"))
    assert not (("." in text) and text.endswith(("0", ".")))


@given(st.datetimes())
def test_a_date_with_time_reads_back_as_itself(value: datetime) -> None:
    """Midnight as a date, any other moment with its time."""
    text = cell_text(value)
    assert datetime.fromisoformat(text) == value
    assert ("T" in text) == (value.time() != time())
