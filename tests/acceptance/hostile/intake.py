"""Attacks on the addresses of phone systems that call us: unsigned, wrongly signed, and no phone system at all."""

import random
from typing import Final

from tests.acceptance.hostile.attack import CALL_FINISHED, Attack, Closing, Expectation, Item, Maker, World, attack

#: The secret of an Aircall that has fallen into the attacker's hands.
AIRCALL_TOKEN: Final = "hostile-token"
#: A line of ours that only valid reports of the attacker are about. The callers' numbers are their markers.
HOSTILE_LINE: Final = "+441400800001"
_NO_ITEMS: Final = frozenset({400, 401, 403, 404, 405})


def unsigned(dice: random.Random, world: World) -> Attack:
    """Bodies for systems that sign, without a signature or with a wrong one: nothing is kept."""
    kind = dice.choice([each for each in world.connectors if each != "3cx"])
    body = dice.choice(
        (
            b"{}", b"", b"null", b"[]", b"\xff", b"a=b", b"CallSid=CA1&CallStatus=completed&From=%2B1&To=%2B44",
            b'{"event":"call.ended","resource":"call","token":"wrong","data":{}}', b"x" * 60_000, b"[" * 50_000,
            b'{"data":{"event_type":"call.hangup","payload":{}}}', b"eyJhbGciOiJub25lIn0.e30.", b"=&" * 20_000,
        )
    )  # fmt: skip
    lines = dice.choice(
        (
            (),
            (b"X-Twilio-Signature: AAAA",),
            (b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",),
            (b"Authorization: Bearer " + b"a." * 10_000,),
            (b"Authorization: Basic " + b"=" * 1_000,),
            (b"telnyx-signature-ed25519: \xff", b"telnyx-timestamp: 1e999"),
            (b"X-Plivo-Signature-V3: a,b,c", b"X-Plivo-Signature-V3-Nonce: 1"),
            (b"Authorization: Bearer " + b"9" * 5_000 + b".e30.x",),
        )
    )
    method = dice.choice((b"POST", b"POST", b"POST", b"GET"))
    raw = _request(method, world.connectors[kind].encode(), body, *lines)
    return attack(f"intake: unsigned for {kind}", raw, Expectation(statuses=_NO_ITEMS | {200, 204}))


def wrong_addresses(dice: random.Random, world: World) -> Attack:
    """Addresses that nobody has."""
    token = dice.choice((b"", b"x", b"A" * 43, b"%00", b"../3cx", b"A" * 30_000, b"%ff" * 100))
    kind = dice.choice((*(each.encode() for each in world.connectors), b"unknown", b"", b"asterisk", b"%2e%2e"))
    raw = _request(dice.choice((b"POST", b"GET", b"PUT", b"DELETE")), b"/in/" + kind + b"/" + token, b"{}")
    return attack("intake: no such address", raw, Expectation(statuses=frozenset({400, 404, 405})), closing=Closing.MAY)


def wrong_reports(dice: random.Random, world: World) -> Attack:
    """Reports of a system whose secret the attacker has, with values that make no call."""
    serial, number = _caller(world)
    fields = {
        "id": f'"{world.name}-{serial}"',
        "direction": '"inbound"',
        "started_at": "1767603600",
        "ended_at": "1767603660",
        "raw_digits": f'"{number}"',
        "number": f'{{"digits":"{HOSTILE_LINE}"}}',
    }
    name, value = dice.choice(
        (
            ("id", "null"), ("id", '""'), ("id", '"' + "x" * 50_000 + '"'), ("id", "[]"), ("id", '"\\u0000"'),
            ("id", "1" + "0" * 400), ("direction", '"up"'), ("direction", "1"), ("started_at", "-1"),
            ("started_at", "1e300"), ("started_at", "1e400"), ("started_at", '"now"'), ("ended_at", "253370764799"),
            ("ended_at", "9" * 5_000), ("answered_at", "1e-300"),
            ("raw_digits", "{}"), ("raw_digits", '"\\ud800"'), ("number", "[]"),
            ("number", '{"digits":""}'), ("number", '{"digits":"+441400999999"}'), ("number", '{"digits":"\\u0000"}'),
            ("user", '{"email":"\\ud800"}'), ("user", "1"), ("voicemail", '"' + "v" * 50_000 + '"'),
        )
    )  # fmt: skip
    fields[name] = value
    call = "{" + ",".join(f'"{each}":{fields[each]}' for each in fields) + "}"
    # A strange caller, or an end in thousands of years, may be taken in, and may become an event.
    expect = Expectation(statuses=_NO_ITEMS | {200, 204}, items=(Item(number),), is_certain=False)
    return attack(f"intake: wrong {name}", _ended(world, call), expect)


def valid_reports(dice: random.Random, world: World) -> Attack:
    """A call as Aircall tells it when it is over, some of them twice: one event."""
    serial, number = _caller(world)
    raw = _ended(
        world,
        f'{{"id":"{world.name}-{serial}","direction":"inbound","started_at":1767603600,"ended_at":1767603660,'
        f'"raw_digits":"{number}","number":{{"digits":"{HOSTILE_LINE}"}}}}',
    )
    expect = Expectation(statuses=frozenset({200, 204}), items=(Item(number, CALL_FINISHED),))
    if dice.random() < 0.3:
        return attack("intake: valid report twice", raw + raw, expect, expect)
    return attack("intake: valid report", raw, expect)


def _caller(world: World) -> tuple[int, str]:
    """A serial number, and the number of a caller who calls this once."""
    serial = next(world.numbers)
    return serial, f"+49151{serial % 100_000_000:08d}"


def _ended(world: World, call: str) -> bytes:
    body = f'{{"event":"call.ended","resource":"call","token":"{AIRCALL_TOKEN}","data":{call}}}'
    return _request(b"POST", world.connectors["aircall"].encode(), body.encode())


def large_reports(dice: random.Random, world: World) -> Attack:
    """A megabyte for somebody who has an address."""
    kind = dice.choice([*world.connectors])
    body = dice.choice((b"[" * 1_000_000, b"a=" * 500_000, b"&" * 1_000_000, b'{"a":"' + b"x" * 1_000_000 + b'"}'))
    raw = _request(b"POST", world.connectors[kind].encode(), body)
    return attack("intake: large", raw, Expectation(statuses=_NO_ITEMS | {200, 204}))


def _request(method: bytes, target: bytes, body: bytes, *lines: bytes) -> bytes:
    first = method + b" " + target + b" HTTP/1.1"
    return b"\r\n".join((first, b"Host: h", b"Content-Length: %d" % len(body), *lines, b"", b"")) + body


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (unsigned, 30),
    (wrong_addresses, 10),
    (wrong_reports, 14),
    (valid_reports, 6),
    (large_reports, 1),
)
