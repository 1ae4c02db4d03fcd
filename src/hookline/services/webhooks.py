"""Webhooks: receivers are made, changed, tested and removed; what is owed to one that goes is withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from hookline.domain.backoff import RetryPolicy
from hookline.domain.events import SAMPLES, EventKind, canonical_bytes
from hookline.domain.filters import NO_FILTER, Filter, require_measurable
from hookline.domain.ids import CallId, DeliveryId, MeetingId, SubjectId, WebhookId
from hookline.domain.networks import AllowedNetworks, plainly_refused
from hookline.domain.notices import NoticeKind
from hookline.domain.signatures import SECRET_BYTES, new_secret
from hookline.domain.webhooks import (
    Header,
    Secret,
    Webhook,
    gone_because,
    parse_url,
    require_orderly,
    require_sendable,
)
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import Transaction
from hookline.services.notices import give_notice
from hookline.services.publishing import make_event, owe

#: Secrets that sign at the same time, the latest first.
MAX_SECRETS: Final = 10
BY_HAND: Final = "Disabled by hand."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this installation allows, how long it keeps what happened, and how others reach it."""

    max_webhooks: int
    allowed_networks: AllowedNetworks
    keep_for: timedelta = timedelta(days=30)
    public_url: str = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """A webhook as somebody wants it."""

    url: str
    events: tuple[EventKind, ...]
    description: str
    bearer_token: str | None
    headers: tuple[Header, ...]
    retry_policy: RetryPolicy
    timeout_seconds: int
    batched: bool = False
    ordered: bool = False
    rate_limit_per_second: float | None = None
    filter: Filter = NO_FILTER


def create_webhook(tx: Transaction, wanted: NewWebhook, limits: Limits) -> Webhook:
    """Make a webhook with a secret of its own.

    Raises:
        Invalid: it could never be delivered to, asks for what excludes one another, or there are as many as this
            installation allows.
    """
    if len(tx.webhooks.all()) >= limits.max_webhooks:
        raise Invalid(
            f"There are {limits.max_webhooks} webhooks already, which is the most this installation allows.",
            code="bad_request",
            hint="Delete one, or raise HOOKLINE_MAX_WEBHOOKS.",
        )
    webhook = Webhook(
        id=WebhookId(0),
        url=wanted.url,
        events=wanted.events,
        description=wanted.description,
        bearer_token=wanted.bearer_token,
        headers=wanted.headers,
        retry_policy=wanted.retry_policy,
        timeout_seconds=wanted.timeout_seconds,
        batched=wanted.batched,
        ordered=wanted.ordered,
        rate_limit_per_second=wanted.rate_limit_per_second,
        filter=wanted.filter,
        secrets=(Secret(value=new_secret(tx.secret_bytes(SECRET_BYTES))),),
        is_active=True,
        disabled_reason="",
        created_at=tx.now,
        modified_at=tx.now,
    )
    require_orderly(webhook)
    _require_reachable(webhook, limits)
    return tx.webhooks.add(webhook)


def update_webhook(tx: Transaction, webhook_id: int, changes: dict[str, Any], limits: Limits) -> None:
    """Change some of a webhook; `changes` are attributes of `Webhook`. Pending deliveries follow the new values.

    Raises:
        NotFound: no such webhook.
        Invalid: it could never be delivered to, or asks for what excludes one another.
    """
    webhook = read_webhook(tx, webhook_id)
    changed = replace(webhook, **changes)
    if changed == webhook:
        return
    require_orderly(changed)
    _require_reachable(changed, limits)
    reason = "" if changed.is_active else (webhook.disabled_reason or BY_HAND)
    if changed.url != webhook.url:
        changed = replace(changed, rests_until=None)
    if changed.url != webhook.url or changed.is_active > webhook.is_active:  # it has yet to show whether it fails
        changed = replace(changed, failing_since=None, warned_at=None)
    changed = replace(changed, disabled_reason=reason, modified_at=tx.now)
    tx.webhooks.save(changed)
    if not changed.is_active:
        tx.outbox.withdraw(changed.id, because=gone_because(changed))
    elif webhook.batched and not changed.batched:
        tx.outbox.close_batches(changed.id, due_at=max(tx.now, changed.rests_until or tx.now))
    if changed.ordered != webhook.ordered:
        tx.outbox.line_up(changed.id)


def disable_webhook(tx: Transaction, webhook: Webhook, reason: str) -> None:
    """Send nothing more to a webhook, withdraw what is pending for it, and have its owner told."""
    disabled = replace(webhook, is_active=False, disabled_reason=reason, modified_at=tx.now)
    tx.webhooks.save(disabled)
    tx.outbox.withdraw(webhook.id, because=gone_because(disabled))
    give_notice(tx, webhook.id, NoticeKind.WEBHOOK_DISABLED, reason)


def delete_webhook(tx: Transaction, webhook_id: int) -> None:
    """Forget a webhook and withdraw what is pending for it. The record of its deliveries remains.

    Raises:
        NotFound: no such webhook.
    """
    webhook = read_webhook(tx, webhook_id)
    tx.webhooks.remove(webhook.id)
    tx.outbox.withdraw(webhook.id, because=gone_because(None))


def read_webhook(tx: Transaction, webhook_id: int) -> Webhook:
    """The webhook as it is now.

    Raises:
        NotFound: no such webhook.
    """
    webhook = tx.webhooks.webhook(webhook_id)
    if webhook is None:
        raise NotFound(f"There is no webhook {webhook_id}.")
    return webhook


def list_webhooks(tx: Transaction) -> Sequence[Webhook]:
    """Every webhook, by creation."""
    return tx.webhooks.all()


def rotate_secret(tx: Transaction, webhook_id: int, overlap: timedelta) -> str:
    """Sign with a new secret from now on, and with the present one as well for `overlap`. Returns the new one.

    Secrets that an earlier rotation left go on until their own time; without any overlap all of them end now, since one
    of them may be what leaked.

    Raises:
        NotFound: no such webhook.
    """
    webhook = read_webhook(tx, webhook_id)
    current, *earlier = webhook.secrets
    fresh = Secret(value=new_secret(tx.secret_bytes(SECRET_BYTES)))
    still_valid = [
        secret
        for secret in (replace(current, expires_at=tx.now + overlap), *earlier)
        if overlap and secret.expires_at is not None and tx.now < secret.expires_at
    ]
    secrets = (fresh, *still_valid)[:MAX_SECRETS]  # each makes the header longer
    tx.webhooks.save(replace(webhook, secrets=secrets, modified_at=tx.now))
    return fresh.value


def send_test(tx: Transaction, webhook_id: int, kind: EventKind) -> DeliveryId:
    """Owe the page's own sample to one webhook, marked as a test.

    Raises:
        NotFound: no such webhook.
        Invalid: it is disabled.
    """
    webhook = require_active(read_webhook(tx, webhook_id))
    subject: SubjectId = (
        CallId(f"call_{tx.ulid()}") if kind is EventKind.CALL_FINISHED else MeetingId(f"mtg_{tx.ulid()}")
    )
    event = make_event(tx, kind, subject, sequence=1, body=canonical_bytes(SAMPLES[kind]), is_test=True)
    tx.outbox.add_event(event)
    return owe(tx, event, webhook)


def require_active(webhook: Webhook) -> Webhook:
    """Refuse to send to a webhook that is disabled."""
    if not webhook.is_active:
        raise Invalid(
            f"Webhook {webhook.id} is disabled: {webhook.disabled_reason}",
            code="bad_request",
            hint=f'Enable it first: PUT /v3/webhooks/{webhook.id} with {{"isActive": true}}.',
        )
    return webhook


def _require_reachable(webhook: Webhook, limits: Limits) -> None:
    target = parse_url(webhook.url)
    require_sendable(target, webhook.bearer_token, webhook.headers)
    require_measurable(webhook.filter, webhook.events)
    refusal = plainly_refused(target.host, limits.allowed_networks)
    if refusal is not None:
        raise Invalid.field("url", refusal)
