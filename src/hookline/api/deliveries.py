"""Events and deliveries over HTTP: what happened, to whom it was sent, and what came of it."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec

from hookline.api.routes import (
    ADMIN_ONLY,
    PAGING,
    READERS,
    Asked,
    Reply,
    Route,
    Work,
    doc,
    doc_instant,
    instant_or_null,
    listed,
)
from hookline.domain.deliveries import Attempt, Delivery, State
from hookline.domain.events import CallPayload, Event, EventKind, MeetingPayload
from hookline.domain.ids import EventId, WebhookId
from hookline.domain.instants import wire_form
from hookline.domain.webhooks import without_secrets
from hookline.domain.why import Explanation, Fortune
from hookline.ports.storage import DeliveryFilter, Transaction
from hookline.services import deliveries, webhooks
from hookline.services.explaining import explain_event

EVENT_ID = doc(
    "Id of the event, which is the `webhook-id` of its deliveries.", examples=["evt_01k2j3q4r5s6t7v8w9x0y1z2a3"]
)
_A_DELIVERY = "dlv_01k2j3q4r5s6t7v8w9x0y1z2a3_1"
DELIVERY_ID = doc("Id of the delivery.", examples=[_A_DELIVERY])
SUBJECT = doc("Id of the meeting or call.", examples=["mtg_01k2j3q4r5s6t7v8w9x0y1z2a3"])
_LARGEST_ID = 2**53


class EventView(msgspec.Struct):
    """An event; `payload` is the very body that was sent."""

    id: Annotated[str, EVENT_ID]
    event: Annotated[EventKind, doc("Its name.", examples=["meetingBooked"])]
    subject: Annotated[str, SUBJECT]
    sequence: Annotated[int, doc("1, 2, 3 ... of the events of this subject.")]
    occurredAt: Annotated[str, doc_instant("When it happened; of `meetingStarted`, the scheduled start.")]
    createdAt: Annotated[str, doc_instant("When it was kept.")]
    payload: Annotated[Any, MeetingPayload | CallPayload, doc("What was sent.")]


class WebhookOutcome(msgspec.Struct):
    """Why an event was, or was not, sent to one webhook."""

    webhookId: Annotated[int, doc("Id of the webhook; it may be deleted by now.")]
    deliveryId: Annotated[str | None, doc("Id of the delivery; null when there is none.", examples=[_A_DELIVERY])]
    outcome: Annotated[Fortune, doc("The status of the delivery, or `not_owed`.", examples=["delivered"])]
    why: Annotated[
        str,
        doc("A sentence for a person.", examples=["Delivered with attempt 1 at 2025-06-10 07:09:01 UTC, status 204."]),
    ]


class ExplainedEvent(EventView):
    """An event, and why it was or was not sent to whom."""

    webhooks: Annotated[list[WebhookOutcome], doc("Every webhook, by creation.")]


class EventList(msgspec.Struct):
    """A page of the feed, oldest first."""

    events: Annotated[list[EventView], doc("The events of this page.")]
    next: Annotated[
        str | None, doc("Cursor of the next page; null at the end. To go on later, use `after`.", examples=[None])
    ]


class AttemptView(msgspec.Struct):
    """One POST and what came of it."""

    number: Annotated[int, doc("1 is the first.")]
    startedAt: Annotated[str, doc_instant("When it began.")]
    durationMs: Annotated[float, doc("How long it took.", examples=[41.207])]
    status: Annotated[int | None, doc("Status of the answer; null when there was none.", examples=[200])]
    error: Annotated[str | None, doc("Why there was no answer; null when there was one.", examples=[None])]
    responseHeaders: Annotated[dict[str, str], doc("Headers of the answer.", examples=[{"content-type": "text/plain"}])]
    responseBody: Annotated[str, doc("The first 16 KiB of the answer.", examples=["ok"])]


class DeliveryView(msgspec.Struct):
    """One event owed to one webhook."""

    id: Annotated[str, DELIVERY_ID]
    eventId: Annotated[str, EVENT_ID]
    webhookId: Annotated[int, doc("Id of the webhook.")]
    event: Annotated[EventKind, doc("Name of the event.", examples=["meetingBooked"])]
    subject: Annotated[str, SUBJECT]
    status: Annotated[State, doc("Where it stands.", examples=["delivered"])]
    attempts: Annotated[list[AttemptView], doc("Every attempt so far, the first one first.")]
    nextAttemptAt: Annotated[
        str | None,
        doc("When it is attempted next; null when none is planned.", format="date-time", examples=[None]),
    ]
    createdAt: Annotated[str, doc_instant("When it was first owed.")]
    batchId: Annotated[
        str | None,
        doc(
            "Id of the batch that it goes in, which is the `webhook-id` of the request; null when it goes by itself.",
            examples=[None],
        ),
    ]


class DeliveryList(msgspec.Struct):
    """A page of deliveries, those of the latest events first."""

    deliveries: Annotated[list[DeliveryView], doc("The deliveries of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


class Nothing(msgspec.Struct):
    """An empty object, or no body at all."""


class Retried(msgspec.Struct):
    """The delivery that will be attempted now."""

    deliveryId: Annotated[str, DELIVERY_ID]


def read_event(asked: Asked) -> Work:
    def work(tx: Transaction) -> Reply:
        event, explanations = explain_event(tx, asked.path["id"])
        shown = msgspec.structs.asdict(_event_view(event))
        return Reply(200, ExplainedEvent(**shown, webhooks=[_outcome_view(each) for each in explanations]))

    return work


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
    def work(tx: Transaction) -> Reply:
        return Reply(200, _shown_to(asked, tx)(deliveries.read_delivery(tx, asked.path["id"])))

    return work


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
        page = deliveries.list_deliveries(tx, wanted, limit=limit, cursor=cursor)
        return listed("deliveries", page, _shown_to(asked, tx))

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


def _outcome_view(explanation: Explanation) -> WebhookOutcome:
    return WebhookOutcome(
        webhookId=explanation.webhook_id,
        deliveryId=explanation.delivery_id,
        outcome=explanation.fortune,
        why=explanation.why,
    )


def _unchanged(text: str) -> str:
    return text


def _shown_to(asked: Asked, tx: Transaction) -> Callable[[Delivery], DeliveryView]:
    """How deliveries look to this key. A receiver may echo secrets of its webhook, which are for admin keys."""
    if asked.sees_secrets:
        return _view
    all_webhooks = {webhook.id: webhook for webhook in webhooks.list_webhooks(tx)}

    def view(delivery: Delivery) -> DeliveryView:
        webhook = all_webhooks.get(delivery.webhook_id)
        return _view(delivery, _unchanged if webhook is None else partial(without_secrets, webhook=webhook))

    return view


def _view(delivery: Delivery, clean: Callable[[str], str] = _unchanged) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        eventId=delivery.event_id,
        webhookId=delivery.webhook_id,
        event=delivery.event,
        subject=delivery.subject,
        status=delivery.status,
        attempts=[_attempt_view(attempt, clean) for attempt in delivery.attempts],
        nextAttemptAt=instant_or_null(delivery.next_attempt_at),
        createdAt=wire_form(delivery.created_at),
        batchId=delivery.batch_id,
    )


def _attempt_view(attempt: Attempt, clean: Callable[[str], str]) -> AttemptView:
    headers: dict[str, str] = {}
    for name, value in attempt.response_headers:  # RFC 9110, 5.3: a repeated field is one list
        shown = clean(value)
        headers[name] = f"{headers[name]}, {shown}" if name in headers else shown
    return AttemptView(
        number=attempt.number,
        startedAt=wire_form(attempt.started_at),
        durationMs=round(attempt.duration_ms, 3),
        status=attempt.status,
        error=clean(attempt.error) or None,
        responseHeaders=headers,
        responseBody=clean(attempt.response_body.decode("utf-8", "replace")),
    )


ROUTES = (
    Route(
        method="GET", path="/events", handler=list_events, scopes=READERS, status=200,
        summary="Pull events, oldest first: for receivers that were down, or that nobody can reach.", gives=EventList,
        query={
            "event": Annotated[EventKind, doc("Name of an event.")],
            "subject": Annotated[str, doc("Id of a meeting or a call.")],
            "after": Annotated[str, doc("Id of the last event you have: a durable cursor.")],
            **PAGING,
        },
    ),
    Route(
        method="GET", path="/events/{id}", handler=read_event, scopes=READERS, status=200,
        summary="Read an event, and why it was or was not sent to whom.", gives=ExplainedEvent,
    ),
    Route(
        method="GET", path="/deliveries", handler=list_, scopes=READERS, status=200,
        summary="List deliveries, those of the latest events first.", gives=DeliveryList,
        query={
            "webhookId": Annotated[int, doc("Id of a webhook.")],
            "status": Annotated[State, doc("Where they stand.")],
            "event": Annotated[EventKind, doc("Name of an event.")],
            "subject": Annotated[str, doc("Id of a meeting or a call.")],
            "since": Annotated[str, doc_instant("Made at or after this time.")],
            "until": Annotated[str, doc_instant("Made before this time.")],
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
