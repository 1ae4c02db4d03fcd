"""Room for request bodies: how many bytes of large bodies the process holds at a time, from reading to the answer.

What a body becomes (values, the bytes of its event, rows that wait for the thread that writes) takes a few times its
length, and is gone when it is answered. So this bounds what waits for the store too. Bodies of up to `listening.SMALL`
bytes are not counted: connections are, and each has one such body at a time.
"""

from types import TracebackType
from typing import Final, Self

from hookline.errors import Unavailable

#: Bytes of large bodies in all: sixteen of the largest.
MOST_BYTES: Final = 16 * 1024 * 1024


class BodyRoom:
    """Counts the bytes that are held. One for the whole process."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0

    def one_body(self) -> "HeldBody":
        """Hold one body for as long as the block lasts."""
        return HeldBody(self)


class HeldBody:
    """What came of one body so far."""

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.held_bytes -= self._bytes

    def grow(self, count: int) -> None:
        """So many more bytes came.

        Raises:
            Unavailable: the process holds as many as it may; these are not counted.
        """
        if self._room.held_bytes + count > self._room.most_bytes:
            raise Unavailable(
                "The server is busy with as many large bodies as it can hold.",
                hint="Ask again in a moment, or send smaller bodies.",
            )
        self._room.held_bytes += count
        self._bytes += count
