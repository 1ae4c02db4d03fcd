"""Attacks that take their time: heads and bodies that never end, and clients that never read.

They hold a part of the connections all the time. The server has to close each within its documented limit.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tests.acceptance.hostile.attack import After, Attack, Closing, Expectation, Maker, World, attack

#: Documented limits: for a whole head, for a small body, for one in chunks (it could have 1 MiB, for which there is
#: more time), and for a connection on which nobody asks.
HEAD_SECONDS: Final = 30.0
BODY_SECONDS: Final = 60.0
CHUNKS_SECONDS: Final = 188.0
IDLE_SECONDS: Final = 75.0
_PAUSE_SECONDS: Final = 1.0
_LONG: Final = 300  # pieces: longer than any limit
_MAYBE: Final = Expectation(statuses=frozenset({400, 401, 408, 431}), is_optional=True)


def silent(dice: random.Random, world: World) -> Attack:
    """Connect, and say nothing."""
    return _held("slow: says nothing", (), IDLE_SECONDS)


def half_a_head(dice: random.Random, world: World) -> Attack:
    """Begin with a head, and say no more."""
    raw = world.any_request(dice).head()
    return _held("slow: half a head", (raw[: dice.randint(1, len(raw) - 1)],), HEAD_SECONDS)


def dripping_head(dice: random.Random, world: World) -> Attack:
    """One byte of a head a second."""
    head = world.any_request(dice).head(b"X: " + b"y" * _LONG)[:_LONG]
    return _held("slow: dripping head", [head[place : place + 1] for place in range(_LONG)], HEAD_SECONDS)


def dripping_headers(dice: random.Random, world: World) -> Attack:
    """One header a second: each would do, there is only no end."""
    start = world.any_request(dice).head()[:-2]
    return _held("slow: dripping headers", (start, *(b"X: y\r\n" for _ in range(_LONG))), HEAD_SECONDS)


def half_a_body(dice: random.Random, world: World) -> Attack:
    """A head, half of the body, and no more."""
    request = world.call(dice, dice.choice(("ingest", "none")))
    raw = request.raw()
    stop = dice.randint(len(raw) - len(request.body), len(raw) - 1)
    return _held("slow: half a body", (raw[:stop],), BODY_SECONDS)


def dripping_body(dice: random.Random, world: World) -> Attack:
    """One byte of a body a second."""
    request = world.call(dice)
    body = request.body.replace(b"Zo", b"Z" * _LONG, 1)
    head = request.with_body(body).head()
    return _held("slow: dripping body", (head, *(body[place : place + 1] for place in range(_LONG))), BODY_SECONDS)


def dripping_chunks(dice: random.Random, world: World) -> Attack:
    """One chunk a second."""
    head = world.call(dice).head(b"Transfer-Encoding: chunked", length=False)
    return _held("slow: dripping chunks", (head, *(b"1\r\n \r\n" for _ in range(_LONG))), CHUNKS_SECONDS)


def dripping_trailers(dice: random.Random, world: World) -> Attack:
    """One trailer a second."""
    request = world.call(dice)
    start = request.head(b"Transfer-Encoding: chunked", length=False) + b"%x\r\n" % len(request.body) + request.body
    return _held(
        "slow: dripping trailers", (start + b"\r\n0\r\n", *(b"X: y\r\n" for _ in range(_LONG))), CHUNKS_SECONDS
    )


def never_reading(dice: random.Random, world: World) -> Attack:
    """Ask for much, many times, and read none of it."""
    request = world.open_page(dice)
    request = replace(request, target=dice.choice((b"/openapi.json", b"/docs")))
    count = dice.choice((3, 10, 50, 400))
    whole = attack("slow: never reads", request.raw() * count, *(request.expect.optional() for _ in range(count)))
    return replace(whole, reads=False, after=After.HOLD, closing=Closing.MAY, limit_seconds=0.0)


def never_reading_reports(dice: random.Random, world: World) -> Attack:
    """Report calls, and read none of the answers."""
    requests = [world.call(dice) for _ in range(dice.choice((1, 5, 20)))]
    raw = b"".join(each.raw() for each in requests)
    whole = attack("slow: reports and never reads", raw, *(each.expect.optional() for each in requests))
    return replace(whole, reads=False, after=After.HOLD, closing=Closing.MAY, limit_seconds=0.0)


def idle_afterwards(dice: random.Random, world: World) -> Attack:
    """One request, and then silence."""
    request = world.any_request(dice)
    whole = attack("slow: idle afterwards", request.raw(), request.expect, closing=Closing.MAY)
    return replace(whole, after=After.HOLD, limit_seconds=IDLE_SECONDS)


def _held(kind: str, pieces: Sequence[bytes], limit_seconds: float) -> Attack:
    return Attack(
        kind=kind,
        pieces=pieces,
        expectations=(_MAYBE,),
        closing=Closing.MAY,
        after=After.HOLD,
        pause_seconds=_PAUSE_SECONDS,
        limit_seconds=limit_seconds,
    )


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (silent, 6),
    (half_a_head, 6),
    (dripping_head, 10),
    (dripping_headers, 8),
    (half_a_body, 6),
    (dripping_body, 8),
    (dripping_chunks, 6),
    (dripping_trailers, 4),
    (never_reading, 4),
    (never_reading_reports, 3),
    (idle_afterwards, 6),
)
