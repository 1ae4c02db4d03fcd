"""What explains afterwards why an event was sent to whom, in SQL: what both databases share.

A change of a webhook is kept with the position of the event before it. So it is plain which changes an event met, even
when all of it fell on one microsecond, or the clock was set back.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from hookline.adapters.sql.session import Row, Session, instant, instant_or_none, micros, to_json
from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, EventId, WebhookId
from hookline.domain.webhooks import Webhook
from hookline.domain.why import Fate, Standing, WebhookThen

KEEP_CHANGE: Final = """
    INSERT INTO webhook_history (webhook_id, after_event, since, events, filter, is_active, disabled_reason, removed)
    VALUES (:webhook_id, (SELECT COALESCE(MAX(position), 0) FROM event), :since, :events, :filter, :is_active,
        :disabled_reason, :removed)
"""
WEBHOOKS_AT: Final = """
    SELECT w.webhook_id, (SELECT since FROM webhook_history WHERE webhook_id = w.webhook_id ORDER BY position LIMIT 1),
        h.since, h.events, h.filter, h.is_active, h.disabled_reason, h.removed
    FROM (SELECT DISTINCT webhook_id FROM webhook_history) w
    LEFT JOIN webhook_history h ON h.position = (
        SELECT MAX(position) FROM webhook_history
        WHERE webhook_id = w.webhook_id AND after_event < (SELECT position FROM event WHERE id = :event_id))
    ORDER BY w.webhook_id
"""
#: A change explains nothing when every event that is kept came after the next change, or after the removal.
FORGET_CHANGES: Final = """
    DELETE FROM webhook_history WHERE position IN (
        SELECT position FROM webhook_history h
        WHERE after_event < :oldest AND (removed = 1 OR EXISTS (
            SELECT 1 FROM webhook_history later
            WHERE later.webhook_id = h.webhook_id AND later.position > h.position AND later.after_event < :oldest))
        ORDER BY position LIMIT :limit)
"""
OLDEST_EVENT: Final = "SELECT MIN(position) FROM event"
LATEST_EVENT_EVER: Final = "SELECT COALESCE(MAX(after_event), 0) + 1 FROM webhook_history"
#: The deliveries of an event are a range of the primary key, since their ids begin with its own.
_OF_EVENT: Final = "{column} > :first AND {column} < :behind"
#: What goes in a batch is due, sent and attempted with it, under the batch's id.
OWED_FATES: Final = f"""
    SELECT d.id, d.batch_id, d.webhook_id, COALESCE(b.token, d.token), COALESCE(b.due_at, d.due_at),
        COALESCE(b.attempt, d.attempt),
        (SELECT MIN(e.sequence) FROM delivery e
            WHERE e.webhook_id = d.webhook_id AND e.line = d.line AND e.sequence < d.sequence)
    FROM delivery d LEFT JOIN delivery b ON b.id = d.batch_id WHERE {_OF_EVENT.format(column="d.id")}
"""
SETTLED_FATES: Final = f"""
    SELECT id, batch_id, webhook_id, status, attempt, settled_at, reason FROM settled_delivery
    WHERE {_OF_EVENT.format(column="id")}
"""
_ATTEMPT: Final = "delivery_id, number, started_at, duration_us, status, error"
ATTEMPTS_OF_EVENT: Final = f"""
    SELECT {_ATTEMPT} FROM attempt WHERE {_OF_EVENT.format(column="delivery_id")} ORDER BY delivery_id, number
"""
ATTEMPTS_OF_BATCHES: Final = f"""
    SELECT {_ATTEMPT} FROM attempt WHERE delivery_id IN (SELECT value FROM json_each(:ids))
    ORDER BY delivery_id, number
"""


class WebhookChanges:
    """Keeps what changes about webhooks, as far as it decides what is owed to them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, before: Webhook | None, after: Webhook | None) -> None:
        """A webhook was made (no `before`), changed, or removed (no `after`) by this transaction, just now."""
        webhook = after or before
        if webhook is None or (before and after and _decisive(before) == _decisive(after)):
            return
        events, filter_, is_active, disabled_reason = _decisive(webhook)
        self._session.run(
            KEEP_CHANGE,
            {
                "webhook_id": webhook.id,
                "since": micros(self._session.now),
                "events": to_json([kind.value for kind in events]),
                "filter": to_json(filter_),
                "is_active": int(is_active),
                "disabled_reason": disabled_reason,
                "removed": int(after is None),
            },
        )


class SqlPast:
    """`ports.storage.Past`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def webhooks_at(self, event: Event) -> list[WebhookThen]:
        return [_webhook_then(row) for row in self._session.rows(WEBHOOKS_AT, {"event_id": event.id})]

    def fates(self, event_id: EventId) -> dict[WebhookId, Fate]:
        ulid = event_id.removeprefix("evt_")
        bounds = {"first": f"dlv_{ulid}_", "behind": f"dlv_{ulid}`"}  # ` is the character after _
        settled, owed = (self._session.rows(sql, bounds) for sql in (SETTLED_FATES, OWED_FATES))
        attempts = list(self._session.rows(ATTEMPTS_OF_EVENT, bounds))
        batches = {batch_id for _, batch_id, *_ in (*settled, *owed) if batch_id is not None}
        if batches:
            attempts += self._session.rows(ATTEMPTS_OF_BATCHES, {"ids": to_json(sorted(batches))})
        latest = {row[0]: _attempt(row) for row in attempts}
        fates = [_settled(row, latest) for row in settled] + [_owed(row, latest) for row in owed]
        return {fate.webhook_id: fate for fate in fates}

    def forget(self, limit: int) -> int:
        [(oldest,)] = self._session.rows(OLDEST_EVENT)
        if oldest is None:
            [(oldest,)] = self._session.rows(LATEST_EVENT_EVER)
        return self._session.run(FORGET_CHANGES, {"oldest": oldest, "limit": limit})


def _decisive(webhook: Webhook) -> tuple[tuple[EventKind, ...], object, bool, str]:
    """What decides whether an event is owed to it, and what is said about that."""
    return webhook.events, webhook.filter, webhook.is_active, webhook.disabled_reason


def _webhook_then(row: Row) -> WebhookThen:
    webhook_id, made_at, *standing = row
    return WebhookThen(
        webhook_id=WebhookId(webhook_id),
        made_at=instant(made_at),
        standing=None if standing[0] is None else _standing(standing),
    )


def _standing(row: list[object]) -> Standing:
    since, events, filter_, is_active, disabled_reason, removed = row
    return Standing(
        since=instant(int(str(since))),
        events=tuple(EventKind(name) for name in json.loads(str(events))),
        filter=tuple((attribute, tuple(values)) for attribute, values in json.loads(str(filter_))),
        is_active=bool(is_active),
        disabled_reason=str(disabled_reason),
        is_removed=bool(removed),
    )


def _attempt(row: Row) -> Attempt:
    _, number, started_at, duration_us, status, error = row
    return Attempt(
        number=number,
        started_at=instant(started_at),
        duration_ms=timedelta(microseconds=duration_us) / timedelta(milliseconds=1),
        status=status,
        error=error,
    )


def _latest(delivery_id: str, batch_id: str | None, latest: Mapping[str, Attempt]) -> Attempt | None:
    """The latest attempt, by itself or in its batch: what is tried again brings attempts of its own into a batch."""
    made = [latest[holder] for holder in (delivery_id, batch_id) if holder is not None and holder in latest]
    return max(made, key=lambda attempt: attempt.number, default=None)


def _settled(row: Row, latest: Mapping[str, Attempt]) -> Fate:
    id_, batch_id, webhook_id, status, attempt, settled_at, reason = row
    return Fate(
        delivery_id=DeliveryId(id_),
        webhook_id=WebhookId(webhook_id),
        state=State(status),
        attempt=attempt,
        latest=_latest(id_, batch_id, latest),
        settled_at=instant(settled_at),
        reason=reason,
    )


def _owed(row: Row, latest: Mapping[str, Attempt]) -> Fate:
    id_, batch_id, webhook_id, token, due_at, attempt, waits_for = row
    return Fate(
        delivery_id=DeliveryId(id_),
        webhook_id=WebhookId(webhook_id),
        state=State.PENDING if token is None else State.SENDING,
        attempt=attempt,
        latest=_latest(id_, batch_id, latest),
        due_at=instant_or_none(due_at),
        waits_for=waits_for,
        is_batched=batch_id is not None,
    )
