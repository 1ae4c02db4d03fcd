"""Attacks on where a request ends: lengths, transfer codings, chunks, trailers, and pairs that smuggle.

Sources of what is right: RFC 9112 (6.1, 6.3, 7.1, 11.2).
"""

import random
from dataclasses import replace
from typing import Final

from tests.acceptance.hostile.attack import After, Attack, Closing, Expectation, Maker, Request, World, attack

_REFUSED: Final = Expectation(statuses=frozenset({400}))
_MOST_BODY: Final = 1_048_576


def wrong_length(dice: random.Random, world: World) -> Attack:
    """A length that is none."""
    request = world.any_request(dice)
    line = dice.choice(
        (
            b"+5",
            b"-1",
            b"0x5",
            b"5_0",
            b"5.0",
            b"5 5",
            b"five",
            b"1e3",
            b"\xd9\xa5",
            b"5;",
            b"0, 5",
            b"5, 6",
            b"9" * 400,
        )
    )
    raw = request.head(b"Content-Length: " + line, length=False) + request.body
    return attack("length: none", raw, _REFUSED.also(413), closing=Closing.MUST)


def two_lengths(dice: random.Random, world: World) -> Attack:
    """Two lengths that differ are refused (RFC 9112, 6.3); twice the same may be read."""
    request = world.call(dice, dice.choice(("ingest", "none")))
    length = len(request.body)
    if dice.random() < 0.7:
        other = dice.choice((0, length + 1, length - 1, 10**9))
        raw = request.raw(b"Content-Length: %d" % other)
        return attack("length: two that differ", raw, _REFUSED.also(413), closing=Closing.MUST)
    line = dice.choice((b"Content-Length: %d" % length, b"content-length: %d" % length))
    return attack("length: twice the same", request.raw(line), request.expect.also(400), closing=Closing.MAY)


def length_and_chunks(dice: random.Random, world: World) -> Attack:
    """A length beside chunks: refused, or the chunks count and the connection is closed (RFC 9112, 6.3).

    What stands behind is never a request: that is how requests are smuggled past proxies.
    """
    request = world.call(dice)
    smuggled = world.call(dice).raw()
    lines = [b"Content-Length: %d" % dice.choice((0, 4, len(request.body))), b"Transfer-Encoding: chunked"]
    dice.shuffle(lines)
    raw = request.head(*lines, length=False) + _chunked(request.body, dice) + smuggled
    return attack("smuggling: length and chunks", raw, request.expect.also(400, 501), closing=Closing.MUST)


def smuggled_in_a_body(dice: random.Random, world: World) -> Attack:
    """A request in the body of another is a body."""
    inner = world.call(dice).raw()
    choice = dice.randrange(3)
    if choice == 0:
        request = world.post(dice, b"/v3/calls", inner, 400)
        return attack("smuggling: in a body", request.raw(), request.expect)
    if choice == 1:
        outer = replace(world.open_page(dice), target=b"/healthz", body=inner)
        return attack("smuggling: in the body of a GET", outer.raw(), outer.expect.also(400, 405), closing=Closing.MAY)
    request = world.post(dice, b"/v3/calls", b"", 400)
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + _chunked(inner, dice)
    return attack("smuggling: in chunks", raw, request.expect)


def odd_codings(dice: random.Random, world: World) -> Attack:
    """Transfer codings other than `chunked`: 501, or 400 where the length cannot be known."""
    request = world.call(dice, dice.choice(("ingest", "none")))
    line = dice.choice(
        (
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, gzip",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: chunked;q=1",
            b'Transfer-Encoding: "chunked"',
            b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding:",
            b"Transfer-Encoding: ,",
        )
    )
    raw = request.head(line, length=False) + _chunked(request.body, dice)
    return attack("coding: odd", raw, _REFUSED.also(501), closing=Closing.MUST)


def spelt_codings(dice: random.Random, world: World) -> Attack:
    """`chunked` in any case and with spaces is `chunked` (RFC 9110, 5.5)."""
    request = world.call(dice, dice.choice(("ingest", "none")))
    line = dice.choice((b"Transfer-Encoding: CHUNKED", b"transfer-encoding:chunked", b"Transfer-Encoding:  chunked  "))
    raw = request.head(line, length=False) + _chunked(request.body, dice)
    return attack("coding: chunked in another spelling", raw, request.expect.also(400, 501), closing=Closing.MAY)


def old_chunks(dice: random.Random, world: World) -> Attack:
    """HTTP/1.0 has no chunks: the framing is faulty (RFC 9112, 6.1)."""
    request = world.call(dice)
    head = request.head(b"Transfer-Encoding: chunked", length=False, version=b"HTTP/1.0")
    raw = head + _chunked(request.body, dice)
    return attack("coding: HTTP/1.0", raw, request.expect.also(400, 501), closing=Closing.MUST)


def chunked(dice: random.Random, world: World) -> Attack:
    """Valid chunks of every size, with extensions and leading zeros."""
    request = world.call(dice, dice.choices(("ingest", "none", "read"), (70, 20, 10))[0])
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + _chunked(request.body, dice)
    if dice.random() < 0.3:  # the same in small pieces of TCP
        cuts = sorted(dice.sample(range(1, len(raw)), 4))
        pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        return replace(attack("chunks: valid, in pieces", pieces, request.expect), pause_seconds=0.01)
    return attack("chunks: valid", raw, request.expect)


def wrong_chunks(dice: random.Random, world: World) -> Attack:
    """Chunks that are none: whatever was read until there is not a request."""
    request = world.call(dice, dice.choice(("ingest", "none")))
    body = request.body
    size = b"%x" % len(body)
    wrong = dice.choice(
        (
            b"-1\r\n" + body,
            b"0x" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            b" " + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            b"F" * 17 + b"\r\n" + body,
            b"f" * 400 + b"\r\n" + body,
            b"zz\r\n" + body,
            b"\r\n\r\n",
            size + b"\r\n" + body + b"0\r\n\r\n",
            size + b"\r\n" + body + b"X\r\n0\r\n\r\n",
            size + b"\r" + body + b"\r\n0\r\n\r\n",
            b"+" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            size + b"_0\r\n" + body + b"\r\n0\r\n\r\n",
            size + b";a\x00b\r\n" + body + b"\r\n0\r\n\r\n",
        )
    )
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + wrong
    # Who may not ask at all is told so before the body is read.
    expect = request.expect.refused(400, 413, *({401} & request.expect.statuses))
    return attack("chunks: wrong", raw, expect, closing=Closing.MUST)


def bare_chunks(dice: random.Random, world: World) -> Attack:
    """Chunk lines that end without CR: refused, or read as a lenient server does."""
    request = world.call(dice)
    head = request.head(b"Transfer-Encoding: chunked", length=False)
    size = b"%x" % len(request.body)
    ends = dice.choice(((b"\n", b"\r\n", b"\r\n"), (b"\r\n", b"\n", b"\r\n"), (b"\n", b"\n", b"\n")))
    raw = head + size + ends[0] + request.body + ends[1] + b"0" + ends[2] + ends[2]
    whole = attack("chunks: bare LF", raw, request.expect.also(400, 408), closing=Closing.MUST)
    return replace(whole, after=After.HALF_CLOSE)


def large_extension(dice: random.Random, world: World) -> Attack:
    """An extension far longer than its chunk: read and forgotten, or refused; never kept."""
    request = world.call(dice)
    size = dice.choice((100, 5_000, 70_000, 300_000))
    line = b"%x;" % len(request.body) + b"e" * size + b"\r\n"
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + line + request.body + b"\r\n0\r\n\r\n"
    expect = request.expect.also(400, 413, 431)
    return attack("chunks: large extension", raw, expect if size <= 5_000 else expect.optional(), closing=Closing.MAY)


def leading_zeros(dice: random.Random, world: World) -> Attack:
    """A chunk size with zeros in front: the same size, or refused."""
    request = world.call(dice)
    line = b"0" * dice.choice((1, 8, 15, 5_000, 100_000)) + b"%x\r\n" % len(request.body)
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + line + request.body + b"\r\n0\r\n\r\n"
    return attack("chunks: zeros first", raw, request.expect.also(400, 413, 431).optional(), closing=Closing.MAY)


def trailers(dice: random.Random, world: World) -> Attack:
    """Trailers are passed over: they are no headers, and no keys."""
    who = dice.choice(("ingest", "none"))
    request = world.call(dice, who)
    key = world.keys["ingest"].encode()
    lines = dice.choice(
        (
            b"api-key: " + key,
            b"Authorization: Bearer " + key,
            b"X-Trailer: y",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"Host: other.example",
            b"Idempotency-Key: x",
            b"api-key: wrong\r\nContent-Type: text/plain",
        )
    )
    body = b"%x\r\n" % len(request.body) + request.body + b"\r\n0\r\n" + lines + b"\r\n\r\n"
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + body
    return attack("trailers: few", raw, request.expect.also(400), closing=Closing.MAY)


def many_trailers(dice: random.Random, world: World) -> Attack:
    """Trailers count among the 100 headers and the 64 KiB."""
    request = world.call(dice)
    lines = dice.choice(
        (
            b"".join(b"X-%d: y\r\n" % number for number in range(10_000)),
            b"X: " + b"y" * 100_000 + b"\r\n",
            b"X" * 100_000 + b": y\r\n",
        )
    )
    body = b"%x\r\n" % len(request.body) + request.body + b"\r\n0\r\n" + lines + b"\r\n"
    raw = request.head(b"Transfer-Encoding: chunked", length=False) + body
    return attack("trailers: too many", raw, request.expect.refused(400, 431), closing=Closing.MUST)


def too_long(dice: random.Random, world: World) -> Attack:
    """Bodies over 1 MiB, by their length or by their chunks."""
    request = world.call(dice)
    expect = request.expect.refused(413).optional()
    if dice.random() < 0.8:  # the length alone is enough
        length = dice.choice((_MOST_BODY + 1, 10**9, 10**10, 2**63 - 1))
        raw = request.head(b"Content-Length: %d" % length, length=False) + request.body
        return attack("body: announced beyond 1 MiB", raw, request.expect.refused(413), closing=Closing.MUST)
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    pieces = [request.head(b"Transfer-Encoding: chunked", length=False), *[piece] * 20, b"0\r\n\r\n"]
    return attack("body: chunks beyond 1 MiB", pieces, expect, closing=Closing.MAY)


def _chunked(body: bytes, dice: random.Random) -> bytes:
    """The body in chunks of some size, with some extensions."""
    size = dice.choice((1, 2, 7, 100, 10_000))
    extension = dice.choice((b"", b"", b";a", b";a=b", b';a="b c"'))
    number = dice.choice((b"%x", b"%X", b"%04x"))
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    lines = [number % len(part) + extension + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join((*lines, b"0", extension, b"\r\n\r\n"))


def in_chunks(request: Request, dice: random.Random) -> bytes:
    """A whole request whose body is in chunks."""
    return request.head(b"Transfer-Encoding: chunked", length=False) + _chunked(request.body, dice)


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (wrong_length, 10),
    (two_lengths, 8),
    (length_and_chunks, 8),
    (smuggled_in_a_body, 10),
    (odd_codings, 12),
    (spelt_codings, 4),
    (old_chunks, 3),
    (chunked, 16),
    (wrong_chunks, 14),
    (bare_chunks, 3),
    (large_extension, 3),
    (leading_zeros, 3),
    (trailers, 12),
    (many_trailers, 2),
    (too_long, 6),
)
