"""Which connections there are, who holds one, and who is next.

A room is one origin; a place in it is the right to one connection, open or being opened. Places are limited per room
and in all. Who finds none waits in line; a connection that comes back goes to the first in its room's line. When the
limit of all is what a room waits for, it has precedence over rooms that have places already, and idle connections of
others give way at once.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Final

from hookline.adapters.http_connection import Connection, Origin
from hookline.ports.clock import Alarm, Clock

#: Idle connections are looked through this often, so one may outlive its time by as much.
SWEEP_SECONDS: Final = 5.0


class Room:
    """What is idle, taken and wanted at one origin."""

    __slots__ = ("idle", "line", "origin", "places_taken")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.places_taken = 0
        self.idle: list[Connection] = []  # last in, first out: the others may grow cold and go
        self.line: deque[asyncio.Future[Connection | None]] = deque()

    def next_in_line(self) -> asyncio.Future[Connection | None] | None:
        """Take the first who still waits out of the line."""
        while self.line:
            waiter = self.line.popleft()
            if not waiter.done():
                return waiter
        return None


class Pool:
    """All rooms. It never waits and never opens: that is for the sender, who holds a place while it does."""

    def __init__(self, clock: Clock, *, per_origin: int, in_all: int, idle_seconds: float) -> None:
        """Keep up to `in_all` connections, and unused ones for `idle_seconds`."""
        self._clock = clock
        self._per_origin = per_origin
        self._in_all = in_all
        self._idle_seconds = idle_seconds
        self._rooms: dict[tuple[str, str, int], Room] = {}
        self._places_taken = 0
        self._idle: OrderedDict[Connection, Room] = OrderedDict()  # longest idle first
        self._open: set[Connection] = set()
        self._starving: OrderedDict[Room, None] = OrderedDict()
        self._sweep_alarm: Alarm | None = None
        self._emptied: asyncio.Future[None] | None = None

    def take_idle(self, scheme: str, host: str, port: int) -> tuple[Room, Connection] | None:
        """The most recently used idle connection to there, which is now the caller's to `release`."""
        room = self._rooms.get((scheme, host, port))
        if room is None:
            return None
        oldest_fresh = self._clock.monotonic() - self._idle_seconds
        while room.idle:
            connection = room.idle.pop()
            del self._idle[connection]
            if connection.idle_since > oldest_fresh and connection.is_open:
                return room, connection
            self.discard(room, connection)
        return None

    def enter(self, origin: Origin) -> Room:
        """The room of `origin`. It is forgotten as soon as nobody has a place or waits there."""
        room = self._rooms.get(origin)
        if room is None:
            room = self._rooms[origin] = Room(origin)
        return room

    def take_place(self, room: Room) -> bool:
        """Take a place if there is one: then the caller owes a `release` or a `give_up_place`."""
        if room.line or room.places_taken >= self._per_origin:
            return False
        if self._places_taken >= self._in_all and not self._close_longest_idle():
            return False
        self._add_place(room)
        return True

    def stand_in_line(self, room: Room) -> asyncio.Future[Connection | None]:
        """A future that comes to a connection to use, or to None: then the caller has a place to open one in."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        room.line.append(waiter)
        self._note_if_starving(room)
        return waiter

    def leave_line(self, room: Room, waiter: asyncio.Future[Connection | None]) -> None:
        """Stop waiting. What was handed over in the same moment goes to the next."""
        if waiter in room.line:
            room.line.remove(waiter)
        if not room.line:
            self._starving.pop(room, None)
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            self._forget_if_empty(room)
        elif (connection := waiter.result()) is not None:
            self.release(room, connection)
        else:
            self.give_up_place(room)

    def admit(self, connection: Connection) -> None:
        """Watch over a connection that was opened in a place of the caller's."""
        self._open.add(connection)
        connection.tell_when_lost(self._lost)

    def release(self, room: Room, connection: Connection) -> None:
        """Give back a connection and its place: to the next in line, or to rest, or to be closed if it is spent."""
        if not connection.answer.reusable or not connection.is_open or self._starving:
            self.discard(room, connection)
            return
        connection.reused = True
        waiter = room.next_in_line() if room.line else None
        if waiter is not None:
            waiter.set_result(connection)
            return
        connection.idle_since = self._clock.monotonic()
        room.idle.append(connection)
        self._idle[connection] = room
        if self._sweep_alarm is None:
            self._sweep_alarm = self._clock.alarm(SWEEP_SECONDS, self._sweep)

    def discard(self, room: Room, connection: Connection) -> None:
        """Close a connection and give up its place."""
        connection.close()
        self.give_up_place(room)

    def give_up_place(self, room: Room) -> None:
        """Let someone else have the place."""
        room.places_taken -= 1
        self._places_taken -= 1
        self._seat_next(room)
        self._forget_if_empty(room)

    async def close(self) -> None:
        """Close every connection, and return when all are gone. Whoever waits in line gets a place."""
        if self._sweep_alarm is not None:
            self._sweep_alarm.cancel()
        for connection in tuple(self._open):
            connection.close()
        if self._open and self._emptied is None:
            self._emptied = asyncio.get_running_loop().create_future()
        if self._emptied is not None:
            await self._emptied

    def _seat_next(self, room: Room) -> None:
        while self._starving:
            needy, _ = self._starving.popitem(last=False)
            if self._seat(needy):
                self._note_if_starving(needy)
                self._note_if_starving(room)
                return
            self._forget_if_empty(needy)
        self._seat(room)

    def _seat(self, room: Room) -> bool:
        waiter = room.next_in_line()
        if waiter is None:
            return False
        self._add_place(room)
        waiter.set_result(None)
        return True

    def _note_if_starving(self, room: Room) -> None:
        if room.line and room.places_taken < self._per_origin:
            self._starving[room] = None

    def _add_place(self, room: Room) -> None:
        room.places_taken += 1
        self._places_taken += 1

    def _forget_if_empty(self, room: Room) -> None:
        if not room.places_taken and not room.line and self._rooms.get(room.origin) is room:
            del self._rooms[room.origin]

    def _close_longest_idle(self) -> bool:
        if not self._idle:
            return False
        connection, room = self._idle.popitem(last=False)
        room.idle.remove(connection)
        self.discard(room, connection)
        return True

    def _sweep(self) -> None:
        oldest_fresh = self._clock.monotonic() - self._idle_seconds
        while self._idle and next(iter(self._idle)).idle_since <= oldest_fresh:
            self._close_longest_idle()
        self._sweep_alarm = self._clock.alarm(SWEEP_SECONDS, self._sweep) if self._idle else None

    def _lost(self, connection: Connection) -> None:
        """A connection is gone. If someone holds it, they notice and give up the place themselves."""
        self._open.discard(connection)
        room = self._idle.pop(connection, None)
        if room is not None:
            room.idle.remove(connection)
            self.give_up_place(room)
        if self._emptied is not None and not self._open and not self._emptied.done():
            self._emptied.set_result(None)
