"""What is left of a body when somebody is erased: nothing of them, and a true payload."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.calls import check_call
from hookline.domain.erasure import ERASED_EMAIL, Erased, without_contact, without_participant
from hookline.domain.events import (
    AccountName,
    CallPayload,
    CallType,
    EventKind,
    MeetingPayload,
    Participant,
    QuestionAndAnswer,
    canonical_bytes,
)
from hookline.domain.meetings import check_meeting
from tests.api.description import event_validator
from tests.values import call_payload, details

ADA = Participant(EMAIL="Ada@Example.com", FIRSTNAME="Ada", LASTNAME="Lovelace")
BO = Participant(EMAIL="bo@example.com", FIRSTNAME="Bo")
MEETING = details(
    event_participants=(BO, ADA),
    meeting_name="Ada and Anna",
    meeting_notes="Ada's notes",
    meeting_location="At Ada's",
    meeting_address="Ada's street 1",
    price=49.9,
    currency="EUR",
    questions_and_answers=(QuestionAndAnswer(question="Who?", answer="Ada"),),
)


def read_meeting(body: bytes) -> MeetingPayload:
    said: dict[str, Any] = json.loads(body)
    said["event_participants"] = tuple(Participant(**each) for each in said["event_participants"])
    said["questions_and_answers"] = tuple(QuestionAndAnswer(**each) for each in said["questions_and_answers"])
    return MeetingPayload(**said)


@pytest.mark.parametrize("spelt", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"])
def test_a_participant_and_the_free_text_go_and_the_rest_stays(spelt: str) -> None:
    left = read_meeting(without_participant(MEETING.body, spelt))
    assert left == replace(
        MEETING.payload,
        event_participants=(BO, Participant(EMAIL=ERASED_EMAIL)),
        meeting_name="Erased",
        meeting_notes="",
        meeting_location="",
        meeting_address="",
        questions_and_answers=(QuestionAndAnswer(question="Who?", answer=""),),
    )


def test_the_host_stays_even_with_the_same_address() -> None:
    same = details(event_participants=(Participant(EMAIL="anna@example.com"),))
    assert read_meeting(without_participant(same.body, "anna@example.com")).account_email == "anna@example.com"


def test_a_contact_goes_and_the_rest_of_the_call_stays() -> None:
    call = call_payload(account_name=AccountName(given_name="Anna"))
    left = without_contact(canonical_bytes(call))
    assert left == canonical_bytes(replace(call, phone_number=""))


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
participants = st.lists(st.sampled_from(["ada@example.com", "ADA@example.com", "bo@x.de", "c@x.de"]), min_size=1)


@given(participants, names, names, st.sampled_from([0, 5, 49.9, 12345678.91]))
def test_what_is_left_of_a_meeting_is_canonical_true_and_the_same_when_done_again(
    emails: list[str], name: str, text: str, price: float
) -> None:
    meeting = details(
        event_participants=tuple(Participant(EMAIL=email, FIRSTNAME=name) for email in emails),
        meeting_name=(name or "x")[:255],
        meeting_notes=text,
        price=price,
        currency="EUR",
        questions_and_answers=(QuestionAndAnswer(answer=text, question=name),),
    )
    left = without_participant(meeting.body, "Ada@example.com")
    event_validator(EventKind.MEETING_BOOKED.value).validate(json.loads(left))
    assert check_meeting(read_meeting(left)).body == left
    assert without_participant(left, "ada@example.com") == left
    assert b"ada@example" not in left.lower()
    kept = [email for email in emails if not email.lower().startswith("ada")]
    assert [each.EMAIL for each in read_meeting(left).event_participants if each.EMAIL != ERASED_EMAIL] == kept


@given(st.sampled_from(CallType), names)
def test_what_is_left_of_a_call_is_canonical_and_true(kind: CallType, name: str) -> None:
    call = call_payload(type=kind, duration_seconds=0, phone_line_name=name)
    left = without_contact(canonical_bytes(call))
    event_validator(EventKind.CALL_FINISHED.value).validate(json.loads(left))
    said = json.loads(left)
    said["account_name"], said["type"] = AccountName(**said["account_name"]), CallType(said["type"])
    assert canonical_bytes(check_call(CallPayload(**said))) == left


def test_counts_add_up() -> None:
    one = Erased(meetings=1, events=2, withdrawn=3, answers=4)
    assert one + Erased(calls=5, events=1) == Erased(meetings=1, calls=5, events=3, withdrawn=3, answers=4)
    assert one.rows == 10
    assert Erased().rows == 0
