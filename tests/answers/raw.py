"""Raw answers of receivers, clean and odd, by name. What clients make of each is in `tests/fixtures/answers.json`."""

import gzip
import zlib
from typing import Final, Literal, NamedTuple

End = Literal["close", "open", "reset"]


class RawAnswer(NamedTuple):
    """Bytes that a receiver writes, and what it does with the connection after them."""

    raw: bytes
    end: End = "close"


_OK: Final = b"HTTP/1.1 200 OK\r\n"
_LENGTH: Final = b"Content-Length: 2\r\n"
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_CHUNKS: Final = b"2\r\nok\r\n0\r\n\r\n"


def _head(*lines: bytes, body: bytes = b"ok", start: bytes = _OK, end: End = "close") -> RawAnswer:
    return RawAnswer(start + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body, end)


def _with_length(*lines: bytes, start: bytes = _OK, end: End = "close") -> RawAnswer:
    return _head(*lines, b"Content-Length: 2", start=start, end=end)


def _chunked(body: bytes, *lines: bytes, end: End = "close") -> RawAnswer:
    return _head(b"Transfer-Encoding: chunked", *lines, body=body, end=end)


def _start(line: bytes) -> RawAnswer:
    return _with_length(start=line)


_RAW_DEFLATE: Final = zlib.compressobj(wbits=-15)

ANSWERS: Final[dict[str, RawAnswer]] = {
    # Plain
    "length": _with_length(end="open"),
    "chunks": _chunked(_CHUNKS, end="open"),
    "until close": _head(),
    "until close, empty": _head(body=b""),
    "until reset": _head(end="reset"),
    "no content": _head(start=b"HTTP/1.1 204 No Content\r\n", body=b"", end="open"),
    "no content with a length": _head(b"Content-Length: 5", start=b"HTTP/1.1 204 No Content\r\n", body=b"", end="open"),
    "no content with a body": _with_length(start=b"HTTP/1.1 204 No Content\r\n"),
    "no content with chunks": _head(b"Transfer-Encoding: chunked", start=b"HTTP/1.1 204 No Content\r\n", body=_CHUNKS),
    "205 without a body": _head(b"Content-Length: 0", start=b"HTTP/1.1 205 Reset Content\r\n", body=b"", end="open"),
    "206 without a range": _with_length(start=b"HTTP/1.1 206 Partial Content\r\n"),
    "304 without a body": _head(start=b"HTTP/1.1 304 Not Modified\r\n", body=b"", end="open"),
    "299": _with_length(start=b"HTTP/1.1 299 Fine\r\n"),
    # Status lines
    "no reason": _start(b"HTTP/1.1 200\r\n"),
    "no reason, but a space": _start(b"HTTP/1.1 200 \r\n"),
    "two spaces before the status": _start(b"HTTP/1.1  200 OK\r\n"),
    "tab before the status": _start(b"HTTP/1.1\t200 OK\r\n"),
    "two spaces before the reason": _start(b"HTTP/1.1 200  OK\r\n"),
    "tab before the reason": _start(b"HTTP/1.1 200\tOK\r\n"),
    "reason in latin-1": _start(b"HTTP/1.1 200 D\xe9j\xe0 vu\r\n"),
    "reason in utf-8": _start("HTTP/1.1 200 Schön\r\n".encode()),
    "reason of 5000 characters": _start(b"HTTP/1.1 200 " + b"x" * 5000 + b"\r\n"),
    "reason with a control character": _start(b"HTTP/1.1 200 O\x01K\r\n"),
    "reason run into the status": _start(b"HTTP/1.1 200OK\r\n"),
    "status of two digits": _start(b"HTTP/1.1 20 OK\r\n"),
    "status of four digits": _start(b"HTTP/1.1 2000 OK\r\n"),
    "status with a sign": _start(b"HTTP/1.1 +200 OK\r\n"),
    "status with a dot": _start(b"HTTP/1.1 200.0 OK\r\n"),
    "lower-case http": _start(b"http/1.1 200 OK\r\n"),
    "HTTP/1.0": _start(b"HTTP/1.0 200 OK\r\n"),
    "HTTP/1.0 until close": _head(start=b"HTTP/1.0 200 OK\r\n"),
    "HTTP/1.0 with chunks": _head(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK\r\n", body=_CHUNKS),
    "HTTP/1.0 kept alive": _with_length(b"Connection: keep-alive", start=b"HTTP/1.0 200 OK\r\n", end="open"),
    "HTTP/1.2": _start(b"HTTP/1.2 200 OK\r\n"),
    "HTTP/1": _start(b"HTTP/1 200 OK\r\n"),
    "HTTP/1.10": _start(b"HTTP/1.10 200 OK\r\n"),
    "HTTP/2": _start(b"HTTP/2 200 OK\r\n"),
    "HTTP/2.0": _start(b"HTTP/2.0 200 OK\r\n"),
    "HTTP/3.7": _start(b"HTTP/3.7 200 OK\r\n"),
    "HTTP/0.9": _start(b"HTTP/0.9 200 OK\r\n"),
    "ICY": _start(b"ICY 200 OK\r\n"),
    "space before the status line": _start(b" HTTP/1.1 200 OK\r\n"),
    "empty line before the status line": _start(b"\r\nHTTP/1.1 200 OK\r\n"),
    "no status line": RawAnswer(b"ok"),
    "html without a head": RawAnswer(b"<html>it works</html>"),
    "nothing": RawAnswer(b""),
    # Line ends
    "bare LF": RawAnswer(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "open"),
    "bare LF and chunks": RawAnswer(b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", "open"),
    "CRLF, then bare LF": RawAnswer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok"),
    "bare LF, then CRLF": RawAnswer(b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\nok"),
    "bare CR": RawAnswer(b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok"),
    "CR inside a value": _with_length(b"X: a\rb"),
    "CR CR LF": RawAnswer(b"HTTP/1.1 200 OK\r\r\nContent-Length: 2\r\r\n\r\r\nok"),
    "status line alone": RawAnswer(b"HTTP/1.1 200 OK\r\n"),
    "status line without its end": RawAnswer(b"HTTP/1.1 200 OK"),
    "head without its end": RawAnswer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    "head cut in a line": RawAnswer(b"HTTP/1.1 200 OK\r\nContent-Le"),
    # Header lines
    "folded value": _with_length(b"X-Folded: a", b" b"),
    "folded value with a tab": _with_length(b"X-Folded: a", b"\tb"),
    "folded thrice": _with_length(b"X-Folded: a", b"  b", b"   c"),
    "folded with nothing before": _with_length(b"X-Folded:", b" b"),
    "folded with nothing after": _with_length(b"X-Folded: a", b" "),
    "folded bare LF": RawAnswer(b"HTTP/1.1 200 OK\nX-Folded: a\n b\nContent-Length: 2\n\nok"),
    "folded length": _head(b"Content-Length:", b" 2"),
    "folded before any header": _with_length(b" b"),
    "no colon": _with_length(b"no colon"),
    "no colon in the last line": _head(b"Content-Length: 2", b"no colon"),
    "empty name": _with_length(b": value"),
    "space before the colon": _with_length(b"X : a"),
    "space before the colon of the length": _head(b"Content-Length : 2"),
    "space in a name": _with_length(b"X Y: a"),
    "slash in a name": _with_length(b"X/Y: a"),
    "parentheses in a name": _with_length(b"X(1): a"),
    "latin-1 in a name": _with_length(b"X-\xe9: a"),
    "NUL in a name": _with_length(b"X\0Y: a"),
    "no space after the colon": _head(b"Content-Length:2"),
    "spaces around a value": _head(b"Content-Length: \t 2 \t"),
    "empty value": _with_length(b"X:"),
    "latin-1 in a value": _with_length(b"X: caf\xe9"),
    "utf-8 in a value": _with_length("X: café".encode()),
    "control character in a value": _with_length(b"X: a\x01b"),
    "DEL in a value": _with_length(b"X: a\x7fb"),
    "NUL in a value": _with_length(b"X: a\0b"),
    "one header twice": _with_length(b"X: a", b"X: b"),
    "100 headers": _with_length(*(b"X-%d: y" % number for number in range(99))),
    "150 headers": _with_length(*(b"X-%d: y" % number for number in range(149))),
    "250 headers": _with_length(*(b"X-%d: y" % number for number in range(249))),
    "value of 20 KiB": _with_length(b"X: " + b"y" * 20_480),
    "value of 80 KiB": _with_length(b"X: " + b"y" * 81_920),
    # Lengths
    "same length twice": _head(b"Content-Length: 2", b"Content-Length: 2", end="open"),
    "same length in a list": _head(b"Content-Length: 2, 2", end="open"),
    "two lengths, the first is right": _head(b"Content-Length: 2", b"Content-Length: 3"),
    "two lengths, the second is right": _head(b"Content-Length: 3", b"Content-Length: 2"),
    "two lengths in a list": _head(b"Content-Length: 2, 3"),
    "length with a plus": _head(b"Content-Length: +2"),
    "length with zeros": _head(b"Content-Length: 0002"),
    "length with a minus": _head(b"Content-Length: -1"),
    "length in hexadecimal": _head(b"Content-Length: 0x2"),
    "length that is a word": _head(b"Content-Length: two"),
    "empty length": _head(b"Content-Length:"),
    "length with a word behind": _head(b"Content-Length: 2 bytes"),
    "length with a decimal": _head(b"Content-Length: 2.0"),
    "length of 20 digits": _head(b"Content-Length: 99999999999999999999"),
    "length longer than the body": _head(b"Content-Length: 3"),
    "length shorter than the body": _head(b"Content-Length: 1"),
    "length of 0 and a body": _head(b"Content-Length: 0"),
    # Chunks
    "length beside chunks": _chunked(_CHUNKS, b"Content-Length: 2", end="open"),
    "length before chunks": _head(b"Content-Length: 99", b"Transfer-Encoding: chunked", body=_CHUNKS, end="open"),
    "wrong length beside chunks": _chunked(_CHUNKS, b"Content-Length: 99", end="open"),
    "unreadable length beside chunks": _chunked(_CHUNKS, b"Content-Length: two"),
    "chunked in capitals": _head(b"Transfer-Encoding: CHUNKED", body=_CHUNKS),
    "chunked twice": _head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=_CHUNKS),
    "identity coding": _head(b"Transfer-Encoding: identity", b"Content-Length: 2"),
    "identity, chunked": _head(b"Transfer-Encoding: identity, chunked", body=_CHUNKS),
    "unknown coding": _head(b"Transfer-Encoding: x-other"),
    "unknown coding with a length": _head(b"Transfer-Encoding: x-other", b"Content-Length: 2"),
    "gzip, chunked": _head(
        b"Transfer-Encoding: gzip, chunked",
        body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(gzip.compress(b"ok", mtime=0)), gzip.compress(b"ok", mtime=0)),
    ),
    "chunked without chunks": _chunked(b"ok"),
    "chunks with extensions": _chunked(b'2;a=b;c="d"\r\nok\r\n0;e\r\n\r\n'),
    "chunks with spaces after sizes": _chunked(b"2  \r\nok\r\n0 \r\n\r\n"),
    "chunks with spaces before sizes": _chunked(b" 2\r\nok\r\n 0\r\n\r\n"),
    "chunks with leading zeros": _chunked(b"00002\r\nok\r\n000\r\n\r\n"),
    "chunks with many leading zeros": _chunked(b"0" * 20 + b"2\r\nok\r\n0\r\n\r\n"),
    "chunks in 0x": _chunked(b"0x2\r\nok\r\n0\r\n\r\n"),
    "chunks with bare LF": _chunked(b"2\nok\n0\n\n"),
    "chunks with trailers": _chunked(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "chunks without the last line": _chunked(b"2\r\nok\r\n0\r\n"),
    "chunks without the last chunk": _chunked(b"2\r\nok\r\n"),
    "chunks that stop at the last size": _chunked(b"2\r\nok\r\n0"),
    "chunks that are cut": _chunked(b"5\r\nok"),
    "chunk with a negative size": _chunked(b"-2\r\nok\r\n0\r\n\r\n"),
    "chunk longer than it says": _chunked(b"1\r\nok\r\n0\r\n\r\n"),
    "chunk without a size": _chunked(b"\r\nok\r\n0\r\n\r\n"),
    # Interim answers, and what comes after an answer
    "continue first": RawAnswer(b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + _LENGTH + b"\r\nok", "open"),
    "processing twice first": RawAnswer(b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + _OK + _LENGTH + b"\r\nok", "open"),
    "early hints first": RawAnswer(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + _OK + _LENGTH + b"\r\nok", "open"
    ),
    "interim answer with a length": RawAnswer(
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n" + _OK + _LENGTH + b"\r\nok"
    ),
    "199 first": RawAnswer(b"HTTP/1.1 199 Odd\r\n\r\n" + _OK + _LENGTH + b"\r\nok"),
    "switching protocols": _head(
        b"Upgrade: websocket", b"Connection: Upgrade", start=b"HTTP/1.1 101 Switching Protocols\r\n", body=b""
    ),
    "interim answer alone": RawAnswer(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "answer twice": RawAnswer((_OK + _LENGTH + b"\r\nok") * 2),
    "garbage after the answer": RawAnswer(_OK + _LENGTH + b"\r\nok\0\xff garbage"),
    "offered upgrade": _with_length(b"Upgrade: h2c", b"Connection: Upgrade"),
    "keep-alive that lies": _with_length(b"Connection: keep-alive"),
    # Bodies in a coding
    "gzip": _head(
        b"Content-Encoding: gzip",
        b"Content-Length: %d" % len(gzip.compress(b"ok", mtime=0)),
        body=gzip.compress(b"ok", mtime=0),
    ),
    "deflate": _head(b"Content-Encoding: deflate", body=zlib.compress(b"ok")),
    "raw deflate": _head(b"Content-Encoding: deflate", body=_RAW_DEFLATE.compress(b"ok") + _RAW_DEFLATE.flush()),
    "gzip that is none": _with_length(b"Content-Encoding: gzip"),
    "unknown content coding": _with_length(b"Content-Encoding: x-other"),
}
