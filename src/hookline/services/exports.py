"""Exports: what was sent in a span of days is written into a file, and somebody is told where it lies.

The file is written piece by piece, each with the cursor in one commit. Telling is at least once, as with all that we
send: who begins a notification has a lease on it, and one that nobody told the outcome of is sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from hookline.domain import exports
from hookline.domain.backoff import STANDARD, wait_before_retry
from hookline.domain.deliveries import LEASE
from hookline.domain.events import EventKind
from hookline.domain.ids import WebhookId
from hookline.domain.instants import wire_form
from hookline.domain.networks import plainly_refused
from hookline.domain.processes import Export, File, Notification, Process, ProcessStatus, Span, begun
from hookline.domain.webhooks import masked_url, parse_url
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import Transaction
from hookline.services.webhooks import Limits

#: Deliveries in one piece of a file: some 50 KiB, and a few milliseconds of everybody's writer.
_STEP: Final = 200
#: Between two pieces, so that others get their turn.
_BREATHER: Final = timedelta(milliseconds=20)
#: A link without a key is not for ever.
KEPT_FOR: Final = timedelta(days=7)
TOKEN_BYTES: Final = 24
DEFAULT_DAYS: Final = 7
#: The first waits of the standard policy, some 36 minutes in all: a link that nobody takes by then is old news, and the
#: process knows it too.
NOTIFICATIONS: Final = replace(STANDARD, waits_seconds=STANDARD.waits_seconds[:4])

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExport:
    """An export as somebody wants it: the last `days`, or from `start` to `end`, both included; days are UTC."""

    kinds: tuple[EventKind, ...]
    notify_url: str
    days: int | None = None
    start: date | None = None
    end: date | None = None
    webhook_id: WebhookId | None = None
    newest_first: bool = True


def begin_export(tx: Transaction, wanted: NewExport, limits: Limits) -> Process:
    """Begin to write a file.

    Raises:
        Invalid: `notifyURL` could never be told, or the days cannot be.
    """
    _require_reachable(wanted.notify_url, limits)
    export = Export(
        span=_span(wanted, tx.now, limits.keep_for),
        webhook_id=wanted.webhook_id,
        newest_first=wanted.newest_first,
        notify_url=wanted.notify_url,
    )
    token = tx.secret_bytes(TOKEN_BYTES).hex()
    url = f"{limits.public_url.rstrip('/')}/v3/exports/{token}.csv"
    file = File(token=token, url=url, expires_at=tx.now + min(KEPT_FOR, limits.keep_for))
    total = tx.history.count_recorded(export.span, export.webhook_id)
    return tx.processes.add(begun(export, total=total, now=tx.now, file=file))


def step_export(tx: Transaction, process: Process, export: Export) -> Process:
    """Write a few more deliveries into the file. Returns the process as it is then."""
    found = tx.history.recorded(
        export.span, export.webhook_id, after=process.cursor, newest_first=export.newest_first, limit=_STEP
    )
    urls = {webhook.id: masked_url(webhook.url) for webhook in tx.webhooks.all()}
    body = (b"" if process.cursor else exports.head()) + exports.lines(found, urls)
    if body:
        tx.processes.add_part(process.id, body)
    cursor = found[-1].id if found else process.cursor
    after = process.went_on(cursor, len(found), next_at=tx.now + _BREATHER)
    if len(found) == _STEP:
        return after
    return replace(after.completed(tx.now), notification=Notification(due_at=tx.now))


def next_notification(tx: Transaction) -> Process | None:
    """The process of whose file somebody is to be told first."""
    return tx.processes.next_notification()


def begin_notification(tx: Transaction, process_id: int) -> Process | None:
    """Take the right to tell of a file once, until the lease is over. None when it is not the time, or done."""
    process = tx.processes.process(process_id)
    if process is None or process.notification.due_at is None or tx.now < process.notification.due_at:
        return None
    begun_notification = replace(process.notification, attempt=process.notification.attempt + 1, due_at=tx.now + LEASE)
    told = replace(process, notification=begun_notification)
    tx.processes.save(told)
    return told


def settle_notification(tx: Transaction, told: Process, status: int | None, error: str) -> Process | None:
    """Keep what came of a notification, and when the next is due. None when somebody else has taken over meanwhile."""
    process = tx.processes.process(told.id)
    if process is None or process.notification != told.notification:
        return None
    after = replace(process, notification=_notification_after(tx, process.notification, status, error))
    tx.processes.save(after)
    return after


def notification_body(process: Process) -> Mapping[str, Any]:
    """What `notifyURL` is told."""
    assert process.file is not None
    return {
        "processId": process.id,
        "name": process.asked.NAME,
        "status": process.status.value,
        "exportUrl": process.file.url,
        "expiresAt": wire_form(process.file.expires_at),
    }


def file_of(tx: Transaction, token: str) -> tuple[Process, int]:
    """The process that made the file with this token, and the file's size.

    Raises:
        NotFound: there is none, not yet or no more.
    """
    process = tx.processes.of_file(token)
    if process is None or link_to(tx, process) is None:
        raise no_such_file()
    return process, tx.processes.size(process.id)


def no_such_file() -> NotFound:
    """What is said of a link that leads to no file."""
    return NotFound("There is no such file. Links to files are good for 7 days at most.")


def tokens_of_files(tx: Transaction) -> frozenset[str]:
    """The tokens of all files that may be there."""
    return tx.processes.tokens_of_files()


def link_to(tx: Transaction, process: Process) -> str | None:
    """The link to the file of a process, while it can be had."""
    file = process.file
    is_there = file is not None and process.status is ProcessStatus.COMPLETED and tx.now < file.expires_at
    return file.url if file is not None and is_there else None


def read_part(tx: Transaction, process: Process, number: int) -> bytes | None:
    """A piece of a file; None behind the last."""
    return tx.processes.part(process.id, number)


def _notification_after(tx: Transaction, notification: Notification, status: int | None, error: str) -> Notification:
    if status is not None and 200 <= status < 300 and not error:
        return replace(notification, due_at=None, outcome="notifyURL was told.")
    came = error or f"It answered {status}."
    wait = wait_before_retry(NOTIFICATIONS, notification.attempt, jitter=tx.draw())
    if wait is None:
        failed = f"notifyURL could not be told in {notification.attempt} attempts. {came}"
        return replace(notification, due_at=None, outcome=failed)
    due_at = tx.now + timedelta(seconds=wait)
    return replace(notification, due_at=due_at, outcome=f"notifyURL is told again at {wire_form(due_at)}. {came}")


def _require_reachable(url: str, limits: Limits) -> None:
    try:
        host = parse_url(url).host
    except Invalid as refusal:
        raise Invalid.field("notifyURL", refusal.fields[0].message, code=refusal.code) from None
    refused = plainly_refused(host, limits.allowed_networks)
    if refused is not None:
        raise Invalid.field("notifyURL", refused)


def _span(wanted: NewExport, now: datetime, keep_for: timedelta) -> Span:
    """The days as instants; none of them is later than now, so that the set stays the same."""
    if (wanted.start is None) != (wanted.end is None):
        raise Invalid.field("endDate" if wanted.end is None else "startDate", "startDate and endDate go together.")
    if wanted.start is not None and wanted.end is not None:
        if wanted.days is not None:
            raise Invalid.field("days", "expected days, or startDate and endDate; not both.", code="bad_request")
        if wanted.end < wanted.start:
            raise Invalid.field("endDate", f"expected a day from {wanted.start} on, got {wanted.end}.")
        until = _midnight(wanted.end) + _DAY if wanted.end < now.date() else now
        return Span(kinds=wanted.kinds, since=_midnight(wanted.start), until=until)
    days = min(DEFAULT_DAYS, keep_for.days) if wanted.days is None else wanted.days
    if not 1 <= days <= keep_for.days:
        raise Invalid.field("days", f"expected 1 to {keep_for.days}, got {days}.", code="out_of_range")
    return Span(kinds=wanted.kinds, since=_midnight(now.date()) - (days - 1) * _DAY, until=now)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
