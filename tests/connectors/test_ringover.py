"""What Ringover sends becomes the right call, however it comes; and nobody else can send it."""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import timedelta
from itertools import permutations
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.connectors.ringover import Ringover
from hookline.errors import Invalid, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import NOW, URL, finished, payload, phonebook, posted, reports, right

KEY = "0410d565ba53e10061a758256c881bd7048a44640410d565ba53e10061a75825"
SETTINGS = {"key": KEY}
STARTED = 1_795_425_000.25
ENDED = STARTED + 140
JOHN = {"user_id": 11, "firstname": "John", "lastname": "Doe", "email": "john@company.example", "photo": ""}
MARY = {"user_id": 456, "firstname": "Mary", "lastname": "Major", "email": "", "photo": ""}
OUT = {"direction": "outbound", "from_number": "441400800008", "to_number": "14002007868"}


def message(event: str, **different: Any) -> dict[str, Any]:
    """An event of the shape in Ringover's reference."""
    usual: dict[str, Any] = {
        "id": "d1", "call_id": "8123456789", "channel_id": "s-1", "start_time": STARTED, "hangup_time": ENDED,
        "direction": "inbound", "from_number": "14002007868", "to_number": "441400800008", "user_id": 11,
        "is_internal": False, "is_anonymous": False, "is_ivr": False, "ivr_data": None, "user": JOHN,
        "duration_in_seconds": 0, "record": None, "status": "", "answering_machine_detection": "HUMAN",
    }  # fmt: skip
    return {"resource": "call", "event": event, "timestamp": ENDED + 1, "data": usual | different, "attempt": 1}


def signed(body: dict[str, Any], *, key: str = KEY, algorithm: str = "HS512", url: str = URL) -> Posted:
    """As Ringover sends it by default: by the oracle's hand."""
    token = jwt.encode({"url": url, "payload": body}, key, algorithm=algorithm)
    return posted(body, headers={"x-ringover-webhook-signature": token})


def signed_v3(body: dict[str, Any], *, stamp: str | None = None, key: str = KEY, url: str = URL) -> Posted:
    """As Ringover sends it on request."""
    content, stamp = json.dumps(body).encode(), str(int(NOW.timestamp())) if stamp is None else stamp
    digest = hmac.new(key.encode(), b"POST" + url.encode() + content + stamp.encode(), hashlib.sha256).digest()
    headers = {
        "x-ringover-webhook-signature-v3": b64encode(digest).decode(),
        "x-ringover-request-signature-v3-timestamp": stamp,
    }
    return posted(content, headers=headers)


def event(name: str, **different: Any) -> Posted:
    return signed(message(name, **different))


def test_a_call_that_a_user_took_is_answered() -> None:
    assert payload(Ringover(), SETTINGS, [event("hangup", duration_in_seconds=123)]) == right("answered")


@pytest.mark.parametrize(
    ("name", "seconds", "inbound", "outbound"),
    [("hangup", 123, "answered", "connected"), ("hangup", 0.5, "answered", "connected"),
     ("hangup", 0, "missed", "not connected"), ("hangup", -1, "missed", "not connected"),
     ("hangup", None, "missed", "not connected"), ("missed", 123, "missed", "not connected"),
     ("missed", None, "missed", "not connected"), ("voicemail", 123, "missed voicemail", "not connected"),
     ("voicemail", None, "missed voicemail", "not connected")],
)  # fmt: skip
def test_a_call_that_is_over_was_taken_only_if_a_hangup_tells_its_length(
    name: str, seconds: float | None, inbound: str, outbound: str
) -> None:
    for direction, expected in (({}, inbound), (OUT, outbound)):
        told = event(name, duration_in_seconds=seconds, start_time=ENDED - 130, **direction)
        assert payload(Ringover(), SETTINGS, [told])["type"] == expected


def answered_at(moment: float) -> Posted:
    return signed(message("answered", hangup_time=None) | {"timestamp": moment})


def test_a_hangup_without_a_length_is_of_a_talk_since_it_was_answered() -> None:
    for order in permutations([answered_at(ENDED - 123), event("hangup", duration_in_seconds=None)]):
        assert payload(Ringover(), SETTINGS, order) == right("answered")


@pytest.mark.parametrize("moment", [ENDED - 130, ENDED - 123, ENDED - 1])
def test_a_length_that_is_told_counts_whenever_the_answer_was_told(moment: float) -> None:
    for order in permutations([answered_at(moment), event("hangup", duration_in_seconds=123)]):
        assert payload(Ringover(), SETTINGS, order) == right("answered")
    for order in permutations([answered_at(moment), event("hangup", duration_in_seconds=0)]):
        assert payload(Ringover(), SETTINGS, order) == right("missed")


def test_a_call_that_nobody_took_is_missed() -> None:
    assert payload(Ringover(), SETTINGS, [event("missed", reason="NO_ANSWER")]) == right("missed")


def test_a_call_that_nobody_took_and_a_message_is_a_missed_voicemail() -> None:
    told = event("voicemail", answered_time=STARTED + 20, duration_in_seconds=9)
    assert payload(Ringover(), SETTINGS, [told]) == right("missed voicemail")


def test_a_message_that_is_told_later_is_told() -> None:
    later = signed(
        {"resource": "call", "event": "voicemail_available", "timestamp": ENDED + 9,
         "data": {"call_id": 8123456789, "voicemail_link": "https://cdn.ringover.com/voicemail/1"}}
    )  # fmt: skip
    for order in permutations([event("missed"), later]):
        assert payload(Ringover(), SETTINGS, order) == right("missed voicemail")


def test_a_call_that_the_contact_took_is_connected() -> None:
    assert payload(Ringover(), SETTINGS, [event("hangup", **OUT, duration_in_seconds=123.4)]) == right("connected")


@pytest.mark.parametrize("name", ["hangup", "missed"])
def test_a_call_that_the_contact_did_not_take_is_not_connected(name: str) -> None:
    assert payload(Ringover(), SETTINGS, [event(name, **OUT)]) == right("not connected")


def test_a_recording_is_told_also_when_it_is_told_later() -> None:
    now = event("hangup", duration_in_seconds=123, record="https://cdn.ringover.com/records/1")
    assert payload(Ringover(), SETTINGS, [now]) == right("answered", recording=True)
    later = signed(
        {"resource": "call", "event": "record_available", "timestamp": ENDED + 9,
         "data": {"call_id": "8123456789", "record_link": "https://cdn.ringover.com/records/1", "record_duration": 123}}
    )  # fmt: skip
    for order in permutations([event("hangup", duration_in_seconds=123), later]):
        assert payload(Ringover(), SETTINGS, order) == right("answered", recording=True)


@pytest.mark.parametrize("hidden", [{"is_anonymous": True}, {"from_number": "anonymous"}, {"from_number": None}])
def test_a_number_that_is_withheld_is_empty(hidden: dict[str, Any]) -> None:
    assert payload(Ringover(), SETTINGS, [event("missed", **hidden)]) == right("missed", phone_number="")


def test_numbers_may_be_numbers() -> None:
    told = event("missed", from_number=14002007868, to_number=441400800008)
    assert payload(Ringover(), SETTINGS, [told]) == right("missed")


def test_the_line_of_a_call_to_a_menu_is_the_menus_number() -> None:
    menu = {"is_ivr": True, "ivr_data": {"number": "441400800008", "scenario_name": "day", "ivr_name": "main"}}
    assert payload(Ringover(), SETTINGS, [event("missed", to_number="0", **menu)]) == right("missed")


def test_a_user_without_a_mail_address_is_known_by_the_id() -> None:
    told = event("hangup", duration_in_seconds=123, user=MARY, user_id=456)
    assert payload(Ringover(), SETTINGS, [told]) == right("answered", account_name="Mary Major")
    told = event("hangup", duration_in_seconds=123, user=None, user_id="456")
    assert payload(Ringover(), SETTINGS, [told]) == right("answered", account_name="Mary Major")


@pytest.mark.parametrize("direction", [{}, OUT])
def test_the_name_of_a_user_is_ringovers_where_the_phone_book_has_none(direction: dict[str, str]) -> None:
    told = event("hangup", duration_in_seconds=123, user=JOHN | {"firstname": "Johanna", "lastname": "van Dam"},
                 **direction)  # fmt: skip
    assert payload(Ringover(), SETTINGS, [told])["account_name"] == "John Doe"
    assert payload(Ringover(), SETTINGS, [told], phonebook(are_named=False))["account_name"] == "Johanna van Dam"
    stranger = {"user_id": 5, "email": "ann@elsewhere.example", "firstname": "Ann", "lastname": "Other"}
    told = event("hangup", duration_in_seconds=123, user=stranger, user_id=5, **direction)
    assert payload(Ringover(), SETTINGS, [told])["account_name"] == "Ann Other"


def test_a_name_that_cannot_be_shown_costs_no_call() -> None:
    user = {"user_id": 5, "firstname": "A" * 300, "lastname": "\x00"}
    told = event("hangup", duration_in_seconds=123, user=user, user_id=5)
    assert payload(Ringover(), SETTINGS, [told]) == right("answered", account_name="A" * 100)


def test_after_a_transfer_who_answered_counts_in_whatever_order_it_is_told() -> None:
    told = [event("answered", hangup_time=None), event("hangup", duration_in_seconds=123, user=MARY, user_id=456)]
    for order in permutations(told):
        assert payload(Ringover(), SETTINGS, order) == right("answered")


STORIES = {
    "answered": [
        event("ringing", hangup_time=None),
        event("answered", hangup_time=None),
        event("hangup", duration_in_seconds=123, record="https://cdn.ringover.com/records/1"),
    ],
    "missed voicemail": [event("ringing"), event("missed"), event("voicemail", duration_in_seconds=9)],
    "not connected": [event("ringing", **OUT), event("hangup", **OUT), event("missed", **OUT)],
}


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_callbacks_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert finished(Ringover(), SETTINGS, order) == finished(Ringover(), SETTINGS, told)
    assert payload(Ringover(), SETTINGS, order)["type"] == story


@pytest.mark.parametrize(
    "told",
    [
        event("ringing"),
        event("comment_updated"),
        event("hangup", is_internal=True),
        signed({"resource": "sms", "event": "received", "data": {"call_id": 1}}),
        signed({"resource": "call", "event": "hangup", "data": []}),
    ],
)
def test_what_tells_nothing_about_a_call_with_a_contact_tells_nothing(told: Posted) -> None:
    assert reports(Ringover(), SETTINGS, [told]) == []


def test_what_is_read_is_the_copy_that_is_signed() -> None:
    told = event("missed")
    other = posted(message("hangup", duration_in_seconds=999), headers=told.headers)
    assert payload(Ringover(), SETTINGS, [other]) == right("missed")


@pytest.mark.parametrize("copy", [message("missed"), {"payload": json.dumps(message("missed"))}])
def test_the_copy_may_be_the_claims_themselves_or_text(copy: dict[str, Any]) -> None:
    token = jwt.encode(copy, KEY, algorithm="HS512")
    told = posted(b"", headers={"x-ringover-webhook-signature": token})
    assert payload(Ringover(), SETTINGS, [told]) == right("missed")


def test_a_token_with_the_query_of_another_day_is_ours_still() -> None:
    assert payload(Ringover(), SETTINGS, [signed(message("missed"), url=URL + "?x=1")]) == right("missed")


@pytest.mark.parametrize(
    "told",
    [
        posted(message("missed")),
        posted(message("missed"), headers={"x-ringover-webhook-signature": ""}),
        signed(message("missed"), key=KEY[1:] + "0"),
        signed(message("missed"), algorithm="HS256"),
        signed(message("missed"), url="https://elsewhere.example/in/kind/token"),
        signed(message("missed"), url="https://hookline.company.example/in/kind/other"),
        signed(message("missed"), url=""),
        posted(b"", headers={"x-ringover-webhook-signature": jwt.encode(message("missed"), "", algorithm="none")}),
        signed_v3(message("missed"), key=KEY[1:] + "0"),
        signed_v3(message("missed"), url=URL + "?x=1"),
        signed_v3(message("missed"), stamp=""),
        signed_v3(message("missed"), stamp="today"),
        signed_v3(message("missed"), stamp=str(int(NOW.timestamp()) - 301)),
        signed_v3(message("missed"), stamp=str(int(NOW.timestamp()) + 301)),
    ],
)  # fmt: skip
def test_what_somebody_else_signed_or_nobody_is_refused(told: Posted) -> None:
    with pytest.raises(Unauthorized):
        reports(Ringover(), SETTINGS, [told])


@pytest.mark.parametrize("late", [-300, 0, 300])
@pytest.mark.parametrize("scale", [1, 1000])
def test_the_other_way_of_signing_is_good_for_five_minutes_in_seconds_or_milliseconds(late: int, scale: int) -> None:
    told = signed_v3(message("missed"), stamp=str(int((NOW + timedelta(seconds=late)).timestamp()) * scale))
    assert payload(Ringover(), SETTINGS, [told]) == right("missed")


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = bytearray(event("missed").headers["x-ringover-webhook-signature"].encode())
    place = data.draw(st.integers(0, len(token) - 1))
    token[place] = data.draw(st.sampled_from(sorted(set(b"abcABC019-_.=+/ ") - {token[place]})))
    with pytest.raises(Unauthorized):
        reports(Ringover(), SETTINGS, [posted(b"", headers={"x-ringover-webhook-signature": token.decode()})])


@given(st.data())
def test_whatever_is_changed_in_a_request_with_the_other_signature_it_is_refused(data: st.DataObject) -> None:
    told = signed_v3(message("missed"))
    what = data.draw(st.sampled_from(["method", "url", "body", *told.headers]))
    parts = {"method": told.method, "url": told.url, "body": told.body.decode(), **told.headers}
    place = data.draw(st.integers(0, len(parts[what]) - 1))
    character = data.draw(st.sampled_from(sorted(set("abcABC019-_=+/") - {parts[what][place]})))
    parts[what] = parts[what][:place] + character + parts[what][place + 1 :]
    changed = Posted(
        method=parts["method"], url=parts["url"], query="", body=parts["body"].encode(), at=NOW,
        headers={name: parts[name] for name in told.headers},
    )  # fmt: skip
    with pytest.raises(Unauthorized):
        reports(Ringover(), SETTINGS, [changed])


@pytest.mark.parametrize(
    ("different", "field"),
    [
        ({"direction": "sideways"}, "data.direction"),
        ({"direction": None}, "data.direction"),
        ({"start_time": "yesterday"}, "data.start_time"),
        ({"hangup_time": -1}, "data.hangup_time"),
        ({"duration_in_seconds": "long"}, "data.duration_in_seconds"),
        ({"call_id": ""}, "data.call_id"),
    ],
)
def test_what_is_no_call_is_refused_by_the_name_of_its_field(different: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Ringover(), SETTINGS, [event("hangup", **different)])
    assert refusal.value.fields[0].field == field


@pytest.mark.parametrize("copy", [{"payload": 5}, {"payload": "no JSON"}])
def test_a_copy_that_is_no_object_is_refused(copy: dict[str, Any]) -> None:
    token = jwt.encode(copy, KEY, algorithm="HS512")
    with pytest.raises(Invalid):
        reports(Ringover(), SETTINGS, [posted(b"", headers={"x-ringover-webhook-signature": token})])


@pytest.mark.parametrize("settings", [{}, {"key": ""}, {"key": 1}, {"key": "k", "secret": "s"}])
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="settings\\."):
        Ringover().check(settings)
