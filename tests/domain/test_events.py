"""The four events: the page's samples to the byte, and what holds for the bytes of every payload."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import (
    FIRED_WHEN,
    PAYLOADS,
    SAMPLES,
    AccountName,
    CallPayload,
    CallType,
    EventKind,
    MeetingPayload,
    Participant,
    Payload,
    QuestionAndAnswer,
    canonical_bytes,
    plain,
)

FIXTURES = Path(__file__).parent.parent / "fixtures" / "payloads"
MEETING_KEYS = [
    "account_email",
    "currency",
    "event_participants",
    "meeting_address",
    "meeting_end_timestamp",
    "meeting_location",
    "meeting_name",
    "meeting_notes",
    "meeting_start_timestamp",
    "price",
    "questions_and_answers",
]
CALL_KEYS = [
    "account_name",
    "duration_seconds",
    "is_forwarded",
    "phone_line",
    "phone_line_name",
    "phone_number",
    "recording",
    "type",
]

texts = st.text(st.characters(exclude_categories=["Cs"]))  # no halves of surrogate pairs: they are no text
prices = st.integers(0, 99_999_999_999) | st.integers(0, 9_999_999).map(lambda cents: cents / 100)
meetings = st.builds(
    MeetingPayload,
    account_email=texts,
    currency=texts,
    event_participants=st.lists(
        st.builds(Participant, EMAIL=texts, FIRSTNAME=texts, LASTNAME=texts), min_size=1, max_size=4
    ).map(tuple),
    meeting_address=texts,
    meeting_end_timestamp=texts,
    meeting_location=texts,
    meeting_name=texts,
    meeting_notes=texts,
    meeting_start_timestamp=texts,
    price=prices,
    questions_and_answers=st.lists(st.builds(QuestionAndAnswer, answer=texts, question=texts), max_size=4).map(tuple),
)
calls = st.builds(
    CallPayload,
    account_name=st.builds(AccountName, family_name=texts, given_name=texts),
    duration_seconds=st.integers(0, 10**6),
    is_forwarded=st.booleans(),
    phone_line=texts,
    phone_line_name=texts,
    phone_number=texts,
    recording=st.booleans(),
    type=st.sampled_from(CallType),
)
payloads: st.SearchStrategy[Payload] = meetings | calls


@pytest.mark.parametrize("kind", EventKind)
def test_the_sample_of_each_event_is_the_page_s_own_in_canonical_form(kind: EventKind) -> None:
    page = json.loads((FIXTURES / f"{kind}.json").read_bytes())
    assert canonical_bytes(SAMPLES[kind]) == canonical_bytes(page)


@pytest.mark.parametrize("kind", EventKind)
def test_each_event_has_its_payload_its_sample_and_its_moment(kind: EventKind) -> None:
    assert isinstance(SAMPLES[kind], PAYLOADS[kind])
    assert FIRED_WHEN[kind].endswith(".")


def test_the_sample_of_a_call_is_these_bytes() -> None:
    assert canonical_bytes(SAMPLES[EventKind.CALL_FINISHED]) == (
        b'{"account_name":{"family_name":"doe","given_name":"john"},"duration_seconds":123,"is_forwarded":true,'
        b'"phone_line":"+441400800008","phone_line_name":"My number","phone_number":"+14002007868","recording":true,'
        b'"type":"answered"}'
    )


@given(meetings)
def test_a_meeting_has_these_eleven_keys_in_this_order(payload: MeetingPayload) -> None:
    assert list(json.loads(canonical_bytes(payload))) == MEETING_KEYS


@given(calls)
def test_a_call_has_these_eight_keys_in_this_order(payload: CallPayload) -> None:
    assert list(json.loads(canonical_bytes(payload))) == CALL_KEYS


def test_what_is_absent_is_sent_as_empty() -> None:
    bare = MeetingPayload(
        account_email="a@example.com",
        event_participants=(Participant(EMAIL="b@example.com"),),
        meeting_end_timestamp="2025-06-10T07:09:01.696Z",
        meeting_name="Talk",
        meeting_start_timestamp="2025-06-10T07:09:01.696Z",
    )
    sent = json.loads(canonical_bytes(bare))
    assert sent["event_participants"] == [{"EMAIL": "b@example.com", "FIRSTNAME": "", "LASTNAME": ""}]
    assert {name: sent[name] for name in ("currency", "meeting_notes", "price", "questions_and_answers")} == {
        "currency": "",
        "meeting_notes": "",
        "price": 0,
        "questions_and_answers": [],
    }


@given(payloads)
def test_keys_are_sorted_at_every_level(payload: Payload) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
        return dict(pairs)

    json.loads(canonical_bytes(payload), object_pairs_hook=check)


@given(st.dictionaries(texts, texts))
def test_keys_are_sorted_by_code_point(value: dict[str, str]) -> None:
    # The order of UTF-8's bytes is the order of code points (and not that of UTF-16).
    keys = list(json.loads(canonical_bytes(value)))
    assert keys == sorted(value, key=lambda key: key.encode())


@given(payloads)
def test_what_was_written_reads_back_equal(payload: Payload) -> None:
    assert json.loads(canonical_bytes(payload)) == plain(payload)


@given(payloads)
def test_the_bytes_are_a_function_of_what_they_say(payload: Payload) -> None:
    body = canonical_bytes(payload)
    assert canonical_bytes(json.loads(body)) == body


@given(payloads)
def test_there_is_no_white_space_between_tokens(payload: Payload) -> None:
    tokens = json.dumps(plain(payload), sort_keys=True, ensure_ascii=False, indent=1)
    squeezed = "".join(line.strip(" ").replace('": ', '":', 1) for line in tokens.split("\n"))
    assert len(canonical_bytes(payload).decode()) <= len(squeezed)
    assert not {" ", "\t", "\n", "\r"} & set(without_texts(canonical_bytes(payload).decode()))


def without_texts(body: str) -> str:
    """The JSON without its strings: what is left is structure, numbers and words."""
    left, decoder, at = [], json.JSONDecoder(), 0
    while at < len(body):
        if body[at] == '"':
            _, at = decoder.raw_decode(body, at)
        else:
            left.append(body[at])
            at += 1
    return "".join(left)


@given(texts)
def test_text_beyond_ascii_is_not_escaped(name: str) -> None:
    body = canonical_bytes(AccountName(family_name=name)).decode()
    assert all(character in body for character in name if ord(character) > 127)
    assert "\\u" not in body.replace("\\\\", "") or any(ord(character) < 32 for character in name)


@pytest.mark.parametrize("name", ["Zoë", "Дарья", "太郎", "👩‍🚀", "é", "\u2028", "\ufeff"])
def test_a_name_is_sent_in_its_own_letters(name: str) -> None:
    assert canonical_bytes(AccountName(family_name=name)) == f'{{"family_name":"{name}","given_name":""}}'.encode()


@pytest.mark.parametrize(
    ("price", "written"), [(0, b"0"), (123, b"123"), (49.9, b"49.9"), (0.001, b"0.001"), (1.5, b"1.5")]
)
def test_a_price_is_written_in_its_shortest_form(price: float, written: bytes) -> None:
    assert canonical_bytes({"price": price}) == b'{"price":%b}' % written


@pytest.mark.parametrize("kind", CallType)
def test_a_call_type_is_written_as_its_word(kind: CallType) -> None:
    assert canonical_bytes({"type": kind}) == b'{"type":"%b"}' % kind.value.encode()
