"""Instants on the wire: RFC 3339 in, one canonical form out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from hookline.errors import Invalid

_RFC3339: Final = re.compile(
    # Hour 24 and minute 60 are kept out here, since Python takes them: the one from 3.14 on, the other in offsets.
    r"(\d{4}-\d{2}-\d{2})[Tt ]((?!24)\d{2}:\d{2}:\d{2})(?:\.(\d+))?(?P<offset>[Zz]|[+-]\d{2}:[0-5]\d)?",
    re.ASCII,
)
#: One day is added to instants here and there (24 h after the end of a meeting), so the last year is left out.
_LAST_YEAR: Final = 9998
_LAST_INSTANT: Final = datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)


def parse_instant(text: str, field: str) -> datetime:
    """Read an RFC 3339 date-time with an offset; the answer is UTC, cut to microseconds.

    Raises:
        Invalid: not of that form, no such date, or no offset (then nobody can know which instant is meant).
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Invalid.field(field, f"expected an RFC 3339 time such as 2025-06-10T07:09:01.696Z, got {text[:40]!r}.")
    day, time, fraction, offset = match.groups()
    if offset is None:
        raise Invalid.field(field, f"expected an offset such as Z or +02:00 at the end, got {text[:40]!r}.")
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        instant = datetime.fromisoformat(f"{day}T{time}.{micros}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid.field(field, f"there is no such time as {text[:40]!r}.") from None
    if instant.year > _LAST_YEAR:
        raise Invalid.field(field, f"expected a year up to {_LAST_YEAR}, got {text[:40]!r}.", code="out_of_range")
    return instant


def later(instant: datetime, by: timedelta, field: str) -> datetime:
    """The instant that is `by` later.

    Raises:
        Invalid: that is in a year which `parse_instant` refuses.
    """
    if instant > _LAST_INSTANT - by:
        raise Invalid.field(field, f"would be after the year {_LAST_YEAR}.", code="out_of_range")
    return instant + by


def to_wire_precision(instant: datetime) -> datetime:
    """The instant as payloads carry it: cut to whole milliseconds, as `wire_form` does."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def spoken(instant: datetime, *, timespec: str = "minutes") -> str:
    """`2025-06-10 07:09 UTC`: for sentences that people read; finer by `timespec`, as `isoformat` has it."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec) + " UTC"


def wire_form(instant: datetime) -> str:
    """`2025-06-10T07:09:01.696Z`: UTC, exactly three decimals (cut, not rounded), `Z`."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
