"""Reads the requests of one HTTP/1.1 connection: bytes go in, heads and pieces of bodies come out.

No sockets and no time here, so that every rule can be tested byte by byte. llhttp checks and splits a head, which it is
given in one piece; this module decides where a head and a body end, and what a server must refuse (RFC 9112). Nothing
is kept beyond the bounds below, whatever a peer sends and however it cuts it: reading is linear in what came in.

    reader.feed(data)
    while (head := reader.head()) is not None:
        while not reader.is_body_read and (piece := reader.body()) is not None:
            ...
"""

import re
from collections.abc import Mapping
from typing import Final

import httptools

#: Request line, headers and trailers of one request, in bytes.
MAX_HEAD_BYTES: Final = 64 * 1024
#: Headers and trailers of one request.
MAX_HEADERS: Final = 100
#: What the framing of a chunked body (sizes, extensions, line ends) may have beyond one byte for each byte of the body.
MAX_FRAMING_BYTES: Final = 64 * 1024
#: A head that is no longer has no more headers than may be.
_LONG_HEAD: Final = 4 * MAX_HEADERS
#: Empty lines before a request that are passed over (RFC 9112, 2.2).
_MAX_EMPTY_LINES: Final = 4

_CRLF: Final = b"\r\n"
_END: Final = _CRLF + _CRLF
_REQUEST_LINE: Final = re.compile(rb"([A-Z-]+) ([!\"$-~]+) HTTP/(1\.[01])\r\n")
#: What a request line that has not ended yet may begin with: no TLS, no bare line end.
_MAYBE_REQUEST_LINE: Final = re.compile(rb"[A-Z-]+(?: (?:[!\"$-~]+(?: [HTP/0-9.]*\r?)?)?)?")
#: How much of such a line is looked at.
_LOOKED_AT: Final = 256
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
#: RFC 9112, 7.1: at most 16 digits of a size, and its extensions.
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?")
_TRAILER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
#: A second one that says something else would let two readers see two requests.
_ONCE: Final = (b"api-key", b"authorization", b"idempotency-key")

_URL: Final = re.compile(rb"(?i:https?)://[^/?]+(.*)")

_NO_REQUEST: Final = "What came is no HTTP/1.1 request"
_TOO_LONG: Final = f"The head of the request has more than {MAX_HEAD_BYTES // 1024} KiB, its trailers included."
_TOO_MUCH_FRAMING: Final = "The body is mostly framing: its chunks are too small, or their extensions too long."
_TOO_MANY: Final = f"The request has more than {MAX_HEADERS} headers, its trailers included."


class Refused(Exception):
    """What cannot be read as a request. Nothing that comes after it on the connection is read."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def malformed(message: str) -> Refused:
    """The refusal of what breaks the rules of HTTP."""
    return Refused(400, "bad_request", message)


class Head:
    """The head of one request."""

    __slots__ = (
        "by_name", "expects_continue", "headers", "is_chunked", "keep_alive", "length", "method", "target", "version",
    )  # fmt: skip

    method: str
    target: bytes  # visible ASCII without "#"
    version: str  # "1.0" or "1.1"
    headers: list[tuple[bytes, bytes]]  # names in lower case
    by_name: Mapping[bytes, bytes]  # the last of each name
    is_chunked: bool
    length: int  # of the body, when it is not chunked
    keep_alive: bool
    expects_continue: bool


class RequestReader:
    """Reads one request after another; see the module."""

    __slots__ = ("_at", "_body", "_data", "_empty_lines", "_has_request_line", "_left", "_searched")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._at = 0  # what of `_data` is read
        self._searched = 0  # how far the end of a head was looked for
        self._empty_lines = 0
        self._has_request_line = False  # of the head that is not whole yet
        self._left = 0  # bytes of a body with a length
        self._body: _ChunkedBody | None = None

    def feed(self, data: bytes) -> None:
        """Take what came in."""
        if self._at == len(self._data):
            self._data, self._at, self._searched = data, 0, 0
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(memoryview(self._data)[self._at :])
        else:
            del self._data[: self._at]
        self._searched = max(0, self._searched - self._at)
        self._at = 0
        self._data += data

    @property
    def held(self) -> int:
        """How many bytes came in that are not read yet."""
        return len(self._data) - self._at

    @property
    def is_body_read(self) -> bool:
        """Whether the body of the last head has been read to its end."""
        return not self._left and self._body is None

    def head(self) -> Head | None:
        """The head of the next request, once all of it is here. The body before it must have been read.

        Raises:
            Refused: it is none, or it is longer than may be.
        """
        if self._data.startswith(_CRLF, self._at):
            self._pass_over_empty_lines()
        data, at = self._data, self._at
        end = data.find(_END, max(at, self._searched))
        if end < 0:
            self._check_beginning()
            return None
        end += len(_END)
        if end - at > MAX_HEAD_BYTES:
            raise _head_too_long(_TOO_LONG)
        self._at = end
        self._empty_lines = 0
        self._has_request_line = False
        head = _read_head(bytes(data[at:end]))
        self._left = head.length
        if head.is_chunked:
            self._body = _ChunkedBody(end - at, len(head.headers))
        return head

    def _pass_over_empty_lines(self) -> None:
        while self._data.startswith(b"\r\n", self._at):
            self._at += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                raise malformed(f"{_NO_REQUEST}: it begins with empty lines.")

    def _check_beginning(self) -> None:
        """Refuse at once what will never be a head: a peer that speaks something else waits for an answer."""
        data, at = self._data, self._at
        searched = max(at, self._searched)
        if not self._has_request_line and self.held > 1:
            self._check_request_line(searched)
        if self.held > MAX_HEAD_BYTES:
            raise _head_too_long(_TOO_LONG)
        if _BARE_LINE_END.search(data, searched):
            raise malformed(f"{_NO_REQUEST}: its lines must end with CR LF.")
        self._searched = max(at, len(data) - len(_END) + 1)

    def _check_request_line(self, searched: int) -> None:
        data, at = self._data, self._at
        end = data.find(_CRLF, max(at, searched - 1))
        if end >= 0:
            self._has_request_line = True
            is_fine = _REQUEST_LINE.match(data, at) is not None
        else:
            is_fine = _MAYBE_REQUEST_LINE.fullmatch(data, at, at + _LOOKED_AT) is not None
        if not is_fine:
            raise malformed(f"{_NO_REQUEST}.")

    def body(self) -> bytes | bytearray | None:
        """A piece of the body, maybe an empty one; None when more has to come in.

        Raises:
            Refused: its chunks are malformed, or it has more framing or trailers than may be.
        """
        if self._at == len(self._data):
            return None
        if self._body is None:
            piece = self._data[self._at : self._at + self._left]
            self._left -= len(piece)
            self._at += len(piece)
            return piece
        step = self._body.read(self._data, self._at)
        if step is None:
            return None
        self._at, piece = step
        if self._body.is_over:
            self._body = None
        return piece


class _ChunkedBody:
    """Where a chunked body is (RFC 9112, 7.1). Extensions and trailers are checked, counted and dropped."""

    __slots__ = ("_budget", "_head_bytes", "_headers", "_in_trailers", "_left", "_searched", "is_over")

    def __init__(self, head_bytes: int, headers: int) -> None:
        self.is_over = False
        self._head_bytes = head_bytes
        self._headers = headers
        self._budget = MAX_FRAMING_BYTES
        self._left = 0  # of a chunk, with the line end after it
        self._searched = 0  # how much of a line was searched for its end
        self._in_trailers = False

    def read(self, data: bytes | bytearray, at: int) -> tuple[int, bytes | bytearray] | None:
        """One step: where to read on, and the piece of the body that was there; None when more has to come in."""
        if self._left > len(_CRLF):
            piece = data[at : at + self._left - len(_CRLF)]
            self._left -= len(piece)
            self._budget += len(piece)
            return at + len(piece), piece
        if self._left:
            return self._end_of_chunk(data, at)
        end = data.find(_CRLF, at + self._searched)
        if end < 0:
            if b"\n" in data[at + self._searched :]:
                raise malformed("The lines between the chunks of the body must end with CR LF.")
            self._searched = len(data) - at - (1 if data.endswith(b"\r") else 0)
            self._check_unfinished(len(data) - at)
            return None
        self._searched = 0
        line = bytes(data[at:end])
        if self._in_trailers:
            self._read_trailer(line)
        else:
            self._read_size(line)
        return end + len(_CRLF), b""

    def _end_of_chunk(self, data: bytes | bytearray, at: int) -> tuple[int, bytes | bytearray] | None:
        there = bytes(data[at : at + len(_CRLF)])
        if not _CRLF.startswith(there):
            raise malformed("A chunk of the body is longer than its size says.")
        if there != _CRLF:
            return None
        self._left = 0
        return at + len(_CRLF), b""

    def _check_unfinished(self, length: int) -> None:
        if self._in_trailers:
            self._count_trailer(length)
        elif length > self._budget:
            raise malformed(_TOO_MUCH_FRAMING)

    def _read_size(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise malformed("The size of a chunk of the body is malformed.")
        self._budget -= len(line) + 2 * len(_CRLF)
        if self._budget < 0:
            raise malformed(_TOO_MUCH_FRAMING)
        length = int(size[1], 16)
        self._left = length + len(_CRLF) if length else 0
        self._in_trailers = not length

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.is_over = True
            return
        self._count_trailer(len(line) + len(_CRLF))
        self._head_bytes += len(line) + len(_CRLF)
        self._headers += 1
        if self._headers > MAX_HEADERS:
            raise _head_too_long(_TOO_MANY)
        if _TRAILER.fullmatch(line) is None:
            raise malformed("A trailer of the request is malformed.")

    def _count_trailer(self, length: int) -> None:
        if self._head_bytes + length > MAX_HEAD_BYTES:
            raise _head_too_long(_TOO_LONG)


class _Headers:
    """What llhttp is given to call."""

    __slots__ = ("headers", "is_complete")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Note that the head was understood to its end."""
        self.is_complete = True


def _read_head(raw: bytes) -> Head:
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise malformed(f"{_NO_REQUEST}.")
    if len(raw) > _LONG_HEAD and raw.count(b"\n") > MAX_HEADERS + 2:
        raise _head_too_long(_TOO_MANY)
    read = _Headers()
    parser = httptools.HttpRequestParser(read)
    # How a body is framed is judged below, so that each fault has its own status.
    parser.set_dangerous_leniencies(lenient_transfer_encoding=True, lenient_chunked_length=True)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offer of another protocol, which is passed over (RFC 9110, 7.8)
    except httptools.HttpParserError as problem:
        raise malformed(f"{_NO_REQUEST}: {str(problem)[:1].lower()}{str(problem)[1:]}.") from None
    head = Head()
    method, head.target, version = line.groups()
    if not read.is_complete or method == b"CONNECT":
        raise malformed(f"{_NO_REQUEST}.")
    head.method, head.version = method.decode(), version.decode()
    head.headers = read.headers
    head.by_name = by_name = dict(read.headers)
    head.keep_alive = version == b"1.1" and not (b"connection" in by_name and _is_to_close(read.headers))
    if len(by_name) != len(read.headers):
        _check_repeated(read.headers)
    if b"host" not in by_name and version == b"1.1":
        raise malformed("The request has no Host header, which HTTP/1.1 needs.")
    head.is_chunked = b"transfer-encoding" in by_name
    if head.is_chunked:
        _check_transfer_encoding(head)
        head.length = 0
    else:
        head.length = int(by_name.get(b"content-length", b"0"))  # which llhttp has checked
    head.expects_continue = b"expect" in by_name and _expects_continue(head)
    return head


def _check_repeated(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse what two readers could understand differently."""
    if sum(name == b"host" for name, _ in headers) > 1:
        raise malformed("The request has more than one Host header.")
    for name in _ONCE:
        if len({value for each, value in headers if each == name}) > 1:
            raise malformed(f"The header {name.decode()} is there twice, with different values.")


def _is_to_close(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the client wants the connection to end (RFC 9112, 9.6)."""
    return any(
        option.strip().lower() == b"close"
        for name, value in headers
        if name == b"connection"
        for option in value.split(b",")
    )


def _expects_continue(head: Head) -> bool:
    """Whether the body is sent only when asked for (RFC 9110, 10.1.1)."""
    if head.version == "1.0":
        return False
    if any(name == b"expect" and value.strip().lower() != b"100-continue" for name, value in head.headers):
        raise Refused(417, "expectation_failed", "Expect: only 100-continue can be met.")
    return head.is_chunked or head.length > 0


def _check_transfer_encoding(head: Head) -> None:
    if head.version == "1.0":
        raise malformed("Transfer-Encoding is no header of HTTP/1.0.")
    if b"content-length" in head.by_name:
        raise malformed("Transfer-Encoding and Content-Length exclude one another.")
    codings = [value.strip().lower() for name, value in head.headers if name == b"transfer-encoding"]
    if codings != [b"chunked"]:
        raise Refused(501, "not_implemented", "Transfer-Encoding: only chunked is understood.")


def _head_too_long(message: str) -> Refused:
    return Refused(431, "headers_too_large", message)


def split_target(head: Head) -> tuple[str, bytes]:
    """The path, as it was sent, and the query of what is asked for (RFC 9112, 3.2)."""
    target = head.target
    if not target.startswith(b"/"):
        target = _origin_form(head.method, target)
    path, _, query = target.partition(b"?")
    return path.decode(), query


def _origin_form(method: str, target: bytes) -> bytes:
    """The path and query of a URL (RFC 9112, 3.2.2), or `*`."""
    url = _URL.fullmatch(target)
    if url is not None:
        return url[1] if url[1].startswith(b"/") else b"/" + url[1]
    if target == b"*" and method == "OPTIONS":
        return target
    raise malformed("The target of the request: expected a path that begins with a slash, or a URL.")
