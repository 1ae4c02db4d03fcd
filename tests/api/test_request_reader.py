"""Reading requests, byte by byte: what is bounded, what is refused and with which status, and where a body ends."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.api.request_reader import (
    MAX_FRAMING_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    Head,
    Refused,
    RequestReader,
    split_target,
)

CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def head_with(*lines: str, first: str = "GET /a HTTP/1.1", host: str = "Host: h") -> bytes:
    return "\r\n".join([first, *([host] if host else []), *lines, "", ""]).encode("latin-1")


def read_all(data: bytes, size: int = 1 << 20) -> list[tuple[Head, bytes]]:
    """Every whole request in `data`, which comes in pieces of `size`."""
    reader, requests = RequestReader(), []
    head, body = None, b""
    for piece in pieces_of(data, size):
        reader.feed(piece)
        while True:
            if head is None:
                head = reader.head()
                if head is None:
                    break
            while not reader.is_body_read and (part := reader.body()) is not None:
                body += part
            if not reader.is_body_read:
                break
            requests.append((head, body))
            head, body = None, b""
    return requests


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def refusal_of(data: bytes, size: int = 1 << 20) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        read_all(data, size)
    return refused.value.status, refused.value.code


SIZES = (1, 2, 3, 7, 64, 1000, 1 << 20)


@pytest.mark.parametrize("size", SIZES)
def test_requests_are_read_alike_however_they_are_cut(size: int) -> None:
    data = b"".join(
        (
            b"\r\n" + head_with("X: 1"),
            head_with("Content-Length: 5", first="POST /b?c=d HTTP/1.1") + b"hello",
            CHUNKED + b"3;a=b\r\nabc\r\n0002\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n",
            head_with(first="GET http://other.example/e HTTP/1.0", host=""),
        )
    )
    read = read_all(data, size)
    assert [(head.method, split_target(head), head.keep_alive, body) for head, body in read] == [
        ("GET", ("/a", b""), True, b""),
        ("POST", ("/b", b"c=d"), True, b"hello"),
        ("POST", ("/a", b""), True, b"abcde"),
        ("GET", ("/e", b""), False, b""),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_trailers_are_never_headers(size: int) -> None:
    [(head, _)] = read_all(CHUNKED + b"0\r\napi-key: secret\r\nHost: other\r\n\r\n", size)
    assert head.by_name == {b"host": b"h", b"transfer-encoding": b"chunked"}
    assert len(head.headers) == 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head_with(host=""), 400),
        (head_with("Host: h"), 400),
        (head_with("Host: other"), 400),
        (head_with("X: a", " folded"), 400),
        (head_with("X : a"), 400),
        (head_with(": a"), 400),
        (head_with("X\x00: a"), 400),
        (head_with("X: a\x00b"), 400),
        (b"GET /a HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400),
        (b"GET /a\r\n\r\n", 400),
        (head_with(first="GET /a HTTP/0.9"), 400),
        (head_with(first="GET /a HTTP/1.2"), 400),
        (head_with(first="GET /a HTTP/2.0"), 400),
        (head_with(first="GET /a b HTTP/1.1"), 400),
        (head_with(first="GET  /a HTTP/1.1"), 400),
        (head_with(first="GET /a#b HTTP/1.1"), 400),
        (head_with(first="GET /\xff HTTP/1.1"), 400),
        (head_with(first="get /a HTTP/1.1"), 400),
        (head_with(first="WHATEVER /a HTTP/1.1"), 400),
        (head_with(first="CONNECT a:1 HTTP/1.1"), 400),
        (head_with(first="SOURCE /a ICE/1.0"), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
        (b"\r\n" * 10, 400),
        (head_with("Transfer-Encoding: gzip"), 501),
        (head_with("Transfer-Encoding: gzip, chunked"), 501),
        (head_with("Transfer-Encoding: chunked, chunked"), 501),
        (head_with("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501),
        (head_with("Transfer-Encoding: xchunked"), 501),
        (head_with("Transfer-Encoding:"), 400),
        (head_with("Transfer-Encoding: chunked", first="POST /a HTTP/1.0"), 400),
        (head_with("Transfer-Encoding: chunked", "Content-Length: 5"), 400),
        (head_with("Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (head_with("Content-Length: 5", "Content-Length: 6"), 400),
        (head_with("Content-Length: 5, 6"), 400),
        (head_with("Content-Length: +5"), 400),
        (head_with("Content-Length: 0x5"), 400),
        (head_with("Content-Length: "), 400),
        (head_with("Content-Length: " + "9" * 40), 400),
        (head_with("Expect: 200-ok"), 417),
        (head_with("Expect: 100-continue", "Expect: more"), 417),
        (head_with("api-key: a", "API-Key: b"), 400),
        (head_with("Authorization: Bearer a", "Authorization: Bearer b"), 400),
        (head_with("Idempotency-Key: a", "Idempotency-Key: b"), 400),
        (CHUNKED + b"x\r\n", 400),
        (CHUNKED + b"-1\r\n", 400),
        (CHUNKED + b"\r\n", 400),
        (CHUNKED + b"11111111111111111\r\n", 400),
        (CHUNKED + b"1\nx\n", 400),
        (CHUNKED + b"1\r\nxy\r\n", 400),
        (CHUNKED + b"1\r\nx\n0\r\n\r\n", 400),
        (CHUNKED + b"1;\x00\r\nx\r\n", 400),
        (CHUNKED + b"0\r\nno trailer\r\n\r\n", 400),
        (CHUNKED + b"0\r\n folded: x\r\n\r\n", 400),
    ],
    ids=repr,
)
def test_what_two_readers_could_understand_differently_is_refused(data: bytes, status: int) -> None:
    codes = {400: "bad_request", 417: "expectation_failed", 501: "not_implemented"}
    for size in (1, 5, 1 << 20):
        assert refusal_of(data + b"\r\n" * 3, size) == (status, codes[status])


def test_what_is_unusual_and_clear_is_taken() -> None:
    for data in (
        head_with(first="GET /a HTTP/1.0", host=""),
        head_with("api-key: a", "api-key: a"),
        head_with("Expect: anything", first="GET /a HTTP/1.0"),
        head_with("Connection: Upgrade", "Upgrade: h2c"),
        head_with("X: \xff"),
        head_with("X:"),
        head_with("Content-Length: 0"),
        head_with("TRANSFER-ENCODING: Chunked \t") + b"0\r\n\r\n",
    ):
        assert len(read_all(data + head_with("Second: 1"))) == 2, data


@pytest.mark.parametrize("size", [1, 1460, 1 << 20])
@pytest.mark.parametrize("what", ["url", "name", "value", "many", "query"])
def test_a_head_of_64_kib_is_taken_and_a_longer_one_refused(size: int, what: str) -> None:
    def long_head(length: int) -> bytes:
        lines: dict[str, tuple[str, tuple[str, ...]]] = {
            "url": ("GET /{} HTTP/1.1", ()),
            "query": ("GET /?{} HTTP/1.1", ()),
            "name": ("GET / HTTP/1.1", ("{}: x",)),
            "value": ("GET / HTTP/1.1", ("x: {}",)),
            "many": ("GET / HTTP/1.1", (*(f"x{number}: y" for number in range(MAX_HEADERS - 2)), "x: {}")),
        }
        first, more = lines[what]
        bare = len(head_with(*(line.format("") for line in more), first=first.format("")))
        filling = "a" * (length - bare)
        return head_with(*(line.format(filling) for line in more), first=first.format(filling))

    assert len(read_all(long_head(MAX_HEAD_BYTES), size)) == 1
    assert refusal_of(long_head(MAX_HEAD_BYTES + 1), size) == (431, "headers_too_large")
    assert refusal_of(long_head(MAX_HEAD_BYTES + 5)[:-4], size) == (431, "headers_too_large")


def test_100_headers_are_taken_and_one_more_is_refused_trailers_included() -> None:
    headers = [f"x{number}: y" for number in range(MAX_HEADERS)]
    assert len(read_all(head_with(*headers[1:]))) == 1
    assert refusal_of(head_with(*headers)) == (431, "headers_too_large")
    assert refusal_of(head_with(*(["x: y"] * MAX_HEADERS))) == (431, "headers_too_large")
    trailers = "\r\n".join(headers[2:]).encode()
    assert len(read_all(CHUNKED + b"0\r\n" + trailers + b"\r\n\r\n")) == 1
    assert refusal_of(CHUNKED + b"0\r\n" + trailers + b"\r\nx: y\r\n\r\n") == (431, "headers_too_large")
    assert refusal_of(CHUNKED + b"0\r\nx: " + b"y" * MAX_HEAD_BYTES) == (431, "headers_too_large")


def test_the_framing_of_a_body_is_bounded() -> None:
    tiny = MAX_FRAMING_BYTES // 4 - 20
    [(_, body)] = read_all(CHUNKED + b"1\r\nx\r\n" * tiny + b"0\r\n\r\n")
    assert len(body) == tiny
    assert refusal_of(CHUNKED + b"1\r\nx\r\n" * (MAX_FRAMING_BYTES // 4 + 20)) == (400, "bad_request")
    assert refusal_of(CHUNKED + b"1;" + b"e" * MAX_FRAMING_BYTES, 1460) == (400, "bad_request")
    assert refusal_of(CHUNKED + (b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 100) == (400, "bad_request")
    large = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert len(read_all(CHUNKED + large * 100 + b"0\r\n\r\n")) == 1


@pytest.mark.parametrize(
    "data",
    [
        head_with(first=f"GET /{'a' * 65_000} HTTP/1.1"),
        head_with(f"{'n' * 65_000}: v"),
        head_with(f"n: {'v' * 65_000}"),
        CHUNKED + b"1;" + b"e" * 60_000 + b"\r\nx\r\n0\r\nt: " + b"v" * 60_000 + b"\r\n\r\n",
    ],
    ids=["url", "name", "value", "extension and trailer"],
)
def test_what_was_searched_and_kept_is_not_searched_or_copied_again(data: bytes) -> None:
    """One byte at a time: the next search begins at most 4 bytes before the end, in the same buffer. So reading is
    linear in what comes in.
    """
    reader, head = RequestReader(), None
    for at in range(len(data)):
        kept = reader._data
        held = reader.held
        reader.feed(data[at : at + 1])
        assert held <= 1 or reader._data is kept
        if head is None:
            head = reader.head()
        while head is not None and not reader.is_body_read and reader.body() is not None:
            pass
        body = reader._body
        searched = reader._searched - reader._at if body is None else body._searched
        assert reader.held - searched <= 4
    assert head is not None
    assert reader.is_body_read


@given(st.binary(max_size=400), st.integers(1, 50))
def test_whatever_comes_is_read_or_refused(data: bytes, size: int) -> None:
    for before in (b"", b"GET / HTTP/1.1\r\n", CHUNKED, CHUNKED + b"5\r\nhello\r\n"):
        outcomes: list[Any] = []
        for each in (size, 1 << 20):
            try:
                outcomes.append([(head.target, body) for head, body in read_all(before + data, each)])
            except Refused as refusal:
                outcomes.append([refusal.status])
        assert outcomes[0] == outcomes[1] or [400] in outcomes or [431] in outcomes
