"""Calls that connectors tell of, in SQL: what both databases share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hookline.adapters.sql.session import Row, Session, first, instant, instant_or_none, micros, micros_or_none
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.kept_facts import facts_from_text, facts_to_text
from hookline.ports.intake import HeardCall

_COLUMNS: Final = "connector_id, call_key, kind, region, facts, due_at, call_id, reason, updated_at"
HEARD: Final = f"SELECT {_COLUMNS} FROM heard_call WHERE connector_id = :connector_id AND call_key = :call_key"
KEEP: Final = f"""
    INSERT INTO heard_call ({_COLUMNS})
    VALUES (:connector_id, :call_key, :kind, :region, :facts, :due_at, :call_id, :reason, :updated_at)
    ON CONFLICT (connector_id, call_key) DO UPDATE SET
        kind = excluded.kind, region = excluded.region, facts = excluded.facts, due_at = excluded.due_at,
        call_id = excluded.call_id, reason = excluded.reason, updated_at = excluded.updated_at
"""
REMOVE: Final = "DELETE FROM heard_call WHERE connector_id = :connector_id AND call_key = :call_key"
DUE: Final = f"""
    SELECT {_COLUMNS} FROM heard_call WHERE due_at <= :now ORDER BY due_at, connector_id, call_key LIMIT :limit
"""
NEXT_DUE: Final = "SELECT min(due_at) FROM heard_call WHERE due_at IS NOT NULL"
UNSETTLED: Final = f"SELECT {_COLUMNS} FROM heard_call WHERE due_at IS NOT NULL ORDER BY due_at"
FORGET: Final = """
    DELETE FROM heard_call WHERE (connector_id, call_key) IN (
        SELECT connector_id, call_key FROM heard_call
        WHERE due_at IS NULL AND updated_at < :before ORDER BY updated_at LIMIT :limit)
"""


class SqlIntake:
    """`ports.storage.Intake`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def heard(self, connector_id: ConnectorId, call_key: str) -> HeardCall | None:
        row = first(self._session.rows(HEARD, {"connector_id": connector_id, "call_key": call_key}))
        return None if row is None else _heard(row)

    def keep(self, call: HeardCall) -> None:
        self._session.run(KEEP, _parameters(call))
        if not call.is_settled:
            self._session.doings.intake = True

    def remove(self, connector_id: ConnectorId, call_key: str) -> None:
        self._session.run(REMOVE, {"connector_id": connector_id, "call_key": call_key})

    def due(self, limit: int) -> list[HeardCall]:
        return _all(self._session.rows(DUE, {"now": micros(self._session.now), "limit": limit}))

    def next_due_at(self) -> datetime | None:
        [(earliest,)] = self._session.rows(NEXT_DUE)
        return instant_or_none(earliest)

    def unsettled(self) -> list[HeardCall]:
        return _all(self._session.rows(UNSETTLED))

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        return self._session.run(FORGET, {"before": micros(instant), "limit": limit})


def _all(rows: Sequence[Row]) -> list[HeardCall]:
    return [_heard(row) for row in rows]


def _parameters(call: HeardCall) -> dict[str, object]:
    return {
        "connector_id": call.connector_id,
        "call_key": call.call_key,
        "kind": call.kind,
        "region": call.region,
        "facts": facts_to_text(call.facts),
        "due_at": micros_or_none(call.due_at),
        "call_id": call.call_id,
        "reason": call.reason,
        "updated_at": micros(call.updated_at),
    }


def _heard(row: Row) -> HeardCall:
    connector_id, call_key, kind, region, facts, due_at, call_id, reason, updated_at = row
    return HeardCall(
        connector_id=ConnectorId(connector_id),
        call_key=call_key,
        kind=kind,
        region=region,
        facts=facts_from_text(facts),
        due_at=instant_or_none(due_at),
        call_id=None if call_id is None else CallId(call_id),
        reason=reason,
        updated_at=instant(updated_at),
    )
