"""What answers mean, byte by byte: no sockets here."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookline.adapters.http_answer import (
    CLOSED_BEFORE,
    CLOSED_IN_BODY,
    CLOSED_IN_HEAD,
    HEAD_TOO_LONG,
    MAX_HEADERS,
    SWITCHED,
    TOO_MANY_HEADERS,
    TOO_MUCH_FRAMING,
    AnswerReader,
)
from hookline.ports.sender import MAX_ANSWER_BYTES

#: Whole answers: what came, its status, its body, and whether the connection may carry another request.
WHOLE = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n", 202, b"", True),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b"", False),  # the five may be on their way
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b"", True),
    (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 307, b"", True),
    (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, b"", True),
    (b"HTTP/1.1 999 Go away\r\nContent-Length: 0\r\n\r\n", 999, b"", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", 200, b"ok", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\nT: railer\r\n\r\n", 200, b"ok", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 204 N\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok", True),
    (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", 200, b"ok", True),
    (b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", 200, b"ok", True),
    (b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length:\r\n 2\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.1 200 OK\r\nContent-Length: +2 bytes\r\n\r\nok", 200, b"ok", False),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        b"ok",
        False,
    ),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    (b"http/1.1 200\r\nX Y(1) : \xff\r\n: a\r\nContent-Length : 2\r\n\r\nok", 200, b"ok", True),
    (b"HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
]

#: What is no HTTP/1.1, or not whole: the bytes, and the status that was understood before they went wrong.
BROKEN = [
    (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    (b"<html>it works</html>", None),
    (b"\x15\x03\x01\x00\x02\x02\x46", None),  # a TLS alert
    (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", None),  # HTTP/2 settings
    (b"HTTP/1.1 20 OK\r\n\r\n", None),
    (b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", None),
    (b"HTTP/1.1 abc OK\r\n\r\n", None),
    (b"HTTP/1.1 2000 OK\r\n\r\n", None),
    (b"HTTP/1.1 +200 OK\r\n\r\n", None),
    (b"ICY 200 OK\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\n folded before any header\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nX\0Y: 1\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n", None),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200),
    (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", 500),
]


def read(*pieces: bytes) -> AnswerReader:
    reader = AnswerReader()
    for piece in pieces:
        if reader.feed(piece):
            break
    return reader


def cut_at(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
    return [raw[start:end] for start, end in pairwise(places)]


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 10_000), max_size=12))
@example(WHOLE[0], list(range(200)))
@example(WHOLE[12], list(range(200)))
def test_an_answer_means_the_same_however_it_is_cut(whole: tuple[bytes, int, bytes, bool], cuts: list[int]) -> None:
    raw, status, body, reusable = whole
    reader = read(*cut_at(raw, cuts))
    assert (reader.over, reader.status, bytes(reader.body), reader.error) == (True, status, body, "")
    assert reader.reusable == reusable


@given(st.sampled_from(BROKEN), st.lists(st.integers(0, 10_000), max_size=12))
def test_garbage_is_called_by_its_name_however_it_is_cut(broken: tuple[bytes, int | None], cuts: list[int]) -> None:
    raw, status = broken
    reader = read(*cut_at(raw, cuts))
    assert (reader.over, reader.status, reader.reusable) == (True, status, False)
    assert reader.error.startswith("What came back is not HTTP/1.1 (")


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=5))
def test_no_bytes_at_all_make_it_stumble(raw: bytes, cuts: list[int]) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        reader = read(*cut_at(start + raw + b"\n", cuts))
        reader.end(cut=False)
        assert reader.over
        assert len(reader.body) <= MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ],
)
def test_a_body_of_unknown_length_lasts_until_the_connection_is_closed(head: bytes) -> None:
    reader = read(head, b"until ", b"close")
    assert not reader.over
    reader.end(cut=False)
    assert (reader.over, reader.status, bytes(reader.body), reader.error) == (True, 200, b"until close", "")
    assert not reader.reusable


@pytest.mark.parametrize(
    ("raw", "status", "sentence"),
    [
        (b"", None, CLOSED_BEFORE),
        (b"HTT", None, CLOSED_IN_HEAD),
        (b"HTTP/1.1 200 OK\r\nContent-", None, CLOSED_IN_HEAD),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None, CLOSED_IN_HEAD),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 200, CLOSED_IN_BODY),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 200, CLOSED_IN_BODY),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nok", 500, CLOSED_IN_BODY),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n", 500, CLOSED_IN_BODY),
    ],
)
def test_an_answer_cut_short_keeps_its_status_and_says_where_it_broke(
    raw: bytes, status: int | None, sentence: str
) -> None:
    for cut in (False, True):
        reader = read(raw)
        reader.end(cut=cut)
        assert (reader.over, reader.status, reader.error, reader.reusable) == (True, status, sentence, False)


def test_a_body_that_would_end_with_the_connection_is_not_whole_when_the_connection_breaks() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\n\r\n", b"until")
    reader.end(cut=True)
    assert (reader.status, bytes(reader.body), reader.error) == (200, b"until", CLOSED_IN_BODY)


@pytest.mark.parametrize("upgrade", [b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b""])
def test_another_protocol_is_no_answer(upgrade: bytes) -> None:
    reader = read(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\n\x81\x05hello")
    assert (reader.over, reader.status, reader.error, reader.reusable) == (True, 101, SWITCHED, False)


def test_a_body_of_exactly_the_limit_is_whole() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MAX_ANSWER_BYTES, b"x" * MAX_ANSWER_BYTES)
    assert (reader.over, len(reader.body), reader.error, reader.reusable) == (True, MAX_ANSWER_BYTES, "", True)


@pytest.mark.parametrize("framing", [b"Content-Length: 99999999\r\n\r\n", b"\r\n"])
def test_a_longer_body_is_cut_and_the_answer_is_complete_without_the_rest(framing: bytes) -> None:
    reader = read(b"HTTP/1.1 200 OK\r\n" + framing, b"x" * (MAX_ANSWER_BYTES - 1), b"yz", b"never read")
    assert (reader.over, reader.status, reader.error, reader.reusable) == (True, 200, "", False)
    assert bytes(reader.body) == b"x" * (MAX_ANSWER_BYTES - 1) + b"y"


def test_headers_come_as_they_were_sent_without_the_space_around_their_values() -> None:
    reader = read(
        b"HTTP/1.1 200 OK\r\nRetry-AFTER: \t120 \t\r\nX:\r\nX: caf\xe9, \xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    )
    assert reader.headers == [
        ("Retry-AFTER", "120"),
        ("X", ""),
        ("X", "caf\xe9, \xc3\xa9"),
        ("Content-Length", "0"),
    ]


def test_headers_of_an_early_hint_and_trailers_are_not_the_answers() -> None:
    raw = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: railer\r\n\r\n"
    )
    assert read(raw).headers == [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize("piece_bytes", [1000, 10_000_000])
def test_a_head_that_does_not_end_is_given_up(piece_bytes: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000
    reader = read(*(raw[start : start + piece_bytes] for start in range(0, len(raw), piece_bytes)))
    assert (reader.over, reader.status, reader.headers, reader.error) == (True, None, [], HEAD_TOO_LONG)


def test_a_head_that_ends_too_late_is_too_long_also_in_one_piece() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n")
    assert (reader.over, reader.status, reader.headers, reader.error) == (True, 200, [], HEAD_TOO_LONG)


def test_hints_without_end_are_given_up() -> None:
    reader = read(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 3000)
    assert (reader.over, reader.status, reader.error) == (True, None, HEAD_TOO_LONG)


def test_more_headers_than_anyone_needs_are_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X: y\r\n" * MAX_HEADERS + b"\r\n"
    reader = read(head)
    assert (reader.over, reader.status, reader.error) == (True, 200, TOO_MANY_HEADERS)
    assert len(reader.headers) == MAX_HEADERS
    assert read(head.replace(b"X: y\r\n", b"", 1)).error == ""


def test_a_body_in_chunks_of_one_byte_is_fine_up_to_the_limit() -> None:
    chunk = b"1\r\nx\r\n"
    reader = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * MAX_ANSWER_BYTES)
    assert not reader.over
    assert reader.feed(b"0\r\n\r\n")
    assert (len(reader.body), reader.error) == (MAX_ANSWER_BYTES, "")


@pytest.mark.parametrize("endless", [b"1;" + b"x" * 1000 + b"\r\nx\r\n", b"0\r\nT: " + b"x" * 1000])
def test_framing_without_content_is_given_up(endless: bytes) -> None:
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = endless if endless.startswith(b"1") else b"x" * 1000
    reader = read(first, endless, *[rest] * 1000)
    assert (reader.over, reader.status, reader.error) == (True, 200, TOO_MUCH_FRAMING)


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\n \t ", b" \r\n  ", b"\r\n \r\n "])
def test_a_folded_value_is_joined_with_one_space(fold: bytes) -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nX: a" + fold + b"b\r\nY:" + fold + b"c\r\nContent-Length: 0\r\n\r\n")
    assert reader.headers == [("X", "a b"), ("Y", "c"), ("Content-Length", "0")]


@pytest.mark.parametrize("start", [b"\x15\x03\x01", b"SSH-", b"<", b" HTTP/1.1 200", b"HTTP/1.1 20\r\n", b"HTTQ"])
def test_what_cannot_become_an_answer_is_refused_before_it_ends(start: bytes) -> None:
    for pieces in ([start], [start[:1], start[1:]]):
        reader = read(*pieces)
        assert (reader.over, reader.status) == (True, None)
        assert reader.error.startswith("What came back is not HTTP/1.1 (")


@pytest.mark.parametrize("talk", [b"HTTP/1.1 200 OK\r\n", b"x", b"\r\nx"])
def test_who_talks_on_after_the_answer_is_not_asked_again(talk: bytes) -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + talk)
    assert (reader.over, reader.status, bytes(reader.body), reader.error) == (True, 200, b"ok", "")
    assert not reader.reusable


def test_nothing_of_one_answer_is_left_in_the_next() -> None:
    reader = read(b"HTTP/1.1 500 No\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\nno")
    reader.begin()
    assert not reader.has_begun
    assert reader.feed(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (reader.status, reader.headers, bytes(reader.body), reader.reusable) == (204, [], b"", True)
