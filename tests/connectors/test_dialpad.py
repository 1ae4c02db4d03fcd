"""What Dialpad sends becomes the right call, whichever of its legs tells it first; and nobody else can send it."""

from itertools import permutations
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.connectors.dialpad import Dialpad
from hookline.errors import Invalid, MissingField, Unauthorized
from hookline.ports.connectors import Posted
from tests.connectors.called import NOW, finished, payload, phonebook, posted, reports, right

SECRET = "a secret that is long enough for " * 2
SETTINGS = {"secret": SECRET}
STARTED = 1_795_425_000_092
CONNECTED = STARTED + 8_000
ENDED = CONNECTED + 123_463.294
JOHN = {"id": 5171365938069504, "type": "user", "email": "john@company.example", "phone": "+441400800010", "name": "J"}
MARY = {"id": 456, "type": "user", "email": "", "phone": "+441400800011", "name": "Mary Major"}
DESK = {"id": 77, "type": "department", "email": "", "phone": "+441400800008", "name": "Front desk"}


def claims(state: str, **different: Any) -> dict[str, Any]:
    """An event of the shape of a real one."""
    usual: dict[str, Any] = {
        "date_started": STARTED, "call_id": 5635304278851584, "state": state, "direction": "inbound",
        "external_number": "+14002007868", "internal_number": "+441400800008", "selected_caller_id": None,
        "date_rang": None, "date_first_rang": STARTED + 59, "date_queued": None, "date_connected": None,
        "date_ended": ENDED, "talk_time": 0, "hold_time": 0, "duration": 0, "total_duration": 463.294,
        "contact": {"id": 6, "type": "local", "email": "", "phone": "+14002007868", "name": "(400) 200-7868"},
        "target": JOHN, "entry_point_call_id": None, "entry_point_target": {}, "operator_call_id": None,
        "proxy_target": {}, "group_id": None, "master_call_id": None, "is_internal": False, "is_transferred": False,
        "transferred_from": {}, "csat_score": None, "routing_breadcrumbs": [], "event_timestamp": ENDED,
        "mos_score": None, "labels": [], "was_recorded": False, "voicemail_link": None, "voicemail_recording_id": None,
        "call_recording_ids": [], "transcription_text": None, "recording_details": [], "integrations": {},
    }  # fmt: skip
    return usual | different


def signed(body: dict[str, Any], key: str = SECRET, algorithm: str = "HS256") -> Posted:
    """As Dialpad sends it: by the oracle's hand."""
    return posted(jwt.encode(body, key, algorithm=algorithm).encode())


def event(state: str, **different: Any) -> Posted:
    return signed(claims(state, **different))


def test_a_call_that_a_user_took_is_answered() -> None:
    assert payload(Dialpad(), SETTINGS, [event("hangup", date_connected=CONNECTED)]) == right("answered")


def test_a_call_that_nobody_took_is_missed() -> None:
    assert payload(Dialpad(), SETTINGS, [event("missed")]) == right("missed")


@pytest.mark.parametrize("state", ["voicemail", "voicemail_uploaded", "hangup", "missed"])
@pytest.mark.parametrize("connected", [None, CONNECTED])
def test_a_link_to_a_message_is_a_missed_voicemail_whichever_state_tells_it(state: str, connected: int | None) -> None:
    told = event(state, voicemail_link="https://dialpad.com/blob/voicemail/1.mp3", date_connected=connected)
    assert payload(Dialpad(), SETTINGS, [told]) == right("missed voicemail")


def test_a_mailbox_that_is_reached_without_a_message_is_missed() -> None:
    assert payload(Dialpad(), SETTINGS, [event("voicemail", date_connected=CONNECTED)]) == right("missed")


def test_a_call_that_the_contact_took_is_connected() -> None:
    told = event("hangup", direction="outbound", date_connected=CONNECTED)
    assert payload(Dialpad(), SETTINGS, [told]) == right("connected")


def test_a_call_that_the_contact_did_not_take_is_not_connected() -> None:
    assert payload(Dialpad(), SETTINGS, [event("hangup", direction="outbound")]) == right("not connected")


@pytest.mark.parametrize(
    ("state", "connected", "inbound", "outbound"),
    [("hangup", CONNECTED, "answered", "connected"), ("hangup", None, "missed", "not connected"),
     ("hangup", 0, "missed", "not connected"), ("missed", None, "missed", "not connected"),
     ("missed", CONNECTED, "missed", "not connected"), ("voicemail", CONNECTED, "missed", "not connected"),
     ("voicemail_uploaded", CONNECTED, "missed", "not connected"), ("recording", CONNECTED, "answered", "connected"),
     ("recording", None, "missed", "not connected")],
)  # fmt: skip
def test_a_leg_that_is_over_was_taken_only_if_it_was_connected_to_a_person(
    state: str, connected: int | None, inbound: str, outbound: str
) -> None:
    for direction, expected in (("inbound", inbound), ("outbound", outbound)):
        told = event(state, direction=direction, date_connected=connected, duration=123_463.294)
        assert payload(Dialpad(), SETTINGS, [told])["type"] == expected
    at_a_department = event(state, target=DESK, date_connected=connected)
    assert payload(Dialpad(), SETTINGS, [at_a_department])["type"] == "missed"


@pytest.mark.parametrize(
    "line",
    [
        {"internal_number": "blocked", "target": JOHN | {"phone": "+441400800008"}},
        {"internal_number": "+441400800010", "selected_caller_id": "+441400800008"},
    ],
)
def test_the_line_of_an_outbound_call_is_what_was_shown_else_the_users_number(line: dict[str, Any]) -> None:
    told = event("hangup", direction="outbound", date_connected=CONNECTED, **line)
    assert payload(Dialpad(), SETTINGS, [told]) == right("connected")


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_name_of_a_user_is_dialpads_where_the_phone_book_has_none(direction: str) -> None:
    told = event("hangup", direction=direction, date_connected=CONNECTED, target=JOHN | {"name": "Johanna van Dam"})
    assert payload(Dialpad(), SETTINGS, [told])["account_name"] == "John Doe"
    assert payload(Dialpad(), SETTINGS, [told], phonebook(are_named=False))["account_name"] == "Johanna van Dam"
    stranger = JOHN | {"id": 5, "email": "ann@elsewhere.example", "name": "Ann Other"}
    told = event("hangup", direction=direction, date_connected=CONNECTED, target=stranger)
    assert payload(Dialpad(), SETTINGS, [told])["account_name"] == "Ann Other"


def test_the_name_of_a_department_is_no_users() -> None:
    told = [event("hangup", target=DESK, date_connected=CONNECTED)]
    assert payload(Dialpad(), SETTINGS, told, phonebook(are_named=False)) == right("missed", account_name="")


def test_a_recording_is_told_also_when_it_is_told_later() -> None:
    hangup, recording = event("hangup", date_connected=CONNECTED), event("recording", was_recorded=True)
    for order in permutations([hangup, recording]):
        assert payload(Dialpad(), SETTINGS, order) == right("answered", recording=True)


def test_a_number_that_is_withheld_is_empty() -> None:
    assert payload(Dialpad(), SETTINGS, [event("missed", external_number="blocked")]) == right(
        "missed", phone_number=""
    )


def test_times_may_be_text() -> None:
    told = event("hangup", date_started=str(STARTED), date_connected=str(CONNECTED), date_ended=str(ENDED))
    assert payload(Dialpad(), SETTINGS, [told]) == right("answered")


#: A call to a department, whose menu takes it at once; two operators ring, and Mary takes it.
ENTRY = {"target": DESK, "operator_call_id": 3, "date_connected": STARTED + 100}
RANG = {"call_id": 2, "entry_point_call_id": 5635304278851584, "internal_number": "+441400800010"}
TOOK = {"call_id": 3, "master_call_id": 5635304278851584, "target": MARY, "internal_number": "+441400800011"}
LEGS = [
    event("connected", **ENTRY | {"date_ended": None}),
    event("hangup", **ENTRY),
    event("missed", **RANG, date_started=STARTED + 500, date_ended=CONNECTED),
    event("connected", **TOOK, date_started=STARTED + 500, date_connected=CONNECTED, date_ended=None),
    event("hangup", **TOOK, date_started=STARTED + 500, date_connected=CONNECTED),
]
#: John takes a call and transfers it to Mary, on the same leg or on another.
MOVED = {"target": MARY, "transferred_from": JOHN, "is_transferred": True}
STORIES = {
    "department": (LEGS, right("answered", account_name="Mary Major")),
    "nobody takes it": ([LEGS[1], LEGS[2]], right("missed")),
    "transfer on the same leg": (
        [
            event("connected", date_connected=CONNECTED, date_ended=None),
            event("hangup", date_connected=CONNECTED, **MOVED),
        ],
        right("answered"),
    ),
    "transfer to another leg": (
        [
            event("connected", date_connected=CONNECTED, date_ended=None),
            event("hangup", date_connected=CONNECTED, is_transferred=True, date_ended=CONNECTED + 20_000),
            event(
                "hangup", call_id=9, master_call_id=5635304278851584, date_started=CONNECTED + 20_000,
                date_connected=CONNECTED + 25_000, **MOVED,
            ),
        ],
        right("answered"),
    ),
    "outbound": (
        [
            event("calling", direction="outbound", date_ended=None),
            event("connected", direction="outbound", date_connected=CONNECTED, date_ended=None),
            event("hangup", direction="outbound", date_connected=CONNECTED),
            event("recording", direction="outbound", date_connected=CONNECTED, was_recorded=True),
        ],
        right("connected", recording=True),
    ),
}  # fmt: skip


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_callbacks_in_any_order_and_any_number_become_the_same_call(data: st.DataObject, story: str) -> None:
    told, expected = STORIES[story]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    assert payload(Dialpad(), SETTINGS, order) == expected
    assert finished(Dialpad(), SETTINGS, order) == finished(Dialpad(), SETTINGS, told)


@pytest.mark.parametrize("missing", [0, 2, 3])
def test_a_state_that_is_never_told_changes_nothing_as_later_ones_tell_it_too(missing: int) -> None:
    rest = [each for place, each in enumerate(LEGS) if place != missing]
    assert payload(Dialpad(), SETTINGS, rest) == STORIES["department"][1]


def test_legs_are_one_call_by_the_one_through_which_it_came_in() -> None:
    assert {report.call_key for report in reports(Dialpad(), SETTINGS, LEGS)} == {"5635304278851584"}


def test_calls_among_users_tell_nothing() -> None:
    assert reports(Dialpad(), SETTINGS, [event("hangup", is_internal=True)]) == []


def test_events_about_something_else_tell_nothing() -> None:
    assert reports(Dialpad(), SETTINGS, [signed({"id": 1, "text": "a message", "direction": "inbound"})]) == []


def test_what_is_not_signed_is_refused() -> None:
    with pytest.raises(Unauthorized, match="not signed"):
        reports(Dialpad(), SETTINGS, [posted(claims("hangup"))])


@pytest.mark.parametrize(
    "told",
    [
        signed(claims("hangup"), key=SECRET[1:] + "."),
        signed(claims("hangup"), algorithm="HS512"),
        signed(claims("hangup"), algorithm="HS384"),
        posted(jwt.encode(claims("hangup"), "", algorithm="none").encode()),
        signed(claims("hangup") | {"exp": int(NOW.timestamp()) - 1}),
        signed(claims("hangup") | {"exp": "never"}),
        posted(jwt.encode(claims("hangup"), SECRET, headers={"crit": ["b64"], "b64": False}).encode()),
        posted(b""),
        posted(b"a.b.c"),
        posted(b"e30.e30."),
        posted(b"\xff\xfe.a.b"),
    ],
)
def test_what_somebody_else_signed_or_nobody_is_refused(told: Posted) -> None:
    with pytest.raises(Unauthorized):
        reports(Dialpad(), SETTINGS, [told])


def test_a_token_that_is_still_valid_is_taken() -> None:
    told = signed(claims("missed") | {"exp": int(NOW.timestamp()) + 1})
    assert payload(Dialpad(), SETTINGS, [told]) == right("missed")


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = bytearray(event("hangup").body)
    place = data.draw(st.integers(0, len(token) - 1))
    token[place] = data.draw(st.sampled_from(sorted(set(b"abcABC019-_.=+/ ") - {token[place]})))
    with pytest.raises(Unauthorized):
        reports(Dialpad(), SETTINGS, [posted(bytes(token))])


def test_the_token_of_one_call_does_not_sign_another() -> None:
    header, _, signature = jwt.encode(claims("hangup"), SECRET).split(".")
    other = jwt.encode(claims("missed"), SECRET).split(".")[1]
    with pytest.raises(Unauthorized):
        reports(Dialpad(), SETTINGS, [posted(f"{header}.{other}.{signature}".encode())])


@pytest.mark.parametrize(
    ("different", "field"),
    [
        ({"direction": "sideways"}, "direction"),
        ({"date_started": "yesterday"}, "date_started"),
        ({"date_started": "inf"}, "date_started"),
        ({"date_started": "nan"}, "date_started"),
        ({"date_ended": 10**30}, "date_ended"),
        ({"date_connected": -5}, "date_connected"),
        ({"target": "John"}, "target"),
        ({"entry_point_call_id": "x" * 201}, "call_id"),
    ],
)
def test_what_is_no_call_is_refused_by_the_name_of_its_field(different: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(Dialpad(), SETTINGS, [event("hangup", **different)])
    assert refusal.value.fields[0].field == field


def test_a_call_without_its_start_is_refused() -> None:
    told = {name: value for name, value in claims("hangup").items() if name != "date_started"}
    with pytest.raises(MissingField, match="date_started"):
        reports(Dialpad(), SETTINGS, [signed(told)])


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "settings.secret"),
        ({"secret": " "}, "settings.secret"),
        ({"secret": "s", "token": "t"}, "settings.token"),
        ({"secret": "s", "region": "gb"}, "settings.region"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Dialpad().check(settings)
    assert refusal.value.fields[0].field == field
