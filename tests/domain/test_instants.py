"""Instants on the wire: what is read, what is refused, and the one form in which they are written."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.instants import parse_instant, wire_form
from hookline.errors import Invalid

PAGE = "2025-06-10T07:09:01.696Z"
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    datetime(1, 1, 2, tzinfo=UTC).replace(tzinfo=None),
    datetime(9998, 12, 30, tzinfo=UTC).replace(tzinfo=None),
    timezones=offsets,
)


def test_the_page_s_own_time_reads_and_writes_unchanged() -> None:
    assert parse_instant(PAGE, "at") == datetime(2025, 6, 10, 7, 9, 1, 696_000, tzinfo=UTC)
    assert wire_form(parse_instant(PAGE, "at")) == PAGE


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-10T09:09:01.696+02:00",
        "2025-06-09T19:09:01.696-12:00",
        "2025-06-10t07:09:01.696z",
        "2025-06-10 07:09:01.696Z",
        "2025-06-10T07:09:01.696000000Z",
        "2025-06-10T07:09:01.6969Z",
        "2025-06-10T07:09:01.696-00:00",
        "2025-06-10T12:54:01.696+05:45",
    ],
)
def test_every_spelling_of_an_instant_is_written_in_one_form(text: str) -> None:
    assert wire_form(parse_instant(text, "at")) == PAGE


@given(instants)
def test_any_instant_in_any_offset_reads_back_to_the_microsecond(instant: datetime) -> None:
    read = parse_instant(instant.isoformat(timespec="microseconds"), "at")
    assert read == instant
    assert read.tzinfo is UTC


@given(instants)
def test_the_wire_form_has_three_decimals_and_z_and_is_cut_not_rounded(instant: datetime) -> None:
    text = wire_form(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text, re.ASCII)
    assert timedelta(0) <= instant - parse_instant(text, "at") < timedelta(milliseconds=1)


@given(instants, instants)
def test_written_instants_sort_as_they_follow_each_other(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])
    assert wire_form(earlier) <= wire_form(later)


@given(instants)
def test_writing_and_reading_again_changes_nothing_more(instant: datetime) -> None:
    assert wire_form(parse_instant(wire_form(instant), "at")) == wire_form(instant)


@pytest.mark.parametrize("digits", ["1", "12", "123", "123456", "1234567", "1" * 1000])
def test_a_fraction_of_any_length_is_cut_to_microseconds(digits: str) -> None:
    assert parse_instant(f"2025-06-10T07:09:01.{digits}Z", "at").microsecond == int(digits[:6].ljust(6, "0"))


@pytest.mark.parametrize("text", ["2025-06-10T07:09:01", "2025-06-10T07:09:01.696", "2025-06-10 07:09:01"])
def test_a_time_without_an_offset_is_refused_since_nobody_knows_which_is_meant(text: str) -> None:
    with pytest.raises(Invalid, match="expected an offset"):
        parse_instant(text, "at")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "2025-06-10", "07:09:01Z", "2025-06-10T07:09Z", "2025-06-10T07Z", "20250610T070901Z",
        "2025-161T07:09:01Z", "2025-W24-2T07:09:01Z", "2025-06-10T07:09:01,696Z", "2025-06-10T07:09:01.Z",
        "2025-06-10T07:09:01+0200", "2025-06-10T07:09:01+02", "2025-06-10T07:09:01+02:00:00", "2025-06-10T07:09:01 Z",
        "2025-06-10T07:09:01Z ", " 2025-06-10T07:09:01Z", "2025-06-10T07:09:01Z\n", "2025-06-10T07:09:01UTC",
        "+2025-06-10T07:09:01Z", "-2025-06-10T07:09:01Z", "12025-06-10T07:09:01Z", "２０２５-06-10T07:09:01Z",
        "2025-06-10T24:00:00Z", "2025-06-10T07:09:01+02:60", "2025-06-10T07:09:01-00:99", "1749539341",
        "2025-06-10T07:09:01.696Z2025-06-10T07:09:01.696Z", "x" * 100_000,
    ],
)  # fmt: skip
def test_another_form_than_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="expected an RFC 3339 time"):
        parse_instant(text, "at")


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-06-31T00:00:00Z",
        "2025-06-10T25:00:00Z",
        "2025-06-10T07:60:00Z",
        "2025-06-10T07:09:61Z",
        "0000-01-01T00:00:00Z",
        "2025-06-10T07:09:01+24:00",
        "2025-06-10T07:09:01-99:59",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2016-12-31T23:59:60Z",  # a leap second, which no clock of ours can show
    ],
)
def test_a_time_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"there is no such time|year up to"):
        parse_instant(text, "at")


@given(st.text())
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    with pytest.raises(Invalid):
        parse_instant(text, "at")


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"))
def test_whatever_has_the_form_is_read_or_refused_and_one_day_can_be_added(text: str) -> None:
    try:
        instant = parse_instant(text, "at")
    except Invalid:
        return
    assert (instant + timedelta(days=1)).tzinfo is UTC


def test_a_refusal_names_the_field_and_shows_no_more_than_a_little() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_instant("x" * 10_000, "meetings[3].meeting_start_timestamp")
    assert [field.field for field in refusal.value.fields] == ["meetings[3].meeting_start_timestamp"]
    assert len(refusal.value.message) < 200
