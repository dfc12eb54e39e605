"""Text to date: calendar dates for date-only fields, instants in UTC for the others. Pure.

The API stores and returns UTC, takes ISO text, and keeps the calendar date of date-only fields
without converting it (the help's pages on REST calls and on Projects).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from bulkops.mapping.values import Convert
from bulkops.record import StoredText

_YEAR_FIRST = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}(\s*$|[T ])").match
_WITH_OFFSET = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]+(Z|[+-][0-9]{2}(:?[0-9]{2}){0,2})").fullmatch
_CACHE = 4096  # dates repeat, and strptime is the slowest thing a row can ask for


def date_converter(
    *, is_date_only: bool, format: str | None, zone: ZoneInfo | None, as_utc: list[str] | None = None
) -> Convert:
    """The converter of a date field.

    `format` is strptime's; without it the text must be ISO 8601. A date that begins with its year is read
    as ISO beside any format that does not, as sheets and result files hold it, and a moment of ISO with its
    offset beside every format. `zone` is where the text was written (UTC if None); an offset in the text
    itself wins over it. A date-only field gets the calendar date as written, `2016-02-29T00:00:00Z`; any
    other the instant, `2016-02-29T01:16:00Z`. `as_utc` gets the first text that was read as UTC because
    nothing says where it was written.
    """
    parse = _iso if format is None else _by_format(format)

    @lru_cache(_CACHE, typed=True)
    def convert(text: str) -> str:
        is_ours = isinstance(text, StoredText) and _YEAR_FIRST(text) is not None
        moment = (_iso if is_ours else parse)(text.strip())
        if is_date_only:
            return f"{moment.date().isoformat()}T00:00:00Z"
        if moment.tzinfo is None and zone is None and as_utc == []:
            as_utc.append(text.strip())
        return _utc_text(moment, zone)

    return convert


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name. Raises ValueError where this machine knows none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone known here. Names look like Europe/Madrid") from None


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        if "range" in str(error) or "must be in" in str(error):
            raise ValueError("is no date of the calendar") from None
        raise ValueError(
            "is no ISO 8601 date (2026-01-31 or 2026-01-31T08:00:00Z). "
            "Give its format, such as date: '%d/%m/%Y'"
        ) from None


def _by_format(format: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        try:
            return datetime.strptime(text, format)  # noqa: DTZ007 - the zone is put on below
        except ValueError as error:
            if _WITH_OFFSET(text) or (_YEAR_FIRST(text) and not format.lstrip().startswith("%Y")):
                return _iso(text)
            if "does not match" in str(error) or "unconverted data" in str(error):
                raise ValueError(f"is no date written as {format}") from None
            raise ValueError("is no date of the calendar") from None

    return parse


def _utc_text(moment: datetime, zone: ZoneInfo | None) -> str:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if zone is None else _placed(moment, zone)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the years that can be told in UTC") from None
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _placed(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in its zone. Raises ValueError where the clocks there showed it twice, or never."""
    first, second = moment.replace(tzinfo=zone), moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"never was in {zone.key}: the clocks were put forward over it")
    raise ValueError(
        f"was twice in {zone.key}: the clocks were put back. Write it with its offset, such as "
        f"{first.isoformat()} or {second.isoformat()}"
    )
