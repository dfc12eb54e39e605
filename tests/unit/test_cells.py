"""Cells of result files: no spreadsheet runs them, and they come back to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.cells import GUARDED, RESULT_COLUMNS, escape_cell, is_result_file, unescape_cell

TRICKY = st.text(alphabet="'=+-@\t\rab1 ", max_size=6)


@given(TRICKY | st.text())
def test_every_cell_comes_back_to_the_letter(text: str) -> None:
    """Reading undoes writing, whatever the cell holds."""
    assert unescape_cell(escape_cell(text)) == text


@given(TRICKY | st.text())
def test_no_written_cell_starts_like_a_formula(text: str) -> None:
    """What a spreadsheet would run never stands first in a written cell."""
    assert not escape_cell(text).startswith(tuple(sign for sign in GUARDED if sign != "'"))


@pytest.mark.parametrize("text", ["=1+1", "+49 30 1", "-5", "@name", "\tx", "\rx", "'tis"])
def test_guarded_cells_get_one_apostrophe(text: str) -> None:
    """Exactly one sign is put before them, as the contract says."""
    assert escape_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["'s-Hertogenbosch", "'", "'0123"])
def test_an_apostrophe_somebody_typed_stays(text: str) -> None:
    """An apostrophe that guards nothing belongs to the text: people correct cells by hand."""
    assert unescape_cell(text) == text


def test_a_result_file_is_known_by_any_of_its_columns() -> None:
    """It is still one after somebody deleted most of bulkops' columns."""
    assert is_result_file(("Name", "bulkops_reason"))
    assert is_result_file(RESULT_COLUMNS)
    assert not is_result_file(("Name", "bulkops"))
