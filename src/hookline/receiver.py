"""The receiver's side: is this request from Hookline, and what does it say?

    message = Receiver("whsec_...").verify(body, headers)

For programs that receive our webhooks, so this file and what it imports need the standard library only, and a file
of ours that imports something else does not belong here. Nothing is kept: duplicates, order and answers are the
receiving program's own; docs/how-to/receive-webhooks.md shows them in FastAPI, Flask and Django.

The signature covers `webhook-id`, `webhook-timestamp` and the body. The other headers are checked for their form,
but only TLS protects them on the way.
"""

import json
import math
import re
import time  # noqa: TID251  only referred to: the default clock of a library that stands alone
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, NoReturn, Protocol, TypeVar, get_args, get_origin, get_type_hints

from hookline.domain.events import PAYLOADS, CallPayload, EventKind, MeetingPayload, Payload
from hookline.domain.instants import parse_instant
from hookline.domain.signatures import Signer, sign
from hookline.errors import Invalid

__all__ = [
    "BadHeader",
    "BadPayload",
    "BadSignature",
    "CallPayload",
    "EventKind",
    "Headers",
    "MeetingPayload",
    "Message",
    "OutsideTolerance",
    "Receiver",
    "VerificationError",
    "sign",
]

_TOLERANCE_SECONDS: Final = 300
#: The id is signed with a full stop behind it, so one inside it would blur where it ends.
_MESSAGE_ID: Final = re.compile(r"[!-\-/-~]{1,256}")
#: At most 15 digits: more are no number that we count or tell time with.
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_HALF_OF_A_PAIR: Final = re.compile("[\ud800-\udfff]")
#: From here on binary64, which is what most readers of JSON hold numbers in, has gaps between whole numbers.
_BEYOND_EXACT: Final = 2**53
_Record = TypeVar("_Record")
_Fact = TypeVar("_Fact")
_Absent = TypeVar("_Absent")


class VerificationError(Invalid):
    """A request that is not to be acted upon. Answer 400; the message says why and shows no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="bad_request")


class BadHeader(VerificationError):
    """A header that is signed is absent, or any is given twice or not of its form."""


class BadSignature(VerificationError):
    """No signature is one that our secrets make: another secret, or not the bytes that were sent."""


class OutsideTolerance(VerificationError):
    """Signed too long ago (or too far ahead): an old request sent again, or a clock that is wrong."""


class BadPayload(VerificationError):
    """Rightly signed, but the body is not what the event carries."""


class Headers(Protocol):
    """What `verify` asks of headers: any mapping has it, and so have the headers of Flask, which are none."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Names and values, as text or bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a verified request says.

    A request that another library signed has the three signed headers only. Then `event` is None, unless the body is a
    call's, and this is attempt 1.

    A batch has several payloads of one event. It has no subject, sequence or occurrence of its own, and neither has
    what another library signed: there they are `""`, 0 and the instant of sending.
    """

    id: str  # the same in every attempt and replay: what to recognise a duplicate by
    event: EventKind | None  # None: no header says it, and the three events of a meeting look alike
    subject: str  # the meeting (mtg_...) or call (call_...) that it is about
    sequence: int  # 1, 2, 3 ... of the events of this subject
    occurred_at: datetime  # aware, UTC
    payloads: tuple[Payload, ...]  # one, unless it is a batch
    attempt: int  # 1 is the first POST
    is_test: bool
    is_batch: bool = False

    @property
    def payload(self) -> Payload:
        """What the event carries.

        Raises:
            VerificationError: this is a batch, which must not pass for its first part.
        """
        if self.is_batch:
            raise BadPayload(f"This is a batch of {len(self.payloads)}: read message.payloads.")
        return self.payloads[0]


class Receiver:
    """Verifies requests with one secret, or with several while one is being rotated.

    Raises:
        Invalid: no secret was given, or one that is malformed.
    """

    def __init__(
        self,
        *secrets: str | list[str] | tuple[str, ...],
        tolerance_seconds: float = _TOLERANCE_SECONDS,
        # The one clock outside adapters/system_clock.py, named and not read: this file is used without the rest of us.
        now: Callable[[], float] = time.time,
    ) -> None:
        self._signer = Signer(list(_each(secrets)))
        self._tolerance_seconds = tolerance_seconds
        self._now = now

    def verify(self, body: bytes, headers: Headers) -> Message:
        """Check one request and read it.

        `body` is the raw body, before anything parsed it. `headers` is any mapping: names in any case, or a WSGI
        environment's (`HTTP_WEBHOOK_ID`); names and values as text or bytes.

        Keys of the body that this version does not know are passed over. Those it knows must all be there, each of
        its JSON type.

        Raises:
            VerificationError: whatever is wrong with the request; there is no other.
        """
        if not isinstance(body, bytes | bytearray):
            raise BadPayload(f"The body must be the raw bytes of the request, got {_kind_of(body)}.")
        known = _ours(headers)
        sent_at = self._authenticate(bytes(body), known)
        return _read_message(bytes(body), known, sent_at)

    def _authenticate(self, body: bytes, headers: Mapping[str, str]) -> datetime:
        """The instant of sending, once it is sure that the holder of a secret sent this, just now."""
        message_id = _needed(headers, "webhook-id")
        if not _MESSAGE_ID.fullmatch(message_id):
            _refuse("webhook-id", "expected printable ASCII without spaces and full stops")
        timestamp = _needed(headers, "webhook-timestamp")
        seconds = _whole_number(headers, "webhook-timestamp")
        if not self._signer.recognises(_needed(headers, "webhook-signature"), message_id, timestamp, body):
            raise BadSignature("webhook-signature: no signature fits this body and secret.")
        if not abs(self._now() - seconds) <= self._tolerance_seconds:
            raise OutsideTolerance(
                f"webhook-timestamp: not within {self._tolerance_seconds:g} seconds of this machine's clock."
            )
        return datetime.fromtimestamp(seconds, UTC)


def _ours(headers: object) -> dict[str, str]:
    """The headers that are ours, by their names in lower case.

    Raises:
        BadHeader: not a mapping, or one of ours is given twice with two values, or is not ASCII text.
    """
    found: dict[str, str] = {}
    for given, value in _pairs(headers):
        name = _canonical_name(given)
        if not name.startswith(("webhook-", "hookline-")):
            continue
        text = _ascii(name, value)
        if found.setdefault(name, text) != text:
            _refuse(name, "given twice, with two values")
    return found


def _pairs(headers: Any) -> list[tuple[object, object]]:
    try:
        return [(name, value) for name, value in headers.items()]
    except (AttributeError, TypeError, ValueError):
        raise BadHeader(f"headers: expected a mapping of names to values, got {_kind_of(headers)}.") from None


def _canonical_name(given: object) -> str:
    """`webhook-id` for `Webhook-Id`, `b"webhook-id"` and `HTTP_WEBHOOK_ID`; "" for what is no name."""
    if isinstance(given, bytes):
        given = given.decode("latin-1")
    if not isinstance(given, str) or not given.isascii():
        return ""
    if given.startswith("HTTP_"):
        given = given.removeprefix("HTTP_").replace("_", "-")
    return given.lower()


def _ascii(name: str, value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str) or not value.isascii():
        _refuse(name, f"expected ASCII text, got {_kind_of(value)}")
    return value


def _needed(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        _refuse(name, "is needed")
    return value


def _whole_number(headers: Mapping[str, str], name: str) -> int:
    value = _needed(headers, name)
    if not _WHOLE_NUMBER.fullmatch(value):
        _refuse(name, "expected a whole number in plain digits")
    return int(value)


def _count(headers: Mapping[str, str], name: str) -> int:
    number = _whole_number(headers, name)
    if number < 1:
        _refuse(name, "expected 1 or more")
    return number


def _if_given(
    headers: Mapping[str, str], name: str, read: Callable[[Mapping[str, str], str], _Fact], absent: _Absent
) -> _Fact | _Absent:
    """What a header of ours says. Absent is well, since another library may have signed; present but wrong is not."""
    return read(headers, name) if name in headers else absent


def _refuse(name: str, reason: str) -> NoReturn:
    raise BadHeader(f"{name}: {reason}.")


def _each(secrets: Iterable[str | list[str] | tuple[str, ...]]) -> Iterator[str]:
    """Secrets that were given one by one, or several in a list."""
    for given in secrets:
        yield from given if isinstance(given, list | tuple) else [given]


def _read_message(body: bytes, headers: Mapping[str, str], sent_at: datetime) -> Message:
    event = _if_given(headers, "hookline-event", _event, None)
    size = _if_given(headers, "hookline-batch-size", _count, None)
    parts = _parts(_parsed(body), size)
    if event is None and isinstance(parts[0], dict) and "phone_line" in parts[0]:
        event = EventKind.CALL_FINISHED
    # Which of the meeting's events it is does not matter here: their payloads are alike.
    kind: Callable[..., Payload] = PAYLOADS[event or EventKind.MEETING_BOOKED]
    return Message(
        id=headers["webhook-id"],
        event=event,
        subject=_if_given(headers, "hookline-subject", _needed, ""),
        sequence=_if_given(headers, "hookline-sequence", _count, 0),
        occurred_at=_if_given(headers, "hookline-occurred-at", _instant, sent_at),
        payloads=tuple(_record(part, kind, "" if size is None else f"[{i}]") for i, part in enumerate(parts)),
        attempt=_if_given(headers, "hookline-attempt", _count, 1),
        is_test=_if_given(headers, "hookline-test", _is_true, False),
        is_batch=size is not None,
    )


def _event(headers: Mapping[str, str], name: str) -> EventKind:
    value = _needed(headers, name)
    try:
        return EventKind(value)
    except ValueError:
        _refuse(name, f"expected one of {', '.join(EventKind)}, got {value[:40]!r}")


def _instant(headers: Mapping[str, str], name: str) -> datetime:
    value = _needed(headers, name)
    try:
        return parse_instant(value, name)
    except Invalid as error:
        raise BadHeader(error.message) from None


def _is_true(headers: Mapping[str, str], name: str) -> bool:
    if headers[name] != "true":
        _refuse(name, "expected true, or no such header")
    return True


def _parsed(body: bytes) -> object:
    """The body as JSON's own kinds of value; the standard library's reader, made strict."""
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_exact,
        )
    except RecursionError:
        raise BadPayload("The body is nested too deep.") from None
    except ValueError:  # not UTF-8, not JSON, a key given twice, a number too great
        raise BadPayload("The body is not the JSON that Hookline writes.") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is too great")
    return number


def _exact(text: str) -> int:
    number = int(text)
    if abs(number) >= _BEYOND_EXACT:
        raise ValueError("the number is too great")
    return number


def _parts(body: object, size: int | None) -> list[object]:
    """The payloads in a body: one, unless it is a batch of `size`."""
    if size is None:
        return [body]
    if not isinstance(body, list) or len(body) != size:
        raise BadPayload(f"expected a list of {size}, as hookline-batch-size says.")
    return body


def _typed(value: object, kind: Any, path: str) -> object:
    """`value` as `kind`, which is one of the kinds that `domain/events.py` is made of.

    Raises:
        BadPayload: it is of another JSON type, or a key is missing; `path` says where.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(value, kind, path)
    if get_origin(kind) is tuple:
        return _listed(value, get_args(kind)[0], path)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _word(value, kind, path)
    # By exact type: JSON's true is no number, although Python's is.
    if type(value) not in (get_args(kind) or (kind,)):
        _mismatch(path, _name_of(kind), value)
    if isinstance(value, str) and _HALF_OF_A_PAIR.search(value):
        raise BadPayload(f"{path}: half of a surrogate pair is no text.")
    return value


def _record(value: object, kind: Callable[..., _Record], path: str) -> _Record:
    if not isinstance(value, dict):
        _mismatch(path, "an object", value)
    values = {}
    for name, kind_of_field in _kinds(kind).items():
        where = f"{path}.{name}".lstrip(".")
        if name not in value:
            raise BadPayload(f"{where}: is missing.")
        values[name] = _typed(value[name], kind_of_field, where)
    return kind(**values)


@cache
def _kinds(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _listed(value: object, kind: Any, path: str) -> object:
    if not isinstance(value, list):
        _mismatch(path, "a list", value)
    return tuple(_typed(item, kind, f"{path}[{index}]") for index, item in enumerate(value))


def _word(value: object, kind: type[StrEnum], path: str) -> StrEnum:
    if not isinstance(value, str):
        _mismatch(path, "str", value)
    try:
        return kind(value)
    except ValueError:
        raise BadPayload(f"{path}: expected one of {', '.join(kind)}, got {value[:40]!r}.") from None


def _mismatch(path: str, expected: str, value: object) -> NoReturn:
    raise BadPayload(f"{path or 'The body'}: expected {expected}, got {_kind_of(value)}.")


def _name_of(kind: Any) -> str:
    return " or ".join(part.__name__ for part in get_args(kind) or (kind,))


def _kind_of(value: object) -> str:
    return type(value).__name__
