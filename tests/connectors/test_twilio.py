"""Twilio: what its callbacks tell, and who may tell it."""

import hashlib
from itertools import permutations
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from hookline.connectors.twilio import Twilio
from hookline.domain.finished_calls import NoCall
from hookline.errors import Invalid, PermissionDenied, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import CONTACT, LINE, NOW, finished, payload, phonebook, reports, right

SETTINGS = {"authToken": "12345"}
URL = "https://hookline.company.example/in/twilio/token"
FORM = "application/x-www-form-urlencoded"
JOHN = "client:john@company.example"
INBOUND = {"CallSid": "CA1", "AccountSid": "AC1", "From": CONTACT, "To": LINE, "Direction": "inbound"}
#: A client calls by way of a program, which dials the contact.
CLIENT = {"CallSid": "CA1", "AccountSid": "AC1", "From": "client:101", "To": CONTACT, "Direction": "inbound"}


def signed(form: dict[str, str], url: str = URL, token: str = "12345", **headers: str) -> Posted:
    signature = RequestValidator(token).compute_signature(url, form)
    return request(form, url, {"x-twilio-signature": signature, **headers})


def request(form: dict[str, str] | bytes, url: str, headers: dict[str, str], method: str = "POST") -> Posted:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    query = url.partition("?")[2]
    return Posted(
        method=method, url=url, query=query, headers={"content-type": FORM, **headers}, body=body, at=NOW
    )  # fmt: skip


def ended(leg: dict[str, str], status: str, seconds: int = 0, at: str = "09:00:00", **more: str) -> Posted:
    """A status callback at the end of a leg."""
    when = f"Wed, 25 Nov 2026 {at} +0000"
    return signed(
        {"CallStatus": status, "CallDuration": str(seconds), "Timestamp": when,
         "CallbackSource": "call-progress-events", **leg, **more}
    )  # fmt: skip


def child(to: str, status: str, seconds: int = 0, at: str = "09:00:00", from_: str = CONTACT, **more: str) -> Posted:
    leg = {"CallSid": "CA2", "ParentCallSid": "CA1", "AccountSid": "AC1", "From": from_, "To": to,
           "Direction": "outbound-dial"}  # fmt: skip
    return ended(leg, status, seconds, at, **more)


def dialled(status: str, seconds: int = 0, leg: dict[str, str] = INBOUND, **more: str) -> Posted:
    """The action of a Dial."""
    return signed({**leg, "CallStatus": "in-progress", "DialCallSid": "CA2", "DialCallStatus": status,
                   "DialCallDuration": str(seconds), **more})  # fmt: skip


def recorded(seconds: int) -> Posted:
    """The action of a Record."""
    return signed({**INBOUND, "CallStatus": "completed", "RecordingUrl": "https://api.twilio.com/RE1",
                   "RecordingSid": "RE1", "RecordingDuration": str(seconds)})  # fmt: skip


def recording(source: str, status: str = "completed") -> Posted:
    return signed({"AccountSid": "AC1", "CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": status,
                   "RecordingSource": source, "RecordingUrl": "https://api.twilio.com/RE1"})  # fmt: skip


CLIENT_CALLS = ended(CLIENT, "completed", 130)
STORIES: dict[str, tuple[list[Posted], dict[str, Any]]] = {
    "answered": (
        [child(JOHN, "completed", 123), dialled("completed", 123), ended(INBOUND, "completed", 130)],
        right("answered"),
    ),
    "answered, told by the Dial alone": (
        [dialled("completed", 123), ended(INBOUND, "completed", 130)],
        right("answered", account_name=""),
    ),
    "answered and recorded": (
        [child(JOHN, "completed", 123), ended(INBOUND, "completed", 130), recording("DialVerb")],
        right("answered", recording=True),
    ),
    "forwarded": (
        [child("+447700900103", "completed", 123), ended(INBOUND, "completed", 130)],
        right("answered", account_name="Olga Owner", is_forwarded=True),
    ),
    "missed": ([child(JOHN, "no-answer"), dialled("no-answer"), ended(INBOUND, "completed", 30)], right("missed")),
    "missed, nobody to dial": ([ended(INBOUND, "completed", 30)], right("missed")),
    "missed, caller gave up": ([child(JOHN, "canceled"), ended(INBOUND, "no-answer")], right("missed")),
    "missed voicemail": (
        [child(JOHN, "busy"), dialled("busy"), recorded(12), ended(INBOUND, "completed", 40), recording("RecordVerb")],
        right("missed voicemail"),
    ),
    "an empty message": ([dialled("busy"), recorded(0), ended(INBOUND, "completed", 40)], right("missed")),
    "connected": (
        [child(CONTACT, "completed", 123, from_=LINE), dialled("completed", 123, CLIENT), CLIENT_CALLS],
        right("connected"),
    ),
    "not connected, busy": (
        [child(CONTACT, "busy", from_=LINE, SipResponseCode="486"), dialled("busy", 0, CLIENT), CLIENT_CALLS],
        right("not connected"),
    ),
    "not connected, rang in vain": ([child(CONTACT, "no-answer", from_=LINE), CLIENT_CALLS], right("not connected")),
    "failed": (
        [child(CONTACT, "failed", from_=LINE, SipResponseCode="404"), dialled("failed", 0, CLIENT), CLIENT_CALLS],
        right("failed/cancelled"),
    ),
    "cancelled": ([child(CONTACT, "canceled", from_=LINE), CLIENT_CALLS], right("failed/cancelled")),
    "called through the API": (
        [ended({**INBOUND, "From": LINE, "To": CONTACT, "Direction": "outbound-api"}, "completed", 123)],
        right("connected", account_name=""),
    ),
    "called through the API in vain": (
        [ended({**INBOUND, "From": LINE, "To": CONTACT, "Direction": "outbound-api"}, "busy")],
        right("not connected", account_name=""),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_callbacks_become_the_right_call(story: str) -> None:
    told, expected = STORIES[story]
    assert payload(Twilio(), SETTINGS, told) == expected


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_callbacks_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told, expected = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert payload(Twilio(), SETTINGS, order) == expected


API_CALL = {**INBOUND, "From": LINE, "To": CONTACT, "Direction": "outbound-api"}
#: How a Dial ended -> what a call to us is then, and what a call of a client.
DIAL_ENDS: dict[str, tuple[str, int | None, str, str, str]] = {
    # name: DialCallStatus, DialCallDuration, DialBridged, inbound, outbound
    "completed and bridged": ("completed", 123, "true", "answered", "connected"),
    "completed and bridged for less than a second": ("completed", 0, "true", "answered", "connected"),
    "completed and not bridged": ("completed", 123, "false", "missed", "not connected"),
    "completed, not bridged, without a length": ("completed", 0, "false", "missed", "not connected"),
    "completed with a length": ("completed", 123, "", "answered", "connected"),
    "completed without a length": ("completed", 0, "", "missed", "not connected"),
    "a conference, of which no length is sent": ("answered", None, "", "answered", "connected"),
    "a conference, not bridged": ("answered", None, "false", "missed", "not connected"),
    "busy": ("busy", 0, "false", "missed", "not connected"),
    "no-answer": ("no-answer", 0, "false", "missed", "not connected"),
    "failed": ("failed", 0, "false", "missed", "failed/cancelled"),
    "canceled": ("canceled", 0, "false", "missed", "failed/cancelled"),
    "busy with a length": ("busy", 9, "", "missed", "not connected"),
    "no-answer with a length": ("no-answer", 9, "", "missed", "not connected"),
    "failed with a length": ("failed", 9, "", "missed", "failed/cancelled"),
    "canceled with a length": ("canceled", 9, "", "missed", "failed/cancelled"),
}


@pytest.mark.parametrize("name", DIAL_ENDS)
def test_a_dial_that_is_over_was_taken_only_if_it_was_bridged(name: str) -> None:
    status, seconds, bridged, inbound, outbound = DIAL_ENDS[name]
    more = {"DialBridged": bridged} if bridged else {}
    for leg, expected in ((INBOUND, inbound), (CLIENT, outbound)):
        form = {**leg, "CallStatus": "in-progress", "DialCallStatus": status, **more}
        length = {} if seconds is None else {"DialCallSid": "CA2", "DialCallDuration": str(seconds)}
        told = [signed({**form, **length}), ended(leg, "completed", 130)]
        assert payload(Twilio(), SETTINGS, told, phonebook(outbound_line=LINE))["type"] == expected


@pytest.mark.parametrize(
    ("status", "seconds", "inbound", "outbound"),
    [("completed", 123, "answered", "connected"), ("completed", 0, "missed", "not connected"),
     ("busy", 0, "missed", "not connected"), ("no-answer", 0, "missed", "not connected"),
     ("failed", 0, "missed", "failed/cancelled"), ("canceled", 0, "missed", "failed/cancelled"),
     ("busy", 9, "missed", "not connected"), ("no-answer", 9, "missed", "not connected"),
     ("failed", 9, "missed", "failed/cancelled"), ("canceled", 9, "missed", "failed/cancelled")],
)  # fmt: skip
def test_a_leg_that_is_over_was_taken_only_if_it_is_completed_and_lasted(
    status: str, seconds: int, inbound: str, outbound: str
) -> None:
    comes_in = [child(JOHN, status, seconds), ended(INBOUND, "completed", 130)]
    assert payload(Twilio(), SETTINGS, comes_in)["type"] == inbound
    goes_out = [child(CONTACT, status, seconds, from_=LINE), CLIENT_CALLS]
    assert payload(Twilio(), SETTINGS, goes_out)["type"] == outbound
    assert payload(Twilio(), SETTINGS, [ended(API_CALL, status, seconds)])["type"] == outbound


@pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "failed", "canceled"])
def test_the_end_of_the_leg_that_called_does_not_say_that_somebody_took_it(status: str) -> None:
    assert payload(Twilio(), SETTINGS, [ended(INBOUND, status, 130)]) == right("missed")


def test_a_phone_that_answered_and_was_not_bridged_took_no_call_in_whatever_order_it_is_told() -> None:
    told = [
        child(JOHN, "completed", 12),
        dialled("completed", 12, DialBridged="false"),
        ended(INBOUND, "completed", 30),
    ]
    for order in permutations(told):
        assert payload(Twilio(), SETTINGS, order) == right("missed")
    forwarded = [child("+447700900103", "completed", 12), *told[1:]]
    assert payload(Twilio(), SETTINGS, forwarded) == right("missed", is_forwarded=True)


def test_a_withheld_number_is_empty() -> None:
    for number in ("anonymous", "+266696687", ""):
        told = [ended({**INBOUND, "From": number}, "completed", 5)]
        assert payload(Twilio(), SETTINGS, told) == right("missed", phone_number="")


def test_a_call_among_clients_is_no_event() -> None:
    told = [child("client:456", "completed", 9, from_=JOHN), ended({**CLIENT, "To": "client:456"}, "completed", 10)]
    assert isinstance(finished(Twilio(), SETTINGS, told), NoCall)


def test_the_vectors_of_the_sdk_s_documentation_are_right() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212",
            "Caller": "+14158675309"}  # fmt: skip
    reports(Twilio(), SETTINGS, [request(form, url, {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="})])
    headers = {
        "x-twilio-signature": "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=",
        "x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
    }
    reports(Twilio(), {"authToken": "other", "sharedKey": "12345"}, [request(form, url, headers)])
    with pytest.raises(Unauthorized):  # signed with a key that this connector does not have
        reports(Twilio(), SETTINGS, [request(form, url, headers)])


def agree(posted: Posted, form: dict[str, str] | str, url: str, token: str = "12345") -> None:
    """We accept what the official SDK accepts, and nothing else."""
    theirs = RequestValidator(token).validate(url, form, posted.headers.get("x-twilio-signature", ""))
    try:
        Twilio().read(posted, Twilio().check({"authToken": token}))
        ours = True
    except Unauthorized:
        ours = False
    except Invalid:
        ours = True
    assert ours == theirs


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
_FORMS = st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=5)
_URLS = st.sampled_from([URL, URL + "?a=1&b=2", URL.replace(".example", ".example:8443"), URL.replace("https", "http")])


@given(_FORMS, _URLS, st.booleans())
def test_what_the_sdk_signs_is_accepted_with_the_port_and_without(form: dict[str, str], url: str, port: bool) -> None:
    spelt = url.replace(".example/", ".example:443/") if port and url.startswith("https") else url
    signature = RequestValidator("12345").compute_signature(spelt, form)
    agree(request(form, url, {"x-twilio-signature": signature}), form, url)


@given(_FORMS, _FORMS, _URLS, _URLS, st.text(st.characters(codec="ascii", min_codepoint=32), max_size=3))
def test_on_whatever_is_changed_we_say_what_the_sdk_says(
    form: dict[str, str], other: dict[str, str], url: str, elsewhere: str, more: str
) -> None:
    signature = RequestValidator("12345").compute_signature(url, form)
    agree(request(other, url, {"x-twilio-signature": signature}), other, url)
    agree(request(form, elsewhere, {"x-twilio-signature": signature}), form, elsewhere)
    agree(request(form, url, {"x-twilio-signature": signature + more}), form, url)
    agree(request(form, url, {"x-twilio-signature": signature[1:]}), form, url)
    agree(request(form, url, {}), form, url)
    agree(request(form, url, {"x-twilio-signature": signature}), form, url, token="12346")


def test_of_a_json_body_the_url_has_the_hash() -> None:
    body = b'{"CallSid": "CA1"}'
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator("12345").compute_signature(url, {})
    headers = {"content-type": "application/json", "x-twilio-signature": signature}
    agree(request(body, url, headers), body.decode(), url)
    agree(request(body + b" ", url, headers), body.decode() + " ", url)


def test_a_get_is_signed_by_its_url() -> None:
    url = f"{URL}?{urlencode({**INBOUND, 'CallStatus': 'completed', 'CallDuration': '5'})}"
    signature = RequestValidator("12345").compute_signature(url, {})
    told = [request(b"", url, {"x-twilio-signature": signature}, "GET")]
    assert payload(Twilio(), SETTINGS, told) == right("missed")


def test_another_account_is_refused() -> None:
    with pytest.raises(PermissionDenied):
        reports(Twilio(), {**SETTINGS, "accountSid": "AC2"}, [ended(INBOUND, "completed")])
    assert reports(Twilio(), {**SETTINGS, "accountSid": "AC1"}, [ended(INBOUND, "completed")])


@pytest.mark.parametrize(
    "different",
    [{"CallSid": ""}, {"CallSid": "a\x01b"}, {"CallDuration": "-5", "Direction": "outbound-api"}, {"Timestamp": "now"}],
)
def test_what_is_no_callback_is_refused_by_name(different: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Twilio(), SETTINGS, [ended({**INBOUND, **different}, "completed")])
    assert refusal.value.fields[0].field == next(iter(different))


@pytest.mark.parametrize("body", [b"\xff=1", b"&".join(b"a=1" for _ in range(500))])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        reports(Twilio(), SETTINGS, [request(body, URL, {"x-twilio-signature": "x"})])


@pytest.mark.parametrize(
    ("settings", "field"), [({}, "settings.authToken"), ({"authToken": ""}, "settings.authToken"),
                            ({"authToken": "t", "colour": "red"}, "settings.colour")]
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Twilio().check(settings)
    assert refusal.value.fields[0].field == field


def test_settings_are_completed() -> None:
    complete = {"authToken": "t", "accountSid": "", "sharedKey": "", "region": ""}
    assert Twilio().check({"authToken": "t"}) == complete
    assert Twilio().check(complete) == complete
