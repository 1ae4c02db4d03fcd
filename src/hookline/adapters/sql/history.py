"""The walk through what was kept and what was owed of it, in SQL: what both databases share.

Ids begin with the instant of birth and never before it, so a span is a range of a primary key, and the instants
themselves decide at its edges. While a clock that was set back catches up, ids run ahead of it: `_AHEAD` is how far a
walk looks for them.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hookline.adapters.sql.bodies import BOUNDED_EVENT_COLUMNS, EventBodies, body_bytes
from hookline.adapters.sql.paging import until_full
from hookline.adapters.sql.session import Row, Session, instant, micros, to_json
from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import Event, EventKind
from hookline.domain.exports import Recorded
from hookline.domain.filters import NO_FILTER, Filter
from hookline.domain.ids import DeliveryId, EventId, MeetingId, WebhookId, ulid
from hookline.domain.processes import Span

_AHEAD: Final = timedelta(days=1)
_FIRST_ID_AT: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _first_of(*kinds: str, order: str = "ASC") -> str:
    """The first rows of several statements by their first column. No kind needs to give more than all of them together:
    each ends early, also where PostgreSQL would not see that.
    """
    ended = (f"SELECT * FROM ({kind} ORDER BY 1 {order} LIMIT :limit) AS first_of_kind" for kind in kinds)
    return f"{' UNION ALL '.join(ended)} ORDER BY 1 {order} LIMIT :limit"


_IN_SPAN: Final = """
    e.created_at >= :since AND e.created_at < :until AND e.is_test = 0
    AND e.kind IN (SELECT value FROM json_each(:kinds))
"""
_EVENTS: Final = f"FROM event e WHERE e.id > :low AND e.id < :high AND {_IN_SPAN}"
EVENTS: Final = f"""
    SELECT {BOUNDED_EVENT_COLUMNS} {_EVENTS} ORDER BY e.id LIMIT :limit
"""
COUNT_EVENTS: Final = f"SELECT COUNT(*) {_EVENTS}"
#: A filter is a list of [attribute, values]; what an event does not have does not measure it. A million bodies are read
#: here in seconds, and by Python in many.
PASSES: Final = """
    NOT EXISTS (
        SELECT 1 FROM json_each(:filter) wanted
        WHERE json_type(CAST(e.body AS TEXT), '$.' || json_extract(wanted.value, '$[0]')) IS NOT NULL
            AND json_extract(CAST(e.body AS TEXT), '$.' || json_extract(wanted.value, '$[0]'))
                NOT IN (SELECT value FROM json_each(wanted.value, '$[1]')))
"""
COUNT_PASSING_EVENTS: Final = f"{COUNT_EVENTS} AND {PASSES}"
_EVENT: Final = "JOIN event e ON e.id = d.event_id"
_WHERE: Final = f"WHERE d.id > :low AND d.id < :high AND {_IN_SPAN}"
# What goes in a batch is sent, and fails, as the batch does, whose attempts are kept once.
_BATCH: Final = "LEFT JOIN delivery b ON b.id = d.batch_id"
_STATE: Final = "CASE WHEN COALESCE(b.token, d.token) IS NULL THEN 'pending' ELSE 'sending' END"
# `status <> 'delivered'` as in the partial index settled_delivery_undelivered, so that it serves.
_UNDELIVERED_SETTLED: Final = f"""
    SELECT d.id FROM settled_delivery d {_EVENT}
    {_WHERE} AND d.webhook_id = :webhook_id AND d.status <> 'delivered'
"""
_UNDELIVERED_OWED: Final = f"""
    SELECT d.id FROM delivery d {_EVENT} {_BATCH}
    {_WHERE} AND d.webhook_id = :webhook_id AND COALESCE(b.token, d.token) IS NULL
        AND COALESCE(b.failures, d.failures) > 0
"""
UNDELIVERED: Final = _first_of(_UNDELIVERED_SETTLED, _UNDELIVERED_OWED)
COUNT_UNDELIVERED: Final = f"SELECT COUNT(*) FROM ({_UNDELIVERED_SETTLED} UNION ALL {_UNDELIVERED_OWED}) AS undelivered"
STATES: Final = f"""
    SELECT d.id, {_STATE} FROM delivery d {_BATCH} WHERE d.id IN (SELECT value FROM json_each(:ids))
    UNION ALL
    SELECT id, status FROM settled_delivery WHERE id IN (SELECT value FROM json_each(:ids))
"""
IN_FRONT: Final = """
    SELECT COUNT(*) FROM (
        SELECT 1 FROM delivery
        WHERE webhook_id = :webhook_id AND due_at <= :lease_end AND (due_at <= :now OR token IS NOT NULL)
        LIMIT :limit) AS in_front
"""
_OF_WEBHOOK: Final = "d.webhook_id = COALESCE(:webhook_id, d.webhook_id)"
_RECORDED_OWED: Final = f"""
    SELECT d.id, d.event_id, d.webhook_id, {_STATE}, d.created_at, e.kind, e.subject, e.sequence, d.batch_id
    FROM delivery d {_EVENT} {_BATCH} {_WHERE} AND {_OF_WEBHOOK}
"""
_RECORDED_SETTLED: Final = f"""
    SELECT d.id, d.event_id, d.webhook_id, d.status, d.created_at, e.kind, e.subject, e.sequence, d.batch_id
    FROM settled_delivery d {_EVENT} {_WHERE} AND {_OF_WEBHOOK}
"""
RECORDED_OLDEST_FIRST: Final = _first_of(_RECORDED_OWED, _RECORDED_SETTLED)
RECORDED_NEWEST_FIRST: Final = _first_of(_RECORDED_OWED, _RECORDED_SETTLED, order="DESC")
COUNT_RECORDED: Final = f"SELECT COUNT(*) FROM ({_RECORDED_OWED} UNION ALL {_RECORDED_SETTLED}) AS recorded"
ATTEMPTS_OF: Final = """
    SELECT delivery_id, number, started_at, duration_us, status, error FROM attempt
    WHERE delivery_id IN (SELECT value FROM json_each(:ids)) ORDER BY delivery_id, number
"""


class SqlHistory:
    """`ports.processes.History`."""

    def __init__(self, session: Session, bodies: EventBodies) -> None:
        self._session = session
        self._bodies = bodies

    def events(self, span: Span, *, after: str, limit: int) -> list[Event]:
        rows = self._session.rows(EVENTS, {**_bounds(span, "evt_", low=after), "limit": limit})
        return list(until_full(map(self._bodies.event_of, rows), body_bytes))

    def count_events(self, span: Span, wanted: Filter = NO_FILTER) -> int:
        if not wanted:
            return self._count(COUNT_EVENTS, _bounds(span, "evt_"))
        return self._count(COUNT_PASSING_EVENTS, {**_bounds(span, "evt_"), "filter": to_json(wanted)})

    def undelivered(self, span: Span, webhook_id: WebhookId, *, after: str, limit: int) -> list[DeliveryId]:
        parameters = {**_bounds(span, "dlv_", low=after), "webhook_id": webhook_id, "limit": limit}
        return [DeliveryId(id_) for (id_,) in self._session.rows(UNDELIVERED, parameters)]

    def count_undelivered(self, span: Span, webhook_id: WebhookId) -> int:
        return self._count(COUNT_UNDELIVERED, {**_bounds(span, "dlv_"), "webhook_id": webhook_id})

    def states(self, delivery_ids: Sequence[DeliveryId]) -> Mapping[DeliveryId, State]:
        rows = self._session.rows(STATES, {"ids": to_json(delivery_ids)})
        return {DeliveryId(id_): State(state) for id_, state in rows}

    def in_front(self, webhook_id: WebhookId, lease: timedelta, *, limit: int) -> int:
        now = self._session.now
        instants = {"now": micros(now), "lease_end": micros(now + lease)}
        return self._count(IN_FRONT, {**instants, "webhook_id": webhook_id, "limit": limit})

    def recorded(
        self, span: Span, webhook_id: WebhookId | None, *, after: str, newest_first: bool, limit: int
    ) -> list[Recorded]:
        bounds = _bounds(span, "dlv_", **{"high" if newest_first else "low": after})
        statement = RECORDED_NEWEST_FIRST if newest_first else RECORDED_OLDEST_FIRST
        rows = self._session.rows(statement, {**bounds, "webhook_id": webhook_id, "limit": limit})
        attempts = self._attempts_of({holder for id_, *_, batch_id in rows for holder in (id_, batch_id) if holder})
        return [_recorded(row, (*attempts.get(row[0], ()), *attempts.get(row[-1], ()))) for row in rows]

    def count_recorded(self, span: Span, webhook_id: WebhookId | None) -> int:
        return self._count(COUNT_RECORDED, {**_bounds(span, "dlv_"), "webhook_id": webhook_id})

    def _attempts_of(self, holders: Collection[str]) -> Mapping[str, list[Attempt]]:
        """The attempts of deliveries and batches."""
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for id_, number, started_at, duration_us, status, error in self._session.rows(
            ATTEMPTS_OF, {"ids": to_json(list(holders))}
        ):
            attempts[id_].append(
                Attempt(
                    number=number,
                    started_at=instant(started_at),
                    duration_ms=timedelta(microseconds=duration_us) / timedelta(milliseconds=1),
                    status=status,
                    error=error,
                )
            )
        return attempts

    def _count(self, statement: str, parameters: Mapping[str, Any]) -> int:
        [(count,)] = self._session.rows(statement, parameters)
        return int(count)


def _bounds(span: Span, prefix: str, *, low: str = "", high: str = "") -> dict[str, Any]:
    """The span as parameters; `low` or `high` is where a walk has come to."""
    return {
        "low": low or prefix + ulid(max(span.since, _FIRST_ID_AT), 0),
        "high": high or prefix + ulid(max(span.until, _FIRST_ID_AT) + _AHEAD, 0),
        "since": micros(span.since),
        "until": micros(span.until),
        "kinds": to_json([kind.value for kind in span.kinds]),
    }


def _recorded(row: Row, attempts: tuple[Attempt, ...]) -> Recorded:
    id_, event_id, webhook_id, status, created_at, kind, subject, sequence, _ = row
    return Recorded(
        id=DeliveryId(id_),
        event_id=EventId(event_id),
        webhook_id=WebhookId(webhook_id),
        event=EventKind(kind),
        subject=MeetingId(subject),
        sequence=sequence,
        status=State(status),
        created_at=instant(created_at),
        attempts=tuple(sorted(attempts, key=lambda attempt: attempt.number)),
    )
