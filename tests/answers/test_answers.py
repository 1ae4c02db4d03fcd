"""Whatever curl takes as a whole 2xx is a success here, but for the exceptions below; and Hookline says the same of an
answer however it is cut.

The fixture records what clients made of each answer: `clients.py` writes it.
"""

import json
from itertools import pairwise
from typing import Any, Final

import pytest

from hookline.adapters.http_answer import AnswerReader
from hookline.adapters.http_content import decoded
from hookline.ports.sender import MAX_ANSWER_BYTES
from tests.answers.clients import FIXTURE
from tests.answers.raw import ANSWERS, RawAnswer

RECORD: Final = json.loads(FIXTURE.read_text())
CLIENTS: Final = ("curl", "go", "http.client", "httpx")

_CUT: Final = "the connection ended within the head, which is an incomplete answer (RFC 9112, 8); h11 and Go refuse it"
_BOUND: Final = "a bound on memory: 200 headers, and 64 KiB for the head"
#: What curl takes as a whole 2xx and Hookline does not -> why. What was taken is sent again, which loses nothing.
EXCEPTIONS: Final = {
    "status line alone": _CUT,
    "head without its end": _CUT,
    "head cut in a line": _CUT,
    "250 headers": _BOUND,
    "value of 80 KiB": _BOUND,
}
#: What curl does not take and Hookline does, although at most one of the other clients does -> why. Each says 2xx.
MORE_LENIENT: Final = {
    "HTTP/1": "only the status counts",
    "HTTP/1.10": "only the status counts",
    "tab before the status": "white space is white space, as around the reason",
    "empty line before the status line": "a line end that a server sends behind an answer before it",
    "chunks with spaces before sizes": "white space is passed over, as behind sizes",
    "chunks with many leading zeros": "the size is what the digits say",
    "unreadable length beside chunks": "chunks count, whatever the length",
    "unknown coding": "the body lasts until the connection ends (RFC 9112, 6.3)",
    "unknown coding with a length": "the body lasts until the connection ends (RFC 9112, 6.3)",
}


def read(answer: RawAnswer, cuts: int = 0) -> AnswerReader:
    reader = AnswerReader()
    places = sorted({0, len(answer.raw), *(len(answer.raw) * each // (cuts + 1) for each in range(cuts + 1))})
    for start, end in pairwise(places):
        if reader.feed(answer.raw[start:end]):
            return reader
    if answer.end != "open":
        reader.end(cut=answer.end == "reset")
    return reader


def is_success(reader: AnswerReader) -> bool:
    return reader.over and not reader.error and reader.status is not None and 200 <= reader.status < 300


def took(name: str, client: str) -> bool:
    """Whether the client took the answer as a whole 2xx."""
    said = RECORD["answers"][name][client]
    return not said["error"] and 200 <= said["status"] < 300


def test_the_record_is_of_these_answers_and_all_clients() -> None:
    assert len(ANSWERS) >= 100
    assert RECORD["answers"].keys() == ANSWERS.keys()
    assert set(RECORD["versions"]) == set(CLIENTS)
    assert all(said.keys() == set(CLIENTS) for said in RECORD["answers"].values())


@pytest.mark.parametrize("name", ANSWERS)
def test_what_curl_takes_as_2xx_is_a_success_and_what_hardly_anybody_takes_is_none(name: str) -> None:
    success = is_success(read(ANSWERS[name]))
    takers = [client for client in CLIENTS if took(name, client)]
    if "curl" in takers or len(takers) > 1:
        assert success == (name not in EXCEPTIONS)
    else:
        assert success == (name in MORE_LENIENT)


def test_every_exception_is_one() -> None:
    assert all(took(name, "curl") for name in EXCEPTIONS)
    assert not any(took(name, "curl") for name in MORE_LENIENT)


@pytest.mark.parametrize("name", [name for name in ANSWERS if took(name, "curl") and name not in EXCEPTIONS])
def test_the_status_and_the_body_are_those_that_curl_read(name: str) -> None:
    said: dict[str, Any] = RECORD["answers"][name]["curl"]
    reader = read(ANSWERS[name])
    body = bytes(reader.body)
    if "transfer-encoding" in {header.lower() for header, _ in reader.headers}:
        body = decoded(reader.headers, body, MAX_ANSWER_BYTES)  # curl undoes transfer codings, and no others unasked
    assert (reader.status, body.decode("latin-1")) == (said["status"], said["body"])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_alike_however_it_is_cut(name: str) -> None:
    whole = read(ANSWERS[name])
    for cuts in (1, 2, 3, 7, len(ANSWERS[name].raw)):
        reader = read(ANSWERS[name], cuts)
        assert (reader.over, bool(reader.error)) == (whole.over, bool(whole.error))
        assert whole.error or (reader.status, reader.body) == (whole.status, whole.body)


@pytest.mark.parametrize(
    "name",
    [
        *("length beside chunks", "length before chunks", "wrong length beside chunks", "chunked twice"),
        *("same length in a list", "two lengths, the second is right", "length with a word behind"),
        *("no content with a length", "no content with a body", "no content with chunks", "answer twice"),
        *("length shorter than the body", "garbage after the answer", "until close", "HTTP/1.0", "HTTP/3.7"),
    ],
)
def test_after_an_answer_whose_end_is_in_doubt_the_connection_is_not_used_again(name: str) -> None:
    assert not read(ANSWERS[name]).reusable


@pytest.mark.parametrize(
    "name",
    [
        *("length", "chunks", "no content", "bare LF", "same length twice", "folded value", "HTTP/1.0 kept alive"),
        *("early hints first", "no reason", "chunks with trailers", "reason in latin-1", "offered upgrade"),
    ],
)
def test_after_an_answer_with_a_plain_end_the_connection_is_used_again(name: str) -> None:
    assert read(ANSWERS[name]).reusable
