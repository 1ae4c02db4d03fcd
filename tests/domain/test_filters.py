"""A webhook's filter says by which attribute an event is not wanted, and refuses what could never be compared."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import SAMPLES, EventKind, plain
from hookline.domain.filters import NO_FILTER, comparable_attributes, parse_filter, require_measurable, stopped_by
from hookline.errors import Invalid

_VALUES = {
    "phone_line": st.sampled_from(["", "+441400800008", "+441400800009"]),
    "phone_line_name": st.sampled_from(["", "My number", "Another"]),
    "type": st.sampled_from(["answered", "missed", "missed voicemail"]),
}
_SEVERAL = {name: st.lists(one, min_size=1, max_size=9) for name, one in _VALUES.items()}
CALL = plain(SAMPLES[EventKind.CALL_FINISHED])
MEETING = plain(SAMPLES[EventKind.MEETING_BOOKED])


@pytest.mark.parametrize(
    ("wanted", "stop"),
    [
        ({}, None),
        ({"type": ["answered"]}, None),
        ({"type": ["missed", "answered"]}, None),
        ({"type": ["missed", "missed voicemail"]}, "type"),
        ({"recording": [True]}, None),
        ({"recording": [False]}, "recording"),
        ({"duration_seconds": [123]}, None),
        ({"duration_seconds": [123.0, 5]}, None),
        ({"type": ["answered"], "phone_line": ["+441400800008"]}, None),
        ({"type": ["answered"], "phone_line": ["+441400800009"]}, "phone_line"),
        ({"currency": ["USD"]}, None),
        ({"phone_line": ["+44 1400 800008"]}, None),
        ({"phone_number": ["0014002007868", ""]}, None),
    ],
)
def test_a_call_is_stopped_by_the_first_attribute_that_has_none_of_the_values(
    wanted: dict[str, list[Any]], stop: str | None
) -> None:
    assert stopped_by(parse_filter(wanted), CALL) == stop


def test_an_event_is_not_measured_by_what_its_payload_does_not_have() -> None:
    only_missed_calls = parse_filter({"type": ["missed"]})
    assert stopped_by(only_missed_calls, MEETING) is None
    assert stopped_by(only_missed_calls, CALL) == "type"


@given(st.fixed_dictionaries({}, optional=_SEVERAL))
def test_an_event_passes_exactly_when_each_attribute_has_one_of_its_values(wanted: dict[str, list[str]]) -> None:
    passes = all(any(CALL[name] == value for value in values) for name, values in wanted.items())
    assert (stopped_by(parse_filter(wanted), CALL) is None) is passes


def test_what_is_neither_list_nor_object_can_be_compared() -> None:
    assert comparable_attributes(EventKind.CALL_FINISHED) == {
        "duration_seconds": float,
        "is_forwarded": bool,
        "phone_line": str,
        "phone_line_name": str,
        "phone_number": str,
        "recording": bool,
        "type": str,
    }
    assert set(MEETING) - set(comparable_attributes(EventKind.MEETING_STARTED)) == {
        "event_participants",
        "questions_and_answers",
    }


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"typ": ["missed"]}, "filter.typ"),
        ({"account_name": ["x"]}, "filter.account_name"),
        ({"event_participants": ["x"]}, "filter.event_participants"),
        ({"type": []}, "filter.type"),
        ({"type": ["x"] * 101}, "filter.type"),
        ({"type": ["missed", 1]}, "filter.type[1]"),
        ({"type": [None]}, "filter.type[0]"),
        ({"type": [["missed"]]}, "filter.type[0]"),
        ({"recording": [1]}, "filter.recording[0]"),
        ({"recording": ["true"]}, "filter.recording[0]"),
        ({"duration_seconds": [True]}, "filter.duration_seconds[0]"),
        ({"price": ["12"]}, "filter.price[0]"),
        ({"type": ["missed\x00"]}, "filter.type[0]"),
        ({"type": ["missed", "mised"]}, "filter.type[1]"),
        ({"type": ["Missed"]}, "filter.type[0]"),
        ({"type": [""]}, "filter.type[0]"),
        ({"phone_line": ["800008"]}, "filter.phone_line[0]"),
        ({"currency": ["Euro"]}, "filter.currency[0]"),
    ],
)
def test_what_could_never_match_is_refused_by_name(wanted: dict[str, list[Any]], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_filter(wanted)
    assert refusal.value.fields[0].field == field


def test_a_value_is_kept_as_it_will_be_sent() -> None:
    assert dict(parse_filter({"phone_line": ["+44 1400 800008"], "phone_number": ["", "tel:+1-400-200-7868"]})) == {
        "phone_line": ("+441400800008",),
        "phone_number": ("", "+14002007868"),
    }
    assert dict(parse_filter({"currency": ["eur", ""]})) == {"currency": ("EUR", "")}


def test_a_filter_on_what_none_of_the_events_has_is_refused() -> None:
    require_measurable(NO_FILTER, [EventKind.CALL_FINISHED])
    require_measurable(parse_filter({"type": ["missed"]}), [EventKind.MEETING_BOOKED, EventKind.CALL_FINISHED])
    with pytest.raises(Invalid, match=r"filter\.type") as refusal:
        require_measurable(parse_filter({"type": ["missed"]}), [EventKind.MEETING_BOOKED])
    assert "meeting_name" in refusal.value.message
