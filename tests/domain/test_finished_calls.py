"""What a call was: the table of the module, row by row, and in whatever order the facts come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import AccountName, CallPayload, CallType
from hookline.domain.finished_calls import (
    FinishedCall,
    NoCall,
    Reason,
    contact_has_gone,
    finished_call,
    is_over,
    line_of,
)
from hookline.domain.ids import PhoneLineId, UserId
from hookline.domain.legs import (
    Answered,
    Dialled,
    Fact,
    Forwarded,
    GivenUp,
    HungUp,
    Identified,
    Joined,
    Left,
    LegStarted,
    MessageLeft,
    Rang,
    RecordingKept,
    RecordingStarted,
    RecordingStopped,
    Redialled,
    Shown,
    Side,
    Wired,
)
from hookline.domain.phonebook import Phonebook, PhoneLine, User

_T0 = datetime(2026, 11, 23, 9, tzinfo=UTC)
LINE, CONTACT, MOBILE = "+441400800008", "+14002007868", "+447700900103"


def _user(extension: str, given: str, family: str, outbound_line: str = "") -> User:
    return User(
        id=UserId(extension), email=f"{extension}@company.example", given_name=given, family_name=family,
        extension=extension, channel_prefixes=(f"PJSIP/{extension}-",), outbound_line=outbound_line, provider_ids=(),
        created_at=_T0, modified_at=_T0,
    )  # fmt: skip


BOOK = Phonebook(
    [
        PhoneLine(
            id=PhoneLineId("line_1"), number=LINE, name="My number", owner_email="101@company.example", region="GB",
            created_at=_T0, modified_at=_T0,
        )
    ],
    [_user("101", "John", "Doe", LINE), _user("102", "Jane", "Roe"), _user("103", "Ana", "Lima")],
)  # fmt: skip


def at(seconds: float) -> datetime:
    return _T0 + timedelta(seconds=seconds)


def comes_in(leg: str = "c", seconds: float = 0, *, asks: str = LINE, shows: str = CONTACT) -> list[Fact]:
    return [LegStarted(leg=leg, at=at(seconds), side=Side.OUTSIDE, places=True, dialled=asks, shows=shows)]


def rings(leg: str, seconds: float, extension: str = "101") -> list[Fact]:
    name = f"PJSIP/{extension}-0001"
    return [
        LegStarted(leg=leg, at=at(seconds), side=Side.OURS, places=False, identity=name),
        Rang(leg=leg, at=at(seconds)),
    ]


def calls_out(leg: str = "u", seconds: float = 0, *, asks: str = CONTACT, extension: str = "101") -> list[Fact]:
    name = f"PJSIP/{extension}-0001"
    return [
        LegStarted(leg=leg, at=at(seconds), side=Side.OURS, places=True, dialled=asks, shows=extension, identity=name)
    ]


def goes_out(leg: str, seconds: float, number: str = CONTACT, shows: str = LINE) -> list[Fact]:
    return [LegStarted(leg=leg, at=at(seconds), side=Side.OUTSIDE, places=False, dialled=number, shows=shows)]


def talk(seconds: float, *legs: str, bridge: str = "b") -> list[Fact]:
    return [Joined(leg=leg, at=at(seconds), bridge=bridge) for leg in legs]


def ends(seconds: float, *legs: str, sip: int | None = None, q850: int | None = None) -> list[Fact]:
    return [HungUp(leg=leg, at=at(seconds), sip=sip, q850=q850) for leg in legs]


def call(*many: Sequence[Fact]) -> CallPayload | Reason:
    verdict = finished_call([fact for facts in many for fact in facts], BOOK)
    return verdict.payload if isinstance(verdict, FinishedCall) else verdict.reason


def right(type_: CallType, seconds: int = 0, who: str = "John Doe", **more: Any) -> CallPayload:
    given_name, _, family_name = who.partition(" ")
    values: dict[str, Any] = {
        "phone_line": LINE, "phone_line_name": "My number", "phone_number": CONTACT, "is_forwarded": False,
        "recording": False, **more,
    }  # fmt: skip
    account = AccountName(family_name=family_name, given_name=given_name)
    return CallPayload(type=type_, duration_seconds=seconds, account_name=account, **values)


def test_inbound_and_a_user_picks_up() -> None:
    facts = [*comes_in(), *rings("u", 1, "102"), *talk(3, "c", "u"), *ends(8.9, "c", "u")]
    assert call(facts) == right(CallType.ANSWERED, 5, "Jane Roe")


def test_talk_is_counted_from_the_answer_when_hearing_one_another_follows_at_once() -> None:
    answered = [Answered(leg="c", at=at(1)), Answered(leg="u", at=at(3))]
    common = [*comes_in(), *rings("u", 1), *answered, *ends(8, "c", "u")]
    assert call(common, talk(3.02, "c", "u")) == right(CallType.ANSWERED, 5)
    assert call(common, talk(6, "c", "u")) == right(CallType.ANSWERED, 2)  # it had to be accepted first


def test_the_call_lasts_as_long_as_the_contact_s_leg_whoever_else_stays() -> None:
    facts = [*comes_in(), *rings("u", 1), *talk(2, "c", "u"), *ends(7, "c"), *ends(99, "u")]
    assert call(facts) == right(CallType.ANSWERED, 5)


@pytest.mark.parametrize("cause", [{}, {"q850": 17, "sip": 486}, {"q850": 21, "sip": 603}, {"q850": 19}, {"sip": 404}])
def test_inbound_and_nobody_picks_up_is_missed_whatever_the_reason(cause: dict[str, int]) -> None:
    assert call(comes_in(), rings("u", 1), ends(5, "u", **cause), ends(6, "c")) == right(CallType.MISSED)


def test_inbound_without_any_phone_to_ring_is_missed() -> None:
    assert call(comes_in(), ends(0.1, "c", q850=3)) == right(CallType.MISSED)


def test_voicemail_is_no_answer_and_only_a_stored_message_makes_the_difference() -> None:
    reached = [*comes_in(), Answered(leg="c", at=at(4)), *ends(20, "c")]
    assert call(reached) == right(CallType.MISSED)
    assert call(reached, [MessageLeft(leg="c", at=at(19))]) == right(CallType.MISSED_VOICEMAIL)


def test_a_message_after_a_talk_changes_nothing() -> None:
    facts = [
        *comes_in(),
        *rings("u", 1),
        *talk(2, "c", "u"),
        *ends(4, "u"),
        MessageLeft(leg="c", at=at(9)),
        *ends(10, "c"),
    ]
    assert call(facts) == right(CallType.ANSWERED, 8)


def test_music_menus_and_recorders_are_nobody() -> None:
    machine = LegStarted(leg="m", at=at(1), side=Side.NOBODY, places=False)
    assert call(comes_in(), [machine], talk(1, "c", "m"), ends(9, "c", "m")) == right(CallType.MISSED)


def test_a_bridge_of_one_is_no_talk() -> None:
    facts = [
        *comes_in(),
        *talk(1, "c"),
        Left(leg="c", at=at(2), bridge="b"),
        *rings("u", 3),
        *talk(4, "u"),
        *ends(9, "c", "u"),
    ]
    assert call(facts) == right(CallType.MISSED)


def test_people_hear_one_another_through_wires() -> None:
    halves: list[Fact] = [LegStarted(leg=half, at=at(1), side=Side.NOBODY, places=False) for half in ("one", "two")]
    wire: list[Fact] = [Wired(leg="two", at=at(1), to="one")]
    joined = [*talk(3, "c", "one", bridge="x"), *talk(3.5, "two", "u", bridge="y")]
    facts = [*comes_in(), *halves, *wire, *rings("u", 2), *joined, *ends(9, "c", "u")]
    assert call(facts) == right(CallType.ANSWERED, 5)


@pytest.mark.parametrize("answers", [True, False])
def test_forwarded_on_the_trunk(answers: bool) -> None:
    common = [*comes_in(), *goes_out("f", 1, MOBILE, CONTACT), *ends(9.5, "c", "f")]
    expected = right(CallType.ANSWERED, 6, is_forwarded=True) if answers else right(CallType.MISSED, is_forwarded=True)
    assert call(common, talk(3, "c", "f") if answers else []) == expected


def test_forwarded_after_the_desk_rang_and_not_if_the_caller_gave_up_before_that() -> None:
    desk = [*comes_in(), *rings("u", 0.1, "103")]
    mobile = [*ends(3, "u"), *goes_out("f", 3.1, MOBILE), *talk(5, "c", "f"), *ends(9, "c", "f")]
    assert call(desk, mobile) == right(CallType.ANSWERED, 4, is_forwarded=True)
    assert call(desk, [GivenUp(leg="u", at=at(2))], ends(2, "c", "u")) == right(CallType.MISSED)


def test_forwarded_by_the_phone_to_a_colleague() -> None:
    facts = [
        *comes_in(), *rings("u", 1, "103"), Forwarded(leg="u", at=at(1.1)), *ends(1.2, "u", sip=302),
        *rings("v", 1.3, "102"), *talk(3, "c", "v"), *ends(8, "c", "v"),
    ]  # fmt: skip
    assert call(facts) == right(CallType.ANSWERED, 5, "Jane Roe", is_forwarded=True)


def test_of_a_ring_group_who_picks_up_counts() -> None:
    ringing = [*comes_in(), *rings("u", 1, "101"), *rings("v", 1, "102")]
    facts = [*ringing, *talk(3, "c", "v"), GivenUp(leg="u", at=at(3)), *ends(3, "u"), *ends(8, "v", "c")]
    assert call(facts) == right(CallType.ANSWERED, 5, "Jane Roe")


def test_a_call_that_is_picked_up_at_another_phone_is_that_phone_s() -> None:
    facts = [*comes_in(), *rings("u", 1, "101"), Identified(leg="u", at=at(2), identity="PJSIP/102-0002")]
    assert call(facts, talk(2.1, "c", "u"), ends(8, "c", "u")) == right(CallType.ANSWERED, 5, "Jane Roe")


def test_a_phone_of_nobody_answers_in_nobody_s_name() -> None:
    assert call(comes_in(), rings("u", 1, "999"), talk(2, "c", "u"), ends(7, "c", "u")) == right(
        CallType.ANSWERED, 5, " "
    )


@pytest.mark.parametrize("target", ["answers", "does not", "is outside"])
def test_a_transfer_changes_nothing(target: str) -> None:
    first = [*comes_in(), *rings("u", 1), *talk(2, "c", "u"), Left(leg="c", at=at(5), bridge="b"), *ends(5, "u")]
    second = goes_out("t", 5.1, MOBILE) if target == "is outside" else rings("t", 5.1, "102")
    joined = [] if target == "does not" else talk(7, "c", "t", bridge="x")
    assert call(first, second, joined, ends(12, "c", "t")) == right(CallType.ANSWERED, 10)


def test_a_consultation_with_somebody_outside_is_part_of_the_first_call_once_it_is_joined() -> None:
    first = [*comes_in(), *rings("u", 1), *talk(2, "c", "u")]
    asked = [*calls_out("v", 4, asks=MOBILE), *goes_out("t", 4.1, MOBILE), *talk(6, "v", "t", bridge="x")]
    joined = [*talk(8, "c", bridge="x"), *ends(8, "u", "v"), *ends(12, "c", "t")]
    assert call(first, asked, joined) == right(CallType.ANSWERED, 10)


def test_outbound_and_the_contact_picks_up() -> None:
    facts = [*calls_out(), *goes_out("c", 0.1), Rang(leg="c", at=at(1)), *talk(3, "u", "c"), *ends(9.9, "u", "c")]
    assert call(facts) == right(CallType.CONNECTED, 6)


@pytest.mark.parametrize(
    ("cause", "rang", "type_"),
    [
        ({"sip": 486, "q850": 17}, False, CallType.NOT_CONNECTED),
        ({"sip": 600}, False, CallType.NOT_CONNECTED),
        ({"sip": 603, "q850": 21}, True, CallType.NOT_CONNECTED),
        ({"sip": 403, "q850": 21}, False, CallType.NOT_CONNECTED),
        ({"sip": 480, "q850": 19}, False, CallType.NOT_CONNECTED),
        ({"sip": 408, "q850": 18}, True, CallType.NOT_CONNECTED),
        ({"sip": 408, "q850": 18}, False, CallType.FAILED_CANCELLED),
        ({"sip": 487, "q850": 127}, True, CallType.NOT_CONNECTED),
        ({}, True, CallType.NOT_CONNECTED),
        ({}, False, CallType.FAILED_CANCELLED),
        ({"q850": 17}, False, CallType.NOT_CONNECTED),
        ({"q850": 19}, False, CallType.NOT_CONNECTED),
        ({"q850": 20}, False, CallType.NOT_CONNECTED),
        ({"q850": 21}, False, CallType.NOT_CONNECTED),
        ({"q850": 16}, True, CallType.NOT_CONNECTED),
        ({"sip": 401, "q850": 21}, False, CallType.FAILED_CANCELLED),
        ({"sip": 404, "q850": 1}, True, CallType.FAILED_CANCELLED),
        ({"sip": 410, "q850": 22}, False, CallType.FAILED_CANCELLED),
        ({"sip": 484, "q850": 28}, False, CallType.FAILED_CANCELLED),
        ({"sip": 604, "q850": 1}, False, CallType.FAILED_CANCELLED),
        ({"sip": 488, "q850": 58}, False, CallType.FAILED_CANCELLED),
        ({"sip": 503, "q850": 34}, True, CallType.FAILED_CANCELLED),
        ({"q850": 1}, False, CallType.FAILED_CANCELLED),
        ({"q850": 3}, False, CallType.FAILED_CANCELLED),
        ({"q850": 34}, True, CallType.FAILED_CANCELLED),
        ({"q850": 38}, False, CallType.FAILED_CANCELLED),
    ],
)
def test_outbound_without_talk_is_told_by_the_cause(cause: dict[str, int], rang: bool, type_: CallType) -> None:
    ringing: list[Fact] = [Rang(leg="c", at=at(1))] if rang else []
    assert call(calls_out(), goes_out("c", 0.1), ringing, ends(6, "c", **cause), ends(6, "u")) == right(type_)


def test_our_user_gives_up() -> None:
    facts = [*calls_out(), *goes_out("c", 0.1), Rang(leg="c", at=at(1)), GivenUp(leg="c", at=at(4)), *ends(4, "c", "u")]
    assert call(facts) == right(CallType.FAILED_CANCELLED)


def test_of_two_carriers_the_one_that_got_through_counts_and_else_the_last() -> None:
    first = [*calls_out(), *goes_out("x", 0.1), *ends(0.5, "x", sip=503)]
    assert call(first, goes_out("c", 0.6), talk(2, "u", "c"), ends(7, "u", "c")) == right(CallType.CONNECTED, 5)
    assert call(first, goes_out("c", 0.6), ends(2, "c", sip=486), ends(2, "u")) == right(CallType.NOT_CONNECTED)


def test_no_way_to_a_number_is_a_failed_call_and_a_wrong_extension_is_none() -> None:
    assert call(calls_out(), [Dialled(leg="u", at=at(1))], ends(1, "u")) == right(CallType.FAILED_CANCELLED)
    assert call(calls_out(), ends(1, "u")) is Reason.INTERNAL  # nothing was dialled for it
    for other in ("*97", "102", LINE):
        assert call(calls_out(asks=other), [Dialled(leg="u", at=at(1))], ends(1, "u")) is Reason.INTERNAL


@pytest.mark.parametrize("region", ["DE", "AT", "NL", "IT", "SE", "GB", "US"])
@pytest.mark.parametrize("asks", ["80001", "*98101", "1001", "2105", "600", "#9", "8001234"])
def test_short_numbers_are_inside_wherever_they_are_possible_numbers(region: str, asks: str) -> None:
    facts = [*calls_out(asks=asks), Dialled(leg="u", at=at(1)), *ends(1, "u")]
    verdict = finished_call(facts, Phonebook([], [], region=region))
    assert verdict == NoCall(reason=Reason.INTERNAL)


def test_click_to_call() -> None:
    phone = rings("u", 0)
    number: list[Fact] = [Redialled(leg="u", at=at(2), dialled=CONTACT), Shown(leg="u", at=at(2), shows=LINE)]
    answers = [*phone, Answered(leg="u", at=at(1.5)), *number, *goes_out("c", 2)]
    assert call(answers, talk(4, "u", "c"), ends(8, "u", "c")) == right(CallType.CONNECTED, 4)
    assert call(answers, ends(4, "c", sip=486), ends(4, "u")) == right(CallType.NOT_CONNECTED)
    assert call(phone, ends(20, "u", q850=19)) is Reason.NEVER_DIALLED
    assert call(phone, number, [Dialled(leg="u", at=at(2))], ends(3, "u")) == right(CallType.FAILED_CANCELLED)


def test_a_contact_whom_a_program_calls_is_connected_by_the_answer() -> None:
    called = [*goes_out("c", 0), Rang(leg="c", at=at(1))]
    nobody = right(CallType.CONNECTED, 5, " ")
    assert call(called, [Answered(leg="c", at=at(2))], ends(7, "c")) == nobody
    assert call(called, ends(7, "c", sip=480)) == right(CallType.NOT_CONNECTED, 0, " ")
    assert call(calls_out(), called, [Answered(leg="c", at=at(2))], ends(7, "c", "u")) == right(CallType.NOT_CONNECTED)


def test_internal_calls_are_no_event_also_when_a_colleague_is_reached_on_the_mobile() -> None:
    assert call(calls_out(asks="102"), rings("v", 0.1, "102"), talk(2, "u", "v"), ends(9, "u", "v")) is Reason.INTERNAL
    mobile = [*goes_out("f", 0.2, MOBILE), *talk(2, "u", "f"), *ends(9, "u", "f")]
    assert call(calls_out(asks="103"), mobile) is Reason.INTERNAL


@pytest.mark.parametrize(
    ("shows", "number"),
    [
        (CONTACT, CONTACT),
        ("07700900103", MOBILE),
        ("00447700900103", MOBILE),
        ("447700900103", MOBILE),
        ("", ""),
        ("bob", ""),
    ],
)
def test_numbers_are_read_as_the_line_s_region_has_them(shows: str, number: str) -> None:
    assert call(comes_in(shows=shows), ends(1, "c")) == right(CallType.MISSED, phone_number=number)


def test_who_withholds_a_number_after_it_was_told_withholds_it() -> None:
    assert call(comes_in(), [Shown(leg="c", at=at(0.1), shows="")], ends(1, "c")) == right(
        CallType.MISSED, phone_number=""
    )


def test_what_a_dial_plan_makes_of_the_caller_s_number_is_not_the_caller_s_number() -> None:
    assert call(comes_in(), [Shown(leg="c", at=at(0.1), shows="900")], ends(1, "c")) == right(CallType.MISSED)


def test_a_number_that_is_no_line_is_no_event_and_is_told() -> None:
    other = "+441632960999"
    assert finished_call([*comes_in(asks=other), *ends(1, "c")], BOOK) == NoCall(reason=Reason.UNKNOWN_LINE, line=other)
    assert line_of(comes_in(asks="01632 960999"), Phonebook([], [], region="GB")) == other
    facts = [*calls_out(extension="102"), *goes_out("c", 0.1, shows=""), *ends(1, "c", "u", sip=486)]
    assert call(facts) is Reason.UNKNOWN_LINE


def test_without_a_number_shown_a_user_s_own_line_counts() -> None:
    assert call(calls_out(), goes_out("c", 0.1, shows=""), ends(1, "c", "u", sip=486)) == right(CallType.NOT_CONNECTED)


def test_recordings() -> None:
    start, stop = RecordingStarted(leg="c", at=at(0.5)), RecordingStopped(leg="c", at=at(1))
    kept = RecordingKept(leg="u", at=at(60))
    talked = [*comes_in(), *rings("u", 1), *talk(2, "c", "u"), *ends(7, "c", "u")]
    missed = [*comes_in(), *rings("u", 1), *ends(7, "c", "u")]
    assert call(talked, [start]) == right(CallType.ANSWERED, 5, recording=True)
    assert call(talked, [kept]) == right(CallType.ANSWERED, 5, recording=True)
    assert call(talked, [start, stop]) == right(CallType.ANSWERED, 5)
    assert call(talked, [start, RecordingStopped(leg="c", at=at(4))]) == right(CallType.ANSWERED, 5, recording=True)
    assert call(missed, [start]) == right(CallType.MISSED)
    in_vain = [*rings("v", 1, "102"), RecordingStarted(leg="v", at=at(1)), *ends(2, "v")]
    assert call(talked, in_vain) == right(CallType.ANSWERED, 5)  # what rang in vain has nothing to tell
    assert call(missed, [kept]) == right(CallType.MISSED)


def test_a_call_is_over_when_every_leg_is_and_machines_do_not_count() -> None:
    machine = LegStarted(leg="m", at=at(1), side=Side.NOBODY, places=False)
    facts = [*comes_in(), machine, *rings("u", 1), *ends(5, "c")]
    assert not is_over([])
    assert not is_over(facts)
    assert contact_has_gone(facts)
    assert is_over([*facts, *ends(6, "u")])
    assert call(comes_in()) is Reason.UNFINISHED


_STORY = [
    *comes_in(), *rings("u", 1, "101"), *rings("v", 1.5, "102"), *talk(3, "c"), *talk(3.5, "v"), *ends(4, "u"),
    RecordingStarted(leg="c", at=at(4.5)), *ends(9, "c"), *ends(9.5, "v"),
]  # fmt: skip


@given(st.permutations(_STORY), st.integers(0, len(_STORY)))
def test_facts_may_come_in_any_order_and_twice(mixed: list[Fact], many: int) -> None:
    assert call(mixed, mixed[:many]) == right(CallType.ANSWERED, 5, "Jane Roe", recording=True)


def test_what_the_same_instant_brings_may_come_in_any_order() -> None:
    facts = [*comes_in(), *rings("u", 0)[:1], *talk(0, "c", "u"), *ends(5, "c", "u")]
    assert {str(call(mixed)) for mixed in permutations(facts)} == {str(right(CallType.ANSWERED, 5))}
