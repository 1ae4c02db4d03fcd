"""Notices in SQL: what both databases share."""

from typing import Final

from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.session import Insert, Row, Session, instant, micros
from hookline.domain.ids import NoticeId, WebhookId
from hookline.domain.notices import Notice, NoticeKind
from hookline.ports.storage import Page

ADD_NOTICE: Final = Insert("notice", ("id", "webhook_id", "kind", "message", "created_at"))
NOTICES: Final = """
    SELECT id, webhook_id, kind, message, created_at FROM notice WHERE {where} ORDER BY id DESC LIMIT :limit
"""


class SqlNotices:
    """`ports.storage.Notices`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notice: Notice) -> None:
        self._session.insert(
            ADD_NOTICE,
            (notice.id, notice.webhook_id, notice.kind.value, notice.message, micros(notice.created_at)),
        )
        self._session.doings.notices.append(notice)

    def notices(self, *, limit: int, cursor: str | None) -> Page[Notice]:
        where = Where()
        where.before("id", cursor)
        rows = self._session.rows(NOTICES.format(where=where.sql), {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, _notice, lambda notice: len(notice.message))


def _notice(row: Row) -> Notice:
    id_, webhook_id, kind, message, created_at = row
    return Notice(
        id=NoticeId(id_),
        webhook_id=WebhookId(webhook_id),
        kind=NoticeKind(kind),
        message=message,
        created_at=instant(created_at),
    )
