"""Calls that connectors tell of, in SQL: what both databases share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hookline.adapters.sql.session import Row, Session, first, instant, instant_or_none, micros, micros_or_none, to_json
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
NAMED: Final = f"""
    SELECT {_COLUMNS} FROM heard_call WHERE connector_id = :connector_id AND (
        call_key IN (SELECT value FROM json_each(:names))
        OR call_key IN (
            SELECT n.call_key FROM heard_name n
            WHERE n.connector_id = :connector_id AND n.name IN (SELECT value FROM json_each(:names))))
    ORDER BY call_key
"""
NAME: Final = """
    INSERT INTO heard_name (connector_id, name, call_key, has_told) VALUES (:connector_id, :name, :call_key, :has_told)
    ON CONFLICT (connector_id, name, call_key) DO UPDATE SET has_told = excluded.has_told
    WHERE excluded.has_told > heard_name.has_told
"""
HAS_TOLD: Final = """
    SELECT COUNT(*) FROM heard_name n
    JOIN heard_call c ON c.connector_id = n.connector_id AND c.call_key = n.call_key
    WHERE n.connector_id = :connector_id AND n.name = :name AND n.has_told = 1 AND c.due_at IS NULL
"""
NAMES_OF: Final = "SELECT name, has_told FROM heard_name WHERE connector_id = :connector_id AND call_key = :call_key"
REMOVE_NAMES: Final = "DELETE FROM heard_name WHERE connector_id = :connector_id AND call_key = :call_key"
#: The calls that are forgotten next. Their order is whole: names and calls are deleted one after the other.
_FORGOTTEN: Final = """
    SELECT connector_id, call_key FROM heard_call
    WHERE due_at IS NULL AND updated_at < :before ORDER BY updated_at, connector_id, call_key LIMIT :limit
"""
FORGET_NAMES: Final = f"DELETE FROM heard_name WHERE (connector_id, call_key) IN ({_FORGOTTEN})"
REMOVE: Final = "DELETE FROM heard_call WHERE connector_id = :connector_id AND call_key = :call_key"
DUE: Final = f"""
    SELECT {_COLUMNS} FROM heard_call WHERE due_at <= :now ORDER BY due_at, connector_id, call_key LIMIT :limit
"""
NEXT_DUE: Final = "SELECT min(due_at) FROM heard_call WHERE due_at IS NOT NULL"
UNSETTLED: Final = f"SELECT {_COLUMNS} FROM heard_call WHERE due_at IS NOT NULL ORDER BY due_at"
FORGET: Final = f"DELETE FROM heard_call WHERE (connector_id, call_key) IN ({_FORGOTTEN})"


class SqlIntake:
    """`ports.storage.Intake`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def heard(self, connector_id: ConnectorId, call_key: str) -> HeardCall | None:
        row = first(self._session.rows(HEARD, {"connector_id": connector_id, "call_key": call_key}))
        return None if row is None else _heard(row)

    def named(self, connector_id: ConnectorId, names: Sequence[str]) -> list[HeardCall]:
        return _all(self._session.rows(NAMED, {"connector_id": connector_id, "names": to_json(list(names))}))

    def name(self, connector_id: ConnectorId, call_key: str, names: Sequence[str], *, told: str = "") -> None:
        for each in names:
            row = {"connector_id": connector_id, "name": each, "call_key": call_key, "has_told": int(each == told)}
            self._session.run(NAME, row)

    def has_told(self, connector_id: ConnectorId, name: str) -> bool:
        [(calls,)] = self._session.rows(HAS_TOLD, {"connector_id": connector_id, "name": name})
        return bool(calls)

    def rename(self, connector_id: ConnectorId, call_key: str, into: str) -> None:
        for name, has_told in self._session.rows(NAMES_OF, {"connector_id": connector_id, "call_key": call_key}):
            self.name(connector_id, into, [name], told=name if has_told else "")

    def keep(self, call: HeardCall) -> None:
        self._session.run(KEEP, _parameters(call))
        if not call.is_settled:
            self._session.doings.intake = True

    def remove(self, connector_id: ConnectorId, call_key: str) -> None:
        for sql in (REMOVE_NAMES, REMOVE):
            self._session.run(sql, {"connector_id": connector_id, "call_key": call_key})

    def due(self, limit: int) -> list[HeardCall]:
        return _all(self._session.rows(DUE, {"now": micros(self._session.now), "limit": limit}))

    def next_due_at(self) -> datetime | None:
        [(earliest,)] = self._session.rows(NEXT_DUE)
        return instant_or_none(earliest)

    def unsettled(self) -> list[HeardCall]:
        return _all(self._session.rows(UNSETTLED))

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        these = {"before": micros(instant), "limit": limit}
        self._session.run(FORGET_NAMES, these)
        return self._session.run(FORGET, these)


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
