"""Text to date: the calendar date as written, or the instant in UTC; never a moment nobody meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.mapping.dates import date_converter, zone_named

MADRID = ZoneInfo("Europe/Madrid")
NEW_YORK = ZoneInfo("America/New_York")


def day(text: str, format: str | None = None) -> object:
    return date_converter(is_date_only=True, format=format, zone=None)(text)


def moment(text: str, format: str | None = None, zone: ZoneInfo | None = None) -> object:
    return date_converter(is_date_only=False, format=format, zone=zone)(text)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("29/02/2016", "%d/%m/%Y"),
        ("2016-02-29", None),
        ("2016-02-29T23:30:00-08:00", None),
        ("2016-02-29 00:15", None),
        (" 29-02-2016 01:16 ", "%d-%m-%Y %H:%M"),
    ],
)
def test_a_date_only_field_keeps_the_calendar_date_as_written(text: str, format: str | None) -> None:
    """No zone moves it to another day, and a time in the text is left out."""
    assert day(text, format) == "2016-02-29T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "format", "zone", "utc"),
    [
        ("29-02-2016 01:16", "%d-%m-%Y %H:%M", None, "2016-02-29T01:16:00Z"),
        ("29-02-2016 01:16", "%d-%m-%Y %H:%M", MADRID, "2016-02-29T00:16:00Z"),
        ("2016-07-01 00:30", None, MADRID, "2016-06-30T22:30:00Z"),
        ("2016-02-29", None, NEW_YORK, "2016-02-29T05:00:00Z"),
        ("2016-02-29T01:16:00Z", None, MADRID, "2016-02-29T01:16:00Z"),
        ("2016-02-29T01:16:00+02:00", None, MADRID, "2016-02-28T23:16:00Z"),
        ("29/02/2016 01:16 +0530", "%d/%m/%Y %H:%M %z", MADRID, "2016-02-28T19:46:00Z"),
        ("2016-02-29T01:16:00.1239", None, None, "2016-02-29T01:16:00.123Z"),
        ("0099-01-01", None, None, "0099-01-01T00:00:00Z"),
    ],
)
def test_other_fields_get_the_instant_in_utc(
    text: str, format: str | None, zone: ZoneInfo | None, utc: str
) -> None:
    """The text's own offset wins over the zone of the job, and UTC stands where neither is given."""
    assert moment(text, format, zone) == utc


@pytest.mark.parametrize(
    ("text", "format"), [("30/02/2016", "%d/%m/%Y"), ("2015-02-29", None), ("2016-13-01", None)]
)
def test_a_day_that_never_was_is_refused(text: str, format: str | None) -> None:
    """In no calendar."""
    for read in (day, moment):
        with pytest.raises(ValueError, match="is no date of the calendar"):
            read(text, format)


@pytest.mark.parametrize("text", ["2016-02-29", "29/02/16", "29/02/2016 10:00", "soon", ""])
def test_a_date_in_another_format_is_refused(text: str) -> None:
    """The whole text must be as the format says, and the message says the format."""
    with pytest.raises(ValueError, match="is no date written as %d/%m/%Y"):
        day(text, "%d/%m/%Y")


@pytest.mark.parametrize("text", ["29/02/2016", "1456707360", "February", "2016"])
def test_without_a_format_only_iso_is_read(text: str) -> None:
    """Day and month are never guessed; the message says how to give a format."""
    with pytest.raises(ValueError, match=r"is no ISO 8601 date .*date: '%d/%m/%Y'"):
        moment(text)


def test_a_time_that_was_twice_is_refused_with_both_readings() -> None:
    """In the hour when clocks go back, only an offset says which is meant."""
    with pytest.raises(ValueError, match=r"was twice in Europe/Madrid") as caught:
        moment("2023-10-29 02:30", None, MADRID)
    assert "2023-10-29T02:30:00+02:00 or 2023-10-29T02:30:00+01:00" in str(caught.value)
    assert moment("2023-10-29T02:30:00+01:00", None, MADRID) == "2023-10-29T01:30:00Z"


def test_a_time_that_never_was_is_refused() -> None:
    """In the hour that clocks skip."""
    with pytest.raises(ValueError, match="never was in Europe/Madrid"):
        moment("2023-03-26 02:30", None, MADRID)
    assert day("2023-03-26 02:30") == "2023-03-26T00:00:00Z"


@given(
    st.integers(-600_000_000, 3_700_000_000).map(
        lambda s: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
    ),
    st.sampled_from([MADRID, NEW_YORK, ZoneInfo("Australia/Lord_Howe")]),
)
def test_every_instant_survives_being_written_where_it_was(instant: datetime, zone: ZoneInfo) -> None:
    """Local text is read back to its own instant, or refused because it was twice."""
    local = instant.astimezone(zone).replace(tzinfo=None)
    try:
        text = moment(local.isoformat(), None, zone)
    except ValueError as error:
        assert "was twice" in str(error)
        hour = timedelta(hours=1, minutes=1)
        offsets = {(instant + shift).astimezone(zone).utcoffset() for shift in (-hour, hour)}
        assert len(offsets) == 2
    else:
        assert text == instant.replace(tzinfo=None).isoformat() + "Z"


EDGES = ["0001-01-01", "9999-12-31T23:59:59", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"]


FORMATS = [None, "%d/%m/%Y", "%Y-%m-%dT%H:%M:%S", "%y%m%d%z"]


@given(
    st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT?\d*:?\d*") | st.sampled_from(EDGES),
    st.booleans(),
    st.sampled_from(FORMATS),
    st.sampled_from([None, MADRID, NEW_YORK]),
)
def test_any_text_is_a_date_or_a_sentence(
    text: str, is_date_only: bool, format: str | None, zone: ZoneInfo | None
) -> None:
    """Reading never fails in another way, also at the ends of time."""
    try:
        value = date_converter(is_date_only=is_date_only, format=format, zone=zone)(text)
    except ValueError as error:
        assert str(error).split()[0] in ("is", "was", "never")
    else:
        assert isinstance(value, str)
        assert datetime.fromisoformat(value).tzinfo is not None


def test_an_unknown_zone_is_refused() -> None:
    """Paths and empty names included."""
    for name in ("Europe/Madird", "", "../etc/passwd", "/etc/passwd"):
        with pytest.raises(ValueError, match="is no time zone known here"):
            zone_named(name)
