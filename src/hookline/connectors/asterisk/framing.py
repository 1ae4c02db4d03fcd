"""Framing of the manager interface: bytes come in as they come, messages go out.

A message is lines of `Key: value` and ends with an empty one. Most messages are of no use to us, so one is kept as it
came, and a value is looked for when it is asked for. Nothing here knows what a message means: `words.py`.
"""

from collections.abc import Iterator
from typing import Final

#: What a message may have. Asterisk's own have a few hundred bytes; what is longer is skipped.
MOST_BYTES: Final = 64 * 1024
_CRLF: Final = b"\r\n"


class _Needles(dict[str, tuple[bytes, bytes]]):
    """How a key looks at the beginning of a message, and of a later line."""

    def __missing__(self, key: str) -> tuple[bytes, bytes]:
        head = f"{key}: ".encode()
        needles = self[key] = (head, b"\n" + head)
        return needles


#: The keys that the code asks for, which are few.
_NEEDLES: Final = _Needles()


class Message:
    """Keys and values, in their order. A key may be there several times; a line that is no pair is passed over."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def get(self, key: str, default: str = "", /) -> str:
        """The first value of this key, spelt exactly so."""
        raw, (head, later) = self._raw, _NEEDLES[key]
        if raw.startswith(head):
            start = len(head)
        else:
            found = raw.find(later)
            if found < 0:
                return default
            start = found + len(later)
        end = raw.find(b"\n", start)
        return _text(raw[start:] if end < 0 else raw[start:end])

    def pairs(self) -> Iterator[tuple[str, str]]:
        """All of them."""
        for line in self._raw.split(b"\n"):
            key, colon, value = line.partition(b": ")
            if colon:
                yield _text(key), _text(value)

    def __repr__(self) -> str:
        return f"Message({dict(self.pairs())})"


class Framing:
    """The bytes of one connection, from its first.

    How the first line ends, with CR LF or with LF alone, all lines end. What is longer than `MOST_BYTES` is skipped to
    its end, and counted in `skipped`; more than that, and a piece that was fed, is never kept.
    """

    def __init__(self) -> None:
        self.first_line: str | None = None  # of the connection; Asterisk begins with its name and a version
        self.skipped = 0
        self._end = b""  # of a message, once it is known
        self._pieces: list[bytes] = []  # what has come of a message that is not over
        self._size = 0
        self._is_skipping = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes."""
        if b"\n" not in data:  # nothing can have ended: so that many small pieces are not joined again and again
            self._keep(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces, self._size = [], 0
        if not self._end:
            self._begin(data)
        *blocks, rest = data.split(self._end)
        # The blocks come first: the end of a message that is skipped is among them, and `rest` is no part of it.
        messages = [message for block in blocks if (message := self._message(block)) is not None]
        self._keep(rest)
        return messages

    def _begin(self, data: bytes) -> None:
        line, _, _ = data.partition(b"\n")
        self.first_line = _text(line[:1024])
        self._end = _CRLF + _CRLF if line.endswith(b"\r") else b"\n\n"

    def _keep(self, rest: bytes) -> None:
        """What may be the beginning of a message. Of one that is too long only what may be the beginning of its end."""
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        most = MOST_BYTES + max(len(self._end) - 1, 0)
        if self._is_skipping or self._size > most:
            self._is_skipping = True
            tail = b"".join(self._pieces)[-3:]
            self._pieces, self._size = [tail], len(tail)

    def _message(self, block: bytes) -> Message | None:
        is_over_long = self._is_skipping or len(block) > MOST_BYTES
        self._is_skipping = False
        if is_over_long:
            self.skipped += 1
            return None
        raw = block.lstrip(_CRLF)
        return Message(raw) if raw else None


def _text(raw: bytes) -> str:
    """UTF-8, as far as it is. No text holds a NUL: not every database keeps one."""
    text = (raw[:-1] if raw.endswith(b"\r") else raw).decode("utf-8", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
