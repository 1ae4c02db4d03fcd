"""Calls: a finished call is kept and announced, in one commit."""

from collections.abc import Sequence
from itertools import repeat

from hookline.domain.call_legs import NO_LEGS, CallLegs
from hookline.domain.calls import NO_TIMES, Call, CallOrigin, CallTimes
from hookline.domain.events import CallPayload, EventKind, canonical_bytes
from hookline.domain.ids import CallId
from hookline.errors import NotFound
from hookline.ports.storage import CallFilter, Page, Transaction
from hookline.services.publishing import publish


def report_call(
    tx: Transaction,
    payload: CallPayload,
    *,
    source: str = "api",
    body: bytes | None = None,
    times: CallTimes = NO_TIMES,
    origin: CallOrigin | None = None,
    legs: CallLegs = NO_LEGS,
    is_silent: bool = False,
) -> CallId:
    """Keep a finished call and announce it, unless it `is_silent`. `payload` has been through `check_call`.

    `body` is the payload's `canonical_bytes`, from callers that made them before the transaction. The event happened
    when the call ended, if that is known.
    """
    call = new_call(tx, payload, source=source, body=body, times=times, origin=origin, legs=legs)
    keep_reported(tx, call, is_silent=is_silent)
    return call.id


def new_call(
    tx: Transaction,
    payload: CallPayload,
    *,
    source: str = "api",
    body: bytes | None = None,
    times: CallTimes = NO_TIMES,
    origin: CallOrigin | None = None,
    legs: CallLegs = NO_LEGS,
) -> Call:
    """A call that is reported now, with an id of its own. It is not kept yet. `body`: as in `report_call`."""
    return Call(
        id=CallId(f"call_{tx.ulid()}"),
        payload=payload,
        body=body or canonical_bytes(payload),
        source=source,
        created_at=tx.now,
        times=times,
        origin=origin,
        legs=legs,
    )


def keep_reported(tx: Transaction, call: Call, *, is_silent: bool = False) -> None:
    """Keep a new call, and announce it unless it `is_silent`. It happened when it ended, or else was reported."""
    tx.phone.add(call)
    if not is_silent:
        happened_at = call.times.ended_at or call.created_at
        publish(tx, EventKind.CALL_FINISHED, call.id, sequence=1, body=call.body, occurred_at=happened_at)


def report_calls(
    tx: Transaction,
    many: Sequence[CallPayload],
    bodies: Sequence[bytes] | None = None,
    times: Sequence[CallTimes] | None = None,
    *,
    is_silent: bool = False,
) -> list[CallId]:
    """Report many, all or none, in one commit. For more than a few: `services/report_batches.py`.

    `bodies`, `times`: as in `report_call`, one for each.
    """
    count = len(many)
    return [
        report_call(tx, payload, body=body, times=known, is_silent=is_silent)
        for payload, body, known in zip(
            many, bodies or repeat(None, count), times or repeat(NO_TIMES, count), strict=True
        )
    ]


def read_call(tx: Transaction, call_id: str) -> Call:
    """The call.

    Raises:
        NotFound: no such call.
    """
    call = tx.phone.call(call_id)
    if call is None:
        raise NotFound(f"There is no call {call_id[:40]!r}.")
    return call


def list_calls(
    tx: Transaction, wanted: CallFilter, *, limit: int, cursor: str | None, oldest_first: bool = False
) -> Page[Call]:
    """Calls, the latest reported first unless told otherwise."""
    return tx.phone.calls(wanted, limit=limit, cursor=cursor, oldest_first=oldest_first)
