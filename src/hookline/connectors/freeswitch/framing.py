"""Framing of the event socket: bytes come in as they come, messages go out.

A message is lines of `Key: value`, an empty line, and as many bytes as `Content-Length` says. What is longer than we
ever asked for is not skipped but ends the connection: whoever sends that is no FreeSWITCH.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST_HEAD_BYTES: Final = 16 * 1024
#: An event with all its variables has a few dozen KiB.
MOST_BODY_BYTES: Final = 1024 * 1024
_END: Final = b"\n\n"


class NoMessage(Exception):
    """What comes is no message. Its text is a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message."""

    head: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def kind(self) -> str:
        """What it is, such as text/event-json."""
        return self.head.get("content-type", "")


class Framing:
    """The bytes of one connection, from its first."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._head: dict[str, str] | None = None
        self._wanted = 0  # bytes of the body

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes.

        Raises:
            NoMessage: it is none, or too long.
        """
        self._kept += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if self._head is None and not self._begin():
            return None
        if self._head is None or len(self._kept) < self._wanted:
            return None
        message = Message(head=self._head, body=bytes(self._kept[: self._wanted]))
        del self._kept[: self._wanted]
        self._head, self._wanted = None, 0
        return message

    def _begin(self) -> bool:
        while self._kept[:1] == b"\n":
            del self._kept[:1]
        end = self._kept.find(_END)
        if end > MOST_HEAD_BYTES or (end < 0 and len(self._kept) > MOST_HEAD_BYTES):
            raise NoMessage("It sent something that is no message of an event socket.")
        if end < 0:
            return False
        self._head = _head(bytes(self._kept[:end]))
        del self._kept[: end + len(_END)]
        self._wanted = _length(self._head.get("content-length", "0"))
        return True


def _head(raw: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in raw.decode("utf-8", "replace").splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) > MOST_BODY_BYTES:
        raise NoMessage(f"It announced a message of {text[:20]!r} bytes; we take up to {MOST_BODY_BYTES}.")
    return int(text)
