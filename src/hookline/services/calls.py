"""Calls: a finished call is kept and announced, in one commit."""

from collections.abc import Sequence
from itertools import repeat

from hookline.domain.calls import Call
from hookline.domain.events import CallPayload, EventKind, canonical_bytes
from hookline.domain.ids import CallId
from hookline.errors import NotFound
from hookline.ports.storage import CallFilter, Page, Transaction
from hookline.services.publishing import publish


def report_call(tx: Transaction, payload: CallPayload, *, source: str = "api", body: bytes | None = None) -> CallId:
    """Keep a finished call and announce it. `payload` has been through `domain.calls.check_call`.

    `body` is the payload's `canonical_bytes`, from callers that made them before the transaction.
    """
    body = body or canonical_bytes(payload)
    call = Call(id=CallId(f"call_{tx.ulid()}"), payload=payload, body=body, source=source, created_at=tx.now)
    tx.phone.add(call)
    publish(tx, EventKind.CALL_FINISHED, call.id, sequence=1, body=body)
    return call.id


def report_calls(tx: Transaction, many: Sequence[CallPayload], bodies: Sequence[bytes] | None = None) -> list[CallId]:
    """Report many, all or none. `bodies`: as in `report_call`, one for each."""
    return [
        report_call(tx, payload, body=body)
        for payload, body in zip(many, bodies or repeat(None, len(many)), strict=True)
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


def list_calls(tx: Transaction, wanted: CallFilter, *, limit: int, cursor: str | None) -> Page[Call]:
    """Calls, the latest reported first."""
    return tx.phone.calls(wanted, limit=limit, cursor=cursor)
