"""Webhooks with a limit: one node at a time sends to each, since a pace is kept in the memory of who begins attempts.

The right to do so is a lease of the store, and longer than those of the claims that are made under it. So what a node
holds is over before another one may begin, also when that node was paused; and one that stops leaves the webhook for as
long as its pace asks. The pace itself: `engine/pace.py`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.ids import WebhookId
from hookline.ports.storage import Transaction

#: By how much it outlasts the claims.
_LONGER: Final = timedelta(seconds=30)
_NAME: Final = "webhook "

Room = Callable[[WebhookId], int]


def room_of(tx: Transaction, node: str, room: Room, lease: timedelta) -> Room:
    """The room of a node that is about to claim under leases so long: none where another one sends. To ask for it is to
    be the one who sends.
    """

    def ours(webhook_id: WebhookId) -> int:
        free = room(webhook_id)
        return free if free > 0 and (not _has_limit(tx, webhook_id) or _hold(tx, webhook_id, node, lease)) else 0

    return ours


def with_others(tx: Transaction, node: str) -> Mapping[WebhookId, datetime]:
    """The webhooks to which another node sends, and until when at least."""
    return {
        WebhookId(int(name.removeprefix(_NAME))): hold.until
        for name, hold in tx.leases.held().items()
        if name.startswith(_NAME) and hold.holder != node
    }


def leave(tx: Transaction, node: str) -> None:
    """Leave to others what a node that stops has sent to, as soon as the pace lets anybody begin an attempt."""
    held = tx.leases.held()
    for webhook in tx.webhooks.all():
        hold = held.get(_name(webhook.id))
        if hold is not None and hold.holder == node:
            pause = 1 / webhook.rate_limit_per_second if webhook.rate_limit_per_second else 0
            tx.leases.hold(_name(webhook.id), node, min(timedelta(seconds=pause), hold.until - tx.now))


def _has_limit(tx: Transaction, webhook_id: WebhookId) -> bool:
    webhook = tx.webhooks.webhook(webhook_id)
    return webhook is not None and webhook.rate_limit_per_second is not None


def _hold(tx: Transaction, webhook_id: WebhookId, node: str, lease: timedelta) -> bool:
    return tx.leases.hold(_name(webhook_id), node, lease + _LONGER)


def _name(webhook_id: WebhookId) -> str:
    return f"{_NAME}{webhook_id}"
