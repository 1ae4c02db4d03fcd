"""Webhooks in SQL: what both databases share.

Each published event asks who wants it, so the webhooks are held in memory for as long as nobody changed them.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from hookline.adapters.sql.past import WebhookChanges
from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    instant,
    instant_or_none,
    micros,
    micros_or_none,
    to_json,
)
from hookline.domain.backoff import NAMED, RetryPolicy, own_policy
from hookline.domain.events import EventKind
from hookline.domain.failing import Streak
from hookline.domain.ids import WebhookId
from hookline.domain.webhooks import Header, Secret, Webhook

_COLUMNS: Final = """
    id, url, events, description, bearer_token, headers, retry_policy, timeout_seconds, secrets, is_active,
    disabled_reason, created_at, modified_at, rests_until, batched, ordered, rate_limit_per_second, filter,
    failing_since, warned_at
"""
ADD_WEBHOOK: Final = Insert(
    "webhook",
    (
        *("url", "events", "description", "bearer_token", "headers", "retry_policy", "timeout_seconds", "secrets"),
        *("is_active", "disabled_reason", "created_at", "modified_at", "rests_until", "batched", "ordered"),
        *("rate_limit_per_second", "filter", "failing_since", "warned_at"),
    ),
)
SAVE_WEBHOOK: Final = """
    UPDATE webhook SET url = :url, events = :events, description = :description, bearer_token = :bearer_token,
        headers = :headers, retry_policy = :retry_policy, timeout_seconds = :timeout_seconds, secrets = :secrets,
        is_active = :is_active, disabled_reason = :disabled_reason, modified_at = :modified_at,
        rests_until = :rests_until, batched = :batched, ordered = :ordered,
        rate_limit_per_second = :rate_limit_per_second, filter = :filter, failing_since = :failing_since,
        warned_at = :warned_at
    WHERE id = :id
"""
REMOVE_WEBHOOK: Final = "DELETE FROM webhook WHERE id = :id"
ALL_WEBHOOKS: Final = f"SELECT {_COLUMNS} FROM webhook ORDER BY id"
NOTE_STREAK: Final = "UPDATE webhook SET failing_since = :failing_since, warned_at = :warned_at WHERE id = :id"
REST_WEBHOOK: Final = "UPDATE webhook SET rests_until = :until WHERE id = :id"


class SqlWebhooks:
    """`ports.storage.Webhooks`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._changes = WebhookChanges(session)
        self._held: dict[int, Webhook] | None = None
        self._wanting: dict[EventKind, list[Webhook]] = {}

    def forget_held(self) -> None:
        """Read from the database again: somebody changed it, or what was held was rolled back."""
        self._held = None
        self._wanting.clear()

    def add(self, webhook: Webhook) -> Webhook:
        values = _parameters(webhook)
        new_id = self._session.insert_returning_id(ADD_WEBHOOK, tuple(values[name] for name in ADD_WEBHOOK.columns))
        self.forget_held()
        added = replace(webhook, id=WebhookId(new_id))
        self._changes.keep(None, added)
        return added

    def save(self, webhook: Webhook) -> None:
        self._changes.keep(self.webhook(webhook.id), webhook)
        self._session.run(SAVE_WEBHOOK, {**_parameters(webhook), "id": webhook.id})
        self._session.doings.webhooks.add(webhook.id)
        self.forget_held()

    def remove(self, webhook_id: WebhookId) -> None:
        before = self.webhook(webhook_id)
        if before is not None:
            self._changes.keep(before, None)
        self._session.run(REMOVE_WEBHOOK, {"id": webhook_id})
        self._session.doings.webhooks.add(webhook_id)
        self.forget_held()

    def rest(self, webhook_id: WebhookId, until: datetime) -> None:
        """Let a webhook rest, without calling it modified."""
        self._session.run(REST_WEBHOOK, {"id": webhook_id, "until": micros(until)})
        self._session.doings.webhooks.add(webhook_id)
        self.forget_held()

    def note_streak(self, webhook_id: WebhookId, streak: Streak) -> None:
        since, warned_at = streak.failing_since, streak.warned_at
        self._session.run(
            NOTE_STREAK,
            {"id": webhook_id, "failing_since": micros_or_none(since), "warned_at": micros_or_none(warned_at)},
        )
        held = self._all()  # the others are as they were: nothing need be read again
        if webhook_id in held:
            held[webhook_id] = replace(held[webhook_id], failing_since=since, warned_at=warned_at)
        self._wanting.clear()

    def webhook(self, webhook_id: int) -> Webhook | None:
        return self._all().get(webhook_id)

    def all(self) -> list[Webhook]:
        return list(self._all().values())

    def wanting(self, kind: EventKind) -> list[Webhook]:
        if kind not in self._wanting:
            self._wanting[kind] = [each for each in self.all() if each.is_active and kind in each.events]
        return self._wanting[kind]

    def _all(self) -> dict[int, Webhook]:
        if self._held is None:
            self._wanting.clear()
            self._held = {row[0]: _webhook(row) for row in self._session.rows(ALL_WEBHOOKS)}
        return self._held


def _parameters(webhook: Webhook) -> dict[str, object]:
    return {
        "url": webhook.url,
        "events": to_json([kind.value for kind in webhook.events]),
        "description": webhook.description,
        "bearer_token": webhook.bearer_token,
        "headers": to_json([[header.key, header.value] for header in webhook.headers]),
        "retry_policy": to_json(_kept_policy(webhook.retry_policy)),
        "timeout_seconds": webhook.timeout_seconds,
        "secrets": to_json([[secret.value, micros_or_none(secret.expires_at)] for secret in webhook.secrets]),
        "is_active": int(webhook.is_active),
        "disabled_reason": webhook.disabled_reason,
        "created_at": micros(webhook.created_at),
        "modified_at": micros(webhook.modified_at),
        "rests_until": micros_or_none(webhook.rests_until),
        "batched": int(webhook.batched),
        "ordered": int(webhook.ordered),
        "rate_limit_per_second": webhook.rate_limit_per_second,
        "filter": to_json(webhook.filter),
        "failing_since": micros_or_none(webhook.failing_since),
        "warned_at": micros_or_none(webhook.warned_at),
    }


def _kept_policy(policy: RetryPolicy) -> Any:
    if policy.name in NAMED:
        return policy.name
    return {"waits_seconds": policy.waits_seconds, "retry_4xx": policy.retry_4xx}


def _policy(kept: Any) -> RetryPolicy:
    if isinstance(kept, str):
        return NAMED[kept]
    return own_policy(tuple(kept["waits_seconds"]), retry_4xx=kept["retry_4xx"])


def _webhook(row: Row) -> Webhook:
    (id_, url, events, description, bearer_token, headers, policy, timeout_seconds, secrets, is_active, *rest) = row
    disabled_reason, created_at, modified_at, rests_until, batched, ordered, rate_limit, filter_, *rest = rest
    failing_since, warned_at = rest
    return Webhook(
        id=WebhookId(id_),
        url=url,
        events=tuple(EventKind(name) for name in json.loads(events)),
        description=description,
        bearer_token=bearer_token,
        headers=tuple(Header(key=key, value=value) for key, value in json.loads(headers)),
        retry_policy=_policy(json.loads(policy)),
        timeout_seconds=timeout_seconds,
        secrets=tuple(
            Secret(value=value, expires_at=instant_or_none(expires_at)) for value, expires_at in json.loads(secrets)
        ),
        is_active=bool(is_active),
        disabled_reason=disabled_reason,
        created_at=instant(created_at),
        modified_at=instant(modified_at),
        rests_until=instant_or_none(rests_until),
        batched=bool(batched),
        ordered=bool(ordered),
        rate_limit_per_second=rate_limit,
        filter=tuple((attribute, tuple(values)) for attribute, values in json.loads(filter_)),
        failing_since=instant_or_none(failing_since),
        warned_at=instant_or_none(warned_at),
    )
