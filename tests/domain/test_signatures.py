"""Signatures: the vectors of Standard Webhooks, its own libraries as oracles, and what a secret must look like."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.signatures import Signer, new_secret, sign
from hookline.errors import Invalid

#: The vector that the libraries of Standard Webhooks test themselves with, in every language.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

secrets = st.binary(min_size=24, max_size=24).map(new_secret)
message_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)
timestamps = st.integers(0, 4_000_000_000)


def test_the_vector_of_standard_webhooks_is_signed_to_the_letter() -> None:
    assert sign([SECRET], MESSAGE_ID, TIMESTAMP, BODY) == SIGNATURE


def test_the_vector_of_standard_webhooks_is_recognised() -> None:
    assert Signer([SECRET]).recognises(SIGNATURE, MESSAGE_ID, TIMESTAMP, BODY)


def test_a_right_signature_is_found_among_others() -> None:
    junk = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    assert Signer([SECRET]).recognises(f"{junk} v2,{SIGNATURE[3:]} {SIGNATURE} {junk}", MESSAGE_ID, TIMESTAMP, BODY)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1",
        "v1,",
        SIGNATURE[:8],
        SIGNATURE[3:],
        SIGNATURE.lower(),
        SIGNATURE.rstrip("="),
        "v2," + SIGNATURE[3:],
        "v1a," + SIGNATURE[3:],
        "V1," + SIGNATURE[3:],
        SIGNATURE + ",",
        SIGNATURE.replace("OE=", "OF="),  # other text for the same bytes, to a lenient reader of base64
        "é",
    ],
)
def test_what_is_only_like_the_signature_is_not_recognised(header: str) -> None:
    assert not Signer([SECRET]).recognises(header, MESSAGE_ID, TIMESTAMP, BODY)


@given(secrets, message_ids, timestamps, st.binary())
def test_a_signature_is_the_hmac_of_id_time_and_body(secret: str, message_id: str, timestamp: int, body: bytes) -> None:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body), hashlib.sha256)
    assert sign([secret], message_id, timestamp, body) == "v1," + base64.b64encode(digest).decode()


@given(secrets, message_ids, timestamps, st.text())
def test_standardwebhooks_and_svix_sign_alike(secret: str, message_id: str, timestamp: int, body: str) -> None:
    at = datetime.fromtimestamp(timestamp, UTC)
    ours = sign([secret], message_id, timestamp, body.encode())
    assert ours == standardwebhooks.Webhook(secret).sign(message_id, at, body)
    assert ours == svix.webhooks.Webhook(secret).sign(message_id, at, body)


@given(secrets, secrets, message_ids, timestamps, st.binary())
def test_while_a_secret_is_rotated_either_one_recognises(
    old: str, new: str, message_id: str, timestamp: int, body: bytes
) -> None:
    header = sign([new, old], message_id, timestamp, body)
    assert header == f"{sign([new], message_id, timestamp, body)} {sign([old], message_id, timestamp, body)}"
    for known in ([old], [new], [old, new]):
        assert Signer(known).recognises(header, message_id, timestamp, body)


@given(secrets, secrets, message_ids, timestamps, st.binary())
def test_another_secret_recognises_nothing(ours: str, other: str, message_id: str, when: int, body: bytes) -> None:
    signed = sign([ours], message_id, when, body)
    assert Signer([other]).recognises(signed, message_id, when, body) == (ours == other)


@given(message_ids, timestamps, st.binary(), st.integers(min_value=0), st.integers(0, 7))
def test_one_bit_of_the_body_breaks_the_signature(message_id: str, when: int, body: bytes, at: int, bit: int) -> None:
    changed = bytearray(body + b".")
    changed[at % len(changed)] ^= 1 << bit
    signer = Signer([SECRET])
    assert not signer.recognises(signer.header(message_id, when, body + b"."), message_id, when, bytes(changed))


def test_a_signer_signs_the_second_time_as_the_first() -> None:
    signer = Signer([SECRET, OTHER_SECRET])
    first = signer.header(MESSAGE_ID, TIMESTAMP, BODY)
    signer.header("evt_other", 1, b"something else")
    assert signer.header(MESSAGE_ID, TIMESTAMP, BODY) == first


def test_the_time_is_signed_as_it_is_written() -> None:
    assert not Signer([SECRET]).recognises(SIGNATURE, MESSAGE_ID, f"0{TIMESTAMP}", BODY)


@given(st.binary(min_size=24, max_size=24))
def test_a_new_secret_is_its_dice_in_base64_and_signs(dice: bytes) -> None:
    secret = new_secret(dice)
    assert secret.startswith("whsec_")
    assert base64.b64decode(secret.removeprefix("whsec_")) == dice
    assert standardwebhooks.Webhook(secret).sign("a", datetime(2025, 1, 1, tzinfo=UTC), "b")


@pytest.mark.parametrize("dice", [b"", b"x" * 23, b"x" * 25])
def test_a_new_secret_is_refused_other_than_24_bytes_of_dice(dice: bytes) -> None:
    with pytest.raises(ValueError, match="24 random bytes"):
        new_secret(dice)


@pytest.mark.parametrize("spelling", [SECRET, SECRET.removeprefix("whsec_"), f" {SECRET}\n"])
def test_a_secret_is_taken_without_its_prefix_and_with_space_around(spelling: str) -> None:
    assert sign([spelling], MESSAGE_ID, TIMESTAMP, BODY) == SIGNATURE


def test_a_secret_is_taken_without_its_padding() -> None:
    padded = "whsec_" + base64.b64encode(b"twenty-five bytes, no more").decode()
    assert padded.endswith("=")
    assert sign([padded.rstrip("=")], "a", 1, b"") == sign([padded], "a", 1, b"")


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_====", "whsec_hunter2!", "whsec_a", "whsec_-_-_", "whsec_é", "whsec_...", None, b"x", 7],
)
def test_a_malformed_secret_is_refused_by_name_and_never_shown(secret: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Signer([secret])
    assert [field.field for field in refusal.value.fields] == ["secret"]
    assert "hunter2" not in refusal.value.message
    assert refusal.value.__cause__ is None


def test_no_secret_at_all_is_refused() -> None:
    with pytest.raises(Invalid, match="secret: at least one"):
        Signer([])


def test_one_text_in_place_of_several_secrets_is_refused() -> None:
    with pytest.raises(Invalid):
        Signer(SECRET)


def test_a_signer_shows_no_secret_when_printed() -> None:
    assert "MfKQ9r8G" not in repr(Signer([SECRET]))
