"""Publishing: an event becomes what is owed to every webhook that wants it, in the transaction that made it happen."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from hookline.domain.events import Event, EventKind
from hookline.domain.filters import stopped_by
from hookline.domain.ids import DeliveryId, EventId, SubjectId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import Transaction

#: Rows that a commit of many events inserts, about: 15 ms of processor time, for which all other commits wait.
ROWS_PER_COMMIT: Final = 750


def events_per_commit(tx: Transaction, kind: EventKind, *, rows: int) -> int:
    """How many events of this kind one commit should publish, if each inserts `rows` rows beside its deliveries."""
    return max(1, ROWS_PER_COMMIT // (rows + len(tx.webhooks.wanting(kind))))


def publish(
    tx: Transaction,
    kind: EventKind,
    subject: SubjectId,
    *,
    sequence: int,
    body: bytes,
    occurred_at: datetime | None = None,
    give_up_at: datetime | None = None,
) -> Event:
    """Keep the event, and owe it to every active webhook that wants its kind and whose filter lets it pass.

    `occurred_at` is now unless told; from `give_up_at` on nobody needs to be told any more.
    """
    event = make_event(tx, kind, subject, sequence=sequence, body=body, occurred_at=occurred_at)
    tx.outbox.add_event(event)
    for webhook in webhooks_for(tx, event):
        owe(tx, event, webhook, give_up_at=give_up_at)
    return event


def webhooks_for(tx: Transaction, event: Event) -> Iterator[Webhook]:
    """The active webhooks that want this event."""
    payload = None
    for webhook in tx.webhooks.wanting(event.kind):
        if webhook.filter:
            payload = payload or json.loads(event.body)
            if stopped_by(webhook.filter, payload) is not None:
                continue
        yield webhook


def make_event(
    tx: Transaction,
    kind: EventKind,
    subject: SubjectId,
    *,
    sequence: int,
    body: bytes,
    occurred_at: datetime | None = None,
    is_test: bool = False,
) -> Event:
    """An event of this instant, with an id of its own."""
    return Event(
        id=EventId(f"evt_{tx.ulid()}"),
        kind=kind,
        subject=subject,
        sequence=sequence,
        occurred_at=occurred_at or tx.now,
        created_at=tx.now,
        body=body,
        is_test=is_test,
    )


def owe(tx: Transaction, event: Event, webhook: Webhook, *, give_up_at: datetime | None = None) -> DeliveryId:
    """Owe an event to one webhook: at once, or when its host has rested."""
    due_at = max(tx.now, webhook.rests_until or tx.now)
    return tx.outbox.owe(event, webhook, due_at=due_at, give_up_at=give_up_at)
