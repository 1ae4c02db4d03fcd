"""Notices in SQL: what both databases share."""

from typing import Final

from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.session import Insert, Row, Session, instant, micros
from hookline.domain.ids import ConnectorId, NoticeId, WebhookId
from hookline.domain.notices import Notice, NoticeKind, not_understood
from hookline.ports.storage import Page

ADD_NOTICE: Final = Insert("notice", ("id", "webhook_id", "kind", "message", "created_at"))
#: Those of webhooks, and those that count numbers, whose message is their form.
NOTICES: Final = """
    SELECT id, webhook_id, connector_id, kind, message, calls, created_at FROM (
        SELECT id, webhook_id, NULL AS connector_id, kind, message, NULL AS calls, created_at FROM notice
        UNION ALL
        SELECT id, NULL, connector_id, 'number_not_understood', form, calls, created_at FROM unknown_number) notices
    WHERE {where} ORDER BY id DESC LIMIT :limit
"""
COUNT_UNKNOWN: Final = """
    INSERT INTO unknown_number (connector_id, form, id, calls, created_at, last_at)
    VALUES (:connector_id, :form, :id, 1, :now, :now)
    ON CONFLICT (connector_id, form) DO UPDATE SET calls = unknown_number.calls + 1, last_at = :now
"""
#: Whoever calls with nonsense finds many forms; more than these nobody reads.
FORGET_UNKNOWN: Final = """
    DELETE FROM unknown_number WHERE id IN (
        SELECT id FROM unknown_number ORDER BY last_at DESC, id LIMIT 1000000 OFFSET :keep)
"""
_MOST_UNKNOWN: Final = 200


class SqlNotices:
    """`ports.storage.Notices`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notice: Notice) -> None:
        self._session.insert(
            ADD_NOTICE,
            (notice.id, notice.webhook_id or 0, notice.kind.value, notice.message, micros(notice.created_at)),
        )
        self._session.doings.notices.append(notice)

    def count_unknown_number(self, notice_id: NoticeId, connector_id: ConnectorId, form: str) -> None:
        now = micros(self._session.now)
        self._session.run(COUNT_UNKNOWN, {"connector_id": connector_id, "form": form, "id": notice_id, "now": now})
        self._session.run(FORGET_UNKNOWN, {"keep": _MOST_UNKNOWN})

    def notices(self, *, limit: int, cursor: str | None) -> Page[Notice]:
        where = Where()
        where.before("id", cursor)
        rows = self._session.rows(NOTICES.format(where=where.sql), {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, _notice, lambda notice: len(notice.message))


def _notice(row: Row) -> Notice:
    id_, webhook_id, connector_id, kind, message, calls, created_at = row
    return Notice(
        id=NoticeId(id_),
        webhook_id=None if webhook_id is None else WebhookId(webhook_id),
        connector_id=None if connector_id is None else ConnectorId(connector_id),
        kind=NoticeKind(kind),
        message=message if calls is None else not_understood(message, calls),
        calls=calls,
        created_at=instant(created_at),
    )
