"""What Aircall sends becomes the right call, however it comes; and nobody else can send it."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.connectors.aircall import Aircall
from hookline.errors import Invalid, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import finished, payload, phonebook, posted, reports, right

SETTINGS = {"token": "45XXYYZZa08"}
JOHN = {"id": 789, "name": "John Doe", "email": "john@company.example"}
MARY = {"id": 456, "name": "Mary Major", "email": ""}
STARTED = 1_795_425_000
ANSWERED = STARTED + 10
ENDED = ANSWERED + 123


def call(event: str, **different: Any) -> Posted:
    """An event, of the shape in Aircall's reference; `different` is of the call."""
    usual: dict[str, Any] = {
        "id": 812, "sid": "CA00000000000000000000000000000812", "direct_link": "https://api.aircall.io/v1/calls/812",
        "direction": "inbound", "status": "done", "missed_call_reason": None, "started_at": STARTED,
        "answered_at": None, "ended_at": ENDED, "duration": 133, "raw_digits": "+1 400-200-7868", "asset": None,
        "recording": None, "voicemail": None, "archived": False, "user": None, "contact": None, "assigned_to": None,
        "number": {"id": 1234, "name": "Front desk", "digits": "+44 1400 800008", "country": "GB", "open": True},
        "transferred_by": None, "transferred_to": None, "teams": [], "comments": [], "tags": [], "participants": [],
    }  # fmt: skip
    body = {"resource": "call", "event": event, "timestamp": ENDED + 30, "token": SETTINGS["token"]}
    return posted({**body, "data": usual | different})


TALKED = {"answered_at": ANSWERED, "user": JOHN}


def test_a_call_that_a_user_took_is_answered() -> None:
    assert payload(Aircall(), SETTINGS, [call("call.ended", **TALKED)]) == right("answered")


def test_a_call_that_nobody_took_is_missed() -> None:
    ended = call("call.ended", missed_call_reason="agents_did_not_answer", user=JOHN)
    assert payload(Aircall(), SETTINGS, [ended]) == right("missed")


def test_a_call_that_nobody_took_and_a_message_is_a_missed_voicemail() -> None:
    ended = call("call.ended", voicemail="https://assets.aircall.io/812/voicemail", asset="https://assets.aircall.io/8")
    assert payload(Aircall(), SETTINGS, [ended]) == right("missed voicemail")


def test_a_call_that_the_contact_took_is_connected() -> None:
    ended = call("call.ended", direction="outbound", **TALKED)
    assert payload(Aircall(), SETTINGS, [ended]) == right("connected")


def test_a_call_that_the_contact_did_not_take_is_not_connected() -> None:
    ended = call("call.ended", direction="outbound", user=JOHN)
    assert payload(Aircall(), SETTINGS, [ended]) == right("not connected")


@pytest.mark.parametrize("event", ["call.hungup", "call.ended"])
@pytest.mark.parametrize(
    ("different", "inbound", "outbound"),
    [({"answered_at": ANSWERED}, "answered", "connected"), ({"answered_at": None}, "missed", "not connected"),
     ({"answered_at": 0}, "missed", "not connected"),
     *(({"answered_at": answered_at, "missed_call_reason": reason}, "missed", "not connected")
       for answered_at in (None, ANSWERED)
       for reason in ("out_of_opening_hours", "short_abandoned", "abandoned_in_ivr", "abandoned_in_classic",
                      "no_available_agent", "agents_did_not_answer"))],
)  # fmt: skip
def test_done_does_not_say_that_somebody_talked(
    event: str, different: dict[str, Any], inbound: str, outbound: str
) -> None:
    for direction, expected in (("inbound", inbound), ("outbound", outbound)):
        told = call(event, status="done", direction=direction, user=JOHN, duration=133, **different)
        assert payload(Aircall(), SETTINGS, [told])["type"] == expected


def test_a_recording_is_told() -> None:
    ended = call("call.ended", **TALKED, recording="https://assets.aircall.io/812/recording")
    assert payload(Aircall(), SETTINGS, [ended]) == right("answered", recording=True)


@pytest.mark.parametrize("digits", ["anonymous", "Anonymous", "", None])
def test_a_number_that_is_withheld_is_empty(digits: str | None) -> None:
    assert payload(Aircall(), SETTINGS, [call("call.ended", raw_digits=digits)]) == right("missed", phone_number="")


def test_a_user_without_a_mail_address_is_known_by_the_id() -> None:
    ended = call("call.ended", answered_at=ANSWERED, user=MARY)
    assert payload(Aircall(), SETTINGS, [ended]) == right("answered", account_name="Mary Major")


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_name_of_a_user_is_aircalls_where_the_phone_book_has_none(direction: str) -> None:
    ended = call("call.ended", direction=direction, answered_at=ANSWERED, user={**JOHN, "name": "Johanna van Dam"})
    assert payload(Aircall(), SETTINGS, [ended])["account_name"] == "John Doe"
    assert payload(Aircall(), SETTINGS, [ended], phonebook(are_named=False))["account_name"] == "Johanna van Dam"
    stranger = call("call.ended", direction=direction, answered_at=ANSWERED, user={"id": 5, "name": "Ann Other"})
    assert payload(Aircall(), SETTINGS, [stranger])["account_name"] == "Ann Other"


@pytest.mark.parametrize("name", [None, "", " ", "\x00"])
def test_a_user_without_a_name_anywhere_has_none(name: str | None) -> None:
    ended = call("call.ended", answered_at=ANSWERED, user={"id": 5, "name": name})
    assert payload(Aircall(), SETTINGS, [ended]) == right("answered", account_name="")


def test_a_mail_address_may_be_in_letters_of_either_size() -> None:
    ended = call("call.ended", answered_at=ANSWERED, user=JOHN | {"email": "John@Company.example"})
    assert payload(Aircall(), SETTINGS, [ended]) == right("answered")


def test_a_call_that_is_answered_and_ends_within_a_second_is_answered() -> None:
    same = {"started_at": ENDED, "answered_at": ENDED, "user": JOHN}
    assert payload(Aircall(), SETTINGS, [call("call.ended", **same)]) == right("answered", duration_seconds=0)


def test_after_a_transfer_the_first_user_counts_in_whatever_order_it_is_told() -> None:
    answered = call("call.answered", answered_at=ANSWERED, ended_at=None, user=JOHN, status="answered")
    hungup = call("call.hungup", answered_at=ANSWERED, user=MARY)
    ended = call("call.ended", answered_at=ANSWERED, user=MARY, transferred_by=JOHN, transferred_to=MARY)
    for order in permutations([answered, hungup, ended]):
        assert payload(Aircall(), SETTINGS, order) == right("answered")


STORIES = {
    "answered": [
        call("call.answered", **TALKED | {"ended_at": None}),
        call("call.hungup", **TALKED),
        call("call.ended", **TALKED, recording="https://assets.aircall.io/812/recording"),
    ],
    "missed voicemail": [
        call("call.hungup"),
        call("call.voicemail_left", voicemail="https://assets.aircall.io/812/voicemail"),
        call("call.ended", voicemail="https://assets.aircall.io/812/voicemail"),
    ],
    "not connected": [
        call("call.hungup", direction="outbound", user=JOHN),
        call("call.ended", direction="outbound", user=JOHN),
    ],
}


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_callbacks_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert finished(Aircall(), SETTINGS, order) == finished(Aircall(), SETTINGS, told)


@pytest.mark.parametrize("story", sorted(STORIES))
def test_the_end_at_once_tells_the_same_as_the_end_later_but_for_what_is_ready_later(story: str) -> None:
    hungup, ended = (
        payload(Aircall(), SETTINGS, [each])
        for each in STORIES[story]
        if b"hungup" in each.body or b'ended"' in each.body
    )
    later = {"recording", "type"} if story == "missed voicemail" else {"recording"}
    assert {name: hungup[name] for name in hungup.keys() - later} == {
        name: ended[name] for name in ended.keys() - later
    }


def test_nothing_comes_after_the_end_of_which_the_connector_says_so() -> None:
    told = reports(Aircall(), SETTINGS, STORIES["answered"])
    assert [report.complete for report in told] == [False, False, True]
    assert {report.call_key for report in told} == {"812"}


@pytest.mark.parametrize("event", ["call.created", "call.tagged", "call.assigned", "call.something_new"])
def test_other_events_tell_nothing(event: str) -> None:
    assert reports(Aircall(), SETTINGS, [call(event)]) == []


def test_events_about_something_else_tell_nothing() -> None:
    body = {"resource": "contact", "event": "contact.created", "token": SETTINGS["token"], "data": {"id": 1}}
    assert reports(Aircall(), SETTINGS, [posted(body)]) == []


def test_calls_among_users_tell_nothing() -> None:
    assert reports(Aircall(), SETTINGS, [call("call.ended", direction="internal")]) == []


@pytest.mark.parametrize("token", [None, "", "45XXYYZZa09", "45XXYYZZa08 ", 45, ["45XXYYZZa08"], "45XXYYZZa0é"])
def test_who_does_not_know_the_token_is_refused(token: Any) -> None:
    with pytest.raises(Unauthorized):
        reports(Aircall(), SETTINGS, [posted({"resource": "call", "event": "call.ended", "token": token, "data": {}})])


@pytest.mark.parametrize("body", [b"", b"call", b"[]", b"\xff", b"[" * 100_000, b'{"a":'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        reports(Aircall(), SETTINGS, [posted(body)])


@pytest.mark.parametrize(
    ("different", "field"),
    [
        ({"id": None}, "data.id"),
        ({"id": "a\x00b"}, "data.id"),
        ({"id": ""}, "data.id"),
        ({"direction": "sideways"}, "data.direction"),
        ({"started_at": "yesterday"}, "data.started_at"),
        ({"started_at": 10**30}, "data.started_at"),
        ({"ended_at": -1}, "data.ended_at"),
        ({"number": {"digits": 5}}, "data.number.digits"),
    ],
)
def test_what_is_no_call_is_refused_by_the_name_of_its_field(different: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Aircall(), SETTINGS, [call("call.ended", **different)])
    assert refusal.value.fields[0].field == field


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "settings.token"),
        ({"token": ""}, "settings.token"),
        ({"token": 5}, "settings.token"),
        ({"token": "t", "region": "Britain"}, "settings.region"),
        ({"token": "t", "colour": "red"}, "settings.colour"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Aircall().check(settings)
    assert refusal.value.fields[0].field == field


def test_settings_are_completed() -> None:
    assert Aircall().check({"token": "t"}) == {"token": "t", "region": ""}


def test_the_number_of_a_line_is_told_when_it_is_in_no_phone_book() -> None:
    other = {"id": 1, "name": "Shop", "digits": "+44 1400 800009"}
    told = finished(Aircall(), SETTINGS, [call("call.ended", number=other)], phonebook())
    assert getattr(told, "line", "") == "+441400800009"
