"""Attacks on paths and queries."""

import random
from dataclasses import replace
from typing import Final

from tests.acceptance.hostile.attack import WHO, Attack, Closing, Expectation, Maker, World, attack

_MOST_PARAMETERS: Final = 100


def odd_paths(dice: random.Random, world: World) -> Attack:
    """Paths that try to be another, or that no table of routes expects: nothing is there."""
    path = dice.choice(
        (
            b"//v3/calls",
            b"/v3//calls",
            b"/v3/calls/",
            b"/v3/calls/.",
            b"/v3/../v3/calls",
            b"/v3/%2e%2e/healthz",
            b"/v3/calls%00",
            b"/v3/calls%0d%0aX: y",
            b"/v3/calls;a=b",
            b"/v3/calls%2F%2e%2e%2F%2e%2e%2Fetc%2Fpasswd",
            b"/v3/calls/%ff%fe",
            b"/v3/calls/%c0%af",
            b"/v3/calls/%",
            b"/v3/calls/%zz",
            b"/v3/calls/" + b"%41" * dice.randint(1, 5_000),
            b"/v3/calls/" + b"a/" * dice.randint(2, 5_000),
            b"/v3/" + b"." * dice.randint(1, 5_000),
            b"/v3/webhooks/99999999999999999999999999",
            b"/v3/webhooks/-1",
            b"/v3/webhooks/1%20",
            b"/v3/webhooks/" + "１".encode().hex(" ").replace(" ", "").encode(),
            b"/v3/deliveries/' OR 1=1 --".replace(b" ", b"%20"),
            b"/v3/exports/../../etc/passwd.csv",
            b"/v3/exports/" + b"A" * 32 + b".csv",
            b"/V3/calls",
            b"/v3",
            b"/v3/",
            b"/v2/calls",
            b"/healthz/",
            b"/docs/../docs",
            b"/.env",
            b"/wp-login.php",
            b"/metrics/../v3/calls",
        )
    )
    request = world.get(dice, path, 400, 404, 405, who=dice.choice(WHO))
    return attack("path: odd", request.raw(), request.expect.also(400, 401, 403, 404), closing=Closing.MAY)


def raw_bytes(dice: random.Random, world: World) -> Attack:
    """Bytes beyond ASCII in the target: not there, or refused; no 5xx."""
    path = b"/v3/calls/" + bytes(dice.choices(range(0x80, 0x100), k=dice.randint(1, 50)))
    request = world.get(dice, path, 400, 404, who=dice.choice(WHO))
    return attack(
        "path: bytes beyond ASCII", request.raw(), request.expect.also(400, 401, 403, 404), closing=Closing.MAY
    )


def no_parameter(dice: random.Random, world: World) -> Attack:
    """Parameters that nobody asked for are refused by name."""
    name = dice.choice((b"limits", b"%00", b"a%0d%0ab", b"%ff", b"__proto__", b"a[b][c]", b"%F0%9F%92%A3"))
    value = dice.choice((b"", b"1", b"%00", b"x" * 10_000, b"%" * 1_000, b"+" * 1_000))
    request = world.get(dice, b"/v3/calls?" + name + b"=" + value, 400 if value else 200, who=dice.choice(WHO))
    return attack("query: no such parameter", request.raw(), request.expect.also(400))


def wrong_values(dice: random.Random, world: World) -> Attack:
    """Parameters that exist, with values that they cannot have."""
    pair = dice.choice(
        (
            b"limit=0",
            b"limit=201",
            b"limit=-1",
            b"limit=1e2",
            b"limit=%D9%A5",
            b"limit=" + b"9" * 5_000,
            b"cursor=x",
            b"cursor=" + b"a" * 20_000,
            b"cursor=call_%00",
            b"from=yesterday",
            b"from=9999-12-31T23:59:59.999999-23:59",
            b"from=0000-01-01T00:00:00Z",
            b"type=none",
            b"type=" + b"x" * 30_000,
            b"phoneNumber=" + b"9" * 30_000,
            b"phoneLine=%2B%2B",
            b"phoneLine=%ED%A0%80",
        )
    )
    request = world.get(dice, b"/v3/calls?" + pair, 400, who=dice.choice(WHO))
    return attack("query: wrong value", request.raw(), request.expect)


def many_parameters(dice: random.Random, world: World) -> Attack:
    """More than 100 parameters, one of them twice: refused in the time that it takes to read them."""
    total = dice.choice((_MOST_PARAMETERS + 1, 1_000, 7_000))
    names = [b"p%d" % number for number in range(total)]
    names[-1] = dice.choice((names[0], names[-1]))
    joined = dice.choice((b"%s=1", b"%s=", b"%s"))
    query = b"&".join(joined % name for name in names)
    request = world.get(dice, b"/v3/calls?" + query, 400, who=dice.choice(WHO))
    if len(query) > 60_000:
        return attack("query: many parameters", request.raw(), request.expect.also(414, 431), closing=Closing.MAY)
    return attack("query: many parameters", request.raw(), request.expect)


def repeated(dice: random.Random, world: World) -> Attack:
    """The same parameter again and again."""
    times = dice.choice((2, 2, 100, 8_000))
    query = b"&".join([b"limit=1"] * times)
    request = world.get(dice, b"/v3/calls?" + query, 400, who=dice.choice(WHO))
    return attack("query: repeated", request.raw(), request.expect.also(400, 414, 431), closing=Closing.MAY)


def odd_separators(dice: random.Random, world: World) -> Attack:
    """Queries of separators alone."""
    query = dice.choice((b"&", b"=", b"&=", b"?", b"%26", b";")) * dice.choice((1, 100, 20_000))
    request = world.get(dice, b"/v3/calls?" + query, 200, 400, who=dice.choice(WHO))
    return attack("query: separators", request.raw(), request.expect.also(400, 414, 431), closing=Closing.MAY)


def queries_elsewhere(dice: random.Random, world: World) -> Attack:
    """Large queries where nobody reads them."""
    target = dice.choice((b"/healthz?", b"/docs?", b"/?", b"/in/3cx/unknown?", b"/v3/exports/x.csv?"))
    query = dice.choice((b"a=b&" * 10_000, b"a[]=1&" * 5_000, b"%" * 30_000, b"x" * 60_000))
    expect = Expectation(statuses=frozenset({200, 400, 404, 414}))
    raw = b"GET " + target + query + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    return attack("query: where nobody reads it", raw, expect, closing=Closing.MAY)


def lists(dice: random.Random, world: World) -> Attack:
    """The largest pages that one may ask for, and the best compressed questions."""
    target = dice.choice(
        (
            b"/v3/events?limit=200",
            b"/v3/calls?limit=200",
            b"/v3/meetings?limit=200&sort=start",
            b"/v3/deliveries?limit=200",
            b"/v3/deliveries?limit=200&participant=guest%40example.com",
            b"/v3/events?limit=200&phoneNumber=%2B14002007868",
            b"/v3/processes?limit=200",
            b"/v3/users?limit=200",
        )
    )
    request = world.get(dice, target, 200, 400, who=dice.choices(WHO, (10, 10, 70, 10))[0])
    return attack("list: large pages", request.raw(), request.expect)


def of_webhooks(dice: random.Random, world: World) -> Attack:
    """What takes an admin key: nobody here has one."""
    method, target = dice.choice(
        (
            (b"POST", b"/v3/webhooks"),
            (b"DELETE", b"/v3/webhooks/1"),
            (b"PUT", b"/v3/webhooks/1"),
            (b"GET", b"/v3/webhooks/1/secret"),
            (b"POST", b"/v3/webhooks/1/secret/rotate"),
            (b"POST", b"/v3/connectors"),
            (b"POST", b"/v3/webhooks/1/replay"),
        )
    )
    who = dice.choice(WHO)
    statuses = frozenset({401} if who in ("none", "wrong") else {403})
    request = replace(
        world.get(dice, target, 403, who=who),
        method=method,
        body=b"{}",
        expect=Expectation(statuses=statuses),
    )
    return attack("scope: admin alone", request.raw(), request.expect)


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (odd_paths, 24),
    (raw_bytes, 4),
    (no_parameter, 8),
    (wrong_values, 12),
    (many_parameters, 6),
    (repeated, 6),
    (odd_separators, 4),
    (queries_elsewhere, 6),
    (lists, 2),
    (of_webhooks, 14),
)
