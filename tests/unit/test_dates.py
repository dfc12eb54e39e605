"""Text to date: the calendar date as written, or the instant in UTC; never a moment nobody meant."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.change import equal
from bulkops.mapping.dates import date_converter, zone_named
from bulkops.record import StoredText
from bulkops.schema import Field, FieldType

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


@pytest.mark.parametrize("text", ["2016/02/29", "20160229", "29/02/16", "29/02/2016 10:00", "soon", ""])
def test_a_date_in_another_format_is_refused(text: str) -> None:
    """The whole text must be as the format says, and the message says the format."""
    with pytest.raises(ValueError, match="is no date written as %d/%m/%Y"):
        day(text, "%d/%m/%Y")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2016-02-29", "2016-02-29T00:00:00Z"),
        (" 2016-02-29T01:16:00 ", "2016-02-29T01:16:00Z"),
        ("2016-02-29 01:16:00", "2016-02-29T01:16:00Z"),
    ],
)
def test_a_date_that_begins_with_its_year_is_read_beside_the_format(text: str, utc: str) -> None:
    """A sheet with real dates, and a result file that is fed back, make the plan that the CSV made."""
    for format in ("%d/%m/%Y", "%m/%d/%Y %H:%M"):
        assert moment(text, format) == moment(StoredText(text), format) == utc
    with pytest.raises(ValueError, match="is no date of the calendar"):
        moment("2016-02-30", "%d/%m/%Y")


def test_a_format_that_begins_with_the_year_says_what_follows() -> None:
    """Day or month is never guessed; a date that was stored as one needs no format."""
    assert moment("2016-05-06", "%Y-%d-%m") == "2016-06-05T00:00:00Z"
    with pytest.raises(ValueError, match="is no date written as %Y-%d-%m"):
        moment("2016-05-13", "%Y-%d-%m")
    assert moment(StoredText("2016-05-06"), "%Y-%d-%m") == "2016-05-06T00:00:00Z"
    assert moment(StoredText("2016-05-06T10:00:00"), "%Y-%m-%d") == "2016-05-06T10:00:00Z"


def test_a_stored_number_is_read_by_the_format() -> None:
    """A sheet may hold 20160229 as a number."""
    assert moment(StoredText("20160229"), "%Y%m%d") == "2016-02-29T00:00:00Z"


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


DAYS = st.dates() | st.sampled_from(
    [date(year, *day) for year in (1999, 2000, 2024) for day in ((1, 1), (2, 28), (12, 31))]
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(DAYS, st.times().map(lambda t: t.replace(microsecond=0)), OFFSETS, st.booleans())
def test_no_zone_moves_a_date_only_field_to_another_day(
    on: date, at: time, offset: timezone, is_written: bool
) -> None:
    """Whatever time and offset the text has: the day as written is sent, and equals what the server keeps."""
    text = datetime.combine(on, at, offset if is_written else None).isoformat()
    expected = f"{on.isoformat()}T00:00:00Z"
    assert (
        day(text)
        == day(on.isoformat())
        == day(on.strftime("%d/%m/") + f"{on.year:04}", "%d/%m/%Y")
        == expected
    )
    shape = Field(name="endDateTime", type=FieldType.DATETIME, is_date_only=True)
    assert equal(shape, expected, f"{on.isoformat()}T00:00:00.000Z")
    assert equal(shape, expected, text)
    other = on + timedelta(days=1) if on < date.max else on - timedelta(days=1)
    assert not equal(shape, expected, f"{other.isoformat()}T00:00:00.000Z")


ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 12, 31)), ZONES)  # noqa: DTZ001 - a wall clock's
def test_a_wall_clocks_time_is_one_moment_or_none_or_two(wall: datetime, zone: ZoneInfo) -> None:
    """In every zone there is: what is sent shows the same time on that wall, or the text says why not."""
    wall = wall.replace(microsecond=0)
    readings = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    shown = {instant for instant in readings if instant.astimezone(zone).replace(tzinfo=None) == wall}
    try:
        text = moment(wall.isoformat(), None, zone)
    except ValueError as error:
        assert len(shown) == (2 if "was twice" in str(error) else 0)
        assert zone.key in str(error)
    else:
        assert shown == {datetime.fromisoformat(str(text))}


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
