"""Notices: what the owner of a webhook or a connector has to be told, kept so that every way of telling it can."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from hookline.domain.ids import ConnectorId, NoticeId, WebhookId


class NoticeKind(StrEnum):
    """What a notice is about."""

    WEBHOOK_FAILING = "webhook_failing"  # a warning: every attempt has failed for a day
    WEBHOOK_DISABLED = "webhook_disabled"  # by the receiver's 410, or after days of failing
    NUMBER_NOT_UNDERSTOOD = "number_not_understood"  # a connector tells of numbers in a form that is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the owner of a webhook or a connector has to be told."""

    id: NoticeId
    webhook_id: WebhookId | None
    connector_id: ConnectorId | None = None
    calls: int | None = None  # how many there were so far, of a notice that counts
    kind: NoticeKind
    message: str  # sentences for a person
    created_at: datetime


#: Characters of a form at most.
MAX_FORM: Final = 40


def form_of(told: str) -> str:
    """The form of a number that was not understood, without the number: each digit is `#`."""
    hidden = ("#" if each.isdecimal() else each for each in told if each.isprintable())
    return "".join(hidden).strip()[:MAX_FORM]


def not_understood(form: str, calls: int) -> str:
    """What the owner of a connector is told about numbers of this form."""
    how_many = "One call has" if calls == 1 else f"{calls} calls have"
    return (
        f"{how_many} a contact's number of the form {form!r} (digits as #), which is neither a number nor known"
        " to stand for a withheld one. It is told as it came."
    )
