"""Calls in SQL: what both databases share."""

import json
from typing import Final

from hookline.adapters.sql.bodies import WITH_THE_ROW
from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.session import Insert, Row, Session, first, instant, micros
from hookline.domain.calls import Call
from hookline.domain.events import AccountName, CallPayload, CallType
from hookline.domain.ids import CallId
from hookline.ports.storage import CallFilter, Page

ADD_CALL: Final = Insert("call", ("id", "payload", "type", "phone_line", "phone_number", "source", "created_at"))
CALL: Final = "SELECT id, payload, source, created_at FROM call WHERE id = :id"
#: A payload comes only when it is short.
CALLS: Final = f"""
    SELECT id, CASE WHEN LENGTH(payload) <= {WITH_THE_ROW} THEN payload END, source, created_at
    FROM call WHERE {{where}} ORDER BY id DESC LIMIT :limit
"""


class SqlPhone:
    """`ports.storage.Phone`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, call: Call) -> None:
        payload = call.payload
        self._session.insert(
            ADD_CALL,
            (
                call.id,
                call.body.decode(),
                payload.type.value,
                payload.phone_line,
                payload.phone_number,
                call.source,
                micros(call.created_at),
            ),
        )

    def call(self, call_id: str) -> Call | None:
        row = first(self._session.rows(CALL, {"id": call_id}))
        return None if row is None else _call(row)

    def calls(self, wanted: CallFilter, *, limit: int, cursor: str | None) -> Page[Call]:
        where = Where()
        where.before("id", cursor)
        where.equals("type", "type", wanted.type and wanted.type.value)
        where.equals("phone_line", "phone_line", wanted.phone_line)
        where.equals("phone_number", "phone_number", wanted.phone_number)
        where.between("created_at", wanted.from_at, wanted.to_at)
        rows = self._session.rows(CALLS.format(where=where.sql), {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, self._whole, lambda call: len(call.body))

    def _whole(self, row: Row) -> Call:
        """The call in a row of `CALLS`, whose payload is read now if it is long."""
        [whole] = [row] if row[1] is not None else self._session.rows(CALL, {"id": row[0]})
        return _call(whole)


def _call(row: Row) -> Call:
    id_, text, source, created_at = row
    kept = json.loads(text)
    kept["account_name"] = AccountName(**kept["account_name"])
    kept["type"] = CallType(kept["type"])
    return Call(
        id=CallId(id_), payload=CallPayload(**kept), body=text.encode(), source=source, created_at=instant(created_at)
    )
