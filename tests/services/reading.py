"""Short words for what most tests of services look at."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from hookline.domain.deliveries import LEASE, Claim, Delivery, Outcome, Verdict
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import WebhookId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import DeliveryFilter
from hookline.services import deliveries
from hookline.services.webhooks import create_webhook, read_webhook
from tests.values import LIMITS, wanted

T = TypeVar("T")
P = ParamSpec("P")


class Store(Protocol):
    """What a test needs of a store."""

    def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it."""

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Look."""


def plenty(_: WebhookId) -> int:
    """Room without end."""
    return 1000


def new_webhook(store: Store, url: str = "https://receiver.example/hook", **changes: Any) -> Webhook:
    """A webhook as its owner makes it."""
    return store.write(create_webhook, wanted(url, **changes), LIMITS)


def webhook_now(store: Store, webhook: Webhook) -> Webhook:
    """The webhook as it is by now."""
    return store.read(read_webhook, webhook.id)


def events(store: Store, subject: str | None = None) -> Sequence[Event]:
    """What happened, or what happened to one subject, in order."""
    page = store.read(deliveries.list_events, kind=None, subject=subject, after=None, limit=10_000, cursor=None)
    return page.items


def told(store: Store, subject: str) -> list[tuple[EventKind, int]]:
    """Kind and sequence of all that happened to a subject."""
    return [(event.kind, event.sequence) for event in events(store, subject)]


def payload(event: Event) -> dict[str, Any]:
    """What an event says."""
    said: dict[str, Any] = json.loads(event.body)
    return said


def owed(store: Store, **wanted_ones: Any) -> Sequence[Delivery]:
    """The record of deliveries, the oldest first."""
    page = store.read(deliveries.list_deliveries, DeliveryFilter(**wanted_ones), limit=10_000, cursor=None)
    return page.items[::-1]


def delivery(store: Store, claim: Claim) -> Delivery:
    """What became of a claim's delivery."""
    return store.read(deliveries.read_delivery, claim.delivery_id)


def claim_all(store: Store) -> list[Claim]:
    """Everything that is due."""
    return list(store.write(deliveries.claim_due, 1000, LEASE, plenty))


def settle(store: Store, *outcomes: Outcome) -> list[Verdict]:
    """Settle, and say what was decided."""
    return [verdict for _, verdict in store.write(deliveries.settle, outcomes)]
