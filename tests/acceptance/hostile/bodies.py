"""Attacks on bodies: JSON that is none, values that nobody can keep, and as much of both as fits into 1 MiB.

The large ones are made once and sent many times: an attacker has to be cheaper than who answers.
"""

import gzip
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Final

from tests.acceptance.hostile.attack import (
    MEETING_BOOKED,
    WHO,
    Attack,
    Closing,
    Expectation,
    Item,
    Maker,
    World,
    attack,
)

_MIB: Final = 1_048_576
_PARTICIPANTS: Final = 1_000


def no_json(dice: random.Random, world: World) -> Attack:
    """Small bodies that are no JSON object."""
    body = dice.choice(
        (
            b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"}", b"{]", b"{}{}", b"{} x", b"{'a':1}", b"{a:1}",
            b'{"a":1,}', b"/* x */ {}", b"NaN", b'{"duration_seconds": NaN}', b'{"price": Infinity}',
            b"\xff\xfe{\x00}\x00",
            b"\xef\xbb\xbf{}", b'{"type":"\xff"}', b'{"type":"\xed\xa0\x80"}', b'{"type":"\\ud800"}',
            b'{"type":"\\u12"}',
            b'{"type":"a\nb"}', b'{"type":"\x00"}', b"a=b&c=d", b"<?xml version='1.0'?><call/>", b"--x\r\n\r\n--x--",
            b"\x00" * 100, b"%PDF-1.7", b"{" * 10_000, b"[" * 50_000, b'{"a":' * 5_000, b"[[],{}]", b"true", b"-",
            b"1e9999",
        )
    )  # fmt: skip
    target = dice.choice((b"/v3/calls", b"/v3/meetings", b"/v3/calls/batch", b"/v3/meetings/batch"))
    request = world.post(dice, target, body, 400, who=dice.choices(WHO, (10, 10, 10, 70))[0])
    return attack("body: no JSON object", request.raw(), request.expect)


def wrong_call(dice: random.Random, world: World) -> Attack:
    """A call with one attribute that it cannot have."""
    name, value = dice.choice(
        (
            ("type", '"talked"'), ("type", "1"), ("type", "null"), ("type", '["missed"]'), ("type", '"MISSED"'),
            ("duration_seconds", "-1"), ("duration_seconds", "1"), ("duration_seconds", "1.5"),
            ("duration_seconds", "1" + "0" * 400), ("duration_seconds", "1e400"), ("duration_seconds", '"0"'),
            ("duration_seconds", "9" * 5_000), ("duration_seconds", "-0.0000001"),
            ("phone_line", '"+44 1400 80x008"'), ("phone_line", '""'), ("phone_line", '"\\u0000"'),
            ("phone_line", '"' + "9" * 60_000 + '"'), ("phone_line", "441400800008"), ("phone_line", '"+"'),
            ("phone_number", '"\\ud83d"'), ("phone_number", '"+1 400 200 786 8 x y"'), ("phone_number", "[]"),
            ("phone_number", '"' + "+" * 50_000 + '"'), ("phone_number", '"' + "(" * 50_000 + '"'),
            ("phone_number", '"tel:' + ";a=b" * 10_000 + '"'),
            ("is_forwarded", "1"), ("is_forwarded", '"true"'), ("recording", "null"),
            ("account_name", '"x"'), ("account_name", '{"given_name":1}'), ("account_name", "[[[[[]]]]]"),
            ("phone_line_name", '"\\udc00\\ud800"'), ("phone_line_name", "{}"), ("phone_line_name", '"\\u0000"'),
            ("startedAt", '"now"'), ("constructor", "{}"), ("__proto__", "1"), ("", "1"), ("x" * 10_000, "1"),
        )
    )  # fmt: skip
    marker = world.marker()
    pairs = {
        "type": '"missed"',
        "phone_line": '"+441400800008"',
        "phone_number": '"+14002007868"',
        "phone_line_name": f'"{marker}"',
        name: value,
    }
    body = "{" + ",".join(f'"{each}":{pairs[each]}' for each in pairs) + "}"
    request = world.post(dice, b"/v3/calls", body.encode(), 400, who=dice.choices(WHO, (5, 5, 5, 85))[0])
    return attack(f"call: wrong {name[:20]}", request.raw(), request.expect)


def wrong_meeting(dice: random.Random, world: World) -> Attack:
    """A meeting with one attribute that it cannot have."""
    name, value = dice.choice(
        (
            ("account_email", '""'), ("account_email", "null"), ("account_email", '"\\u0000@x"'),
            ("account_email", "{}"),
            ("event_participants", "[]"), ("event_participants", "{}"), ("event_participants", '[{"EMAIL":""}]'),
            ("event_participants", "[1]"), ("event_participants", '[{"EMAIL":"a@b.c","X":1}]'),
            ("event_participants", '"a"'),
            ("meeting_name", '""'), ("meeting_name", '"' + "n" * 256 + '"'), ("meeting_name", "1"),
            ("meeting_start_timestamp", '"2025-06-10T07:00:00"'), ("meeting_start_timestamp", '"0000-00-00T00:00:00Z"'),
            ("meeting_start_timestamp", '"2025-02-30T07:00:00Z"'), ("meeting_start_timestamp", "1749538800"),
            ("meeting_start_timestamp", '"2025-06-10T07:00:00+99:99"'),
            ("meeting_start_timestamp", '"' + "2" * 60_000 + '"'),
            ("meeting_end_timestamp", '"2001-01-01T00:00:00Z"'), ("meeting_end_timestamp", '"99999-01-01T00:00:00Z"'),
            ("price", "-1"), ("price", "1e309"), ("price", "0.001"), ("price", "1" + "0" * 400), ("price", '"1"'),
            ("price", "0." + "1" * 50_000), ("price", "-0.01"),
            ("currency", '"EURO"'), ("currency", '"€"'), ("currency", "978"), ("currency", '"' + "E" * 50_000 + '"'),
            ("questions_and_answers", "[[]]"), ("questions_and_answers", '[{"answer":1,"question":""}]'),
            ("meeting_notes", '"\\ud800"'), ("meeting_location", "[]"), ("meeting_adress", '""'),
        )
    )  # fmt: skip
    pairs = {
        "account_email": '"host@example.com"',
        "event_participants": '[{"EMAIL":"guest@example.com"}]',
        "meeting_name": f'"{world.marker()}"',
        "meeting_start_timestamp": '"2099-06-10T07:00:00Z"',
        "meeting_end_timestamp": '"2099-06-10T08:00:00Z"',
        name: value,
    }
    body = "{" + ",".join(f'"{each}":{pairs[each]}' for each in pairs) + "}"
    request = world.post(dice, b"/v3/meetings", body.encode(), 400, who=dice.choices(WHO, (5, 5, 5, 85))[0])
    return attack(f"meeting: wrong {name}", request.raw(), request.expect)


def twice_the_same_key(dice: random.Random, world: World) -> Attack:
    """An attribute twice: the last one counts, or it is refused; the answer says which."""
    request = world.call(dice)
    body = dice.choice(
        (
            request.body.replace(b'{"account_name"', b'{"type":"x","account_name"', 1),
            request.body.replace(b'"type":"missed"}', b'"type":"missed","type":"missed"}'),
        )
    )
    return attack("call: an attribute twice", request.with_body(body).raw(), request.expect.also(400))


def compressed(dice: random.Random, world: World) -> Attack:
    """Bodies in a coding that nobody asked for: refused, and never unpacked."""
    request = world.call(dice)
    packed = dice.choice((_bomb(), gzip.compress(request.body, mtime=0)))
    line = dice.choice((b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"X: y"))
    packed_request = request.with_body(packed)
    return attack("body: compressed", packed_request.raw(line), request.expect.refused(400, 415))


def batches(dice: random.Random, world: World) -> Attack:
    """Batches of none, of many, and with one that is wrong: all or none."""
    count = dice.choices((0, 1, 20, 200, 1_000, 1_001), (20, 20, 30, 12, 1, 3))[0]
    requests = [world.call(dice) for _ in range(min(count, 1_001))]
    bodies = [each.body for each in requests]
    is_wrong = dice.random() < 0.4
    if is_wrong and bodies:
        place = dice.choice((0, len(bodies) - 1))
        bodies[place] = bodies[place].replace(b'"missed"', b'"mist"')
    items = tuple(item for each in requests for item in each.expect.items)
    is_refused = is_wrong or not 1 <= count <= 1_000
    expect = Expectation(statuses=frozenset({400 if is_refused else 201}), items=() if is_refused else items)
    request = world.post(dice, b"/v3/calls/batch", b'{"calls":[' + b",".join(bodies) + b"]}", 201)
    return attack("batch: " + ("refused" if is_refused else "valid"), request.raw(), expect)


def valid_and_odd(dice: random.Random, world: World) -> Attack:
    """Calls that are odd and true: they are kept, to the byte where the body is canonical."""
    request = world.call(dice)
    swap = dice.choice(
        (
            (b'"Z', '"\u202e\U0001f4a3\u200b'.encode()),
            (b'"family_name":"M', b'"family_name":"' + b"x" * 5_000),
            (b'"family_name":"M', b'"family_name":"<script>alert(1)</script>'),
            (b'"family_name":"M', b'"family_name":"\'; DROP TABLE calls; --'),
            (b'"family_name":"M', b'"family_name":"%00%0d%0a{{7*7}}${jndi:ldap://x}'),
            (b'"family_name":"M', b'"family_name":"\\\\\\"\\\\'),
        )
    )
    body = request.body.replace(*swap, 1)
    items = tuple(replace(item, digest=sha256(body).hexdigest()) for item in request.expect.items)
    expect = replace(request.expect, items=items)
    return attack("call: odd and valid", request.with_body(body).raw(), expect)


def large(dice: random.Random, world: World) -> Attack:
    """A megabyte of something, sent by somebody with a key or by somebody without."""
    kind, make, target, statuses = dice.choice(_LARGE)
    who = dice.choices(WHO, (15, 15, 10, 60))[0]
    request = world.post(dice, target, make(), *statuses, who=who)
    # Who may not ask at all is told so before the body is read; a part of it may then get lost with the connection.
    early = who != "ingest"
    expect = request.expect.optional() if early else request.expect
    return attack(f"large: {kind}", request.raw(), expect, closing=Closing.MAY if early else Closing.NEVER)


def large_and_valid(dice: random.Random, world: World) -> Attack:
    """A meeting with notes of nearly 1 MiB, and one with as many participants as there may be."""
    marker = world.marker()
    template = dice.choice((_long_notes, _most_participants))()
    if dice.random() < 0.8:  # most of them are not that long: a disk is finite
        template = template.replace(b"n" * 524_288, b"").replace(b"n" * 262_144, b"").replace(b"n" * 131_072, b"")
    body = template.replace(b"MARKER", marker.encode())
    item = Item(marker, MEETING_BOOKED, sha256(body).hexdigest())
    request = world.post(dice, b"/v3/meetings", body, 201)
    return attack("large: valid", request.raw(), replace(request.expect, items=(item,)))


def known_by_a_key(dice: random.Random, world: World) -> Attack:
    """Idempotency keys that are none, and one request twice under one key: one call."""
    request = world.call(dice)
    if dice.random() < 0.5:
        line = dice.choice(
            (b"Idempotency-Key: " + b"k" * 256, b"Idempotency-Key: " + b"k" * 30_000, b"Idempotency-Key:")
        )
        return attack("idempotency: no key", request.raw(line), request.expect.refused(400))
    line = b"Idempotency-Key: " + world.marker().encode()
    if dice.random() < 0.5:
        raw = request.raw(line)
        return attack("idempotency: the same twice", raw + raw, request.expect, request.expect)
    other = world.call(dice)
    raw = request.raw(line) + replace(other, lines=request.lines).raw(line)
    return attack("idempotency: another body", raw, request.expect, other.expect.refused(422))


def changes(dice: random.Random, world: World) -> Attack:
    """Changes of meetings that there are not."""
    path = dice.choice((b"mtg_01k2j3q4r5s6t7v8w9x0y1z2a3", b"mtg_x", b"%00", b"mtg_" + b"z" * 5_000))
    method, verb = dice.choice(((b"PUT", b""), (b"POST", b"/cancel"), (b"POST", b"/reschedule"), (b"PUT", b"/cancel")))
    body = dice.choice(
        (b"{}", b'{"reason":"x"}', b'{"price":"x"}', b"[]", b'{"meeting_start_timestamp":"2099-01-01T00:00:00Z"}')
    )
    request = replace(world.post(dice, b"/v3/meetings/" + path + verb, body, 400, 404, 405), method=method)
    return attack("meeting: changes of none", request.raw(), request.expect)


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(50_000_000), mtime=0)


def _filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As many units between start and end as fit into 1 MiB."""
    return start + unit * ((_MIB - len(start) - len(end)) // len(unit)) + end


_CALL_START: Final = b'{"type":"missed","phone_line":"+441400800008","phone_number":"+14002007868"'
_MEETING_START: Final = (
    b'{"account_email":"host@example.com","meeting_name":"never","meeting_start_timestamp":"2099-06-10T07:00:00Z",'
    b'"meeting_end_timestamp":"2099-06-10T08:00:00Z","event_participants":[{"EMAIL":"a@example.com"}'
)


def _cached(start: bytes, unit: bytes, end: bytes) -> Callable[[], bytes]:
    return cache(lambda: _filled(start, unit, end))


def _distinct_keys() -> bytes:
    return _CALL_START + b"".join(b',"k%d":1' % number for number in range(80_000)) + b"}"


def _batch_of_wrong() -> bytes:
    return b'{"calls":[' + b",".join([_CALL_START + b',"duration_seconds":1}'] * 1_000) + b"]}"


_LARGE: Final[tuple[tuple[str, Callable[[], bytes], bytes, tuple[int, ...]], ...]] = (
    ("lists in lists", _cached(b"", b"[", b""), b"/v3/calls", (400,)),
    ("closed lists in lists", cache(lambda: b"[" * 524_288 + b"]" * 524_288), b"/v3/meetings", (400,)),
    ("objects in objects", _cached(b"", b'{"a":', b""), b"/v3/calls", (400,)),
    ("25,000 participants", _cached(_MEETING_START, b',{"EMAIL":"guest@example.com"}', b"]}"), b"/v3/meetings", (400,)),
    ("unknown keys", cache(_distinct_keys), b"/v3/calls", (400,)),
    ("one key", _cached(_CALL_START, b',"k":1', b"}"), b"/v3/calls", (400,)),
    ("a number", _cached(_CALL_START + b',"duration_seconds":', b"9", b"}"), b"/v3/calls", (400,)),
    ("a fraction", _cached(_MEETING_START + b'],"price":0.', b"1", b"}"), b"/v3/meetings", (400,)),
    ("empty lists", _cached(b'{"calls":[[]', b",[]", b"]}"), b"/v3/calls/batch", (400,)),
    ("empty objects", _cached(b'{"calls":[{}', b",{}", b"]}"), b"/v3/calls/batch", (400,)),
    ("numbers", _cached(b'{"meetings":[1', b",1", b"]}"), b"/v3/meetings/batch", (400,)),
    ("1,000 that are wrong", cache(_batch_of_wrong), b"/v3/calls/batch", (400,)),
    ("half characters", _cached(_CALL_START + b',"phone_line_name":"', b"\\ud800", b'"}'), b"/v3/calls", (400,)),
    ("NULs", _cached(_CALL_START + b',"phone_line_name":"', b"\\u0000", b'"}'), b"/v3/calls", (400,)),
    ("white space", _cached(b"", b" ", b""), b"/v3/calls", (400,)),
    ("line feeds", _cached(b"{", b"\n", b"x"), b"/v3/calls", (400,)),
    ("zeros", _cached(b"", b"\x00", b""), b"/v3/calls", (400,)),
    ("no UTF-8", _cached(b'{"type":"', b"\xff", b'"}'), b"/v3/calls", (400,)),
    ("an unknown key's name", _cached(_CALL_START + b',"', b"k", b'":1}'), b"/v3/calls", (400,)),
    ("questions", _cached(_MEETING_START + b'],"questions_and_answers":[1', b",1", b"]}"), b"/v3/meetings", (400,)),
    ("a name", _cached(_MEETING_START + b'],"meeting_name":"', b"n", b'"}'), b"/v3/meetings", (400,)),
)


@cache
def _long_notes() -> bytes:
    start = (
        b'{"account_email":"host@example.com","currency":"EUR","event_participants":[{"EMAIL":"guest@example.com",'
        b'"FIRSTNAME":"","LASTNAME":""}],"meeting_address":"","meeting_end_timestamp":"2099-06-10T08:00:00.000Z",'
        b'"meeting_location":"","meeting_name":"MARKER","meeting_notes":"'
    )
    end = b'","meeting_start_timestamp":"2099-06-10T07:00:00.000Z","price":0,"questions_and_answers":[]}'
    return start + b"n" * (_MIB - 2_000) + end


@cache
def _most_participants() -> bytes:
    one = b'{"EMAIL":"guest%d@example.com","FIRSTNAME":"","LASTNAME":""}'
    return (
        b'{"account_email":"host@example.com","currency":"EUR","event_participants":['
        + b",".join(one % number for number in range(_PARTICIPANTS))
        + b'],"meeting_address":"","meeting_end_timestamp":"2099-06-10T08:00:00.000Z","meeting_location":"",'
        b'"meeting_name":"MARKER","meeting_notes":"","meeting_start_timestamp":"2099-06-10T07:00:00.000Z","price":0,'
        b'"questions_and_answers":[]}'
    )


KINDS: Final[tuple[tuple[Maker, int], ...]] = (
    (no_json, 40),
    (wrong_call, 50),
    (wrong_meeting, 50),
    (twice_the_same_key, 5),
    (compressed, 5),
    (batches, 5),
    (valid_and_odd, 10),
    (large, 6),
    (large_and_valid, 1),
    (known_by_a_key, 10),
    (changes, 14),
)
