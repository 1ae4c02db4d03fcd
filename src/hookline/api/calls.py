"""Calls over HTTP."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from hookline.api.call_legs import LegView, leg_view
from hookline.api.routes import (
    MAX_BATCH,
    PAGING,
    READERS,
    REPORTERS,
    Asked,
    Batch,
    Reply,
    Route,
    Work,
    checked_batch,
    doc,
    doc_instant,
    instant_or_null,
    listed,
)
from hookline.api.webhooks import Sort
from hookline.domain.calls import (
    NO_TIMES,
    Call,
    CallTimes,
    check_call,
    check_times,
    parse_contact,
    parse_number,
)
from hookline.domain.events import CallPayload, CallType, Rule, attributes_of, canonical_bytes
from hookline.domain.instants import parse_instant, wire_form
from hookline.ports.storage import CallFilter, Transaction
from hookline.services import calls, report_batches

CALL_ID = doc("Id of the call.", examples=["call_01k2j3q4r5s6t7v8w9x0y1z2a3"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport(CallPayload):
    """A finished call: the body of its event, and when it was, as far as that is known."""

    startedAt: Annotated[str | None, Rule(doc="When it began.", format="date-time")] = None
    answeredAt: Annotated[str | None, Rule(doc="When it was answered.", format="date-time")] = None
    endedAt: Annotated[
        str | None, Rule(doc="When it ended; the event happened then, and else now.", format="date-time")
    ] = None


class CallBatch(msgspec.Struct):
    """Up to 1000 calls."""

    calls: Annotated[tuple[CallReport, ...], doc("The calls.", minItems=1, maxItems=MAX_BATCH)]


class CallMade(msgspec.Struct):
    """The id of a call."""

    id: Annotated[str, CALL_ID]


class CallsMade(msgspec.Struct):
    """The ids of calls, in the order of the request."""

    ids: Annotated[list[str], doc("One for each call.")]


class CallView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A call with what is known about it; `call` is exactly the body of its event."""

    id: Annotated[str, CALL_ID]
    createdAt: Annotated[str, doc_instant("When it was reported.")]
    startedAt: Annotated[str | None, doc_instant("When it began; null when that is not known.")]
    answeredAt: Annotated[str | None, doc_instant("When somebody answered it; null when nobody did or told.")]
    endedAt: Annotated[str | None, doc_instant("When it ended; null when that is not known.")]
    endedAtIsEstimated: Annotated[
        bool, doc("True, and there at all, when nobody heard the end: `endedAt` is the last sign of life.")
    ] = False
    source: Annotated[str, doc("Who reported it: `api`, or the kind of a connector.", examples=["api"])]
    connectorId: Annotated[str | None, doc("The connector that reported it.", examples=[None])]
    externalId: Annotated[str | None, doc("What its phone system calls it.", examples=[None])]
    legs: Annotated[list[LegView], doc("Its legs, in the order in which they began; `[]` when none are known.")]
    legsOmitted: Annotated[int, doc("How many more legs there were; there at all when there were.")] = 0
    call: Annotated[Any, CallPayload, doc("The body of its event.")]


class CallList(msgspec.Struct):
    """A page of calls, the latest reported first."""

    calls: Annotated[list[CallView], doc("The calls of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def create(asked: Asked) -> Work:
    payload, times = check_report(asked.read(CallReport))
    is_silent = asked.query.flag("silent")
    return lambda tx: Reply(201, CallMade(calls.report_call(tx, payload, times=times, is_silent=is_silent)))


def create_batch(asked: Asked) -> Batch:
    many = checked_batch("calls", asked.read(CallBatch).calls, check_report)
    is_silent = asked.query.flag("silent")
    payloads, times = [payload for payload, _ in many], [each for _, each in many]
    bodies = [canonical_bytes(payload) for payload in payloads]  # now, while nobody waits for the thread that writes
    return Batch(
        accept=lambda tx: report_batches.accept_calls(tx, payloads, bodies, times, is_silent=is_silent),
        made=lambda ids: CallsMade(list(ids)),
    )


def check_report(report: CallReport) -> tuple[CallPayload, CallTimes]:
    """The payload of a reported call with its numbers in E.164, and when the call was.

    Raises:
        Invalid: names the first attribute that breaks a rule.
    """
    return check_call(CallPayload(**dict(zip(_ATTRIBUTES, _PAYLOAD_OF(report), strict=True)))), _times_of(report)


_ATTRIBUTES: Final = attributes_of(CallPayload)
_PAYLOAD_OF: Final = attrgetter(*_ATTRIBUTES)


def _times_of(report: CallReport) -> CallTimes:
    if report.startedAt is None and report.answeredAt is None and report.endedAt is None:
        return NO_TIMES
    started_at, answered_at, ended_at = (
        None if text is None else parse_instant(text, field)
        for field, text in (
            ("startedAt", report.startedAt),
            ("answeredAt", report.answeredAt),
            ("endedAt", report.endedAt),
        )
    )
    return check_times(CallTimes(started_at=started_at, answered_at=answered_at, ended_at=ended_at))


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
    oldest_first = query.choice("sort", Sort) is Sort.OLDEST_FIRST
    limit, cursor = query.page(r"call_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        page = calls.list_calls(tx, wanted, limit=limit, cursor=cursor, oldest_first=oldest_first)
        return listed("calls", page, _view)

    return work


def _plus(number: str) -> str:
    """A `+` that was not escaped in a query arrives as a space, and is meant."""
    return "+" + number[1:] if number.startswith(" ") else number


def _view(call: Call) -> CallView:
    return CallView(
        id=call.id,
        createdAt=wire_form(call.created_at),
        startedAt=instant_or_null(call.times.started_at),
        answeredAt=instant_or_null(call.times.answered_at),
        endedAt=instant_or_null(call.times.ended_at),
        endedAtIsEstimated=call.times.end_is_estimated,
        source=call.source,
        connectorId=None if call.origin is None else call.origin.connector_id,
        externalId=None if call.origin is None else call.origin.external_id,
        legs=[leg_view(leg) for leg in call.legs.legs],
        legsOmitted=call.legs.omitted,
        call=msgspec.Raw(call.body),
    )


_SILENT: Final = {"silent": Annotated[bool, doc("Keep it without an event.", default=False)]}
ROUTES = (
    Route(
        method="POST", path="/calls", handler=create, scopes=REPORTERS, status=201,
        summary="Report a finished call: callFinished now.", takes=CallReport, gives=CallMade, query=_SILENT,
    ),
    Route(
        method="POST", path="/calls/batch", handler=create_batch, scopes=REPORTERS, status=201,
        summary="Report up to 1000 calls, all or none.", takes=CallBatch, gives=CallsMade,
        query=_SILENT,
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
            "sort": Annotated[Sort, doc("By when they were reported; the latest first if not said.", default="desc")],
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/calls/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a call.", gives=CallView,
    ),
)  # fmt: skip
