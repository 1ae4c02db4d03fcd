"""Calls over HTTP."""

from typing import Annotated, Any

import msgspec

from hookline.api.routes import PAGING, READERS, REPORTERS, Asked, Reply, Route, Work, listed
from hookline.domain.calls import Call, check_call, parse_number
from hookline.domain.events import CallPayload, CallType, canonical_bytes
from hookline.domain.instants import wire_form
from hookline.errors import Invalid
from hookline.ports.storage import CallFilter, Transaction
from hookline.services import calls

MAX_BATCH = 1000


class CallBatch(msgspec.Struct):
    """Up to 1000 calls."""

    calls: tuple[CallPayload, ...]


class CallMade(msgspec.Struct):
    """The id of a call."""

    id: str


class CallsMade(msgspec.Struct):
    """The ids of calls, in the order of the request."""

    ids: list[str]


class CallView(msgspec.Struct):
    """A call with what is known about it; `call` is exactly the body of its event."""

    id: str
    createdAt: str
    source: str
    call: Annotated[Any, CallPayload]


class CallList(msgspec.Struct):
    """A page of calls, the latest reported first."""

    calls: list[CallView]
    next: str | None


def create(asked: Asked) -> Work:
    payload = check_call(asked.read(CallPayload))
    return lambda tx: Reply(201, CallMade(calls.report_call(tx, payload)))


def create_batch(asked: Asked) -> Work:
    payloads = asked.read(CallBatch).calls
    if not 1 <= len(payloads) <= MAX_BATCH:
        raise Invalid.field("calls", f"expected 1 to {MAX_BATCH}, got {len(payloads)}.", code="out_of_range")
    checked = [_checked(payload, index) for index, payload in enumerate(payloads)]
    return lambda tx: Reply(201, CallsMade(list(calls.report_calls(tx, checked))))


def _checked(payload: CallPayload, index: int) -> CallPayload:
    try:
        return check_call(payload)
    except Invalid as refusal:
        raise refusal.under(f"calls[{index}]") from None


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(calls.read_call(tx, asked.path["id"])))


def list_(asked: Asked) -> Work:
    query = asked.query
    phone_line, phone_number = query.text("phoneLine"), query.text("phoneNumber")
    wanted = CallFilter(
        type=query.choice("type", CallType),
        phone_line=phone_line and parse_number(_plus(phone_line), "phoneLine"),
        phone_number=phone_number and parse_number(_plus(phone_number), "phoneNumber"),
        from_at=query.instant("from"),
        to_at=query.instant("to"),
    )
    limit, cursor = query.page(r"call_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        return listed("calls", calls.list_calls(tx, wanted, limit=limit, cursor=cursor), _view)

    return work


def _plus(number: str) -> str:
    """A `+` that was not escaped in a query arrives as a space, and is meant."""
    return "+" + number[1:] if number.startswith(" ") else number


def _view(call: Call) -> CallView:
    return CallView(
        id=call.id,
        createdAt=wire_form(call.created_at),
        source=call.source,
        call=msgspec.Raw(canonical_bytes(call.payload)),
    )


ROUTES = (
    Route(
        method="POST", path="/calls", handler=create, scopes=REPORTERS, status=201,
        summary="Report a finished call: callFinished now.", takes=CallPayload, gives=CallMade,
    ),
    Route(
        method="POST", path="/calls/batch", handler=create_batch, scopes=REPORTERS, status=201,
        summary="Report up to 1000 calls, all or none.", takes=CallBatch, gives=CallsMade,
    ),
    Route(
        method="GET", path="/calls", handler=list_, scopes=READERS, status=200,
        summary="List calls, the latest reported first.", gives=CallList,
        query={
            "type": "One of the six types.",
            "phoneLine": "Our number.",
            "phoneNumber": "The contact's number.",
            "from": "Reported at or after this time.",
            "to": "Reported before this time.",
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/calls/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a call.", gives=CallView,
    ),
)  # fmt: skip
