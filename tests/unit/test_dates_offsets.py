"""Times that tell no offset: the way out that a message names works, and what was assumed is noted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.mapping.dates import date_converter

FORMATS = [None, "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M", "%Y-%d-%m %H:%M", "%Y%m%d%H%M", "%m/%d/%y %H:%M"]
BACK: dict[
    str, tuple[datetime, timedelta]
] = {  # when the clocks were put back: the first moment that came again, and by how much
    "Europe/Madrid": (datetime(2026, 10, 25, 2), timedelta(hours=1)),  # noqa: DTZ001 - by the wall clock
    "America/New_York": (datetime(2025, 11, 2, 1), timedelta(hours=1)),  # noqa: DTZ001
    "Australia/Lord_Howe": (datetime(2026, 4, 5, 1, 30), timedelta(minutes=30)),  # noqa: DTZ001
}
SUGGESTED = re.compile(r"such as (\S+) or (\S+)$")


def moment(sent: object) -> datetime:
    """What the API would understand."""
    return datetime.fromisoformat(str(sent).replace("Z", "+00:00"))


@given(
    zone=st.sampled_from(list(BACK)),
    format=st.sampled_from(FORMATS),
    minute=st.integers(0, 29),
)
def test_the_way_out_of_an_ambiguous_hour_works(zone: str, format: str | None, minute: int) -> None:
    """Both texts that the message names are read, beside any format, as the two moments that were meant."""
    back, apart = BACK[zone]
    wall = back + timedelta(minutes=minute)
    convert = date_converter(is_date_only=False, format=format, zone=ZoneInfo(zone))
    with pytest.raises(ValueError, match=f"was twice in {zone}") as caught:
        convert(wall.strftime(format) if format else wall.isoformat())
    suggested = SUGGESTED.search(str(caught.value))
    assert suggested is not None
    first, second = (moment(convert(text)) for text in suggested.groups())
    assert second - first == apart
    assert {m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for m in (first, second)} == {wall}


@pytest.mark.parametrize(
    "text", ["2026-10-25T02:30:00Z", "2026-10-25T02:30+0200", "2026-10-25T02:30:00.5-03:30"]
)
def test_a_moment_of_iso_with_its_offset_is_read_beside_every_format(text: str) -> None:
    """Whoever follows the message may write it in any of ISO's ways."""
    expected = datetime.fromisoformat(text).astimezone(UTC)
    for format in FORMATS:
        convert = date_converter(is_date_only=False, format=format, zone=ZoneInfo("Europe/Madrid"))
        assert moment(convert(text)) == expected


def test_a_format_with_an_offset_of_its_own_is_never_ambiguous() -> None:
    """`%z` reads it where the old tool wrote one."""
    convert = date_converter(is_date_only=False, format="%d/%m/%Y %H:%M %z", zone=ZoneInfo("Europe/Madrid"))
    assert convert("25/10/2026 02:30 +0200") == "2026-10-25T00:30:00Z"
    assert convert("25/10/2026 02:30 +0100") == "2026-10-25T01:30:00Z"


def test_without_offset_a_year_first_text_is_read_by_its_own_format_only() -> None:
    """2026-03-04 with `%Y-%d-%m` is the third of April, and stays so."""
    convert = date_converter(is_date_only=False, format="%Y-%d-%m %H:%M", zone=None)
    assert convert("2026-03-04 10:00") == "2026-04-03T10:00:00Z"
    with pytest.raises(ValueError, match="is no date written as"):
        convert("2026-03-14T10:00")


@pytest.mark.parametrize(
    ("text", "zone", "is_date_only", "noted"),
    [
        ("2026-03-01T10:00", None, False, True),
        ("2026-03-01", None, False, True),
        ("2026-03-01T10:00Z", None, False, False),
        ("2026-03-01T10:00", "Europe/Madrid", False, False),
        ("2026-03-01T10:00", None, True, False),
    ],
)
def test_a_time_that_is_read_as_utc_for_want_of_a_word_is_noted(
    text: str, zone: str | None, is_date_only: bool, noted: bool
) -> None:
    """The first one only, and not where the text, the job or the field says what is meant."""
    as_utc: list[str] = []
    convert = date_converter(
        is_date_only=is_date_only, format=None, zone=ZoneInfo(zone) if zone else None, as_utc=as_utc
    )
    for _ in range(2):
        convert(f" {text} ")
    convert("2027-01-01T00:00:00Z")
    assert as_utc == ([text] if noted else [])
