"""Calls in SQL: what both databases share."""

import json
from typing import Final

from hookline.adapters.sql.bodies import WITH_THE_ROW
from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    first,
    instant,
    instant_or_none,
    micros,
    micros_or_none,
)
from hookline.domain.call_legs import NO_LEGS, numbers_in
from hookline.domain.calls import NO_TIMES, Call, CallOrigin, CallTimes
from hookline.domain.events import AccountName, CallPayload, CallType
from hookline.domain.ids import CallId
from hookline.domain.kept_legs import legs_from_text, legs_to_text
from hookline.ports.storage import CallFilter, Page

_NEEDED: Final = ("id", "payload", "type", "phone_line", "phone_number", "source", "created_at")
_KNOWN: Final = ("started_at", "answered_at", "ended_at", "end_is_estimated", "connector_id", "external_id", "legs")
_LISTED_KNOWN: Final = ", ".join(_KNOWN)
#: Of most calls nothing is known but the payload: their rows name no other column.
ADD_CALL: Final = Insert("call", _NEEDED)
#: Numbers beside the contact's are looked up in a table of their own.
MENTIONS: Final = """
    id IN (SELECT id FROM call WHERE phone_number = :mentions
        UNION ALL SELECT call_id FROM call_number WHERE number = :mentions)
"""
#: Bytes that a leg takes up in an answer, about.
LEG_BYTES: Final = 600
ADD_NUMBER: Final = "INSERT INTO call_number (number, call_id) VALUES (:number, :call_id)"
ADD_KNOWN_CALL: Final = Insert("call", (*_NEEDED, *_KNOWN))
CALL: Final = f"SELECT id, payload, source, created_at, {_LISTED_KNOWN} FROM call WHERE id = :id"
#: Payload and legs come only when they are short.
_IS_SHORT: Final = f"LENGTH(payload) + LENGTH(COALESCE(legs, '')) <= {WITH_THE_ROW}"
CALLS: Final = f"""
    SELECT id, CASE WHEN {_IS_SHORT} THEN payload END, source, created_at, {", ".join(_KNOWN[:-1])},
        CASE WHEN {_IS_SHORT} THEN legs END
    FROM call WHERE {{where}} ORDER BY id {{order}} LIMIT :limit
"""


class SqlPhone:
    """`ports.storage.Phone`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, call: Call) -> None:
        payload = call.payload
        row = (
            call.id,
            call.body.decode(),
            payload.type.value,
            payload.phone_line,
            payload.phone_number,
            call.source,
            micros(call.created_at),
        )
        if call.times is NO_TIMES and call.origin is None and call.legs is NO_LEGS:
            self._session.insert(ADD_CALL, row)
            return
        self._session.insert(ADD_KNOWN_CALL, (*row, *_known(call)))
        for number in numbers_in(call.legs) - {payload.phone_number}:
            self._session.run(ADD_NUMBER, {"number": number, "call_id": call.id})

    def call(self, call_id: str) -> Call | None:
        row = first(self._session.rows(CALL, {"id": call_id}))
        return None if row is None else _call(row)

    def calls(self, wanted: CallFilter, *, limit: int, cursor: str | None, oldest_first: bool = False) -> Page[Call]:
        where = Where()
        if oldest_first:
            where.after("id", cursor)
        else:
            where.before("id", cursor)
        where.equals("type", "type", wanted.type and wanted.type.value)
        where.equals("phone_line", "phone_line", wanted.phone_line)
        where.equals("phone_number", "phone_number", wanted.phone_number)
        if wanted.mentions is not None:
            where.add(MENTIONS, mentions=wanted.mentions)
        where.between("created_at", wanted.from_at, wanted.to_at)
        sql = CALLS.format(where=where.sql, order="ASC" if oldest_first else "DESC")
        rows = self._session.rows(sql, {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, self._whole, _size)

    def _whole(self, row: Row) -> Call:
        """The call in a row of `CALLS`, whose payload is read now if it is long."""
        [whole] = [row] if row[1] is not None else self._session.rows(CALL, {"id": row[0]})
        return _call(whole)


def _size(call: Call) -> int:
    return len(call.body) + LEG_BYTES * len(call.legs.legs)


def _known(call: Call) -> Row:
    """The columns `_KNOWN` of a call."""
    times, origin = call.times, call.origin
    return (
        *(micros_or_none(times.started_at), micros_or_none(times.answered_at), micros_or_none(times.ended_at)),
        1 if times.end_is_estimated else None,
        *((None, None) if origin is None else (origin.connector_id, origin.external_id)),
        legs_to_text(call.legs) if call.legs.legs else None,
    )


def _call(row: Row) -> Call:
    id_, text, source, created_at, *times, end_is_estimated, connector_id, external_id, legs = row
    started_at, answered_at, ended_at = map(instant_or_none, times)
    return Call(
        id=CallId(id_),
        payload=call_payload(text),
        body=text.encode(),
        source=source,
        created_at=instant(created_at),
        times=CallTimes(
            started_at=started_at,
            answered_at=answered_at,
            ended_at=ended_at,
            end_is_estimated=bool(end_is_estimated),
        ),
        origin=None if connector_id is None else CallOrigin(connector_id=connector_id, external_id=external_id),
        legs=legs_from_text(legs),
    )


def call_payload(text: str) -> CallPayload:
    """The payload of a call, from its canonical bytes as text."""
    kept = json.loads(text)
    kept["account_name"] = AccountName(**kept["account_name"])
    kept["type"] = CallType(kept["type"])
    return CallPayload(**kept)
