"""A strict reader of HTTP/1.1 answers: whatever a server should not write is an error here."""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_LONGEST_HEAD: Final = 16_384
_WITHOUT_BODY: Final = frozenset({204, 304})


class Malformed(Exception):
    """What came is no HTTP answer. Its text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole."""

    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that this is the last on its connection."""
        return self.headers.get(b"connection", b"").lower() == b"close"

    def complaint(self) -> str:
        """What is wrong with a refusal, or "": each has a code, a sentence, and is kept by no cache."""
        if self.status < 400 or not self.body:
            return ""
        try:
            value = msgspec.json.decode(self.body)
            is_told = bool(value["code"]) and bool(value["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            is_told = False
        return "" if is_told else f"a refusal without code and message: {self.body[:200]!r}"


def take_answer(buffer: bytearray, *, is_head: bool, at_end: bool) -> Answer | None:
    """Cut the first whole answer off the buffer; None while it is not whole. `at_end`: nothing more will come.

    Raises:
        Malformed: it is no answer, or it ended early.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _LONGEST_HEAD or (at_end and buffer):
            raise Malformed(f"an answer without the end of its head: {bytes(buffer[:300])!r}")
        return None
    status, headers = _read_head(bytes(buffer[:end]))
    start = end + 4
    if is_head or status in _WITHOUT_BODY or status < 200:
        return _cut(buffer, status, headers, start, start)
    if b"content-length" in headers:
        length = headers[b"content-length"]
        if not length.isdigit():
            raise Malformed(f"a length that is no number: {length!r}")
        stop = start + int(length)
        if len(buffer) >= stop:
            return _cut(buffer, status, headers, start, stop)
    elif headers.get(b"transfer-encoding") == b"chunked":
        found = _read_chunks(buffer, start)
        if found is not None:
            body, stop = found
            del buffer[:stop]
            return Answer(status, headers, body)
    else:
        raise Malformed(f"an answer with a body of unknown length: {bytes(buffer[:300])!r}")
    if at_end:
        raise Malformed(f"an answer that ends in the middle of its body: {bytes(buffer[:300])!r}")
    return None


def _cut(buffer: bytearray, status: int, headers: dict[bytes, bytes], start: int, stop: int) -> Answer:
    body = bytes(buffer[start:stop])
    del buffer[:stop]
    return Answer(status, headers, body)


def _read_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise Malformed(f"no status line: {first[:300]!r}")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Malformed(f"no header line: {line[:300]!r}")
        name = header[1].lower()
        if name in headers:
            raise Malformed(f"a header that came twice: {name!r}")
        headers[name] = header[2]
    return int(match[1]), headers


def _read_chunks(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """The body, and where it ends in the buffer."""
    pieces: list[bytes] = []
    while (end := buffer.find(b"\r\n", start)) >= 0:
        try:
            size = int(bytes(buffer[start:end]), 16)
        except ValueError:
            raise Malformed(f"no chunk size: {bytes(buffer[start:end])[:100]!r}") from None
        stop = end + 2 + size
        if len(buffer) < stop + 2:
            return None
        if buffer[stop : stop + 2] != b"\r\n":
            raise Malformed("a chunk that is longer than its size")
        if size == 0:
            return b"".join(pieces), stop + 2
        pieces.append(bytes(buffer[end + 2 : stop]))
        start = stop + 2
    return None
