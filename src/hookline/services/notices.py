"""Notices: what the owner of a webhook has to be told is kept, in the transaction in which it became so."""

from hookline.domain.ids import ConnectorId, NoticeId, WebhookId
from hookline.domain.notices import Notice, NoticeKind, form_of
from hookline.ports.storage import Page, Transaction


def give_notice(tx: Transaction, webhook_id: WebhookId, kind: NoticeKind, message: str) -> Notice:
    """Keep what the owner has to be told."""
    notice = Notice(
        id=NoticeId(f"ntc_{tx.ulid()}"), webhook_id=webhook_id, kind=kind, message=message, created_at=tx.now
    )
    tx.notices.add(notice)
    return notice


def count_unknown_number(tx: Transaction, connector_id: ConnectorId, told: str) -> None:
    """Count a contact's number that was not understood, by its form: the number itself is not kept here."""
    tx.notices.count_unknown_number(NoticeId(f"ntc_{tx.ulid()}"), connector_id, form_of(told))


def list_notices(tx: Transaction, *, limit: int, cursor: str | None) -> Page[Notice]:
    """Notices, the latest first."""
    return tx.notices.notices(limit=limit, cursor=cursor)
