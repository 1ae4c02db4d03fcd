"""Deliveries: what is due is claimed, what came of attempts is settled, and people look things up and try again."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from hookline.domain.deliveries import ACCEPTED, Claim, Delivery, Outcome, Signal, State, Verdict, judge
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import EventId, WebhookId
from hookline.domain.webhooks import Webhook, gone_because
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import DeliveryFilter, Page, Transaction
from hookline.services import paced
from hookline.services.failing import follow_failures
from hookline.services.webhooks import disable_webhook, require_active


def name_node(tx: Transaction) -> str:
    """A name for a node that delivers, which no other has."""
    return tx.ulid()


def claim_due(
    tx: Transaction, limit: int, lease: timedelta, room: Callable[[WebhookId], int], node: str = ""
) -> Sequence[Claim]:
    """Take up to `limit` deliveries that are due, at most `room` of each webhook, and none of those with a limit to
    which another node sends.
    """
    return tx.outbox.claim_due(limit, lease, paced.room_of(tx, node, room, lease))


def next_due_at(tx: Transaction, room: Callable[[WebhookId], int], node: str = "") -> datetime | None:
    """When the next delivery to a webhook with room is due, or another node may have stopped sending to one."""
    others = paced.with_others(tx, node)
    earliest = tx.outbox.next_due_at(lambda webhook_id: 0 if webhook_id in others else room(webhook_id))
    return min((at for at in (earliest, *others.values()) if at is not None), default=None)


def settle(tx: Transaction, outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Verdict]]:
    """Keep what came of attempts and decide what follows. Returns the verdicts, for the log.

    The webhook is looked at as it is now: one that was deleted or disabled meanwhile gets no retry.
    """
    verdicts = [(outcome, _verdict(tx, outcome)) for outcome in outcomes]
    lost = tx.outbox.settle(verdicts)
    late = [*lost, *(outcome.claim for outcome in outcomes if outcome.claim.batch_size is not None)]
    if late:
        tx.erasure.empty_late_answers(late)
    for outcome, verdict in verdicts:
        if verdict is not ACCEPTED:
            _act_on(tx, outcome, verdict)
    follow_failures(tx, outcomes)
    return verdicts


def release(tx: Transaction, claims: Sequence[Claim]) -> None:
    """Give back claims under which nothing was attempted. Those of webhooks that are no longer there are withdrawn, and
    those of a host that rests wait until it has rested.
    """
    tx.outbox.release(claims)
    for webhook_id in {claim.webhook.id for claim in claims}:
        webhook = tx.webhooks.webhook(webhook_id)
        if webhook is None or not webhook.is_active:
            tx.outbox.withdraw(webhook_id, because=gone_because(webhook))
        elif webhook.rests_until is not None and tx.now < webhook.rests_until:
            tx.outbox.rest([webhook_id], webhook.rests_until)


def recover(tx: Transaction) -> int:
    """Give back what a process that died was sending, and whatever else it held. Returns how many deliveries."""
    for name, hold in tx.leases.held().items():
        tx.leases.let_go(name, hold.holder)
    return tx.outbox.recover()


def withdraw_abandoned(tx: Transaction) -> int:
    """Withdraw what a process that died held for webhooks that have gone since. Returns how many deliveries."""
    return tx.outbox.withdraw_abandoned()


def retry_delivery(tx: Transaction, delivery_id: str) -> None:
    """Attempt a delivery now: one that waits at once, one that is settled anew.

    Raises:
        NotFound: no such delivery.
        Invalid: its webhook was deleted or is disabled.
    """
    delivery = read_delivery(tx, delivery_id)
    webhook = tx.webhooks.webhook(delivery.webhook_id)
    if webhook is None:
        raise Invalid(f"Webhook {delivery.webhook_id} was deleted.", code="bad_request")
    require_active(webhook)
    if delivery.status is not State.SENDING:
        tx.outbox.replay(delivery.id)


def read_delivery(tx: Transaction, delivery_id: str) -> Delivery:
    """The delivery with all its attempts.

    Raises:
        NotFound: no such delivery.
    """
    delivery = tx.outbox.delivery(delivery_id)
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id[:60]!r}.")
    return delivery


def list_deliveries(tx: Transaction, wanted: DeliveryFilter, *, limit: int, cursor: str | None) -> Page[Delivery]:
    """Deliveries, those of the latest events first."""
    return tx.outbox.deliveries(wanted, limit=limit, cursor=cursor)


def read_event(tx: Transaction, event_id: str) -> Event:
    """The event.

    Raises:
        NotFound: no such event, or it is older than events are kept.
    """
    event = tx.outbox.event(event_id)
    if event is None:
        raise NotFound(f"There is no event {event_id[:40]!r}.")
    return event


def list_events(
    tx: Transaction,
    *,
    kind: EventKind | None,
    subject: str | None,
    after: EventId | None,
    limit: int,
    cursor: str | None,
) -> Page[Event]:
    """The feed of events, oldest first."""
    return tx.outbox.events(kind=kind, subject=subject, after=after, limit=limit, cursor=cursor)


def _verdict(tx: Transaction, outcome: Outcome) -> Verdict:
    if outcome.attempt.is_success:
        return ACCEPTED
    webhook = tx.webhooks.webhook(outcome.claim.webhook.id)
    policy = (webhook or outcome.claim.webhook).retry_policy
    verdict = judge(outcome, policy, now=tx.now, jitter=tx.draw())
    gone = webhook is None or not webhook.is_active
    if gone and verdict.signal is Signal.FAILED:
        return Verdict(signal=Signal.WITHDRAWN, reason=gone_because(webhook))
    return verdict


def _act_on(tx: Transaction, outcome: Outcome, verdict: Verdict) -> None:
    webhook = tx.webhooks.webhook(outcome.claim.webhook.id)
    if webhook is None or not webhook.is_active:
        return
    if verdict.disable_because:
        disable_webhook(tx, webhook, verdict.disable_because)
    elif outcome.attempt.status is None and webhook.retry_policy.rest_seconds and not _rests(tx, webhook):
        _rest_host(tx, webhook)


def _rests(tx: Transaction, webhook: Webhook) -> bool:
    """Whether its host rests already. Attempts that were under way then end one by one: they lengthen no rest, and what
    is owed, which may be a million deliveries, is not put off again for each of them.
    """
    return webhook.rests_until is not None and tx.now < webhook.rests_until


def _rest_host(tx: Transaction, silent: Webhook) -> None:
    """Leave the host of a webhook alone for a while: every webhook there whose policy says so."""
    until = tx.now + timedelta(seconds=silent.retry_policy.rest_seconds)
    tx.outbox.rest(
        [
            webhook.id
            for webhook in tx.webhooks.all()
            if webhook.retry_policy.rest_seconds and _place(webhook) == _place(silent)
        ],
        until,
    )


def _place(webhook: Webhook) -> tuple[str, int]:
    """What answers or does not: several receivers on one machine have ports of their own."""
    return webhook.target.host, webhook.target.port
