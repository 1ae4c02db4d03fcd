"""What an attack is: bytes on one connection, the answers that are right, and what has to be stored."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256
from itertools import count
from typing import Final

CALL_FINISHED: Final = "callFinished"
MEETING_BOOKED: Final = "meetingBooked"


class Closing(Enum):
    """Whether the server closes the connection after the last answer."""

    NEVER = "never"  # nothing is wrong with the framing: the connection has to stay usable
    MAY = "may"
    MUST = "must"


class After(Enum):
    """What the client does once everything is sent."""

    READ = "read"  # the answers
    HALF_CLOSE = "half-close"  # shut the sending side, then read
    RESET = "reset"  # break the connection; nobody reads what comes
    ABANDON = "abandon"  # close without reading
    HOLD = "hold"  # wait for the server to close


@dataclass(frozen=True, slots=True)
class Item:
    """An event that has to exist if the request is accepted. `marker` stands in its payload and in no other's."""

    marker: str
    kind: str = CALL_FINISHED
    digest: str = ""  # SHA-256 of its body in hex; "" where the body is not known to the byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The answer to one request. 503 is always right: nothing was kept."""

    statuses: frozenset[int]
    contains: bytes = b""  # in the body, when the status is 4xx: tells answers of a pipeline apart
    items: tuple[Item, ...] = ()  # what is stored when the status is 2xx
    is_head: bool = False
    is_optional: bool = False  # the connection may end without this answer
    is_certain: bool = True  # whether 2xx means that the items exist; else they may

    def also(self, *statuses: int) -> "Expectation":
        """The same, with further statuses that are right."""
        return replace(self, statuses=self.statuses | frozenset(statuses), contains=b"")

    def refused(self, *statuses: int) -> "Expectation":
        """The same request, which has a fault, so that only these are right."""
        return replace(self, statuses=frozenset(statuses), contains=b"")

    def optional(self) -> "Expectation":
        """The same, with an answer that may get lost."""
        return replace(self, is_optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What is sent on one connection, and what is right to come back."""

    kind: str
    pieces: Sequence[bytes]
    expectations: Sequence[Expectation]
    closing: Closing = Closing.NEVER
    after: After = After.READ
    pause_seconds: float = 0.0  # between pieces
    limit_seconds: float = 0.0  # held connections: by when the server has to have closed; 0: no limit is documented
    reads: bool = True  # whether the client reads at all
    may_continue: bool = False  # whether `100 Continue` may come

    @property
    def requests(self) -> int:
        """How many requests this counts for."""
        return max(1, len(self.expectations))


def attack(
    kind: str, sent: bytes | Sequence[bytes], *expectations: Expectation, closing: Closing = Closing.NEVER
) -> Attack:
    """An attack that is sent at once and reads its answers."""
    pieces = (sent,) if isinstance(sent, bytes) else sent
    return Attack(kind=kind, pieces=pieces, expectations=expectations, closing=closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request before it is spoilt. `lines` are its header lines but for Host and Content-Length."""

    method: bytes
    target: bytes
    lines: tuple[bytes, ...] = ()
    body: bytes = b""
    expect: Expectation

    def head(self, *more: bytes, host: bool = True, length: bool = True, version: bytes = b"HTTP/1.1") -> bytes:
        """The head, with further header lines."""
        lines = [self.method + b" " + self.target + b" " + version]
        if host:
            lines.append(b"Host: hookline.example")
        lines += self.lines
        if length and (self.body or self.method in (b"POST", b"PUT")):
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join((*lines, *more, b"", b""))

    def raw(self, *more: bytes) -> bytes:
        """The whole request, with further header lines."""
        return self.head(*more) + self.body

    def with_body(self, body: bytes) -> "Request":
        """The same with another body."""
        return replace(self, body=body)


#: Who sends a request: the scope of the key, or what is wrong with it.
WHO: Final = ("none", "wrong", "read", "ingest")

_CALL: Final = (
    '{"account_name":{"family_name":"Müller","given_name":"Zoë"},"duration_seconds":0,"is_forwarded":false,'
    '"phone_line":"+441400800008","phone_line_name":"MARKER","phone_number":"+14002007868","recording":false,'
    '"type":"missed"}'
).encode()
_MEETING: Final = (
    '{"account_email":"host@example.com","currency":"EUR","event_participants":[{"EMAIL":"guest@example.com",'
    '"FIRSTNAME":"Jörg","LASTNAME":"Çelik"}],"meeting_address":"","meeting_end_timestamp":"2099-06-10T08:00:00.000Z",'
    '"meeting_location":"Room 1","meeting_name":"MARKER","meeting_notes":"","meeting_start_timestamp":'
    '"2099-06-10T07:00:00.000Z","price":49.9,"questions_and_answers":[]}'
).encode()


@dataclass(slots=True)
class World:
    """What an attacker knows of the server that it attacks."""

    keys: dict[str, str]  # by scope
    connectors: dict[str, str]  # paths of connectors, by kind
    name: str  # of the attacker: no two share one
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def marker(self) -> str:
        """A name that no other request has."""
        return f"hostile-{self.name}-{next(self.numbers)}"

    def key_lines(self, who: str, dice: random.Random) -> tuple[bytes, ...]:
        """The header lines that say who asks."""
        if who == "none":
            return ()
        key = self.keys[who] if who in self.keys else f"hl_{dice.getrandbits(192):048x}"
        name = dice.choice((b"api-key: ", b"Api-Key: ", b"API-KEY:", b"authorization: Bearer "))
        return (name + key.encode(),)

    def call(self, dice: random.Random, who: str = "ingest") -> Request:
        """A valid report of a call, by somebody who may or may not."""
        marker = self.marker()
        return self._posting(dice, who, b"/v3/calls", _CALL.replace(b"MARKER", marker.encode()), marker, CALL_FINISHED)

    def meeting(self, dice: random.Random, who: str = "ingest") -> Request:
        """A valid meeting, by somebody who may or may not."""
        marker = self.marker()
        body = _MEETING.replace(b"MARKER", marker.encode())
        return self._posting(dice, who, b"/v3/meetings", body, marker, MEETING_BOOKED)

    def post(self, dice: random.Random, target: bytes, body: bytes, *statuses: int, who: str = "ingest") -> Request:
        """A POST of a body that has to be answered so."""
        expect = Expectation(statuses=frozenset(statuses))
        return self._by(dice, who, Request(method=b"POST", target=target, body=body, expect=expect))

    def get(self, dice: random.Random, target: bytes, *statuses: int, who: str = "read") -> Request:
        """A GET that has to be answered so."""
        expect = Expectation(statuses=frozenset(statuses))
        return self._by(dice, who, Request(method=b"GET", target=target, expect=expect))

    def nowhere(self, dice: random.Random) -> Request:
        """A GET of what is not there, whose answer names it."""
        path = b"/v3/%s" % self.marker().encode()
        expect = Expectation(statuses=frozenset({404}), contains=path)
        return Request(method=b"GET", target=path, lines=self.key_lines("read", dice), expect=expect)

    def open_page(self, dice: random.Random) -> Request:
        """A GET that needs no key."""
        target = dice.choices((b"/healthz", b"/readyz", b"/docs", b"/openapi.json", b"/"), (40, 3, 1, 1, 5))[0]
        return Request(method=b"GET", target=target, expect=Expectation(statuses=frozenset({200})))

    def any_request(self, dice: random.Random) -> Request:
        """A valid request of some kind."""
        makers: tuple[Callable[[], Request], ...] = (
            lambda: self.call(dice, dice.choices(WHO, (30, 30, 20, 20))[0]),
            lambda: self.meeting(dice, dice.choices(WHO, (30, 30, 20, 20))[0]),
            lambda: self.get(dice, b"/v3/calls?limit=1", 200),
            lambda: self.get(dice, b"/v3/webhooks", 200),
            lambda: self.nowhere(dice),
            lambda: self.open_page(dice),
        )
        return dice.choices(makers, (30, 10, 10, 5, 15, 20))[0]()

    def _posting(self, dice: random.Random, who: str, target: bytes, body: bytes, marker: str, kind: str) -> Request:
        item = Item(marker, kind, sha256(body).hexdigest())
        expect = Expectation(statuses=frozenset({201}), items=(item,))
        return self._by(dice, who, Request(method=b"POST", target=target, body=body, expect=expect))

    def _by(self, dice: random.Random, who: str, request: Request) -> Request:
        """The request with a key, and the statuses that are right for who has that key."""
        if who in ("none", "wrong"):
            expect = request.expect.refused(401)
        elif (who == "read") == (request.method == b"GET"):
            expect = request.expect
        else:
            expect = request.expect.refused(403)
        return replace(request, lines=self.key_lines(who, dice), expect=expect)


Maker = Callable[[random.Random, World], Attack]
