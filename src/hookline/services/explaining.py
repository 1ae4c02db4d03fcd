"""Explaining: for every webhook, why an event was or was not sent to it. The sentences: `domain/why.py`."""

from datetime import datetime

from hookline.domain.events import Event
from hookline.domain.ids import WebhookId
from hookline.domain.why import Explanation, WebhookThen, explain
from hookline.ports.storage import Transaction
from hookline.services.deliveries import read_event


def explain_event(tx: Transaction, event_id: str) -> tuple[Event, list[Explanation]]:
    """The event, and for each webhook, by creation, why it was or was not sent there.

    Raises:
        NotFound: no such event, or it is older than events are kept.
    """
    event = read_event(tx, event_id)
    fates = tx.past.fates(event.id)
    webhooks = {then.webhook_id: then for then in tx.past.webhooks_at(event)}
    for webhook_id in fates.keys() - webhooks.keys():  # deleted before changes were kept
        webhooks[webhook_id] = WebhookThen(webhook_id=webhook_id, made_at=event.created_at, standing=None)
    return event, [
        explain(event, then, fates.get(webhook_id), rests_until=_rest(tx, webhook_id), now=tx.now)
        for webhook_id, then in sorted(webhooks.items())
    ]


def _rest(tx: Transaction, webhook_id: WebhookId) -> datetime | None:
    webhook = tx.webhooks.webhook(webhook_id)
    return webhook.rests_until if webhook else None
