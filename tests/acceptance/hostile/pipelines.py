"""Attacks with many requests on one connection, and requests that are cut anywhere.

Answers have to come in the order of the requests, one for each. What was accepted is answered as accepted, whatever
comes after it on the same connection.
"""

import random
from dataclasses import replace
from typing import Final

from tests.acceptance.hostile.attack import After, Attack, Closing, Expectation, Maker, Request, World, attack
from tests.acceptance.hostile.framing import in_chunks

_GARBAGE: Final = (
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"POST /v3/calls HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"POST /v3/calls HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"{}\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
_REFUSED: Final = Expectation(statuses=frozenset({400}))


def mixed(dice: random.Random, world: World) -> Attack:
    """Valid requests of all kinds, small ones and chunked ones and pages, in one piece."""
    requests = [world.any_request(dice) for _ in range(dice.randint(2, 12))]
    raws = [_in_some_framing(each, dice) for each in requests]
    return attack("pipeline: mixed", b"".join(raws), *(each.expect for each in requests))


def mixed_in_pieces(dice: random.Random, world: World) -> Attack:
    """The same, cut into pieces anywhere."""
    whole = mixed(dice, world)
    raw = b"".join(whole.pieces)
    cuts = sorted(dice.sample(range(1, len(raw)), 3))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    return replace(whole, kind="pipeline: mixed, in pieces", pieces=pieces, pause_seconds=dice.choice((0.0, 0.01)))


def numbered(dice: random.Random, world: World) -> Attack:
    """Hundreds of requests whose answers tell which one they answer."""
    requests = [world.nowhere(dice) for _ in range(dice.choice((50, 50, 200, 1_000)))]
    raw = b"".join(each.raw() for each in requests)
    return attack("pipeline: numbered", raw, *(each.expect for each in requests))


def with_a_wrong_key(dice: random.Random, world: World) -> Attack:
    """1,000 valid reports with a key that nobody knows."""
    requests = [world.call(dice, "wrong") for _ in range(dice.choice((50, 50, 200, 1_000)))]
    raw = b"".join(each.raw() for each in requests)
    return attack("pipeline: wrong key", raw, *(each.expect for each in requests))


def reports(dice: random.Random, world: World) -> Attack:
    """Valid reports, each of which has to be answered with the id of its own call."""
    requests = [world.call(dice) for _ in range(dice.choice((2, 5, 20, 50)))]
    raw = b"".join(_in_some_framing(each, dice) for each in requests)
    return attack("pipeline: valid reports", raw, *(each.expect for each in requests))


def valid_then_garbage(dice: random.Random, world: World) -> Attack:
    """Accepted requests are answered as accepted; the garbage behind them gets its own 400."""
    requests = [world.any_request(dice) for _ in range(dice.choice((1, 1, 2, 5)))]
    garbage = dice.choice(_GARBAGE)
    raw = b"".join(_in_some_framing(each, dice) for each in requests) + garbage
    return attack(
        "pipeline: valid, then garbage", raw, *(each.expect for each in requests), _REFUSED, closing=Closing.MUST
    )


def valid_then_large_garbage(dice: random.Random, world: World) -> Attack:
    """The same with more garbage than a server cares to read: its closing must not take the answers along."""
    requests = [world.call(dice) for _ in range(dice.choice((1, 2, 5)))]
    size = dice.choice((100_000, 1_000_000))
    raw = b"".join(each.raw() for each in requests) + b"\x00" * size
    expectations = (*(each.expect for each in requests), _REFUSED.optional())
    return attack("pipeline: valid, then much garbage", raw, *expectations, closing=Closing.MUST)


def valid_then_too_large(dice: random.Random, world: World) -> Attack:
    """Accepted requests, then a head beyond the bound."""
    requests = [world.call(dice) for _ in range(dice.choice((1, 3)))]
    raw = b"".join(each.raw() for each in requests) + b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 70_000
    too_large = _REFUSED.refused(431)
    return attack(
        "pipeline: valid, then too large", raw, *(each.expect for each in requests), too_large, closing=Closing.MUST
    )


def closing_in_between(dice: random.Random, world: World) -> Attack:
    """`Connection: close` is the last request of its connection: what stands behind it is none."""
    before = [world.any_request(dice) for _ in range(dice.randint(0, 3))]
    last, behind = world.any_request(dice), world.call(dice)
    raw = b"".join(each.raw() for each in before) + last.raw(b"Connection: close") + behind.raw()
    expectations = [each.expect for each in (*before, last)]
    return attack("pipeline: closing in between", raw, *expectations, closing=Closing.MUST)


def old_in_between(dice: random.Random, world: World) -> Attack:
    """A request of HTTP/1.0 is the last one, too."""
    before = [world.any_request(dice) for _ in range(dice.randint(0, 2))]
    last, behind = world.any_request(dice), world.call(dice)
    raw = b"".join(each.raw() for each in before) + last.head(version=b"HTTP/1.0") + last.body + behind.raw()
    expectations = [each.expect for each in (*before, last)]
    return attack("pipeline: HTTP/1.0 in between", raw, *expectations, closing=Closing.MUST)


def heads_between(dice: random.Random, world: World) -> Attack:
    """HEAD has no body, whatever its length says: the next answer begins right behind its head."""
    requests: list[Request] = []
    for _ in range(dice.randint(2, 6)):
        if dice.random() < 0.5:
            target = dice.choice((b"/healthz", b"/docs", b"/v3/calls", b"/openapi.json", b"/v3/nothing"))
            statuses = frozenset({200, 401, 403, 404, 405})
            expect = Expectation(statuses=statuses, is_head=True)
            requests.append(Request(method=b"HEAD", target=target, expect=expect))
        else:
            requests.append(world.nowhere(dice))
    return attack(
        "pipeline: HEAD in between", b"".join(each.raw() for each in requests), *(each.expect for each in requests)
    )


def half_closed(dice: random.Random, world: World) -> Attack:
    """A client that has said all closes its side: it is answered all the same."""
    requests = [world.any_request(dice) for _ in range(dice.choice((1, 1, 3)))]
    raw = b"".join(_in_some_framing(each, dice) for each in requests)
    whole = attack("cut: half-closed", raw, *(each.expect for each in requests), closing=Closing.MUST)
    return replace(whole, after=After.HALF_CLOSE)


def cut_and_half_closed(dice: random.Random, world: World) -> Attack:
    """Valid requests, then a part of one, then the end of the client's side: a part of a request is none."""
    before = [world.call(dice) for _ in range(dice.randint(0, 2))]
    last = _in_some_framing(world.call(dice, dice.choice(("ingest", "none"))), dice)
    raw = b"".join(each.raw() for each in before) + last[: dice.randint(1, len(last) - 1)]
    rest = _REFUSED.also(401, 408).optional()
    whole = attack("cut: in the middle", raw, *(each.expect for each in before), rest, closing=Closing.MUST)
    return replace(whole, after=After.HALF_CLOSE)


def cut(dice: random.Random, world: World) -> Attack:
    """Requests that are cut anywhere, by a reset or by a client that is simply gone."""
    requests = [world.any_request(dice) for _ in range(dice.choice((1, 1, 1, 3, 10)))]
    raw = b"".join(_in_some_framing(each, dice) for each in requests)
    stop = dice.choice((len(raw), dice.randint(1, len(raw))))
    whole = attack("cut: anywhere", raw[:stop], *(each.expect for each in requests), closing=Closing.MAY)
    return replace(whole, after=dice.choice((After.RESET, After.ABANDON)))


def _in_some_framing(request: Request, dice: random.Random) -> bytes:
    return in_chunks(request, dice) if request.body and dice.random() < 0.3 else request.raw()


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (mixed, 12),
    (mixed_in_pieces, 8),
    (numbered, 2),
    (with_a_wrong_key, 2),
    (reports, 2),
    (valid_then_garbage, 14),
    (valid_then_large_garbage, 2),
    (valid_then_too_large, 3),
    (closing_in_between, 8),
    (old_in_between, 4),
    (heads_between, 6),
    (half_closed, 10),
    (cut_and_half_closed, 10),
    (cut, 24),
)
