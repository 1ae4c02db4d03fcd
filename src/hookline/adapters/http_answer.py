"""Reads the answer to one request from its bytes: where it ends, what it says, and when it is enough or too much.

No sockets and no time here: bytes go in, and after each piece it is known whether the answer is over. Connections:
`http_connection.py`. Framing of the body: `http_framing.py`. Content codings: `http_content.py`.

The reader is as lenient as curl, since a receiver that answered 2xx has taken the event: refusing its answer sends the
event again. What curl, Go and Python make of odd answers is recorded in `tests/fixtures/answers.json`. Leniency is
safe for a client that sends one request at a time: after an answer whose end is doubtful the connection is not reused,
so no byte of one answer can be taken for the next.

A state machine in two states: in the head, bytes are buffered until an empty line; in the body, each piece goes to the
framing that the head decided on. Source: RFC 9112, with RFC 9110, 15 for the status codes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Final, NamedTuple

from hookline.adapters.http_framing import (
    BadFraming,
    BodyOfChunks,
    BodyOfLength,
    BodyUntilClose,
    Framing,
    NoBody,
    parse_length,
)
from hookline.ports.sender import MAX_ANSWER_BYTES

#: The head of an answer, with every "100 Continue" before it.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
#: Everything that comes over the wire for one answer: a body in chunks of one byte is six times its size.
MAX_WIRE_BYTES: Final = MAX_HEAD_BYTES + 8 * MAX_ANSWER_BYTES

_FIRST_FINAL_STATUS: Final = 200
_SWITCHING: Final = 101
_LOWEST_STATUS: Final = 100
_WITHOUT_BODY: Final = frozenset({204, 304})  # RFC 9112, 6.3

CLOSED_BEFORE: Final = "The receiver closed the connection before it answered."
CLOSED_IN_HEAD: Final = "The receiver closed the connection in the middle of the answer's head."
CLOSED_IN_BODY: Final = "The receiver closed the connection in the middle of the answer's body."
HEAD_TOO_LONG: Final = f"The head of the answer is longer than {MAX_HEAD_BYTES // 1024} KiB."
TOO_MANY_HEADERS: Final = f"The answer has more than {MAX_HEADERS} headers."
TOO_MUCH_FRAMING: Final = "The answer is mostly framing: far more bytes than its body accounts for."
SWITCHED: Final = "The receiver wants to switch to another protocol (101), which a POST did not ask for."

_PROTOCOL: Final = b"HTTP/"
#: Two line ends in a row, each LF or CR LF (RFC 9112, 2.2).
_END_OF_HEAD: Final = re.compile(rb"\n\r*\n")
#: The version may be any, in any case, and the reason may be absent or run into the status, as curl takes it.
_STATUS_LINE: Final = re.compile(rb"HTTP/(\d+(?:\.\d+)?)[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_SHOWN_BYTES: Final = 60


class AnswerReader:
    """Reads the answers of one connection, one after another.

    After `begin`, pieces go through `feed` until `over`. Then `error` says what is wrong with the answer ("" when
    nothing is) and `reusable` whether another request may follow on the same connection.
    """

    __slots__ = ("_body", "_head", "_line_end", "_received", "body", "error", "headers", "over", "reusable", "status")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the answer before, expect the next."""
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.error = ""
        self.over = False
        self.reusable = False
        self._received = 0
        self._head = b""
        self._line_end = 0  # where the last line end of `_head` was: its end is not before that
        self._body: Framing | None = None

    @property
    def has_begun(self) -> bool:
        """Whether at least one byte has arrived."""
        return self._received > 0

    def feed(self, piece: bytes) -> bool:
        """Read one piece; tell whether the answer is over."""
        self._received += len(piece)
        if self.over:
            self.reusable = self.reusable and not piece.strip(b"\r\n")  # the receiver talks without being asked
            return True
        try:
            if self._body is None:
                piece = self._read_heads(piece)
            if self._body is not None and not self.over:
                self._read_body(self._body, piece)
        except BadFraming as problem:
            self._fail(f"What came back is not HTTP/1.1 ({problem}).")
        if self._received > MAX_HEAD_BYTES and not self.over:
            self._check_length()
        return self.over

    def end(self, *, cut: bool) -> None:
        """The connection has ended: in order, or `cut` by a failure. For some answers that is how their body ends."""
        if self.over:
            self.reusable = False
        elif self._received == 0:
            self._fail(CLOSED_BEFORE)
        elif self._body is None:
            self._fail(CLOSED_IN_HEAD)
        elif cut or not self._body.may_end_with_connection:
            self._fail(CLOSED_IN_BODY)
        else:
            self._finish(reusable=False)

    def retire(self) -> None:
        """Read nothing more, ever; what was read stays."""
        self._head, self._body = b"", None

    def _read_heads(self, piece: bytes) -> bytes:
        """Read the head, and interim answers before it; the bytes behind it, or none while it is not complete."""
        head = (self._head + piece).lstrip(b"\r\n") if self._line_end == 0 else self._head + piece
        while (end := _END_OF_HEAD.search(head, max(self._line_end - 1, 0))) is not None:
            rest = head[end.end() :]
            self._take_head(head[: end.start()])
            if self.over or self._body is not None:
                self._head = b""
                return rest
            head, self._line_end = rest.lstrip(b"\r\n"), 0  # an interim answer: the answer is yet to come
        if self._line_end == 0:
            _require_start(head)
        self._head = head
        self._line_end = head.rfind(b"\n", self._line_end) + 1 or self._line_end
        return b""

    def _take_head(self, head: bytes) -> None:
        read = _remembered_head(head) if len(head) <= _REMEMBERED_BYTES else _head(head)
        if read.status == _SWITCHING:
            self.status = read.status
            self._fail(SWITCHED)
        elif read.status >= _FIRST_FINAL_STATUS:
            self.status = read.status
            self.headers = list(read.headers)
            self._body = read.framing()
            self._check_head()

    def _read_body(self, framing: Framing, piece: bytes) -> None:
        """Keep the beginning of the body, and call it enough once there is more."""
        self.body += framing.take(piece)
        if len(self.body) > MAX_ANSWER_BYTES:
            del self.body[MAX_ANSWER_BYTES:]
            self._finish(reusable=False)
        elif framing.is_over:
            self._finish(reusable=framing.reusable)

    def _finish(self, *, reusable: bool) -> None:
        self.over = True
        self.reusable = reusable

    def _fail(self, sentence: str) -> None:
        self.error = sentence
        self._finish(reusable=False)

    def _check_head(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            del self.headers[MAX_HEADERS:]
            self._fail(TOO_MANY_HEADERS)
        elif self._received > MAX_HEAD_BYTES and sum(len(n) + len(v) + 4 for n, v in self.headers) > MAX_HEAD_BYTES:
            self.headers.clear()
            self._fail(HEAD_TOO_LONG)

    def _check_length(self) -> None:
        if self.status is None:
            self._fail(HEAD_TOO_LONG)
        elif self._received > MAX_WIRE_BYTES:
            self._fail(TOO_MUCH_FRAMING)


def _require_start(head: bytes) -> None:
    """Refuse what cannot become an answer as soon as that is plain: such a receiver may never say more.

    Raises:
        BadFraming: the bytes are the beginning of no status line.
    """
    if head[: len(_PROTOCOL)].upper() != _PROTOCOL[: len(head)]:
        raise BadFraming(f"it begins with {head[:_SHOWN_BYTES]!r}")
    first, line_end, _ = head.partition(b"\n")
    if line_end:
        _status_line(first)


class _Head(NamedTuple):
    """What a head says."""

    status: int
    headers: tuple[tuple[str, str], ...]
    framing: Callable[[], Framing]  # a new one for each answer with this head


def _head(head: bytes) -> _Head:
    """Read a head without the empty line at its end.

    Raises:
        BadFraming: it is none.
    """
    first, _, lines = head.partition(b"\n")
    version, status = _status_line(first)
    if status < _FIRST_FINAL_STATUS:
        if status < _LOWEST_STATUS:
            raise BadFraming(f"there is no status {status:03}")
        return _Head(status, (), BodyUntilClose)
    headers: list[tuple[str, str]] = []
    framing: dict[str, list[str]] = {"content-length": [], "transfer-encoding": [], "connection": []}
    for line in _lines(lines):
        name, colon, value = line.partition(":")
        if not colon:
            raise BadFraming(f"there is no colon in the header line {line[:_SHOWN_BYTES]!r}")
        name, value = name.strip(" \t"), value.strip(" \t\r")
        headers.append((name, value))
        if (known := name.lower()) in framing:
            framing[known].append(value)
    return _Head(status, tuple(headers), _framing(version, status, *framing.values()))


#: Receivers that get many events answer with the same head again and again, but for its date: once a second.
_REMEMBERED_BYTES: Final = 1024
_remembered_head: Final = lru_cache(maxsize=256)(_head)


def _lines(lines: bytes) -> Iterable[str]:
    """The header lines in their order, unfolded. Line ends may be left at their ends."""
    if b"\0" in lines:
        raise BadFraming("there is a NUL in its head")
    if not lines.strip(b"\r"):
        return ()
    text = lines.decode("latin-1")
    return _unfolded(text) if "\n " in text or "\n\t" in text else text.split("\n")


def _framing(
    version: bytes, status: int, content_length: list[str], transfer_encoding: list[str], connection: list[str]
) -> Callable[[], Framing]:
    """How the body ends, as the head says (RFC 9112, 6.3), and whether the connection may be reused after it."""
    codings = [coding for coding in _listed(transfer_encoding) if coding != "identity"]
    options = _listed(connection)
    keeps = "close" not in options and (version == b"1.1" or (version == b"1.0" and "keep-alive" in options))
    if status in _WITHOUT_BODY:
        return partial(NoBody, reusable=keeps and not codings and content_length in ([], ["0"]))
    if codings and codings[-1] == "chunked":
        return partial(BodyOfChunks, reusable=keeps and not content_length and codings.count("chunked") == 1)
    length, is_clean = parse_length(content_length)
    if codings or length is None:
        return BodyUntilClose
    return partial(BodyOfLength, length, reusable=keeps and is_clean)


def _listed(values: list[str]) -> list[str]:
    """The members of all lists of a header (RFC 9110, 5.6.1), in lower case."""
    return [member.strip(" \t") for value in values for member in value.lower().split(",")]


def _status_line(line: bytes) -> tuple[bytes, int]:
    """The version and the status."""
    match = _STATUS_LINE.match(line)
    if match is None:
        raise BadFraming(f"its first line is {line[:_SHOWN_BYTES]!r}")
    return match[1], int(match[2])


def _unfolded(text: str) -> Iterator[str]:
    """The header lines. One that begins with a blank continues the line before it, joined with one space (RFC 9112,
    5.2).
    """
    parts: list[str] = []
    for line in text.split("\n"):
        if not line.startswith((" ", "\t")) and parts:
            yield " ".join(parts)
            parts = []
        if part := line.strip(" \t\r"):
            parts.append(part)
    yield " ".join(parts)
