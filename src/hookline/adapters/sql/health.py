"""How a database is: what a look into it shows, and the questions that both kinds of database answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from hookline.adapters.sql.session import Row, instant, instant_or_none
from hookline.domain.ids import WebhookId

#: An instant until which a delivery is leased counts too: once it is over, the delivery is owed again.
#: A batch is a row whose event is itself: what goes in it is counted, it is not.
OWED: Final = """
    SELECT COUNT(NULLIF(id, event_id)), MIN(due_at), COUNT(line) FILTER (WHERE due_at IS NULL AND batch_id IS NULL)
    FROM delivery
"""
DEAD: Final = "SELECT COUNT(*) FROM settled_delivery WHERE status = 'dead' AND webhook_id IN (SELECT id FROM webhook)"
NEWEST_EVENT: Final = "SELECT MAX(created_at) FROM event WHERE position = (SELECT MAX(position) FROM event)"
DISABLED: Final = "SELECT id, disabled_reason FROM webhook WHERE is_active = 0 ORDER BY id"
FAILING: Final = "SELECT id, failing_since FROM webhook WHERE is_active = 1 AND failing_since IS NOT NULL ORDER BY id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Something about the server of the database that an operator should change."""

    grade: Literal["warning", "problem"]  # a problem keeps Hookline from working
    says: str  # sentences: what is so, what follows, what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits, what was given up, and who is not sent to."""

    owed: int
    waiting: int  # of those, behind an earlier event of their subject
    oldest_due_at: datetime | None
    dead: int
    newest_event_at: datetime | None
    disabled: Sequence[tuple[WebhookId, str]]  # with the reason
    failing: Sequence[tuple[WebhookId, datetime]]  # since when; those that are disabled are not among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a look into the file shows."""

    schema: int
    latest_schema: int
    is_known: bool  # whether this version can work on it as it is
    damage: str  # "" when there is none
    backlog: Backlog | None  # None when the schema is not known, or there is damage


def backlog_of(rows: Callable[[str], Iterable[Row]]) -> Backlog:
    """The backlog, by what `rows` answers to SQL."""
    [(owed, oldest_due_at, waiting)] = rows(OWED)
    [(dead,)] = rows(DEAD)
    [(newest_event_at,)] = rows(NEWEST_EVENT)
    return Backlog(
        owed=owed,
        waiting=waiting,
        oldest_due_at=instant_or_none(oldest_due_at),
        dead=dead,
        newest_event_at=instant_or_none(newest_event_at),
        disabled=[(WebhookId(webhook_id), reason) for webhook_id, reason in rows(DISABLED)],
        failing=[(WebhookId(webhook_id), instant(since)) for webhook_id, since in rows(FAILING)],
    )
