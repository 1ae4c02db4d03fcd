"""How events, deliveries and attempts read in the record: rows to values and back."""

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from hookline.adapters.sql.session import Row, instant, instant_or_none, micros, to_json
from hookline.domain.deliveries import Attempt, Delivery, State
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, EventId, MeetingId, WebhookId

ATTEMPT_COLUMNS: Final = "number, started_at, duration_us, status, error, response_headers, response_body"
CUT_SHORT: Final = (
    "The process that held this attempt ended before it could record whether it was sent, and what came of it."
)

_MICROSECONDS_PER_MS: Final = 1000
#: Characters of an answer's headers that are remembered as text.
_REMEMBERED_LENGTH: Final = 1024


def _headers_text(headers: tuple[tuple[str, str], ...]) -> str:
    """Short ones are remembered, since one receiver's answers within a second are mostly alike."""
    length = sum(len(name) + len(value) for name, value in headers)
    return _remembered_text(headers) if length <= _REMEMBERED_LENGTH else to_json(headers)


@lru_cache(maxsize=1024)
def _remembered_text(headers: tuple[tuple[str, str], ...]) -> str:
    return to_json(headers)


def attempt_row(delivery_id: DeliveryId, attempt: Attempt) -> Row:
    """An attempt as it is kept: its delivery, then `ATTEMPT_COLUMNS`."""
    return (
        delivery_id,
        attempt.number,
        micros(attempt.started_at),
        round(attempt.duration_ms * _MICROSECONDS_PER_MS),
        attempt.status,
        attempt.error,
        _headers_text(attempt.response_headers),
        attempt.response_body,
    )


def attempt_of(row: Row) -> Attempt:
    """The attempt that was kept, from `ATTEMPT_COLUMNS`."""
    number, started_at, duration_us, status, error, headers, body = row
    return Attempt(
        number=number,
        started_at=instant(started_at),
        duration_ms=timedelta(microseconds=duration_us) / timedelta(milliseconds=1),
        status=status,
        error=error,
        response_headers=tuple((name, value) for name, value in json.loads(headers)),
        response_body=body,
    )


def delivery_of(record: Row, attempts: tuple[Attempt, ...]) -> Delivery:
    """The delivery in a row of the record."""
    id_, event_id, webhook_id, status, due_at, created_at, kind, subject, batch_id = record
    state = State(status)
    return Delivery(
        id=DeliveryId(id_),
        event_id=EventId(event_id),
        webhook_id=WebhookId(webhook_id),
        event=EventKind(kind),
        subject=MeetingId(subject),
        status=state,
        next_attempt_at=instant_or_none(due_at) if state is State.PENDING else None,
        created_at=instant(created_at),
        batch_id=batch_id,
        attempts=attempts,
    )


def event_of(row: Sequence[Any]) -> Event:
    """The event in a row."""
    id_, kind, subject, sequence, occurred_at, created_at, body, is_test = row
    return Event(
        id=EventId(id_),
        kind=EventKind(kind),
        subject=MeetingId(subject),
        sequence=sequence,
        occurred_at=instant(occurred_at),
        created_at=instant(created_at),
        body=body,
        is_test=bool(is_test),
    )
