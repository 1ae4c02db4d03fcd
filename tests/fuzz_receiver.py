"""Throw mutilated requests at the receiver: nothing but VerificationError may come out, and nothing forged may pass.

    python -m tests.fuzz_receiver --inputs 100000 --seed 7

Each input has its own dice, made of the seed and its number, so a failure is repeated alone with `--only NUMBER`.
A shorter slice with a fresh seed runs in `tests/test_receiver.py`.
"""

import argparse
import hashlib
import hmac
import json
import sys
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any, Final

from hookline.domain.events import SAMPLES, EventKind, canonical_bytes, plain
from hookline.receiver import Message, Receiver, VerificationError

NOW: Final = 1_750_000_000
TOLERANCE_SECONDS: Final = 300
SECRETS: Final = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]
STRANGER: Final = "whsec_" + b64encode(b"a key that nobody trusts").decode()
RECEIVER: Final = Receiver(*SECRETS, tolerance_seconds=TOLERANCE_SECONDS, now=lambda: NOW)

ODD_TEXTS: Final = [
    "", " ", "0", "-1", "+1", " 1", "1 ", "1_0", "1e9", "1.0", "0x1", "٣", "１", "²", "9" * 5000, "nan", "é", "\ud800",
    "true", "false", "null", "v1,", "v1", ",", "v1a,x", "v1,é", "a.b", "a b", "\x00", "x" * 70_000, "2025-06-10",
    "2025-06-10T07:09:01", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "0000-00-00T00:00:00Z",
]  # fmt: skip
ODD_BODIES: Final = [
    b"", b"null", b"[]", b"{}", b'""', b"\xff\xfe", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"NaN", b"-Infinity",
    b"[" * 100_000, b'{"a":' * 100_000, b"[" * 5_000 + b"]" * 5_000, b"1" * 10_000, b"1e999", b'"\\ud800"', b"{",
    b'{"type":"answered","type":"missed"}', b"\x00", b" ", b"{}{}",
]  # fmt: skip
#: What stands in for the 123 of the samples, as it is written in JSON.
ODD_NUMBERS: Final = [
    "123", "123", "123", "1e999", "-1e999", "12.5", "0.1e1", "9" * 30, "9" * 5000, "01", "true", "1.7e308",
]  # fmt: skip


@dataclass
class Request:
    """One input: what is handed to `verify`, and what was really signed with a secret that it trusts."""

    body: Any
    headers: Any
    signed: set[tuple[str, str, bytes]] = field(default_factory=set)  # id, timestamp, body


def signature_of(secrets: list[str], message_id: str, timestamp: int, body: bytes) -> str:
    """As the specification says, written down a second time: the fuzzer shares no signing with what it tries."""
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    keys = [b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    return " ".join("v1," + b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)


def signed_request(dice: Random, body: bytes, headers: Mapping[str, str], timestamp: int = NOW) -> Request:
    """A request as Hookline sends it, with one of the trusted secrets or both."""
    message_id, secrets = f"evt_{dice.getrandbits(60):015x}", dice.choice([SECRETS, SECRETS[:1], SECRETS[1:]])
    own = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(secrets, message_id, timestamp, body),
    }
    return Request(body, {**headers, **own}, {(message_id, str(timestamp), body)})


def valid_request(dice: Random) -> Request:
    """A request that must verify: one event, with our own headers or as other libraries sign it, or a batch of some."""
    event = dice.choice(list(EventKind))
    timestamp = NOW + dice.randint(-TOLERANCE_SECONDS, TOLERANCE_SECONDS)
    headers = {"hookline-event": event.value, "hookline-attempt": str(dice.randint(1, 11))}
    if dice.random() < 0.2:
        headers["hookline-test"] = "true"
    if dice.random() < 0.2:
        size = dice.randint(1, 4)
        body = b"[" + b",".join([canonical_bytes(SAMPLES[event])] * size) + b"]"
        return signed_request(dice, body, headers | {"hookline-batch-size": str(size)}, timestamp)
    if dice.random() < 0.2:
        return signed_request(dice, canonical_bytes(SAMPLES[event]), {}, timestamp)
    headers |= {
        "hookline-subject": "mtg_01jx0000000000000000000000",
        "hookline-sequence": str(dice.randint(1, 4)),
        "hookline-occurred-at": "2025-06-10T07:09:01.696Z",
    }
    return signed_request(dice, canonical_bytes(SAMPLES[event]), headers, timestamp)


def odd_values() -> list[Any]:
    """Values of the wrong kind, for the body, the headers, one header or one place in the payload; made anew."""
    return [
        None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "é", "\ud800", "\x00", b"", b"\xff",
        [], {}, ["x"], ("x",), [[]], {"a": 1}, object(), str, dict, Ellipsis, lambda: 1,
    ]  # fmt: skip


def garbled(dice: Random, original: bytes) -> bytes:
    """The same bytes with a few flipped, cut, doubled or put in."""
    some = bytearray(original)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(some) + 1)
        if dice.random() < 0.5 and at < len(some):
            some[at] ^= 1 << dice.randrange(8)
        elif dice.random() < 0.5:
            some[at:at] = dice.randbytes(dice.randint(1, 4))
        else:
            del some[at : at + dice.randint(1, 20)]
    return bytes(some)


def garble_body(dice: Random, request: Request) -> None:
    if isinstance(request.body, bytes):
        request.body = garbled(dice, request.body)


def replace_body(dice: Random, request: Request) -> None:
    request.body = dice.choice([*odd_values(), *ODD_BODIES, dice.randbytes(dice.randint(0, 200))])


def retype_body(dice: Random, request: Request) -> None:
    if isinstance(request.body, bytes):
        request.body = dice.choice([bytearray, memoryview, list, str])(request.body)


def replace_headers(dice: Random, request: Request) -> None:
    choices: list[Any] = [*odd_values()]
    if isinstance(request.headers, dict):
        choices += [list(request.headers.items()), str(request.headers), dict.fromkeys(request.headers)]
    request.headers = dice.choice(choices)


def garble_header(dice: Random, request: Request) -> None:
    if name := some_name(dice, request):
        value = request.headers[name]
        if isinstance(value, str):
            request.headers[name] = garbled(dice, value.encode("utf-8", "surrogatepass")).decode("latin-1")


def replace_header(dice: Random, request: Request) -> None:
    if name := some_name(dice, request):
        request.headers[name] = dice.choice([*odd_values(), *ODD_TEXTS])


def drop_header(dice: Random, request: Request) -> None:
    if name := some_name(dice, request):
        del request.headers[name]


def swap_headers(dice: Random, request: Request) -> None:
    one, other = some_name(dice, request), some_name(dice, request)
    if one and other:
        request.headers[one], request.headers[other] = request.headers[other], request.headers[one]


def rename_header(dice: Random, request: Request) -> None:
    if name := some_name(dice, request):
        request.headers[respelled(dice, name)] = request.headers.pop(name)


def double_header(dice: Random, request: Request) -> None:
    if name := some_name(dice, request):
        request.headers[respelled(dice, name)] = dice.choice([request.headers[name], *ODD_TEXTS])


def add_header(dice: Random, request: Request) -> None:
    if isinstance(request.headers, dict):
        names: list[Any] = ["hookline-batch-size", "hookline-test", "svix-id", 7, None, b"\xff", "é", ("a", "b")]
        request.headers[dice.choice(names)] = dice.choice([*odd_values(), *ODD_TEXTS])


def retype_headers(dice: Random, request: Request) -> None:
    """The same headers as other servers hand them over: bytes, or a WSGI environment."""
    if isinstance(request.headers, dict):
        spell = dice.choice([as_bytes, as_wsgi])
        request.headers = {spell(name) if isinstance(name, str) else name: v for name, v in request.headers.items()}


def add_signature(dice: Random, request: Request) -> None:
    """More signatures around the right one, which has to be found among them."""
    if isinstance(request.headers, dict) and isinstance(given := request.headers.get("webhook-signature"), str):
        parts = [given, dice.choice(["v1,", "v2,x", "v1a,abc", "v1,é", "", "v1," + "A" * 44])]
        dice.shuffle(parts)
        request.headers["webhook-signature"] = " ".join(parts)


def sign_by_stranger(_dice: Random, request: Request) -> None:
    if isinstance(request.headers, dict) and isinstance(request.body, bytes):
        own = {"webhook-id": "evt_1", "webhook-timestamp": str(NOW)}
        own["webhook-signature"] = signature_of([STRANGER], "evt_1", NOW, request.body)
        request.headers |= own


def sign_at_another_time(dice: Random, request: Request) -> None:
    """Rightly signed, but long ago or far ahead (or, once in a while, within the tolerance)."""
    if isinstance(request.headers, dict) and isinstance(request.body, bytes):
        when = NOW + dice.choice([-301, 301, -300, 300, -(10**9), 10**9, 10**14])
        resigned = signed_request(dice, request.body, request.headers, when)
        request.headers, request.signed = resigned.headers, request.signed | resigned.signed


def sign_odd_payload(dice: Random, request: Request) -> None:
    """Rightly signed nonsense, which alone reaches the reader of payloads."""
    if isinstance(request.headers, dict):
        body = dice.choice(ODD_BODIES) if dice.random() < 0.2 else odd_payload(dice, request.headers)
        if "hookline-batch-size" in request.headers:
            body = b"[" + b",".join([body] * dice.randint(0, 4)) + b"]"
        resigned = signed_request(dice, body, request.headers)
        request.body, request.headers = resigned.body, resigned.headers
        request.signed |= resigned.signed


MUTATIONS: Final[list[Callable[[Random, Request], None]]] = [
    garble_body, garble_body, replace_body, retype_body, replace_headers, garble_header, garble_header, replace_header,
    replace_header, drop_header, swap_headers, rename_header, rename_header, double_header, add_header, retype_headers,
    add_signature, sign_by_stranger, sign_at_another_time, sign_odd_payload, sign_odd_payload, sign_odd_payload,
]  # fmt: skip


def some_name(dice: Random, request: Request) -> Any:
    return dice.choice(list(request.headers)) if isinstance(request.headers, dict) and request.headers else None


def respelled(dice: Random, name: Any) -> Any:
    if not isinstance(name, str):
        return name
    spellings: list[Callable[[str], Any]] = [str.title, str.upper, str.swapcase, as_bytes, as_wsgi, " {}".format]
    return dice.choice(spellings)(name)


def as_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def as_wsgi(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


def odd_payload(dice: Random, headers: Mapping[str, Any]) -> bytes:
    """A sample with one place changed: a value of another kind, a key gone, a key too many, bytes garbled."""
    said = [event for event in EventKind if event.value == headers.get("hookline-event")]
    payload = plain(SAMPLES[dice.choice(said or list(EventKind))])
    place: Any = payload
    while isinstance(deeper := place[key := dice.choice(list(keys_of(place)))], dict | list) and dice.random() < 0.7:
        place = deeper
    change = dice.randrange(5)
    if change == 0:
        del place[key]
    elif change == 1:
        payload["a_key_of_tomorrow"] = {"any": [1, None]}
    elif change == 2:
        return garbled(dice, json.dumps(payload).encode())
    else:
        place[key] = dice.choice([value for value in odd_values() if is_json(value)])
    text = json.dumps(payload, ensure_ascii=dice.random() < 0.5).replace("123", dice.choice(ODD_NUMBERS))
    return text.encode(dice.choice(["utf-8"] * 9 + ["utf-16"]), "surrogatepass")


def keys_of(place: Any) -> Any:
    return range(len(place)) if isinstance(place, list) else place


def is_json(value: Any) -> bool:
    return value is None or type(value) in {bool, int, float, str, list, dict}


def make_request(seed: int, number: int) -> tuple[Request, bool]:
    """Input `number` of `seed`, and whether it was left whole and therefore must verify."""
    dice = Random(f"{seed}:{number}")
    request = valid_request(dice)
    changes = dice.choices(MUTATIONS, k=dice.choice([0, 1, 1, 1, 2, 3]))
    for change in changes:
        change(dice, request)
    return request, not changes


def wrong_with(request: Request, message: Message) -> str:
    """Why this request should not have become this message, or "" when all is well."""
    try:
        return forged(request, message) or misread(request, message)
    except (ValueError, TypeError) as error:
        return f"the message cannot be made sense of: {error}"


def forged(request: Request, message: Message) -> str:
    """Whether anyone trusted signed this, and just now."""
    timestamps = {value for name, value in request.headers.items() if spelled_plainly(name) == "webhook-timestamp"}
    plain_timestamps = {value.decode() if isinstance(value, bytes) else value for value in timestamps}
    if not any((message.id, str(when), bytes(request.body)) in request.signed for when in plain_timestamps):
        return "verified although nobody trusted signed this"
    if not all(abs(int(when) - NOW) <= TOLERANCE_SECONDS for when in plain_timestamps):
        return "verified outside the tolerance"
    return ""


def misread(request: Request, message: Message) -> str:
    """Whether the payloads are what the body says, in the types of the samples."""
    told = json.loads(request.body.decode())
    sizes = {int(value) for name, value in request.headers.items() if spelled_plainly(name) == "hookline-batch-size"}
    if sizes != ({len(message.payloads)} if message.is_batch else set()):
        return "the batch is not of the size that was said"
    if message.event != (said := event_that_was_said(request, told)):
        return f"the event is {message.event}, but it was {said}"
    sample = json.loads(canonical_bytes(SAMPLES[message.event or EventKind.MEETING_BOOKED]))
    for part, payload in zip(told if message.is_batch else [told], message.payloads, strict=True):
        read = json.loads(canonical_bytes(payload))
        if not contains(part, read) or not alike(read, sample):
            return "the payload is not what the body says"
    return ""


def event_that_was_said(request: Request, told: Any) -> str | None:
    """By its header; without one by the body when it is a call's, since meetings do not tell."""
    for name, value in request.headers.items():
        if spelled_plainly(name) == "hookline-event":
            return value.decode() if isinstance(value, bytes) else str(value)
    first = told[0] if isinstance(told, list) else told
    return "callFinished" if "phone_line" in first else None


def spelled_plainly(name: Any) -> str:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    return text.removeprefix("HTTP_").replace("_", "-").lower()


def contains(told: Any, read: Any) -> bool:
    """Whether the body says all that was read from it, in the same types; it may say more."""
    if isinstance(read, dict):
        return isinstance(told, dict) and all(key in told and contains(told[key], read[key]) for key in read)
    if isinstance(read, list):
        return len(told) == len(read) and all(map(contains, told, read))
    return type(told) is type(read) and bool(told == read)


def alike(read: Any, sample: Any) -> bool:
    """Whether two payloads have the same keys and types throughout; a price may be whole or not."""
    if isinstance(sample, dict):
        return isinstance(read, dict) and read.keys() == sample.keys() and all(alike(read[k], sample[k]) for k in read)
    if isinstance(sample, list):
        return isinstance(read, list) and all(alike(item, sample[0]) for item in read)
    if type(sample) is int:
        return type(read) in {int, float} and abs(read) < float("inf")
    return type(read) is type(sample)


def outcome_of(request: Request, *, whole: bool) -> tuple[str, str]:
    """What became of one input, and what is wrong with that ("" when nothing is)."""
    try:
        message = RECEIVER.verify(request.body, request.headers)
    except VerificationError as refusal:
        return type(refusal).__name__, "a whole request was refused" if whole else ""
    except BaseException as escaped:  # noqa: BLE001  # whatever else comes out is the failure that this looks for
        return "escaped", f"{type(escaped).__name__} came out: {escaped}"
    return "verified", wrong_with(request, message)


def fuzz(seed: int, numbers: range, *, report: Callable[[int], None] | None = None) -> tuple[Counter[str], list[str]]:
    """Run the inputs; count what became of them, and collect what went wrong."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for done, number in enumerate(numbers, 1):
        request, whole = make_request(seed, number)
        outcome, wrong = outcome_of(request, whole=whole)
        outcomes[outcome] += 1
        if wrong:
            failures.append(f"input {number} of seed {seed}: {wrong}")
        if report is not None:
            report(done)
    return outcomes, failures


def main() -> int:
    """Run from the command line: 0 when all held, 1 when anything did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_receiver", description="Fuzz the receiver library.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one, which is printed")
    parser.add_argument("--only", type=int, default=None, metavar="NUMBER", help="repeat one input")
    asked = parser.parse_args()
    seed = SystemRandom().getrandbits(32) if asked.seed is None else asked.seed
    numbers = range(asked.inputs) if asked.only is None else range(asked.only, asked.only + 1)
    print(f"seed {seed}, {len(numbers)} inputs")
    step = max(1, len(numbers) // 10)
    outcomes, failures = fuzz(seed, numbers, report=lambda done: print(f"  {done}") if done % step == 0 else None)
    for outcome, count in outcomes.most_common():
        print(f"{count:>9} {outcome}")
    for failure in failures[:20]:
        print(failure)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
