"""Notices: what the owner of a webhook has to be told, kept so that every way of telling it can."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hookline.domain.ids import NoticeId, WebhookId


class NoticeKind(StrEnum):
    """What a notice is about."""

    WEBHOOK_FAILING = "webhook_failing"  # a warning: every attempt has failed for a day
    WEBHOOK_DISABLED = "webhook_disabled"  # by the receiver's 410, or after days of failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the owner of a webhook has to be told."""

    id: NoticeId
    webhook_id: WebhookId
    kind: NoticeKind
    message: str  # sentences for a person
    created_at: datetime
