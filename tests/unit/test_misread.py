"""A delimiter that is not the file's: told by the columns that the job names, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.errors import SourceError
from bulkops.job import FileSource
from bulkops.sources import Source, open_source

NAMES = ("No", "Full name", "City")


def opened(path: Path, named: tuple[str, ...] = NAMES, **more: object) -> Source:
    spec = FileSource(file=path, display=path.name, **more)  # type: ignore[arg-type]
    return open_source(spec, named=named)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.mark.parametrize("given", [",", ";", "\t", "|"])
@pytest.mark.parametrize("written", [",", ";", "\t", "|", "^", "~", ":"])
def test_another_delimiter_is_named_and_the_right_one_is_not_questioned(
    file: Path, given: str, written: str
) -> None:
    """With quotes around the names and without."""
    for quote in ("", '"'):
        rows = [NAMES, ("1", "Ann", "Rome"), ("2", "Bo", "Oslo")]
        file.write_text("".join(written.join(f"{quote}{c}{quote}" for c in row) + "\n" for row in rows))
        if given == written:
            assert opened(file, delimiter=given).columns == NAMES
            continue
        with pytest.raises(SourceError) as caught:
            opened(file, delimiter=given)
        sign = "tab" if written == "\t" else f'"{written}"'
        assert "none of the 3 columns that the job names" in str(caught.value)
        assert f"Set `delimiter: {sign}` in the source" in str(caught.value)
        assert str(caught.value).startswith("t.csv: ")


def test_names_that_hold_the_other_sign_are_no_reason(file: Path) -> None:
    """What the job names is there: how else the header could be read does not matter."""
    file.write_text("No;x,Full name,City\n1,Ann,Rome\n")
    assert opened(file, ("Full name", "City", "No")).columns == ("No;x", "Full name", "City")
    file.write_text('"Last, first";City\n"Doe, Ann";Rome\n')
    assert opened(file, ("Last, first", "City"), delimiter=";").columns == ("Last, first", "City")


def test_a_name_that_is_merely_misspelt_is_no_matter_of_delimiters(file: Path) -> None:
    """Half of the columns are there, so the mapping says which one is not."""
    file.write_text("No,Full name,City\n1,Ann,Rome\n")
    assert opened(file, ("No", "Fullname", "Town", "City")).columns == NAMES


def test_without_a_header_the_number_of_cells_tells(file: Path) -> None:
    """The job says how many columns there are, and no row has as many."""
    file.write_text("1;Ann;Rome\n2;Bo;Oslo\n")
    with pytest.raises(
        SourceError, match="none of its first rows has the 3 cells that `columns` names; with `;`"
    ):
        opened(file, columns=NAMES, delimiter=",")
    assert opened(file, columns=NAMES, delimiter=";").columns == NAMES
    assert opened(file, columns=NAMES).columns == NAMES


def test_where_no_delimiter_fits_nothing_is_guessed(file: Path) -> None:
    """One column that is named and one that is not: it may be another file."""
    file.write_text("Something else\n1\n")
    assert opened(file).columns == ("Something else",)
