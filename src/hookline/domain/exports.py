"""Exports: what a file says of each attempt, as lines of CSV (RFC 4180) that a spreadsheet may open.

Which deliveries are in it, and how it is written piece by piece: `services/exports.py`.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, EventId, SubjectId, WebhookId
from hookline.domain.instants import wire_form

COLUMNS: Final = (
    *("event", "webhookId", "url", "deliveryId", "eventId", "subject", "sequence", "status", "attempt"),
    *("startedAt", "durationMs", "responseStatus", "error", "createdAt"),
)
#: What a spreadsheet takes for the beginning of a formula. Source: OWASP, "CSV Injection".
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A delivery with its attempts, of which answers are left out."""

    id: DeliveryId
    event_id: EventId
    webhook_id: WebhookId
    event: EventKind
    subject: SubjectId
    sequence: int
    status: State
    created_at: datetime
    attempts: tuple[Attempt, ...]


def head() -> bytes:
    """The first line."""
    return _lines([COLUMNS])


def lines(many: Iterable[Recorded], urls: Mapping[WebhookId, str]) -> bytes:
    """A line for each attempt, and one for a delivery without any. `urls` are those of the present webhooks, masked."""
    return _lines(row for recorded in many for row in _rows(recorded, urls.get(recorded.webhook_id, "")))


def _rows(recorded: Recorded, url: str) -> Iterator[tuple[Cell, ...]]:
    of_delivery = (
        recorded.event.value,
        recorded.webhook_id,
        _harmless(url),
        recorded.id,
        recorded.event_id,
        recorded.subject,
        recorded.sequence,
        recorded.status.value,
    )
    created_at = wire_form(recorded.created_at)
    for attempt in recorded.attempts:
        yield (
            *of_delivery,
            attempt.number,
            wire_form(attempt.started_at),
            f"{attempt.duration_ms:.3f}",
            attempt.status,
            _harmless(attempt.error),
            created_at,
        )
    if not recorded.attempts:
        yield (*of_delivery, None, None, None, None, None, created_at)


def _harmless(text: str) -> str:
    """Text that came from outside, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Iterable[Cell]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
