"""Events and deliveries over HTTP: what happened, to whom it was sent, and what came of it."""

from typing import Annotated, Any

import msgspec

from hookline.api.routes import ADMIN_ONLY, PAGING, READERS, Asked, Reply, Route, Work, instant_or_null, listed
from hookline.domain.deliveries import Attempt, Delivery, State
from hookline.domain.events import CallPayload, Event, EventKind, MeetingPayload
from hookline.domain.ids import EventId, WebhookId
from hookline.domain.instants import wire_form
from hookline.ports.storage import DeliveryFilter, Transaction
from hookline.services import deliveries

_LARGEST_ID = 2**53


class EventView(msgspec.Struct):
    """An event; `payload` is the very body that was sent."""

    id: str
    event: EventKind
    subject: str
    sequence: int
    occurredAt: str
    createdAt: str
    payload: Annotated[Any, MeetingPayload | CallPayload]


class EventList(msgspec.Struct):
    """A page of the feed, oldest first."""

    events: list[EventView]
    next: str | None


class AttemptView(msgspec.Struct):
    """One POST and what came of it. `status` is null when there was no answer; `error` says why."""

    number: int
    startedAt: str
    durationMs: float
    status: int | None
    error: str | None
    responseHeaders: dict[str, str]
    responseBody: str


class DeliveryView(msgspec.Struct):
    """One event owed to one webhook."""

    id: str
    eventId: str
    webhookId: int
    event: EventKind
    subject: str
    status: State
    attempts: list[AttemptView]
    nextAttemptAt: str | None
    createdAt: str


class DeliveryList(msgspec.Struct):
    """A page of deliveries, those of the latest events first."""

    deliveries: list[DeliveryView]
    next: str | None


class Nothing(msgspec.Struct):
    """An empty object, or no body at all."""


class Retried(msgspec.Struct):
    """The delivery that will be attempted now."""

    deliveryId: str


def read_event(asked: Asked) -> Work:
    return lambda tx: Reply(200, _event_view(deliveries.read_event(tx, asked.path["id"])))


def list_events(asked: Asked) -> Work:
    query = asked.query
    kind, subject = query.choice("event", EventKind), query.text("subject")
    after = query.matching("after", r"evt_[0-9a-z]{26}", "the id of an event (evt_...)")
    limit, cursor = query.page(r"\d{1,18}")

    def work(tx: Transaction) -> Reply:
        page = deliveries.list_events(
            tx, kind=kind, subject=subject, after=EventId(after) if after else None, limit=limit, cursor=cursor
        )
        return listed("events", page, _event_view)

    return work


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(deliveries.read_delivery(tx, asked.path["id"])))


def list_(asked: Asked) -> Work:
    query = asked.query
    webhook_id = query.whole("webhookId", 1, _LARGEST_ID)
    wanted = DeliveryFilter(
        webhook_id=None if webhook_id is None else WebhookId(webhook_id),
        status=query.choice("status", State),
        event=query.choice("event", EventKind),
        subject=query.text("subject"),
        since=query.instant("since"),
        until=query.instant("until"),
    )
    limit, cursor = query.page(r"dlv_[0-9a-z]{26}_\d{1,15}")

    def work(tx: Transaction) -> Reply:
        return listed("deliveries", deliveries.list_deliveries(tx, wanted, limit=limit, cursor=cursor), _view)

    return work


def retry(asked: Asked) -> Work:
    asked.read(Nothing)

    def work(tx: Transaction) -> Reply:
        deliveries.retry_delivery(tx, asked.path["id"])
        return Reply(202, Retried(asked.path["id"]))

    return work


def _event_view(event: Event) -> EventView:
    return EventView(
        id=event.id,
        event=event.kind,
        subject=event.subject,
        sequence=event.sequence,
        occurredAt=wire_form(event.occurred_at),
        createdAt=wire_form(event.created_at),
        payload=msgspec.Raw(event.body),
    )


def _view(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        eventId=delivery.event_id,
        webhookId=delivery.webhook_id,
        event=delivery.event,
        subject=delivery.subject,
        status=delivery.status,
        attempts=[_attempt_view(attempt) for attempt in delivery.attempts],
        nextAttemptAt=instant_or_null(delivery.next_attempt_at),
        createdAt=wire_form(delivery.created_at),
    )


def _attempt_view(attempt: Attempt) -> AttemptView:
    headers: dict[str, str] = {}
    for name, value in attempt.response_headers:  # RFC 9110, 5.3: a repeated field is one list
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return AttemptView(
        number=attempt.number,
        startedAt=wire_form(attempt.started_at),
        durationMs=round(attempt.duration_ms, 3),
        status=attempt.status,
        error=attempt.error or None,
        responseHeaders=headers,
        responseBody=attempt.response_body.decode("utf-8", "replace"),
    )


ROUTES = (
    Route(
        method="GET", path="/events", handler=list_events, scopes=READERS, status=200,
        summary="Pull events, oldest first: for receivers that were down, or that nobody can reach.", gives=EventList,
        query={
            "event": "Name of an event.",
            "subject": "Id of a meeting or a call.",
            "after": "Id of the last event you have; a durable cursor.",
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/events/{id}", handler=read_event, scopes=READERS, status=200,
        summary="Read an event.", gives=EventView,
    ),
    Route(
        method="GET", path="/deliveries", handler=list_, scopes=READERS, status=200,
        summary="List deliveries, those of the latest events first.", gives=DeliveryList,
        query={
            "webhookId": "Id of a webhook.",
            "status": "pending, sending, delivered, dead or withdrawn.",
            "event": "Name of an event.",
            "subject": "Id of a meeting or a call.",
            "since": "Made at or after this time.",
            "until": "Made before this time.",
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/deliveries/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a delivery with all its attempts.", gives=DeliveryView,
    ),
    Route(
        method="POST", path="/deliveries/{id}/retry", handler=retry, scopes=ADMIN_ONLY, status=202,
        summary="Attempt a delivery now.", gives=Retried,
    ),
)  # fmt: skip
