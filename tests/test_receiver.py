"""The receiver library, as those who receive our webhooks use it."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import Message as MailHeaders
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders
from werkzeug.datastructures import EnvironHeaders
from werkzeug.datastructures import Headers as FlaskHeaders

import hookline
from hookline import receiver as receiver_module
from hookline.domain.events import PAYLOADS, SAMPLES, EventKind, canonical_bytes, plain
from hookline.domain.signatures import sign
from hookline.errors import Invalid
from hookline.receiver import (
    BadHeader,
    BadPayload,
    BadSignature,
    CallPayload,
    MeetingPayload,
    Message,
    OutsideTolerance,
    Receiver,
    VerificationError,
)
from tests.fuzz_receiver import fuzz

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = 1_750_000_000
BOOKED = canonical_bytes(SAMPLES[EventKind.MEETING_BOOKED])
FACTS = {
    "hookline-event": "meetingBooked",
    "hookline-subject": "mtg_01jx0000000000000000000000",
    "hookline-sequence": "2",
    "hookline-occurred-at": "2025-06-10T07:09:01.696Z",
    "hookline-attempt": "3",
}


def verify(body: Any, headers: Any, *secrets: Any, now: float = NOW, **options: Any) -> Message:
    return Receiver(*(secrets or (SECRET,)), now=lambda: now, **options).verify(body, headers)


def signed(body: bytes = BOOKED, secrets: tuple[str, ...] = (SECRET,), when: int = NOW, **facts: str) -> dict[str, str]:
    """The headers of a request. A fact is changed by its name (`event="callFinished"`)."""
    return {
        "webhook-id": "evt_01jx0000000000000000000001",
        "webhook-timestamp": str(when),
        "webhook-signature": sign(secrets, "evt_01jx0000000000000000000001", when, body),
        **FACTS,
        **{f"hookline-{name.replace('_', '-')}": value for name, value in facts.items()},
    }


def batch_of(size: int, kind: EventKind = EventKind.CALL_FINISHED) -> tuple[bytes, dict[str, str]]:
    body = b"[" + b",".join([canonical_bytes(SAMPLES[kind])] * size) + b"]"
    headers = signed(body, event=kind.value, batch_size=str(size))
    for absent in ("hookline-subject", "hookline-sequence", "hookline-occurred-at"):
        del headers[absent]
    return body, headers


def test_a_message_says_all_that_the_request_says() -> None:
    message = verify(BOOKED, signed())
    assert message.id == "evt_01jx0000000000000000000001"
    assert message.event is EventKind.MEETING_BOOKED
    assert str(message.event) == "meetingBooked"
    assert message.subject == "mtg_01jx0000000000000000000000"
    assert message.sequence == 2
    assert message.occurred_at == datetime(2025, 6, 10, 7, 9, 1, 696_000, tzinfo=UTC)
    assert message.occurred_at.tzinfo is UTC
    assert message.attempt == 3
    assert not message.is_test
    assert not message.is_batch
    assert message.payloads == (message.payload,)


@pytest.mark.parametrize("kind", EventKind)
def test_the_payload_of_each_event_comes_back_typed_and_equal(kind: EventKind) -> None:
    message = verify(canonical_bytes(SAMPLES[kind]), signed(canonical_bytes(SAMPLES[kind]), event=kind.value))
    assert type(message.payload) is PAYLOADS[kind]
    assert message.payload == SAMPLES[kind]


def test_payload_types_are_reached_from_the_receiver_itself() -> None:
    assert isinstance(verify(BOOKED, signed()).payload, receiver_module.MeetingPayload)
    assert receiver_module.CallPayload is CallPayload
    assert receiver_module.EventKind is EventKind


def test_a_test_send_is_told_apart() -> None:
    assert verify(BOOKED, signed(test="true")).is_test


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        verify(BOOKED, signed()).id = "evt_other"  # type: ignore[misc]  # that is what is being tried


def test_a_body_may_come_as_a_bytearray() -> None:
    assert verify(bytearray(BOOKED), signed()).payload == SAMPLES[EventKind.MEETING_BOOKED]


@pytest.mark.parametrize("size", [1, 2, 500])
def test_a_batch_brings_all_its_payloads_in_order(size: int) -> None:
    message = verify(*batch_of(size))
    assert message.is_batch
    assert message.payloads == (SAMPLES[EventKind.CALL_FINISHED],) * size
    assert (message.subject, message.sequence) == ("", 0)
    assert message.occurred_at == datetime.fromtimestamp(NOW, UTC)


def test_a_batch_never_passes_for_its_first_part() -> None:
    message = verify(*batch_of(2))
    with pytest.raises(VerificationError, match=r"batch of 2: read message\.payloads"):
        _ = message.payload


@pytest.mark.parametrize("size", ["0", "1", "3", "x", ""])
def test_a_batch_of_another_size_than_it_says_is_refused(size: str) -> None:
    body, headers = batch_of(2)
    with pytest.raises(VerificationError):
        verify(body, headers | {"hookline-batch-size": size})


def test_a_batch_with_one_bad_payload_is_refused_and_the_place_is_named() -> None:
    body = b"[" + canonical_bytes(SAMPLES[EventKind.CALL_FINISHED]) + b',{"type":"answered"}]'
    with pytest.raises(BadPayload, match=r"\[1\]\.account_name: is missing"):
        verify(body, signed(body, event="callFinished", batch_size="2"))


def test_a_single_event_is_not_read_from_a_list() -> None:
    body = b"[" + BOOKED + b"]"
    with pytest.raises(BadPayload, match="The body: expected an object"):
        verify(body, signed(body))


def now_signed(sign_with: Callable[[str, datetime, str], str], body: bytes) -> dict[str, str]:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251  receivers live in real time
    signature = sign_with("msg_1", now, body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


@pytest.mark.parametrize("theirs", [standardwebhooks.Webhook, svix.webhooks.Webhook])
@pytest.mark.parametrize("kind", EventKind)
def test_what_other_libraries_sign_verifies_here_with_their_three_headers_alone(theirs: Any, kind: EventKind) -> None:
    body = canonical_bytes(SAMPLES[kind])
    message = Receiver(SECRET).verify(body, headers := now_signed(theirs(SECRET).sign, body))
    assert message.payload == SAMPLES[kind]
    assert message.event is (kind if kind is EventKind.CALL_FINISHED else None)
    assert (message.subject, message.sequence, message.attempt, message.is_test) == ("", 0, 1, False)
    assert message.occurred_at == datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)


@pytest.mark.parametrize("theirs", [standardwebhooks.Webhook, svix.webhooks.Webhook])
@pytest.mark.parametrize("kind", EventKind)
def test_what_we_sign_verifies_in_other_libraries(theirs: Any, kind: EventKind) -> None:
    body = canonical_bytes(SAMPLES[kind])
    headers = now_signed(lambda name, when, _: sign([OTHER_SECRET, SECRET], name, int(when.timestamp()), body), body)
    signature = headers["webhook-signature"]
    for header in (signature, signature.split()[0]):
        theirs(OTHER_SECRET).verify(body, headers | {"webhook-signature": header})
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        theirs(OTHER_SECRET).verify(body + b" ", headers)


def test_the_vector_of_standard_webhooks_passes_the_signature_check() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(BadPayload, match="account_email: is missing"):  # signed rightly, by someone else than us
        verify(b'{"test": 2432232314}', headers, now=1614265330)


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(BOOKED.replace(b"123", b"124", 1), signed())


def test_the_same_json_in_other_bytes_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(json.dumps(json.loads(BOOKED)).encode(), signed())


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_a_changed_id_or_time_is_refused(header: str) -> None:
    headers = signed()
    with pytest.raises(BadSignature):
        verify(BOOKED, headers | {header: headers[header][:-1] + "9"})


def test_the_signature_is_checked_before_the_body_is_read() -> None:
    with pytest.raises(BadSignature):
        verify(b"[" * 100_000, signed())


def test_a_refusal_shows_neither_secret_nor_the_signature_that_would_have_passed() -> None:
    headers = signed(b"something else")
    with pytest.raises(BadSignature) as refusal:
        verify(BOOKED, headers)
    assert SECRET.removeprefix("whsec_") not in str(refusal.value)
    assert signed()["webhook-signature"][3:] not in str(refusal.value)


@pytest.mark.parametrize("away", [-300, -299, 0, 299, 300])
def test_within_the_tolerance_a_request_is_taken(away: int) -> None:
    assert verify(BOOKED, signed(when=NOW + away))


@pytest.mark.parametrize("away", [-(10**9), -301, 301, 10**9])
def test_outside_the_tolerance_a_request_is_refused(away: int) -> None:
    with pytest.raises(OutsideTolerance, match="300 seconds"):
        verify(BOOKED, signed(when=NOW + away))


def test_the_tolerance_can_be_chosen() -> None:
    assert verify(BOOKED, signed(when=NOW - 3600), tolerance_seconds=3600)
    with pytest.raises(OutsideTolerance):
        verify(BOOKED, signed(when=NOW - 6), tolerance_seconds=5)


@pytest.mark.parametrize(
    "timestamp", ["", " ", "x", "-1", "+1750000000", " 1750000000", "1750000000 ", "1_750_000_000", "1750000000.0",
                  "1.75e9", "0x684ee180", "١٧٥٠٠٠٠٠٠٠", "１７５０００００００", "nan", "inf", "9" * 16, "9" * 5000]
)  # fmt: skip
def test_a_time_that_is_not_in_plain_digits_is_refused_although_it_was_signed(timestamp: str) -> None:
    own = {"webhook-timestamp": timestamp, "webhook-signature": sign([SECRET], "a", timestamp, BOOKED)}  # type: ignore[arg-type]  # no number
    with pytest.raises(BadHeader, match="webhook-timestamp"):
        verify(BOOKED, signed() | {"webhook-id": "a"} | own)


@pytest.mark.parametrize("message_id", ["", " ", "a.b", "evt_1.1750000000", "a b", "é", "\x00", "x" * 257])
def test_an_id_that_blurs_what_was_signed_is_refused(message_id: str) -> None:
    own = {"webhook-id": message_id, "webhook-signature": sign([SECRET], message_id, NOW, BOOKED)}
    with pytest.raises(BadHeader, match="webhook-id"):
        verify(BOOKED, signed() | own)


@pytest.mark.parametrize("ours", [(SECRET,), (OTHER_SECRET,), (SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)])
@pytest.mark.parametrize("senders", [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)])
def test_a_rotation_passes_whichever_side_moves_first(ours: tuple[str, ...], senders: tuple[str, ...]) -> None:
    for given in (ours, [ours], [list(ours)]):  # one by one, or in a list
        assert verify(BOOKED, signed(secrets=senders), *given)


def test_after_a_rotation_the_old_secret_passes_no_more() -> None:
    assert verify(BOOKED, signed(secrets=(SECRET,)), SECRET, OTHER_SECRET)
    with pytest.raises(BadSignature):
        verify(BOOKED, signed(secrets=(SECRET,)), OTHER_SECRET)


@pytest.mark.parametrize(
    "secrets",
    [(), ([],), ([None],), (SECRET.encode(),), ("",), ("whsec_",), ("whsec_not base64",), (None,), (SECRET, "")],
)
def test_a_receiver_is_not_made_with_a_malformed_secret(secrets: tuple[Any, ...]) -> None:
    with pytest.raises(Invalid, match="secret: ") as refusal:
        Receiver(*secrets)
    assert not isinstance(refusal.value, VerificationError)


def test_a_secret_is_taken_without_its_prefix() -> None:
    assert verify(BOOKED, signed(), SECRET.removeprefix("whsec_"))


def as_bytes(headers: Mapping[str, str]) -> Any:
    return {name.encode(): value.encode() for name, value in headers.items()}


def as_wsgi(headers: Mapping[str, str]) -> Any:
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    return environ | {"wsgi.version": (1, 0), "wsgi.input": sys.stdin, "CONTENT_TYPE": "application/json"}


def as_mail_headers(headers: Mapping[str, str]) -> Any:
    found = MailHeaders()
    for name, value in headers.items():
        found[name.title()] = value
    return found


@pytest.mark.parametrize(
    "spell",
    [
        lambda headers: {name.upper(): value for name, value in headers.items()},
        lambda headers: {name.title(): value for name, value in headers.items()},
        as_bytes,
        as_wsgi,
        as_mail_headers,
        StarletteHeaders,
        FlaskHeaders,
        lambda headers: EnvironHeaders(as_wsgi(headers)),
        lambda headers: headers | {name.title(): value for name, value in headers.items()},
    ],
    ids=["upper", "title", "bytes", "WSGI", "http.server", "Starlette", "Flask", "Flask environ", "twice alike"],
)
def test_headers_are_found_however_a_server_hands_them_over(spell: Callable[[dict[str, str]], Any]) -> None:
    assert verify(BOOKED, spell(signed(test="true"))) == verify(BOOKED, signed(test="true"))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_signed_header_is_needed_and_the_refusal_names_it(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(BadHeader, match=f"{name}: is needed"):
        verify(BOOKED, headers)


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_is_absent_leaves_all_others_as_they_are_but_an_empty_one_is_refused(name: str) -> None:
    whole, headers = verify(BOOKED, signed()), signed()
    del headers[name]
    lacking = verify(BOOKED, headers)
    changed = {fact for fact in Message.__dataclass_fields__ if getattr(lacking, fact) != getattr(whole, fact)}
    assert changed == {name.removeprefix("hookline-").replace("-", "_")}
    with pytest.raises(BadHeader, match=f"{name}: is needed"):
        verify(BOOKED, headers | {name: ""})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature", "hookline-event", "hookline-sequence"])
@pytest.mark.parametrize("value", [None, 7, 1.5, True, ["x"], ("x",), {}, object(), "é", "\ud800", b"\xff"])
def test_a_header_that_is_not_ascii_text_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadHeader, match=name):
        verify(BOOKED, {**signed(), name: value})


@pytest.mark.parametrize("again", ["Webhook-Id", "WEBHOOK-ID", "HTTP_WEBHOOK_ID", b"webhook-id"])
def test_a_header_given_twice_with_two_values_is_refused(again: Any) -> None:
    with pytest.raises(BadHeader, match="webhook-id: given twice"):
        verify(BOOKED, {**signed(), again: "evt_other"})


def test_headers_of_svix_alone_are_not_taken_for_ours() -> None:
    with pytest.raises(BadHeader, match="is needed"):
        verify(BOOKED, {name.replace("webhook-", "svix-"): value for name, value in signed().items()})


@pytest.mark.parametrize(
    "headers", [None, 7, "webhook-id: 1", b"x", [], [("webhook-id", "x")], object(), dict, str.title]
)
def test_headers_that_are_no_mapping_are_refused(headers: object) -> None:
    with pytest.raises(BadHeader, match="headers: expected a mapping"):
        verify(BOOKED, headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hookline-event", "meetingbooked"),
        ("hookline-event", "meetingMoved"),
        ("hookline-sequence", "0"),
        ("hookline-sequence", "-1"),
        ("hookline-sequence", "1.0"),
        ("hookline-sequence", "9" * 5000),
        ("hookline-attempt", "0"),
        ("hookline-attempt", "x"),
        ("hookline-test", "false"),
        ("hookline-occurred-at", "2025-06-10T07:09:01.696"),
        ("hookline-occurred-at", "2025-02-30T07:09:01.696Z"),
        ("hookline-occurred-at", "yesterday"),
    ],
)
def test_a_fact_that_is_not_of_its_form_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadHeader, match=f"{name}: "):
        verify(BOOKED, signed() | {name: value})


@pytest.mark.parametrize("body", [None, "", BOOKED.decode(), 7, {}, [], json.loads(BOOKED), memoryview(BOOKED)])
def test_a_body_that_is_not_the_raw_bytes_is_refused_with_a_word_of_what_it_is(body: object) -> None:
    with pytest.raises(BadPayload, match=f"raw bytes of the request, got {type(body).__name__}"):
        verify(body, signed())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'""',
        b"{",
        b"NaN",
        b"\xff\xfe",
        BOOKED.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + BOOKED,
        BOOKED + b"x",
        BOOKED.replace(b"Testmeeting", b"\xff"),
        BOOKED.replace(b"Testmeeting", b"\\ud800"),
        BOOKED.replace(b'"price":123', b'"price":NaN'),
        BOOKED.replace(b'"price":123', b'"price":-Infinity'),
        BOOKED.replace(b'"price":123', b'"price":1e999'),
        BOOKED.replace(b'"price":123', b'"price":' + b"9" * 30),
        BOOKED.replace(b'"price":123', b'"price":' + b"9" * 5000),
        BOOKED.replace(b'"price":123', b'"price":1,"price":2'),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        BOOKED.replace(b'"price":123', b'"price":' + b"[" * 5_000 + b"]" * 5_000),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_rightly_signed_body_that_is_not_our_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadPayload):
        verify(body, signed(body))


@pytest.mark.parametrize("kind", [EventKind.MEETING_BOOKED, EventKind.CALL_FINISHED])
def test_each_key_is_needed(kind: EventKind) -> None:
    for name in plain(SAMPLES[kind]):
        payload = plain(SAMPLES[kind])
        del payload[name]
        with pytest.raises(BadPayload, match=f"^{name}: is missing"):
            verify(body := json.dumps(payload).encode(), signed(body, event=kind.value))


@pytest.mark.parametrize(
    ("kind", "name", "odd_values"),
    [
        (EventKind.MEETING_BOOKED, "account_email", [None, True, 7, 1.5, [], {}]),
        (EventKind.MEETING_BOOKED, "price", [None, True, False, "123", "", [], {}]),
        (EventKind.MEETING_BOOKED, "event_participants", [None, True, 7, "", {}, [7], [None], ["x"], [[]], [{}]]),
        (EventKind.MEETING_BOOKED, "questions_and_answers", [None, 0, "", {}, [{"answer": "a", "question": 7}]]),
        (EventKind.CALL_FINISHED, "account_name", [None, "john", [], {}, {"family_name": "doe", "given_name": None}]),
        (EventKind.CALL_FINISHED, "duration_seconds", [None, True, "123", 123.0, 1.5, []]),
        (EventKind.CALL_FINISHED, "recording", [None, 0, 1, "true", "", []]),
        (EventKind.CALL_FINISHED, "type", [None, True, 7, "", "Answered", "hung up", ["answered"], {}]),
    ],
)
def test_each_value_has_exactly_its_type(kind: EventKind, name: str, odd_values: list[Any]) -> None:
    for odd in odd_values:
        body = json.dumps(plain(SAMPLES[kind]) | {name: odd}).encode()
        with pytest.raises(BadPayload, match=f"^{name}"):
            verify(body, signed(body, event=kind.value))


@pytest.mark.parametrize("price", [0, 123, 49.9, 0.001, 99_999_999_999])
def test_a_price_comes_back_as_it_was_written(price: float) -> None:
    body = json.dumps(plain(SAMPLES[EventKind.MEETING_BOOKED]) | {"price": price}).encode()
    payload = verify(body, signed(body)).payload
    assert isinstance(payload, MeetingPayload)
    assert payload.price == price
    assert type(payload.price) is type(price)


def test_a_key_of_a_later_version_is_passed_over() -> None:
    payload = plain(SAMPLES[EventKind.MEETING_BOOKED])
    payload["meeting_mood"] = {"good": True}
    payload["event_participants"][0]["PHONE"] = None
    body = json.dumps(payload).encode()
    assert verify(body, signed(body)).payload == SAMPLES[EventKind.MEETING_BOOKED]


def test_a_body_of_another_event_is_refused() -> None:
    with pytest.raises(BadPayload, match="account_name: is missing"):
        verify(BOOKED, signed(event="callFinished"))


def test_whatever_is_wrong_with_a_request_one_family_tells() -> None:
    for error in (BadHeader, BadSignature, OutsideTolerance, BadPayload):
        assert issubclass(error, VerificationError)


@hypothesis.given(st.binary(), st.dictionaries(st.text() | st.binary() | st.sampled_from([*signed()]), st.text()))
def test_no_junk_verifies_or_breaks_out(body: bytes, headers: dict[Any, str]) -> None:
    with pytest.raises(VerificationError):
        verify(body, headers)


def test_no_mutilated_request_verifies_or_breaks_out() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"python -m tests.fuzz_receiver --inputs 5000 --seed {seed}")
    outcomes, failures = fuzz(seed, range(5_000))
    assert failures == []
    assert outcomes.keys() == {"verified", "BadHeader", "BadSignature", "OutsideTolerance", "BadPayload"}


def test_the_receiver_needs_nothing_but_the_standard_library() -> None:
    """In an interpreter without site-packages, with nothing on its path but our own source."""
    source = Path(hookline.__file__).parent.parent
    program = f"import sys; sys.path.append({str(source)!r}); import hookline.receiver; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert roots - set(sys.stdlib_module_names) - {"__main__"} == {"hookline"}
    assert not roots & {"asyncio", "socket", "threading", "sqlite3"}
