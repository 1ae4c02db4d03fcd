"""Attacks on the request head: its size, its lines, its names and values, and what is no HTTP at all.

Sources of what is right: RFC 9112 (2.2, 3, 3.2, 5, 5.1, 5.2), RFC 9110 (7.8, 10.1.1), RFC 6585 (5).
"""

import random
from dataclasses import replace
from typing import Final

from tests.acceptance.hostile.attack import After, Attack, Closing, Expectation, Maker, World, attack

#: The documented bounds of a head.
MOST_HEAD_BYTES: Final = 65_536
MOST_HEADERS: Final = 100
_REFUSED: Final = Expectation(statuses=frozenset({400}))
_TOO_LARGE: Final = Expectation(statuses=frozenset({431}))
_CONTROLS: Final = tuple(bytes([code]) for code in (*range(9), *range(14, 32), 127))


def large_value(dice: random.Random, world: World) -> Attack:
    """One header of up to 60 KiB: fine. One of more than 64 KiB: not."""
    request = world.any_request(dice)
    size = dice.choice((dice.randint(1_000, 60_000), dice.randint(66_000, 200_000)))
    head = request.head(b"X-Padding: " + b"x" * size)
    if len(head) < MOST_HEAD_BYTES:
        return attack("head: large value within the bound", head + request.body, request.expect)
    return attack("head: value beyond 64 KiB", head + request.body, _TOO_LARGE, closing=Closing.MUST)


def large_name(dice: random.Random, world: World) -> Attack:
    """A header's name of up to 60 KiB is odd, and bounded as the rest is."""
    request = world.any_request(dice)
    size = dice.choice((dice.randint(1_000, 60_000), dice.randint(66_000, 200_000)))
    head = request.head(b"X" * size + b": y")
    if len(head) < MOST_HEAD_BYTES:
        return attack("head: large name", head + request.body, request.expect)
    return attack("head: name beyond 64 KiB", head + request.body, _TOO_LARGE, closing=Closing.MUST)


def large_target(dice: random.Random, world: World) -> Attack:
    """A URL of up to 60 KiB leads nowhere. One of more than 64 KiB is not read."""
    request = world.get(dice, b"/v3/" + b"p" * dice.randint(1_000, 60_000), 404, 414)
    if dice.random() < 0.5:
        return attack("head: long URL", request.raw(), request.expect)
    request = replace(request, target=b"/v3/" + b"p" * dice.randint(66_000, 200_000))
    return attack("head: URL beyond 64 KiB", request.raw(), _TOO_LARGE.also(414), closing=Closing.MUST)


def many_headers(dice: random.Random, world: World) -> Attack:
    """100 headers are fine, 101 and 10,000 are not."""
    request = world.any_request(dice)
    used = request.head().count(b"\r\n") - 2
    total = dice.choice((MOST_HEADERS, MOST_HEADERS, MOST_HEADERS + 1, 200, 1_000, 10_000))
    name = dice.choice((b"X-%d: y", b"X: %d", b"x-%d:"))
    raw = request.raw(*(name % number for number in range(total - used)))
    if total <= MOST_HEADERS:
        return attack("head: 100 headers", raw, request.expect)
    return attack("head: more than 100 headers", raw, _TOO_LARGE, closing=Closing.MUST)


def endless_head(dice: random.Random, world: World) -> Attack:
    """Megabytes of a head that does not end: refused long before."""
    unit = dice.choice((b"X: y\r\n", b"a:\r\n", b"x" * 1_000, b"X-Long: " + b"v" * 900 + b"\r\n", b"A" * 16 + b"\r\n "))
    start = dice.choice((b"GET /healthz HTTP/1.1\r\nHost: h\r\n", b"GET /", b"POST /v3/calls HTTP/1.1\r\n", b""))
    pieces = [start, *[unit * (65_536 // len(unit))] * dice.randint(2, 16)]
    # How much of the answer survives depends on what is still under way when the server closes.
    refused = Expectation(statuses=frozenset({400, 414, 431}), is_optional=True)
    return attack("head: endless", pieces, refused, closing=Closing.MUST)


def control_character(dice: random.Random, world: World) -> Attack:
    """NUL and the like in a name, a value or the URL."""
    request = world.any_request(dice)
    character = dice.choice((b"\x00", b"\x00", dice.choice(_CONTROLS)))
    where = dice.randrange(3)
    if where == 0:
        raw = request.raw(b"X-Note: a" + character + b"b")
    elif where == 1:
        raw = request.raw(b"X-No" + character + b"te: a")
    else:
        raw = replace(request, target=request.target + character).raw()
    return attack("head: control character", raw, _REFUSED, closing=Closing.MUST)


def bad_name(dice: random.Random, world: World) -> Attack:
    """Header lines whose name is none."""
    line = dice.choice(
        (b": value", b"no colon here", b"X Y: z", b"X-Note : a", b"(X): y", "Ü: y".encode(), b"X\t: y", b"@", b'"X": y')
    )
    request = world.any_request(dice)
    return attack("head: name that is none", request.raw(line), _REFUSED, closing=Closing.MUST)


def odd_value(dice: random.Random, world: World) -> Attack:
    """Values that are odd and allowed: empty, only spaces, obs-text."""
    line = dice.choice(
        (b"X-Note:", b"X-Note:   \t ", b"X-Note: \xff\xfe\x80", "X-Note: Grüße 日本".encode(), b"X: :::")
    )
    request = world.any_request(dice)
    return attack("head: odd value", request.raw(line), request.expect)


def folded(dice: random.Random, world: World) -> Attack:
    """A folded line is refused, or read as one line (RFC 9112, 5.2)."""
    line = dice.choice((b"X-Note: a\r\n b", b"X-Note:\r\n\tb", b"X-Note: a\r\n \r\n b"))
    request = world.any_request(dice)
    return attack("head: folded", request.raw(line), request.expect.also(400), closing=Closing.MAY)


def folded_key(dice: random.Random, world: World) -> Attack:
    """A key on a folded line, and a first line that begins with a space."""
    keyed = world.call(dice, "ingest")
    key = world.keys["ingest"].encode()
    line = dice.choice((b"api-key:\r\n " + key, b"X: y\r\n api-key: " + key, b"authorization: Bearer\r\n " + key))
    raw = replace(keyed, lines=()).raw(line)
    return attack("head: folded key", raw, keyed.expect.also(400, 401), closing=Closing.MAY)


def bare_line_feeds(dice: random.Random, world: World) -> Attack:
    """Lines that end without CR are refused or read (RFC 9112, 2.2); a bare CR is refused."""
    request = world.any_request(dice)
    if dice.random() < 0.5:
        raw = request.head().replace(b"\r\n", b"\n") + request.body
        return attack("head: bare LF", raw, request.expect.also(400), closing=Closing.MAY)
    raw = request.raw(b"X-Note: a\rX-Other: b")
    return attack("head: bare CR", raw, _REFUSED, closing=Closing.MUST)


def hosts(dice: random.Random, world: World) -> Attack:
    """HTTP/1.1 without Host, or with two: 400 (RFC 9112, 3.2). HTTP/1.0 needs none."""
    request = world.any_request(dice)
    choice = dice.randrange(4)
    if choice == 0:
        raw = request.head(host=False) + request.body
        return attack("head: no Host", raw, _REFUSED, closing=Closing.MAY)
    if choice == 1:
        raw = request.raw(dice.choice((b"Host: other.example", b"host: hookline.example", b"HOST:")))
        return attack("head: two Hosts", raw, _REFUSED, closing=Closing.MAY)
    if choice == 2:
        bad = dice.choice((b"Host: a b", b"Host: user@host", b"Host: [::1", b"Host: a,b", b"Host: http://x/", b"Host:"))
        raw = request.head(bad, host=False) + request.body
        return attack("head: odd Host", raw, request.expect.also(400), closing=Closing.MAY)
    raw = request.head(host=False, version=b"HTTP/1.0") + request.body
    return attack("head: HTTP/1.0 without Host", raw, request.expect, closing=Closing.MUST)


def odd_request_line(dice: random.Random, world: World) -> Attack:
    """Request lines that are none, and versions that nobody speaks."""
    line = dice.choice(
        (
            b"GET /",
            b"GET",
            b"GET  /healthz  HTTP/1.1",
            b"GET /healthz HTTP/1.1 extra",
            b"GET /healthz\tHTTP/1.1",
            b"GET /healthz HTTP/2.0",
            b"GET /healthz HTTP/0.9",
            b"GET /healthz HTTP/1.9",
            b"GET /healthz HTTP/11.1",
            b"GET /healthz HTTPS/1.1",
            b"GET /healthz http/1.1",
            b"GET /health z HTTP/1.1",
            b" GET /healthz HTTP/1.1",
            b"G\xc3\x84T /healthz HTTP/1.1",
            b"/healthz GET HTTP/1.1",
            b"HTTP/1.1 200 OK",
            b"GET \\healthz HTTP/1.1",
            b"{}",
        )
    )
    # Which of these a server still reads is its own choice; none of them may harm it.
    refused = Expectation(statuses=frozenset({400, 404, 501, 505, 200}), is_optional=True)
    return attack("head: odd request line", line + b"\r\nHost: h\r\n\r\n", refused, closing=Closing.MAY)


def methods(dice: random.Random, world: World) -> Attack:
    """Methods that a route does not take, and that nobody knows."""
    method = dice.choice((b"PATCH", b"DELETE", b"OPTIONS", b"HEAD", b"PROPFIND", b"PUT", b"M-SEARCH", b"PURGE"))
    target = dice.choice((b"/v3/calls", b"/healthz", b"/in/3cx/unknown", b"/docs"))
    statuses = (
        frozenset({200, 400, 401, 403, 404, 405, 501}) if method == b"HEAD" else frozenset({400, 401, 403, 404, 405})
    )
    expect = Expectation(statuses=statuses, is_head=method == b"HEAD")
    raw = method + b" " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    return attack(f"head: method {method.decode()}", raw, expect, closing=Closing.MAY)


def unknown_methods(dice: random.Random, world: World) -> Attack:
    """Methods that are none, or that mean another kind of server."""
    method = dice.choice((b"FOO", b"post", b"GETT", b"X" * 10_000, b"G" * 100, b"TRACE", b"CONNECT"))
    target = b"hookline.example:443" if method == b"CONNECT" else b"/healthz"
    expect = Expectation(statuses=frozenset({400, 404, 405, 501}))
    raw = method + b" " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    return attack(f"head: method {method[:12].decode()}", raw, expect, closing=Closing.MAY)


def absolute_target(dice: random.Random, world: World) -> Attack:
    """An absolute URL is the same request (RFC 9112, 3.2.2); `*` is for OPTIONS only."""
    request = world.any_request(dice)
    if dice.random() < 0.8:
        target = dice.choice((b"http://hookline.example", b"http://other.example:81", b"https://x")) + request.target
        expect = replace(request.expect, contains=b"")
        return attack(
            "head: absolute target", replace(request, target=target).raw(), expect.also(400), closing=Closing.MAY
        )
    method = dice.choice((b"OPTIONS", b"GET"))
    expect = Expectation(statuses=frozenset({200, 204, 400, 404, 405}))
    return attack("head: target *", method + b" * HTTP/1.1\r\nHost: h\r\n\r\n", expect, closing=Closing.MAY)


def expecting(dice: random.Random, world: World) -> Attack:
    """`Expect: 100-continue` is answered in time, anything else with 417 (RFC 9110, 10.1.1)."""
    request = world.any_request(dice)
    if dice.random() < 0.5:
        sent = (request.head(dice.choice((b"Expect: 100-continue", b"expect: 100-Continue"))), request.body)
        # Who may not ask gets the answer instead of `100 Continue`, and the connection may be over.
        closing = Closing.MAY if {401, 403} & request.expect.statuses else Closing.NEVER
        plain = attack("head: Expect", [each for each in sent if each], request.expect, closing=closing)
        return replace(plain, may_continue=True)
    line = dice.choice(
        (b"Expect: 200-ok", b"Expect: everything", b"Expect: 100-continue, x=y", b"Expect: 100 continue")
    )
    # Who may not ask at all can be told that first.
    expect = request.expect.refused(417, *({401, 403} & request.expect.statuses))
    return attack("head: unknown Expect", request.raw(line), expect, closing=Closing.MAY)


def upgrading(dice: random.Random, world: World) -> Attack:
    """Offers of another protocol are passed over (RFC 9110, 7.8)."""
    request = world.any_request(dice)
    offer = dice.choice(
        (
            (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
            (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
             b"Sec-WebSocket-Version: 13"),
            (b"Connection: upgrade", b"Upgrade: TLS/1.2, HTTP/1.1"),
            (b"Upgrade: h2c",),
            (b"Connection: keep-alive, Upgrade", b"Upgrade: x, y, z"),
        )
    )  # fmt: skip
    return attack("head: Upgrade", request.raw(*offer), request.expect)


def other_protocols(dice: random.Random, world: World) -> Attack:
    """What is no HTTP/1.1 at all."""
    sent = dice.choice(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
            bytes.fromhex("16030100c8010000c40303") + dice.randbytes(193),
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"EHLO mail.example\r\nMAIL FROM:<a@b.example>\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"\x05\x01\x00",
            dice.randbytes(dice.randint(1, 2_000)),
            b"\r\n" * 40_000,
            b"\n" * 100_000,
            b" " * 70_000,
            b"\xef\xbb\xbfGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        )
    )
    refused = Expectation(statuses=frozenset({400, 404, 408, 414, 431, 501, 505}), is_optional=True)
    return replace(attack("head: other protocol", sent, refused, closing=Closing.MUST), after=After.HALF_CLOSE)


def empty_lines(dice: random.Random, world: World) -> Attack:
    """A few empty lines in front of a request are passed over (RFC 9112, 2.2)."""
    request = world.any_request(dice)
    return attack("head: empty lines first", b"\r\n" * dice.randint(1, 3) + request.raw(), request.expect)


def two_keys(dice: random.Random, world: World) -> Attack:
    """Two keys: no more than the better one may do, and no 5xx."""
    request = world.call(dice)
    line = dice.choice((b"api-key: wrong", b"api-key:", b"Authorization: Basic eDp5", b"Authorization: Bearer wrong"))
    return attack("head: two keys", request.raw(line), request.expect.also(400, 401, 403), closing=Closing.MAY)


def odd_keys(dice: random.Random, world: World) -> Attack:
    """Keys that are none."""
    key = dice.choice(
        (b"x" * 50_000, b"\xff" * 40, b"", b"hl_", "schlüssel".encode(), b"a,b", b"' OR 1=1 --", b"null", b"Bearer")
    )
    name = dice.choice((b"api-key: ", b"Authorization: Bearer ", b"Authorization: ", b"authorization: bearer\t"))
    request = world.call(dice, "none")
    return attack("head: odd key", request.raw(name + key), request.expect)


def misleading(dice: random.Random, world: World) -> Attack:
    """Headers that another server would act on: none of them counts here."""
    request = world.any_request(dice)
    line = dice.choice(
        (
            b"X-HTTP-Method-Override: DELETE",
            b"X-Original-URL: /v3/webhooks",
            b"X-Forwarded-For: 127.0.0.1",
            b"Connection: api-key",
            b"Range: bytes=0-1,1-2,2-3",
            b"Accept: application/xml;q=0.000001",
            b"Accept-Encoding: br, gzip, *;q=0",
            b"If-None-Match: *",
            b"If-Modified-Since: yesterday",
            b"Cookie: " + b"a=b; " * 2_000,
            b"Max-Forwards: -1",
            b"TE: trailers, deflate;q=0.5",
            b"Keep-Alive: timeout=99999999999999999999",
            b"Content-Type: multipart/form-data; boundary=" + b"x" * 10_000,
            b"Content-Type: \xff",
            b"Origin: null",
        )
    )
    return attack("head: misleading header", request.raw(line), request.expect)


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (large_value, 6),
    (large_name, 4),
    (large_target, 4),
    (many_headers, 8),
    (endless_head, 2),
    (control_character, 10),
    (bad_name, 10),
    (odd_value, 10),
    (folded, 8),
    (folded_key, 6),
    (bare_line_feeds, 8),
    (hosts, 14),
    (odd_request_line, 12),
    (methods, 10),
    (unknown_methods, 10),
    (absolute_target, 8),
    (expecting, 10),
    (upgrading, 10),
    (other_protocols, 10),
    (empty_lines, 4),
    (two_keys, 8),
    (odd_keys, 8),
    (misleading, 14),
)
