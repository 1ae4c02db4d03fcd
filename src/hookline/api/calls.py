"""Calls over HTTP."""

from typing import Annotated, Any

import msgspec

from hookline.api.routes import (
    MAX_BATCH,
    PAGING,
    READERS,
    REPORTERS,
    Asked,
    Reply,
    Route,
    Work,
    checked_batch,
    doc,
    doc_instant,
    listed,
)
from hookline.domain.calls import Call, check_call, parse_contact, parse_number
from hookline.domain.events import CallPayload, CallType, canonical_bytes
from hookline.domain.instants import wire_form
from hookline.ports.storage import CallFilter, Transaction
from hookline.services import calls

CALL_ID = doc("Id of the call.", examples=["call_01k2j3q4r5s6t7v8w9x0y1z2a3"])


class CallBatch(msgspec.Struct):
    """Up to 1000 calls."""

    calls: Annotated[tuple[CallPayload, ...], doc("The calls.", minItems=1, maxItems=MAX_BATCH)]


class CallMade(msgspec.Struct):
    """The id of a call."""

    id: Annotated[str, CALL_ID]


class CallsMade(msgspec.Struct):
    """The ids of calls, in the order of the request."""

    ids: Annotated[list[str], doc("One for each call.")]


class CallView(msgspec.Struct):
    """A call with what is known about it; `call` is exactly the body of its event."""

    id: Annotated[str, CALL_ID]
    createdAt: Annotated[str, doc_instant("When it was reported.")]
    source: Annotated[str, doc("Who reported it.", examples=["api"])]
    call: Annotated[Any, CallPayload, doc("The body of its event.")]


class CallList(msgspec.Struct):
    """A page of calls, the latest reported first."""

    calls: Annotated[list[CallView], doc("The calls of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def create(asked: Asked) -> Work:
    payload = check_call(asked.read(CallPayload))
    return lambda tx: Reply(201, CallMade(calls.report_call(tx, payload)))


def create_batch(asked: Asked) -> Work:
    many = checked_batch("calls", asked.read(CallBatch).calls, check_call)
    bodies = [canonical_bytes(payload) for payload in many]  # now, while nobody waits for the thread that writes
    return lambda tx: Reply(201, CallsMade(list(calls.report_calls(tx, many, bodies))))


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(calls.read_call(tx, asked.path["id"])))


def list_(asked: Asked) -> Work:
    query = asked.query
    phone_line, phone_number = query.text("phoneLine"), query.text("phoneNumber")
    wanted = CallFilter(
        type=query.choice("type", CallType),
        phone_line=phone_line and parse_number(_plus(phone_line), "phoneLine"),
        phone_number=phone_number and parse_contact(_plus(phone_number), "phoneNumber"),
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
        call=msgspec.Raw(call.body),
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
            "type": Annotated[CallType, doc("How they ended.")],
            "phoneLine": Annotated[str, doc("Our number.")],
            "phoneNumber": Annotated[str, doc("The contact's number.")],
            "from": Annotated[str, doc_instant("Reported at or after this time.")],
            "to": Annotated[str, doc_instant("Reported before this time.")],
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/calls/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a call.", gives=CallView,
    ),
)  # fmt: skip
