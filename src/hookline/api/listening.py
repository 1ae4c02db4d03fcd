"""uvicorn's HTTP protocol, with a short way for the API.

A plain request of the API (small, with its length told) is read whole, answered, and written in one piece: beside ASGI,
whose messages and checks cost a call more than its delivery does. Everything else (large and chunked bodies, pages,
files) goes the long way, which is uvicorn's, over the same connection and in the same order.

What a connection may send, and for how long, is bounded: its bytes by `api.request_reader`, its pace by `api.patience`.
What cannot be read gets its refusal after the answers to what came before it, and the connection is closed. A client
that closes its side after asking is answered all the same.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import unquote

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hookline.api.admission import Admission, Admitted, too_many_connections, too_much_held, too_much_untaken
from hookline.api.exchanges import Cycle, Exchange, Flow, Output
from hookline.api.http_messages import (
    NO_CONTENT,
    Answering,
    Whole,
    header_lines,
    refusal_answer,
)
from hookline.api.patience import USUAL, Patience, too_slow
from hookline.api.request_reader import Head, Refused, RequestReader, split_target
from hookline.api.turns import Turns
from hookline.ports.clock import Alarm, Clock

#: The largest body that is read before anybody looks at it. Of larger ones, the key is looked at first.
SMALL: Final = 24 * 1024
#: From here on statuses say that the request was refused, or failed.
_REFUSED: Final = 400
#: Requests of one client that wait for the one before, until no more of them are read.
_MOST_IN_LINE: Final = 8
#: Bytes of their bodies, likewise.
_MOST_BYTES_IN_LINE: Final = 64 * 1024
#: Pieces of one client's input that are read before others have their turn.
_PIECES_A_TURN: Final = 512
#: How much of what nobody wants is taken from a client, so that it gets to read its answer.
_MAX_DISCARDED_BYTES: Final = 4 * 1024 * 1024


class Listening(HttpToolsProtocol):
    """HTTP/1.1 for uvicorn. One for each connection."""

    def __init__(
        self,
        api: Answering,
        clock: Clock,
        admission: Admission,
        turns: Turns,
        knows: Callable[[str, Mapping[bytes, bytes]], bool],
        patience: Patience = USUAL,
        **of_uvicorn: Any,
    ) -> None:
        super().__init__(**of_uvicorn)
        self.parser = None  # type: ignore[assignment]  # uvicorn's: we have a reader instead
        self._api = api
        self._clock = clock
        self._admission = admission
        self._turns = turns
        self._knows = knows
        self._patience = patience
        self._admitted = Admitted.FULLY
        self._reader = RequestReader()
        self._incoming: Exchange | Cycle | None = None  # the request whose body is being read
        self._line: deque[Exchange | Cycle] = deque()  # what is owed an answer, in order; the first is asked for
        self._is_begun = False  # with the first
        self._has_asked_for_a_turn = False  # for the first
        self._was_refused = False  # what was answered last
        self._is_last = False  # the request that is being read
        self._is_over = False  # nothing more is read
        self._is_refused = False  # what was to be read
        self._has_ended = False  # the client has closed its side
        self._discarded_bytes = 0
        self._held_bytes = 0
        self._untaken_bytes = 0
        self._was_heard = False  # since the last look
        self._idle_since = 0.0
        self._due_at: float | None = None  # of the head or the body that is being read
        self._due_in = 0.0  # the time that it has in all
        self._unwritten = (0, 0.0)  # bytes in the buffer when that last changed, and when it did
        self._alarm: Alarm | None = None
        self._lingering: Alarm | None = None
        self._task: asyncio.Task[None] | None = None  # held, since the event loop does not

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to listen, unless there are too many connections."""
        super().connection_made(transport)
        self.flow: Flow = Flow(transport, lambda: self.loop.call_soon(self._read_on))
        self._idle_since = self._clock.monotonic()
        self._watch()
        self._admitted = self._admission.admit(len(self.connections))
        if self._admitted is Admitted.FOR_STATUS:
            self._set_due(self._patience.status_seconds)
        elif self._admitted is Admitted.TO_BE_TOLD:
            self._refuse(too_many_connections())
        elif self._admitted is Admitted.NOT:
            self._is_over = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what was asked: an answer finds nobody.

        Nothing may refer to this object in a circle after that: cycles are collected seldom, and each would hold what
        its client sent.
        """
        super().connection_lost(exc)
        self._is_over = True
        for each in self._line:
            each.disconnected = True
            each.message_event.set()
        self._hold(0)
        self._count_untaken(0)
        for alarm in (self._alarm, self._lingering):
            if alarm is not None:
                alarm.cancel()
        self._line.clear()
        self._incoming = self._alarm = self._lingering = self._task = None
        self._reader = RequestReader()
        self.cycle = None  # type: ignore[assignment]  # as uvicorn begins
        self.flow.end()

    def resume_writing(self) -> None:
        """Go on: the client has taken what was written to it, but for a little."""
        self._count_untaken(self.transport.get_write_buffer_size())
        super().resume_writing()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn closes, and leaves what was asked unanswered
        """Answer a client that has said all it wants to; whoever stops in the middle of a request has asked nothing."""
        self._has_ended = True
        self._read_on()  # what was kept back, if it is not still; then what is not whole is dropped
        is_reading = self.flow.read_paused and not self._is_over  # the rest of it in the next turn
        return (bool(self._line) or is_reading) and self._lingering is None

    def _end(self) -> None:
        """Read nothing more: the client has said that it has said all."""
        self._is_over = True
        self._due_at = None
        self._drop_incoming()
        if self._line:
            self._line[-1].keep_alive = False

    def shutdown(self) -> None:
        """Answer what was asked, and close."""
        last = self._incoming or (self._line[-1] if self._line else None)
        if last is None:
            self._is_over = True
            self.transport.close()
        else:
            self._is_last, self._is_over = True, self._incoming is None
            last.keep_alive = False

    # Time

    def _watch(self) -> None:
        self._alarm = self._clock.alarm(min(self._patience.look_seconds, self.timeout_keep_alive), self._look)

    def _look(self) -> None:
        """See to it that nobody is waited for too long."""
        now = self._clock.monotonic()
        if self._was_heard or self._line:
            self._idle_since, self._was_heard = now, False
        if self._takes_nothing(now):
            self.transport.abort()
        elif self._due_at is not None and not self._is_over:
            if self.flow.read_paused:  # by us: the client could not go on
                self._due_at += self._patience.look_seconds
            elif now >= self._due_at:
                self._refuse(too_slow(self._due_in))
        elif now - self._idle_since >= self.timeout_keep_alive and not self._is_over:
            self._is_over = True
            self.transport.close()
        self._watch()

    def _takes_nothing(self, now: float) -> bool:
        """Whether the client has not taken one byte of what was written to it for too long."""
        unwritten = self.transport.get_write_buffer_size()
        self._count_untaken(unwritten)
        if not unwritten or unwritten != self._unwritten[0]:
            self._unwritten = unwritten, now
        return bool(unwritten) and now - self._unwritten[1] >= self._patience.write_seconds

    def _count_untaken(self, now: int) -> None:
        before, self._untaken_bytes = self._untaken_bytes, now
        self._admission.leave(before, now)

    def _set_due(self, seconds: float) -> None:
        self._due_at, self._due_in = self._clock.monotonic() + seconds, seconds

    # Reading

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._was_heard = True
        if self._is_over:
            self._discard(len(data))
            return
        self._reader.feed(data)
        if not self.flow.read_paused:
            self._read_on()
        elif not self._hold(self._holds()):
            self._refuse(too_much_held())

    def _read_on(self) -> None:
        """Read what came in, until there is no more of it or enough waits for its answer."""
        reader, pieces = self._reader, 0
        try:
            while not self._is_over and not self.flow.read_paused:
                if self._incoming is not None:
                    piece = reader.body()
                    if piece is None:
                        break
                    self._take_body(piece)
                else:
                    head = reader.head()
                    if head is None:
                        break
                    self._take(head)
                pieces += 1
                if pieces >= _PIECES_A_TURN:
                    self.flow.pause_reading()
                    self.loop.call_soon(self.flow.resume_reading)
            if not self._is_over and (reader.held or self._incoming is not None or self._held_bytes or self._has_ended):
                self._stop_in_the_middle()
        except Refused as refusal:
            self._refuse(refusal)

    def _stop_in_the_middle(self) -> None:
        """Limit the time of what is not whole yet, and what is held of it."""
        if self._has_ended and not self.flow.read_paused:
            self._end()
            if not self._line:
                self._close()
            return
        if self._due_at is None and self._incoming is None and self._reader.held:
            self._set_due(self._patience.head_seconds)
        if not self._hold(self._holds()):
            raise too_much_held()

    def _holds(self) -> int:
        """Bytes that came in and were not asked for yet."""
        held = self._reader.held
        if self._incoming is not None:
            held += len(self._incoming.body)
        return held + sum(len(each.body) for each in self._line if each is not self._incoming)

    def _hold(self, now: int) -> bool:
        before, self._held_bytes = self._held_bytes, now
        return before == now or self._admission.hold(before, now)

    def _take(self, head: Head) -> None:
        """Choose the way of a request."""
        path, query = split_target(head)
        self._due_at = None
        keep_alive = head.keep_alive
        if self._admitted is not Admitted.FULLY:
            keep_alive = False
            if path not in self._admission.status_paths:
                raise too_many_connections()
        self._is_last = not keep_alive
        request: Exchange | Cycle
        if self._api.owns(path) and _is_plain(head):
            request = Exchange(head.method, path, query, head.by_name, keep_alive=keep_alive)
        else:
            request = self._cycle(head, path, query, keep_alive=keep_alive)
        request.is_known = self._knows(path, head.by_name)
        if isinstance(request, Cycle):
            self._stand_in_line(request)  # before its body is read: the key is looked at first
        self.cycle = cast("RequestResponseCycle", request)
        if not head.length and not head.is_chunked:
            self._finish_reading(request)
            return
        self._incoming = request
        self._discarded_bytes = 0
        if self._reader.held < head.length or head.is_chunked:
            self._set_due(self._patience.for_body(head))

    def _cycle(self, head: Head, path: str, query: bytes, *, keep_alive: bool) -> Cycle:
        """The long way."""
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": head.method,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode() + path.encode(),
            "query_string": query,
            "headers": head.headers,
            "state": self.app_state.copy(),
        }
        cycle = Cycle(
            scope=scope,
            transport=cast("asyncio.Transport", Output(self.transport, self._close)),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.length = head.length
        return cycle

    def _take_body(self, piece: bytes | bytearray) -> None:
        """Keep a piece of a body."""
        request = self._incoming
        assert request is not None
        if isinstance(request, Exchange):
            if not request.body:
                request.body = piece
            else:
                if isinstance(request.body, bytes):
                    request.body = bytearray(request.body)
                request.body += piece
        elif request.response_complete:
            self._discard(len(piece))
        elif piece:
            request.body += piece
            request.message_event.set()
            if len(request.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        if self._reader.is_body_read:
            self._incoming = None
            self._due_at = None
            self._finish_reading(request)

    def _finish_reading(self, request: Exchange | Cycle) -> None:
        """Have a whole request answered in its turn."""
        self._is_over = self._is_over or self._is_last
        if isinstance(request, Exchange):
            request.body = bytes(request.body)
            self._stand_in_line(request)
        else:
            request.more_body = False
            request.message_event.set()
            if request.response_complete and self._is_over:
                self._close()

    def _stand_in_line(self, request: Exchange | Cycle) -> None:
        self._line.append(request)
        if not self._is_begun:
            self._begin()
        elif (
            len(self._line) > _MOST_IN_LINE
            or isinstance(request, Cycle)
            or sum(len(each.body) for each in self._line) > _MOST_BYTES_IN_LINE
        ):
            self.flow.pause_reading()  # only now, for meanwhile nobody hears that the client has gone

    def _discard(self, size: int) -> None:
        """Pass over what nobody wants, but not without end."""
        self._discarded_bytes += size
        if self._line and self._is_over:
            self.flow.pause_reading()  # an answer is still owed
        elif self._discarded_bytes > _MAX_DISCARDED_BYTES:
            self._is_over = True
            self.transport.abort()

    # Refusing

    def _refuse(self, refusal: Refused) -> None:
        """Answer what cannot be read, after what came before it, and read nothing more."""
        begun = self._drop_incoming()
        self._is_over = self._is_refused = True
        self._due_at = None
        if begun is not None and begun.response_started:
            self._close()  # it was answered already, or is being answered: there is nothing to add
            return
        self._hold(0)
        exchange = Exchange("GET", "", b"", {}, keep_alive=False)
        exchange.ready = refusal_answer(refusal)
        self._stand_in_line(exchange)

    def _drop_incoming(self) -> Cycle | None:
        """Forget the request whose body is being read. Returns it if it was begun with."""
        request, self._incoming = self._incoming, None
        if not isinstance(request, Cycle):
            return None
        request.disconnected = True
        request.message_event.set()
        if self._line and self._line[-1] is request:
            self._line.pop()
            if self._line:
                return None  # others are in front of it
            self._is_begun = False
        return request

    def _close(self) -> None:
        """Close the connection. To a client that still sends, the answer would be lost if its data were not read."""
        is_in_the_middle = self._is_refused or self._incoming is not None or self._reader.held
        self._is_over = True
        if self._lingering is not None or self.transport.is_closing():
            return
        if self._has_ended or not is_in_the_middle:
            self.transport.close()
            return
        self.transport.write_eof()
        self._discarded_bytes = 0
        self._lingering = self._clock.alarm(self._patience.linger_seconds, self.transport.close)
        self.flow.resume_reading()

    # Answering

    def _begin(self) -> None:
        """Have the first in line answered: at once, or when it is the turn of a stranger, or of one who was refused."""
        self._is_begun = True
        if self._line[0].is_known and not self._was_refused:
            self._begin_now()
        elif not self._has_asked_for_a_turn:
            self._has_asked_for_a_turn = True
            self._turns.take(self._begin_now)

    def _begin_now(self) -> None:
        self._has_asked_for_a_turn = False
        if not self._line:
            return  # the client has gone meanwhile
        first = self._line[0]
        if isinstance(first, Cycle):
            self._start_asgi_task(first, self.app)
        elif first.ready is not None and not self.flow.write_paused:
            self._tell(first, first.ready)
        else:
            self._task = self.loop.create_task(self._answer(first))

    async def _answer(self, asked: Exchange) -> None:
        if self.flow.write_paused:
            await self.flow.drain()  # the client does not read
        if not asked.disconnected:
            self._tell(asked, asked.ready or await self._api.answer(asked))

    def _tell(self, asked: Exchange, whole: Whole) -> None:
        if not self._admission.may_send(len(whole.body)):
            whole = refusal_answer(too_much_untaken())
        asked.response_complete, asked.status = True, whole.status
        if not self.transport.is_closing():
            body = b"" if asked.method == "HEAD" else whole.body
            length = b"" if whole.status == NO_CONTENT else b"content-length: %d\r\n" % len(whole.body)
            self.transport.write(
                b"".join(
                    (
                        STATUS_LINE[whole.status],
                        *[b"%b: %b\r\n" % each for each in self.server_state.default_headers],
                        header_lines(whole.headers),
                        length,
                        b"\r\n" if asked.keep_alive else b"connection: close\r\n\r\n",
                        body,
                    )
                )
            )
            self._count_untaken(self.transport.get_write_buffer_size())
            if not asked.keep_alive:
                self._close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Go on with the next in line, or read on."""
        self.server_state.total_requests += 1
        if self._line:  # empty when the client has gone
            self._was_refused = self._line.popleft().status >= _REFUSED
        self._is_begun = False
        if self._held_bytes:
            self._hold(self._holds())
        if self.transport.is_closing() or self._lingering is not None:
            return
        if self._line:
            self._begin()
        elif self._is_over:
            self._close()
        if self.flow.read_paused:
            self.flow.resume_reading()


def _is_plain(head: Head) -> bool:
    """Whether all of it is here soon, and its path needs no decoding."""
    return head.length <= SMALL and not head.is_chunked and not head.expects_continue and b"%" not in head.target
