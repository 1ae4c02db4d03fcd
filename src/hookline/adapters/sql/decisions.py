"""Calls of connectors that were decided on, in SQL: what both databases share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.phone import LEG_BYTES
from hookline.adapters.sql.session import Row, Session, first, instant, instant_or_none, micros, micros_or_none
from hookline.domain.call_legs import CallLegs
from hookline.domain.decided_calls import MOST_DECIDED, CallOutcome, DecidedCall
from hookline.domain.ids import CallId, ConnectorId
from hookline.domain.kept_legs import legs_from_text, legs_to_text

COUNT: Final = """
    UPDATE connector SET decided = decided + 1, events = events + :events, no_events = no_events + :no_events
    WHERE id = :connector_id
"""
COUNTED: Final = "SELECT decided FROM connector WHERE id = :connector_id"
BEFORE: Final = """
    SELECT call_id FROM decided_call WHERE connector_id = :connector_id AND external_id = :external_id
"""
FORGET_EARLIER: Final = "DELETE FROM decided_call WHERE connector_id = :connector_id AND external_id = :external_id"
NOTE: Final = """
    INSERT INTO decided_call (connector_id, position, external_id, decided_at, ended_at, end_is_estimated, call_id,
        reason, line, legs)
    VALUES (:connector_id, :position, :external_id, :decided_at, :ended_at, :end_is_estimated, :call_id, :reason,
        :line, :legs)
"""
TRIM: Final = "DELETE FROM decided_call WHERE connector_id = :connector_id AND position <= :position"
_COLUMNS: Final = """
    d.position, d.connector_id, d.external_id, d.decided_at, COALESCE(d.ended_at, c.ended_at),
    COALESCE(d.end_is_estimated, c.end_is_estimated), d.call_id, d.reason, d.line, COALESCE(d.legs, c.legs)
"""
DECIDED: Final = f"""
    SELECT {_COLUMNS} FROM decided_call d LEFT JOIN call c ON c.id = d.call_id
    WHERE {{where}} ORDER BY d.position DESC LIMIT :limit
"""
FORGET_OF: Final = "DELETE FROM decided_call WHERE connector_id = :connector_id"
FORGET: Final = """
    DELETE FROM decided_call WHERE (connector_id, position) IN (
        SELECT connector_id, position FROM decided_call WHERE decided_at < :before LIMIT :limit)
"""
MENTIONING: Final = f"""
    SELECT {_COLUMNS} FROM decided_call d LEFT JOIN call c ON c.id = d.call_id
    WHERE d.legs LIKE :pattern ORDER BY d.connector_id, d.position
"""
REWRITE_LEGS: Final = """
    UPDATE decided_call SET legs = :legs WHERE connector_id = :connector_id AND external_id = :external_id
"""


class SqlDecisions:
    """`ports.decisions.Decisions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, decided: DecidedCall) -> None:
        key = {"connector_id": decided.connector_id, "external_id": decided.external_id}
        is_new = not self._session.rows(BEFORE, key)
        is_event = decided.outcome is CallOutcome.EVENT
        counted = {"events": int(is_new and is_event), "no_events": int(is_new and not is_event)}
        if not self._session.run(COUNT, {"connector_id": decided.connector_id, **counted}):
            return
        row = first(self._session.rows(COUNTED, {"connector_id": decided.connector_id}))
        position = int(row[0]) if row is not None else 0
        if not is_new:
            self._session.run(FORGET_EARLIER, key)
        self._session.run(NOTE, {**_parameters(decided), "position": position})
        self._session.run(TRIM, {"connector_id": decided.connector_id, "position": position - MOST_DECIDED})

    def decided(
        self, connector_id: ConnectorId, outcome: CallOutcome | None, *, limit: int, cursor: int | None
    ) -> tuple[Sequence[DecidedCall], int | None]:
        where = Where()
        where.equals("d.connector_id", "connector_id", connector_id)
        if cursor is not None:
            where.add("d.position < :cursor", cursor=cursor)
        if outcome is not None:
            where.add(f"d.call_id IS {'NOT NULL' if outcome is CallOutcome.EVENT else 'NULL'}")
        sql = DECIDED.format(where=where.sql)
        rows = self._session.rows(sql, {**where.parameters, "limit": limit + 1})
        page = page_of(rows, limit, _decided, lambda each: LEG_BYTES * (1 + len(each.legs.legs)))
        return page.items, None if page.next_cursor is None else int(page.next_cursor)

    def forget_of(self, connector_id: ConnectorId) -> None:
        self._session.run(FORGET_OF, {"connector_id": connector_id})

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        return self._session.run(FORGET, {"before": micros(instant), "limit": limit})

    def mentioning(self, number: str) -> list[DecidedCall]:
        return [_decided(row) for row in self._session.rows(MENTIONING, {"pattern": f"%{number}%"})]

    def rewrite_legs(self, decided: DecidedCall, legs: CallLegs) -> None:
        self._session.doings.erased = True
        key = {"connector_id": decided.connector_id, "external_id": decided.external_id}
        self._session.run(REWRITE_LEGS, {**key, "legs": legs_to_text(legs)})


def _parameters(decided: DecidedCall) -> dict[str, object]:
    has_legs = bool(decided.legs.legs) and decided.outcome is CallOutcome.NONE
    return {
        "connector_id": decided.connector_id,
        "external_id": decided.external_id,
        "decided_at": micros(decided.decided_at),
        "ended_at": micros_or_none(decided.ended_at),
        "end_is_estimated": 1 if decided.end_is_estimated else None,
        "call_id": decided.call_id,
        "reason": decided.reason,
        "line": decided.line,
        "legs": legs_to_text(decided.legs) if has_legs else None,
    }


def _decided(row: Row) -> DecidedCall:
    _, connector_id, external_id, decided_at, ended_at, end_is_estimated, call_id, reason, line, legs = row
    return DecidedCall(
        connector_id=ConnectorId(connector_id),
        external_id=external_id,
        decided_at=instant(decided_at),
        ended_at=instant_or_none(ended_at),
        end_is_estimated=bool(end_is_estimated),
        call_id=None if call_id is None else CallId(call_id),
        reason=reason,
        line=line,
        legs=legs_from_text(legs),
    )
