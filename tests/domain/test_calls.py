"""What makes a finished call true: its type, its talk time, its numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.calls import TALKED, check_call, parse_number
from hookline.domain.events import AccountName, CallPayload, CallType
from hookline.errors import Invalid
from tests.values import call_payload


def refused_field(**changes: Any) -> str:
    with pytest.raises(Invalid) as refused:
        check_call(call_payload(**changes))
    [field] = refused.value.fields
    return field.field


def test_a_call_in_its_one_spelling_stays_as_it_is() -> None:
    call = call_payload(account_name=AccountName(family_name="Ng", given_name="Zoë"), is_forwarded=True, recording=True)
    assert check_call(call) == call


@pytest.mark.parametrize("kind", CallType)
def test_only_a_call_on_which_people_talked_has_talk_time(kind: CallType) -> None:
    assert check_call(call_payload(type=kind, duration_seconds=0)).duration_seconds == 0
    if kind in (CallType.ANSWERED, CallType.CONNECTED):
        assert check_call(call_payload(type=kind, duration_seconds=61)).duration_seconds == 61
    else:
        assert refused_field(type=kind, duration_seconds=1) == "duration_seconds"


def test_people_talk_on_answered_and_connected_calls() -> None:
    assert {CallType.ANSWERED, CallType.CONNECTED} == TALKED


@pytest.mark.parametrize("seconds", [-1, 2**31, 10**30])
def test_talk_time_is_a_number_of_seconds_that_can_be(seconds: int) -> None:
    assert refused_field(duration_seconds=seconds) == "duration_seconds"


def test_talk_time_goes_up_to_68_years() -> None:
    assert check_call(call_payload(duration_seconds=2**31 - 1)).duration_seconds == 2**31 - 1


# Numbers


@pytest.mark.parametrize(
    ("spelling", "number"),
    [
        ("+441400800008", "+441400800008"),
        ("+44 1400 800 008", "+441400800008"),
        ("+44 (0) 1400-800-008", "+441400800008"),
        ("00441400800008", "+441400800008"),
        ("tel:+44-1400-800008", "+441400800008"),
        ("＋44 1400 800008", "+441400800008"),
        (" +1 (400) 200-7868 ", "+14002007868"),
        ("+14002007868", "+14002007868"),
        ("+49 30 901820", "+4930901820"),
        ("+33.1.42.68.53.00", "+33142685300"),
        ("+39 06 6982", "+39066982"),  # Italy keeps its zero
        ("+44 1400 800008 ext. 12", "+441400800008"),
    ],
)
def test_any_international_spelling_becomes_e164(spelling: str, number: str) -> None:
    assert parse_number(spelling, "phone_number") == number


@pytest.mark.parametrize(
    "spelling",
    [
        *("01400 800008", "4002007868", "110", "anonymous", "", " ", "+", "00", "+44", "+44 1", "+999 123456789"),
        *("+4414008000081234567890", "sip:anna@example.com", "+0 123456789", "\0", "+1" * 4000),
    ],
)
def test_what_is_no_number_or_of_no_country_is_refused_by_name(spelling: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_number(spelling, "phone_line")
    assert refused.value.fields[0].field == "phone_line"


@given(st.text(max_size=30) | st.text("+0123456789 ()-.;/xet:", max_size=30))
def test_whatever_is_written_the_answer_is_e164_or_a_refusal(spelling: str) -> None:
    try:
        number = parse_number(spelling, "phone_number")
    except Invalid:
        return
    digits = number.removeprefix("+")
    assert number.startswith("+")
    assert digits.isascii()
    assert digits.isdigit()
    assert 2 <= len(digits) <= 15 + 2  # the numbering plans of a few countries are longer than E.164 allows
    assert not digits.startswith("0")


@given(st.text("+0123456789 ()-.", max_size=20))
def test_a_number_in_e164_stays_as_it_is(spelling: str) -> None:
    try:
        number = parse_number(spelling, "phone_number")
    except Invalid:
        return
    assert parse_number(number, "phone_number") == number


def test_both_numbers_of_a_call_become_e164() -> None:
    call = check_call(call_payload(phone_line="0044 1400 800008", phone_number="+1 400 200 7868"))
    assert (call.phone_line, call.phone_number) == ("+441400800008", "+14002007868")


def test_a_withheld_number_is_empty_and_our_own_never_is() -> None:
    assert check_call(call_payload(phone_number="")).phone_number == ""
    assert refused_field(phone_line="") == "phone_line"
    assert refused_field(phone_number="withheld") == "phone_number"


def test_texts_that_nothing_can_carry_are_refused_by_name() -> None:
    assert refused_field(phone_line_name="a\0b") == "phone_line_name"
    assert refused_field(account_name=AccountName(given_name="\udc00")) == "account_name.given_name"


def test_a_call_needs_its_lines_and_its_type_only() -> None:
    call = check_call(CallPayload(phone_line="+441400800008", phone_number="", type=CallType.MISSED))
    assert (call.duration_seconds, call.is_forwarded, call.recording) == (0, False, False)
    assert (call.phone_line_name, call.account_name) == ("", AccountName())


@pytest.mark.parametrize("stand_in", ["+86282452253", "266696687", "Anonymous", "sip:anonymous@anonymous.invalid"])
def test_a_stand_in_for_a_withheld_number_is_refused_as_a_caller(stand_in: str) -> None:
    assert refused_field(type=CallType.MISSED, duration_seconds=0, phone_number=stand_in) == "phone_number"


def test_a_number_that_is_a_stand_in_for_callers_can_be_called() -> None:
    call = call_payload(type=CallType.CONNECTED, phone_number="+86282452253")
    assert check_call(call).phone_number == "+86282452253"


@pytest.mark.parametrize(
    "spelling", ["+44 7911 123456;+44 7911 123457", "tel:+447911123456;a b", "+447911123456;", "+447911123456;;x=1"]
)
def test_what_stands_behind_a_number_and_is_no_parameter_is_refused(spelling: str) -> None:
    assert refused_field(phone_number=spelling) == "phone_number"
