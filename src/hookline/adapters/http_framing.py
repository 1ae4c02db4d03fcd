"""Where the body of an answer ends: at a length, at the last chunk, or with the connection (RFC 9112, 6 and 7).

Each framing takes pieces of the wire and gives back the bytes of the body in them. What is kept of a body, and how much
may come in all, is decided in `http_answer.py`.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

#: A chunk's size; curl and browsers take blanks around it. What follows is an extension, which means nothing here.
_CHUNK_SIZE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]+)[ \t]*(?:;|\r*$)")
#: A length as curl reads it: decimal digits, whatever stands behind them.
_LENGTH: Final = re.compile(r"\+?(\d+)", re.ASCII)
_MAX_LENGTH: Final = 2**63 - 1
_SHOWN_BYTES: Final = 40


class BadFraming(Exception):
    """The bytes are no HTTP answer. Its text says what is wrong, as a part of a sentence."""


class Framing(Protocol):
    """One way in which a body ends."""

    is_over: bool
    reusable: bool  # whether another request may follow on the connection, once the body is over
    may_end_with_connection: bool

    def take(self, piece: bytes) -> bytes:
        """The bytes of the body in the next piece of the wire.

        Raises:
            BadFraming: the piece breaks the framing.
        """


class NoBody:
    """A status that has no body, whatever its headers say."""

    is_over = True
    may_end_with_connection = True

    def __init__(self, *, reusable: bool) -> None:
        self.reusable = reusable

    def take(self, piece: bytes) -> bytes:
        """Nothing. What comes all the same makes the connection useless."""
        self.reusable = self.reusable and not piece.strip(b"\r\n")
        return b""


class BodyUntilClose:
    """The body lasts until the connection is closed."""

    is_over = False
    reusable = False
    may_end_with_connection = True

    def take(self, piece: bytes) -> bytes:
        """All of it."""
        return piece


class BodyOfLength:
    """The body has a length in bytes."""

    may_end_with_connection = False

    def __init__(self, length: int, *, reusable: bool) -> None:
        self._left = length
        self.is_over = length == 0
        self.reusable = reusable

    def take(self, piece: bytes) -> bytes:
        """Up to the length. Line ends behind it are passed over (RFC 9112, 2.2); more is not an answer to anything."""
        body = piece[: self._left]
        self._left -= len(body)
        self.is_over = self._left == 0
        if len(piece) > len(body):
            self.reusable = self.reusable and not piece[len(body) :].strip(b"\r\n")
        return body


class BodyOfChunks:
    """The body is in chunks, each with its size before it; trailers follow the last one and are passed over."""

    may_end_with_connection = False

    def __init__(self, *, reusable: bool) -> None:
        self.is_over = False
        self.reusable = reusable
        self._rest = b""  # the beginning of a line whose end has not arrived
        self._left = 0  # bytes of the present chunk that have not arrived
        self._closes_chunk = False  # whether the next line is the end of a chunk's data
        self._in_trailers = False

    def take(self, piece: bytes) -> bytes:
        """The data of the chunks in it."""
        wire, place = (self._rest + piece if self._rest else piece), 0
        data = []
        while not self.is_over:
            if self._left:
                part = wire[place : place + self._left]
                if not part:
                    break
                data.append(part)
                self._left -= len(part)
                place += len(part)
                self._closes_chunk = not self._left
                continue
            end = wire.find(b"\n", place)
            if end < 0:
                break
            self._take_line(wire[place:end])
            place = end + 1
        self._rest = wire[place:] if not self._left else b""
        if self.is_over:
            self.reusable = self.reusable and not self._rest.strip(b"\r\n")
        return b"".join(data)

    def _take_line(self, line: bytes) -> None:
        if self._in_trailers:
            self.is_over = not line.rstrip(b"\r")
        elif self._closes_chunk:
            if line.strip(b"\r"):
                raise BadFraming(f"a chunk is longer than its size: {line[:_SHOWN_BYTES]!r} follows it")
            self._closes_chunk = False
        else:
            self._left = self._size(line)
            self._in_trailers = self._left == 0

    def _size(self, line: bytes) -> int:
        match = _CHUNK_SIZE.match(line)
        if match is None:
            raise BadFraming(f"{line[:_SHOWN_BYTES]!r} is no size of a chunk")
        return int(match[1], 16)


def parse_length(values: Sequence[str]) -> tuple[int | None, bool]:
    """The length that the values of all `Content-Length` headers give; None when they give none. Beside it, whether
    they are clean enough to rely on for the next answer on the same connection.

    The same length may be there several times (RFC 9110, 8.6). Of different ones the last header counts, and in a list
    the first length, as in curl. A length beyond 63 bits is none, as in curl.

    Raises:
        BadFraming: a value is no length.
    """
    length, is_clean = None, True
    lengths = set()
    for value in values:
        match = _LENGTH.match(value)
        if match is not None:
            length = int(match[1].lstrip("0")[:20] or "0")
        elif value:
            raise BadFraming(f"{value[:_SHOWN_BYTES]!r} is no Content-Length")
        lengths.update(value.replace(" ", "").split(","))
        is_clean = len(lengths) == 1 and value.isdecimal()
    return None if length is not None and length > _MAX_LENGTH else length, is_clean
