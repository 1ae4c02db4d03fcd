"""The record of deliveries in SQL, for those who ask: what both databases share."""

from collections.abc import Iterable, Sequence
from typing import Final

from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.records import ATTEMPT_COLUMNS, attempt_of, delivery_of
from hookline.adapters.sql.session import Row, Session
from hookline.domain.deliveries import Delivery, State
from hookline.ports.storage import DeliveryFilter, Page

_OWED_RECORD: Final = """
    SELECT d.id, d.event_id, d.webhook_id,
        CASE WHEN COALESCE(b.token, d.token) IS NULL THEN 'pending' ELSE 'sending' END, COALESCE(b.due_at, d.due_at),
        d.created_at, e.kind, e.subject, d.batch_id
    FROM delivery d JOIN event e ON e.id = d.event_id LEFT JOIN delivery b ON b.id = d.batch_id WHERE {where}
"""
_SETTLED_RECORD: Final = """
    SELECT d.id, d.event_id, d.webhook_id, d.status, CAST(NULL AS BIGINT), d.created_at, e.kind, e.subject, d.batch_id
    FROM settled_delivery d JOIN event e ON e.id = d.event_id WHERE {where}
"""
DELIVERIES: Final = "{records} ORDER BY 1 DESC LIMIT :limit"
#: No kind needs to give more than all of them together: each ends early, also where PostgreSQL would not see that.
_LATEST: Final = "SELECT * FROM ({record} ORDER BY 1 DESC LIMIT :limit) AS latest"
ATTEMPTS: Final = f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id IN (:id, :batch_id) ORDER BY number"


class SqlDeliveryRecord:
    """Reads what is owed and what is settled as one list."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def delivery(self, delivery_id: str) -> Delivery | None:
        where = Where()
        where.equals("d.id", "id", delivery_id)
        records = self._records([_OWED_RECORD, _SETTLED_RECORD], where, limit=1)
        return self._with_attempts(records[0]) if records else None

    def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None) -> Page[Delivery]:
        where = Where()
        where.before("d.id", cursor)
        where.equals("d.webhook_id", "webhook_id", wanted.webhook_id)
        where.equals("e.kind", "kind", wanted.event and wanted.event.value)
        where.equals("e.subject", "subject", wanted.subject)
        where.between("d.created_at", wanted.since, wanted.until)
        kinds = [_OWED_RECORD, _SETTLED_RECORD]
        if wanted.status in (State.PENDING, State.SENDING):
            kinds = [_OWED_RECORD]
            where.add(f"COALESCE(b.token, d.token) IS {'' if wanted.status is State.PENDING else 'NOT '}NULL")
        elif wanted.status is not None:
            kinds = [_SETTLED_RECORD]
            where.add(f"d.status = '{wanted.status.value}'")  # a literal, so that the partial index of the dead serves
        return page_of(self._records(kinds, where, limit=limit + 1), limit, self._with_attempts, _answer_bytes)

    def _records(self, kinds: Iterable[str], where: Where, *, limit: int) -> Sequence[Row]:
        records = " UNION ALL ".join(_LATEST.format(record=kind.format(where=where.sql)) for kind in kinds)
        return self._session.rows(DELIVERIES.format(records=records), {**where.parameters, "limit": limit})

    def _with_attempts(self, record: Row) -> Delivery:
        id_, *_, batch_id = record
        attempts = self._session.rows(ATTEMPTS, {"id": id_, "batch_id": batch_id})
        return delivery_of(record, tuple(attempt_of(row) for row in attempts))


def _answer_bytes(delivery: Delivery) -> int:
    """How much of a list a delivery takes up: what its receiver said."""
    return sum(
        len(attempt.response_body) + sum(len(name) + len(value) for name, value in attempt.response_headers)
        for attempt in delivery.attempts
    )
