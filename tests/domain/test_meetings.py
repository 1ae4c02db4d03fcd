"""What makes a meeting true, in which state it is, and what may still be done with it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import MeetingPayload, Participant, QuestionAndAnswer, canonical_bytes
from hookline.domain.ids import MeetingId
from hookline.domain.meetings import Meeting, MeetingDetails, MeetingStatus, check_meeting, start_useful_until
from hookline.errors import Conflict, HooklineError, Invalid
from tests.fakes import MONDAY
from tests.values import DAY, HOUR, MICROSECOND, details

RAW = MeetingPayload(
    account_email="anna@example.com",
    event_participants=(Participant(EMAIL="bo@example.com"),),
    meeting_name="First talk",
    meeting_start_timestamp="2026-01-05T12:00:00+02:00",
    meeting_end_timestamp="2026-01-05T11:00:00.5Z",
)


def checked(**changes: Any) -> MeetingDetails:
    return check_meeting(replace(RAW, **changes))


def refusal(**changes: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        checked(**changes)
    return refused.value


def meeting(made_of: MeetingDetails | None = None) -> Meeting:
    made_of = made_of or details()
    return Meeting(
        id=MeetingId("mtg_a"),
        details=made_of,
        booked_body=canonical_bytes(made_of.payload),
        version=1,
        sequence=1,
        created_at=MONDAY,
        modified_at=MONDAY,
    )


# What makes one true


@pytest.mark.parametrize("host", ["anna@example.com", "Anna@Example.COM"])
def test_the_host_among_the_participants_is_left_out(host: str) -> None:
    bo, host_herself, cy = (Participant(EMAIL=email) for email in ("bo@example.com", host, "cy@example.com"))
    assert checked(event_participants=(bo, host_herself, cy)).payload.event_participants == (bo, cy)
    assert checked(event_participants=(host_herself, bo)).payload.event_participants == (bo,)


def test_the_host_alone_is_no_meeting() -> None:
    alone = refusal(event_participants=(Participant(EMAIL="ANNA@example.com"),))
    assert [each.field for each in alone.fields] == ["event_participants"]
    assert "besides the host, got only the host (anna@example.com)" in alone.message


def test_a_participant_is_named_by_the_place_it_was_sent_at_whoever_was_left_out() -> None:
    given = (Participant(EMAIL="anna@example.com"), Participant(EMAIL="nobody"))
    assert [each.field for each in refusal(event_participants=given).fields] == ["event_participants[1].EMAIL"]


def test_times_are_told_in_utc_with_three_decimals() -> None:
    made = checked()
    assert made.payload.meeting_start_timestamp == "2026-01-05T10:00:00.000Z"
    assert made.payload.meeting_end_timestamp == "2026-01-05T11:00:00.500Z"
    assert (made.start_at, made.end_at) == (MONDAY + HOUR, MONDAY + 2 * HOUR + timedelta(milliseconds=500))


def test_what_is_absent_takes_its_empty_value() -> None:
    payload = checked().payload
    assert (payload.currency, payload.meeting_address, payload.meeting_location, payload.meeting_notes) == ("",) * 4
    assert (payload.price, payload.questions_and_answers) == (0, ())
    assert payload.event_participants[0] == Participant(EMAIL="bo@example.com", FIRSTNAME="", LASTNAME="")


def test_texts_are_kept_as_they_are() -> None:
    texts = {
        "meeting_notes": " Zoë\n\U0001f600 ",
        "meeting_location": "https://meet.example/a?b=c#d",
        "meeting_address": "\t",
    }
    payload = checked(**texts).payload
    assert {name: getattr(payload, name) for name in texts} == texts


def test_a_currency_is_told_in_capitals_and_a_price_in_its_one_spelling() -> None:
    payload = checked(currency="eur", price=49.0).payload
    assert (payload.currency, payload.price, type(payload.price)) == ("EUR", 49, int)


def test_a_meeting_without_length_is_one() -> None:
    made = checked(meeting_end_timestamp="2026-01-05T10:00:00Z")
    assert made.start_at == made.end_at


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account_email": ""}, "account_email"),
        ({"account_email": "anna"}, "account_email"),
        ({"event_participants": ()}, "event_participants"),
        (
            {"event_participants": (Participant(EMAIL="a@example.com"), Participant(EMAIL=""))},
            "event_participants[1].EMAIL",
        ),
        ({"event_participants": (Participant(EMAIL="no"),)}, "event_participants[0].EMAIL"),
        ({"meeting_name": ""}, "meeting_name"),
        ({"meeting_name": "x" * 256}, "meeting_name"),
        ({"currency": "EURO"}, "currency"),
        ({"price": -1}, "price"),
        ({"price": 1}, "currency"),
        ({"price": 1.234, "currency": "EUR"}, "price"),
        ({"meeting_start_timestamp": "2026-01-05T10:00:00"}, "meeting_start_timestamp"),
        ({"meeting_end_timestamp": "tomorrow"}, "meeting_end_timestamp"),
        ({"meeting_end_timestamp": "2026-01-05T09:59:59.999999Z"}, "meeting_end_timestamp"),
        ({"meeting_notes": "a\0b"}, "meeting_notes"),
        ({"questions_and_answers": (QuestionAndAnswer(answer="\ud800"),)}, "questions_and_answers[0].answer"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert [each.field for each in refusal(**changes).fields] == [field]


def test_a_name_has_up_to_255_characters() -> None:
    assert checked(meeting_name="\U0001f600" * 255).payload.meeting_name == "\U0001f600" * 255


def test_the_bytes_of_a_meeting_are_those_of_its_payload() -> None:
    made = checked(meeting_notes="Zoë")
    assert made.body == canonical_bytes(made.payload)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_what_was_checked_once_stays_as_it_is(start: int, length: int) -> None:
    start_at = MONDAY + timedelta(milliseconds=start)
    made = details(start_at, timedelta(milliseconds=length), price=5, currency="JPY")
    assert check_meeting(made.payload) == made


# In which state it is


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (MONDAY + HOUR - MICROSECOND, MeetingStatus.BOOKED),
        (MONDAY + HOUR, MeetingStatus.STARTED),
        (MONDAY + 2 * HOUR - MICROSECOND, MeetingStatus.STARTED),
        (MONDAY + 2 * HOUR, MeetingStatus.ENDED),
        (MONDAY + 9 * DAY, MeetingStatus.ENDED),
    ],
)
def test_a_meeting_starts_at_its_start_and_ends_at_its_end(at: datetime, status: MeetingStatus) -> None:
    assert meeting().status(at) is status
    assert meeting().cancelled("", MONDAY).status(at) is MeetingStatus.CANCELLED


def test_a_meeting_without_length_ends_when_it_starts() -> None:
    made = meeting(details(MONDAY, timedelta()))
    assert made.status(MONDAY - MICROSECOND) is MeetingStatus.BOOKED
    assert made.status(MONDAY) is MeetingStatus.ENDED


def test_a_start_is_of_use_until_a_day_after_the_end() -> None:
    assert start_useful_until(details(MONDAY, HOUR)) == MONDAY + HOUR + DAY


# What may still be done with it


def code_of(refused: "pytest.ExceptionInfo[HooklineError]") -> str:
    return refused.value.code


def test_what_has_begun_is_refused_from_the_very_start_on() -> None:
    meeting().require_not_started(MONDAY + HOUR - MICROSECOND)
    for late in (timedelta(), MICROSECOND, DAY):
        with pytest.raises(Conflict) as refused:
            meeting().require_not_started(MONDAY + HOUR + late)
        assert code_of(refused) == "meeting_already_started"


def test_what_was_cancelled_is_refused() -> None:
    meeting().require_not_cancelled()
    with pytest.raises(Conflict) as refused:
        meeting().cancelled("", MONDAY).require_not_cancelled()
    assert code_of(refused) == "meeting_cancelled"


def test_each_change_of_the_times_is_a_new_version_and_an_edit_is_not() -> None:
    later = MONDAY + timedelta(minutes=1)
    edited = meeting().edited(details(meeting_name="Other"), later)
    moved = meeting().moved(details(MONDAY + DAY), later)
    cancelled = meeting().cancelled("ill", later)
    assert (edited.version, moved.version, cancelled.version) == (1, 2, 2)
    assert {each.modified_at for each in (edited, moved, cancelled)} == {later}
    assert {each.created_at for each in (edited, moved, cancelled)} == {MONDAY}


def test_only_a_move_changes_what_was_told_as_booked() -> None:
    told = meeting().booked_body
    assert meeting().edited(details(meeting_name="Other"), MONDAY).booked_body == told
    assert meeting().cancelled("", MONDAY).booked_body == told
    assert meeting().moved(details(MONDAY + DAY), MONDAY).booked_body == canonical_bytes(details(MONDAY + DAY).payload)


def test_a_move_keeps_everything_but_the_times() -> None:
    before = details(MONDAY, HOUR, meeting_notes="n", price=3, currency="EUR")
    moved = MeetingDetails.of(before.payload, MONDAY + DAY, MONDAY + DAY + HOUR)
    assert moved == details(MONDAY + DAY, HOUR, meeting_notes="n", price=3, currency="EUR")


def test_a_move_to_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        MeetingDetails.of(details().payload, MONDAY, MONDAY - MICROSECOND)
    assert refused.value.fields[0].field == "meeting_end_timestamp"
