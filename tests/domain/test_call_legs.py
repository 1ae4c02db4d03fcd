"""The legs of a call as people are shown them."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.call_legs import (
    MOST_LEGS,
    NO_LEGS,
    CallLeg,
    CallLegs,
    LegOutcome,
    LegUser,
    Party,
    QueueStay,
    legs_of,
    numbers_in,
    without_number,
)
from hookline.domain.ids import UserId
from hookline.domain.kept_legs import legs_from_text, legs_to_text
from hookline.domain.legs import (
    Answered,
    Fact,
    Forwarded,
    HungUp,
    Joined,
    Left,
    LegStarted,
    MessageLeft,
    QueueJoined,
    QueueLeft,
    Rang,
    RangInVain,
    Side,
)
from hookline.domain.phonebook import Phonebook
from tests.contract.test_storage_phonebook import JOHN, LINE

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CONTACT, MOBILE = "+14002007868", "+447700900103"
JANE = replace(
    JOHN,
    id=UserId("usr_2"),
    email="jane@company.example",
    given_name="Jane",
    extension="102",
    channel_prefixes=("PJSIP/102-",),
    provider_ids=(),
)
BOOK = Phonebook([LINE], [JOHN, JANE], region="GB")


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def caller(leg: str = "contact", second: float = 0) -> Fact:
    return LegStarted(leg=leg, at=at(second), side=Side.OUTSIDE, places=True, dialled=LINE.number, shows=CONTACT)


def rings(extension: str, second: float, to: float | None = None) -> list[Fact]:
    """A phone of ours is called and rings."""
    identity = f"PJSIP/{extension}-00000001"
    began: Fact = LegStarted(leg=extension, at=at(second), side=Side.OURS, places=False, identity=identity)
    return [began, Rang(leg=extension, at=at(second + 1)), *([] if to is None else ends(to, extension))]


def calls_out(leg: str, number: str, second: float) -> list[Fact]:
    return [LegStarted(leg=leg, at=at(second), side=Side.OUTSIDE, places=False, dialled=number, shows=LINE.number)]


def talk(second: float, *legs: str, bridge: str = "b") -> list[Fact]:
    answered = [Answered(leg=leg, at=at(second)) for leg in legs if leg != "contact"]
    return [*answered, *(Joined(leg=leg, at=at(second), bridge=bridge) for leg in legs)]


def ends(second: float, *legs: str, sip: int | None = None, q850: int | None = None) -> list[Fact]:
    return [HungUp(leg=leg, at=at(second), sip=sip, q850=q850) for leg in legs]


def shown(*facts: Fact | list[Fact]) -> dict[str, CallLeg]:
    """The legs by whose they are: the user's extension, the number of others, `contact`."""
    flat = [each for some in facts for each in (some if isinstance(some, list) else [some])]
    return {name(leg): leg for leg in legs_of(flat, BOOK).legs}


def name(leg: CallLeg) -> str:
    if leg.party is Party.CONTACT:
        return "contact"
    return leg.number or leg.address.removeprefix("PJSIP/").partition("-")[0]


def outcomes(legs: dict[str, CallLeg]) -> dict[str, str]:
    return {each: leg.outcome.value for each, leg in legs.items()}


def transferred_to(legs: dict[str, CallLeg], leg: str) -> str | None:
    place = legs[leg].transferred_to
    return None if place is None else list(legs)[place]


def test_a_leg_says_whose_it_is_and_when_what_happened_on_it() -> None:
    legs = legs_of([caller(), *rings("101", 1), *talk(5, "contact", "101"), *ends(66, "101", "contact", q850=16)], BOOK)
    contact, user = legs.legs
    assert contact == CallLeg(
        party=Party.CONTACT, number=CONTACT, address="", user=None, started_at=at(0), rang_at=None, answered_at=None,
        talked_from=at(5), ended_at=at(66), outcome=LegOutcome.ANSWERED, sip=None, q850=16,
    )  # fmt: skip
    assert user == CallLeg(
        party=Party.USER, number="", address="PJSIP/101-00000001",
        user=LegUser(id=JOHN.id, email=JOHN.email, given_name="John", family_name="Doe"),
        started_at=at(1), rang_at=at(2), answered_at=at(5), talked_from=at(5), ended_at=at(66),
        outcome=LegOutcome.ANSWERED, sip=None, q850=16,
    )  # fmt: skip
    assert legs.omitted == 0


def test_a_phone_that_stops_ringing_because_a_colleague_answered_is_cancelled_and_one_that_rang_out_is_not() -> None:
    legs = shown(
        caller(), rings("103", 0, to=20), rings("101", 1), rings("102", 1, to=30.1),
        talk(30, "contact", "101"), ends(60, "contact", "101"),
    )  # fmt: skip
    assert outcomes(legs) == {
        "contact": "answered", "103": "no answer", "101": "answered", "102": "cancelled",
    }  # fmt: skip


def test_nobody_answers_and_the_caller_gives_up() -> None:
    legs = shown(caller(), rings("101", 1, to=30), ends(30, "contact"))
    assert outcomes(legs) == {"contact": "no answer", "101": "cancelled"}


@pytest.mark.parametrize(
    ("causes", "outcome"),
    [
        ({"sip": 486}, "busy"),
        ({"q850": 17}, "busy"),
        ({"sip": 603}, "rejected"),
        ({"q850": 21}, "rejected"),
        ({"sip": 480}, "no answer"),
        ({"q850": 19}, "no answer"),
        ({"sip": 404}, "failed"),
        ({"sip": 503, "q850": 17}, "failed"),
        ({"q850": 1}, "failed"),
        ({}, "failed"),
    ],
)
def test_a_number_that_was_called_in_vain_says_why(causes: dict[str, int], outcome: str) -> None:
    user = LegStarted(leg="101", at=at(0), side=Side.OURS, places=True, dialled=MOBILE, identity="PJSIP/101-1")
    legs = shown(user, calls_out("contact", MOBILE, 1), ends(5, "contact", **causes), ends(9, "101"))
    assert outcomes(legs) == {"101": "no answer", "contact": outcome}
    assert legs["contact"].number == MOBILE


def test_who_leaves_the_talk_while_the_contact_stays_has_transferred_the_call() -> None:
    legs = shown(
        caller(), rings("101", 1), talk(5, "contact", "101"),
        rings("102", 20), ends(20, "101"), talk(25, "102"), ends(60, "contact", "102"),
    )  # fmt: skip
    assert transferred_to(legs, "101") == "102"
    assert transferred_to(legs, "102") is None
    assert legs["102"].talked_from == at(25)


def test_a_transfer_after_a_consultation_leads_to_who_was_consulted() -> None:
    asks = LegStarted(leg="asks", at=at(20), side=Side.OURS, places=True, identity="PJSIP/101-00000002")
    facts = [
        caller(), *rings("101", 1), *talk(5, "contact", "101"),
        asks, *rings("102", 21), *talk(25, "asks", "102", bridge="c"),
        Left(leg="102", at=at(40), bridge="c"), *ends(40, "101", "asks"), *talk(40, "102"), *ends(60, "contact", "102"),
    ]  # fmt: skip
    assert [(leg.user and leg.user.given_name, leg.transferred_to) for leg in legs_of(facts, BOOK).legs] == [
        (None, None), ("John", 3), ("John", None), ("Jane", None),
    ]  # fmt: skip


def test_a_transfer_to_a_phone_that_nobody_answers_is_shown() -> None:
    legs = shown(
        caller(), rings("101", 1), talk(5, "contact", "101"), rings("102", 19.9, to=45), ends(20, "101"),
        ends(50, "contact"),
    )  # fmt: skip
    assert transferred_to(legs, "101") == "102"
    assert outcomes(legs)["102"] == "no answer"


def test_who_hangs_up_with_the_contact_has_transferred_nothing() -> None:
    legs = shown(
        caller(), rings("101", 1), rings("102", 2), talk(5, "contact", "101", "102"), ends(59.5, "101", "102"),
        ends(60, "contact"),
    )  # fmt: skip
    assert [leg.transferred_to for leg in legs.values()] == [None, None, None]


def test_a_phone_that_forwards_and_the_number_that_answers_are_shown() -> None:
    legs = shown(
        caller(), rings("101", 1, to=2), Forwarded(leg="101", at=at(2)), calls_out("mobile", "07700 900103", 2),
        Rang(leg="mobile", at=at(3)), talk(9, "contact", "mobile"), ends(60, "contact", "mobile"),
    )  # fmt: skip
    assert outcomes(legs) == {"contact": "answered", "101": "forwarded", MOBILE: "answered"}
    assert legs[MOBILE].party is Party.OUTSIDE


def test_a_caller_who_leaves_a_message_is_shown_so() -> None:
    legs = shown(caller(), rings("101", 1, to=20), MessageLeft(leg="contact", at=at(40)), ends(40, "contact"))
    assert outcomes(legs)["contact"] == "voicemail"


def test_a_queue_says_how_long_its_caller_waited() -> None:
    legs = shown(
        caller(),
        QueueJoined(leg="contact", at=at(2), queue="sales"), QueueLeft(leg="contact", at=at(30), queue="sales"),
        QueueJoined(leg="contact", at=at(31), queue="all"), rings("101", 32), talk(40, "contact", "101"),
        ends(60, "contact", "101"),
    )  # fmt: skip
    assert legs["contact"].queues == (
        QueueStay(queue="sales", entered_at=at(2), left_at=at(30)),
        QueueStay(queue="all", entered_at=at(31), left_at=at(60)),
    )


def test_phones_that_rang_in_vain_are_shown_also_where_a_connector_kept_one_fact_of_each() -> None:
    vain = [
        RangInVain(
            leg=f"v{number}", at=at(1 + number), identity="PJSIP/102-1", rang_at=None, ended_at=at(20), q850=cause
        )
        for number, cause in enumerate((26, 17, 19))
    ]
    legs = legs_of([caller(), *rings("101", 9), *vain, *talk(20, "contact", "101"), *ends(60, "contact", "101")], BOOK)
    assert [(leg.party, leg.outcome) for leg in legs.legs] == [
        (Party.CONTACT, LegOutcome.ANSWERED),
        (Party.USER, LegOutcome.CANCELLED),
        (Party.USER, LegOutcome.BUSY),
        (Party.USER, LegOutcome.NO_ANSWER),
        (Party.USER, LegOutcome.ANSWERED),
    ]
    assert legs.legs[1].user == LegUser(id="usr_2", email=JANE.email, given_name="Jane", family_name="Doe")


def test_a_leg_that_did_not_end_is_unfinished() -> None:
    assert outcomes(shown(caller(), rings("101", 1))) == {"contact": "unfinished", "101": "unfinished"}


def test_machines_and_wires_are_left_out() -> None:
    half = LegStarted(leg="half", at=at(1), side=Side.NOBODY, places=False)
    assert list(shown(caller(), half, ends(2, "half", "contact"))) == ["contact"]
    assert legs_of([half], BOOK) == NO_LEGS


def test_who_has_a_name_at_the_provider_only_is_shown_by_it() -> None:
    phone = LegStarted(leg="a", at=at(1), side=Side.OURS, places=False, identity="9", given_name="Zoë")
    [leg] = legs_of([phone], BOOK).legs
    assert leg.user == LegUser(id="", email="", given_name="Zoë", family_name="")


def test_of_many_legs_the_first_are_kept_and_those_who_talked_and_the_rest_is_counted() -> None:
    vain = [fact for number in range(2 * MOST_LEGS) for fact in rings(str(1000 + number), 1 + number / 100, to=30)]
    legs = legs_of([caller(), *vain, *rings("101", 31), *talk(40, "contact", "101"), *ends(60, "contact", "101")], BOOK)
    assert (len(legs.legs), legs.omitted) == (MOST_LEGS, 2 * MOST_LEGS + 2 - MOST_LEGS)
    assert [name(leg) for leg in (*legs.legs[:2], legs.legs[-1])] == ["contact", "1000", "101"]


def test_a_number_that_is_erased_stands_nowhere_in_the_legs_any_more() -> None:
    facts = [caller(), *rings("101", 1), *calls_out("mobile", MOBILE, 2), *ends(20, "contact", "101", "mobile")]
    client = LegStarted(leg="client", at=at(3), side=Side.OURS, places=False, identity=MOBILE)
    legs = legs_of([*facts, client], BOOK)
    assert numbers_in(legs) == {CONTACT, MOBILE}
    erased = without_number(legs, MOBILE)
    assert numbers_in(erased) == {CONTACT}
    assert MOBILE.removeprefix("+") not in legs_to_text(erased)
    assert [leg.started_at for leg in erased.legs] == [leg.started_at for leg in legs.legs]
    assert without_number(legs, "+4930123456") == legs


INSTANTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(max_size=10)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "party": st.sampled_from(Party),
    "outcome": st.sampled_from(LegOutcome),
    "user": st.none() | st.builds(LegUser, id=TEXTS, email=TEXTS, given_name=TEXTS, family_name=TEXTS),
    "started_at": INSTANTS,
    "number": TEXTS,
    "address": TEXTS,
    "queues": st.lists(
        st.builds(QueueStay, queue=TEXTS, entered_at=INSTANTS, left_at=st.none() | INSTANTS), max_size=3
    ).map(tuple),
    **dict.fromkeys(("sip", "q850", "transferred_to"), st.none() | st.integers(0, 699)),
}
LEGS = st.builds(CallLeg, **{each.name: _VALUES.get(each.name, st.none() | INSTANTS) for each in fields(CallLeg)})


@given(st.lists(LEGS, max_size=4).map(tuple), st.integers(0, 500))
def test_what_is_kept_is_what_was_told_to_the_microsecond(legs: tuple[CallLeg, ...], omitted: int) -> None:
    told = CallLegs(legs=legs, omitted=omitted)
    kept = legs_to_text(told)
    assert legs_from_text(kept) == told
    assert kept.isascii()


@pytest.mark.parametrize(
    "said", [{"party": "robot"}, {"outcome": "teleported"}, {"started_at": "now"}, {"party": None}]
)
def test_a_leg_of_another_version_is_passed_over_and_the_rest_is_read(said: dict[str, Any]) -> None:
    told = legs_of([caller(), *ends(5, "contact")], BOOK)
    kept = json.loads(legs_to_text(told))
    [whole] = kept["legs"]
    kept["legs"] = [whole | said, whole | {"colour": "red"}]
    assert legs_from_text(json.dumps(kept)) == told


def test_a_call_of_which_no_legs_were_kept_has_none() -> None:
    assert legs_from_text(None) == NO_LEGS
