"""What was sent in some days is written into a file, piece by piece, and somebody is told where it lies."""

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest

from hookline.domain.deliveries import LEASE
from hookline.domain.events import EventKind
from hookline.domain.networks import AllowedNetworks
from hookline.domain.processes import Export, Process, ProcessStatus
from hookline.errors import Invalid, NotFound
from hookline.services import exports
from hookline.services.calls import report_calls
from hookline.services.exports import (
    NewExport,
    begin_export,
    begin_notification,
    file_of,
    link_to,
    next_notification,
    notification_body,
    read_part,
    settle_notification,
)
from hookline.services.processes import read_process, take_step
from hookline.services.retention import forget_old_files
from hookline.services.webhooks import Limits, delete_webhook, send_test
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, new_webhook, owed, settle
from tests.services.test_replays import SMALL
from tests.values import DAY, accepted, call_payload, refused

HERE = Limits(max_webhooks=40, allowed_networks=AllowedNetworks(), public_url="https://hookline.example/")
MIDNIGHT = MONDAY.replace(hour=0)


def wanted(**changes: Any) -> NewExport:
    return NewExport(**{"kinds": tuple(EventKind), "notify_url": "https://you.example/told", **changes})


def calls(store: Store, count: int = 1) -> None:
    store.write(report_calls, [call_payload()] * count)


def begun(store: Store, **changes: Any) -> Process:
    return store.write(begin_export, wanted(**changes), HERE)


def ended(store: Store, clock: ManualClock, process: Process) -> Process:
    while process.due_at is not None:
        clock.set_wall(max(process.due_at, clock.now()))
        after = store.write(take_step, process.id, SMALL)
        assert after is not None
        process = after
    return process


def content(store: Store, process: Process) -> bytes:
    body, number = b"", 0
    while (piece := store.read(read_part, process, number)) is not None:
        body, number = body + piece, number + 1
    return body


def rows(store: Store, process: Process) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(store, process).decode(), newline="")))


def exported(store: Store, clock: ManualClock, **changes: Any) -> list[dict[str, str]]:
    """The lines of a file that is made now."""
    return rows(store, ended(store, clock, begun(store, **changes)))


# The file


def test_every_attempt_is_in_the_file_the_newest_event_first(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store, "https://me:secret@you.example/hook")
    calls(store)
    settle(store, *(refused(claim, 503) for claim in claim_all(store)))
    clock.advance(seconds=10)
    settle(store, *(accepted(claim) for claim in claim_all(store)))
    calls(store)
    clock.advance(seconds=10)
    process = ended(store, clock, begun(store))
    assert [(row["status"], row["attempt"], row["responseStatus"]) for row in rows(store, process)] == [
        ("pending", "", ""),
        ("delivered", "1", "503"),
        ("delivered", "2", "200"),
    ]
    assert {row["url"] for row in rows(store, process)} == {"https://you.example/***"}
    assert {row["webhookId"] for row in rows(store, process)} == {str(webhook.id)}
    assert (process.total, process.done, process.status) == (2, 2, ProcessStatus.COMPLETED)


def test_a_file_may_begin_with_the_oldest(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    calls(store, 3)
    clock.advance(seconds=1)
    order = [row["deliveryId"] for row in exported(store, clock, newest_first=False)]
    assert order == [delivery.id for delivery in owed(store)]
    assert [row["deliveryId"] for row in exported(store, clock)] == order[::-1]


def test_a_file_may_be_of_one_webhook_or_some_events(store: Store, clock: ManualClock) -> None:
    one, other = new_webhook(store), new_webhook(store)
    calls(store)
    clock.advance(seconds=1)
    assert {row["webhookId"] for row in exported(store, clock)} == {str(one.id), str(other.id)}
    assert {row["webhookId"] for row in exported(store, clock, webhook_id=other.id)} == {str(other.id)}
    assert len(exported(store, clock, kinds=(EventKind.CALL_FINISHED,))) == 2
    assert exported(store, clock, kinds=(EventKind.MEETING_BOOKED,)) == []
    assert exported(store, clock, kinds=()) == []


def test_a_file_with_nothing_in_it_has_a_head(store: Store, clock: ManualClock) -> None:
    clock.advance(seconds=1)
    assert content(store, ended(store, clock, begun(store))).startswith(b"event,webhookId,url,")


def test_test_sends_are_not_in_it_and_deleted_webhooks_are(store: Store, clock: ManualClock) -> None:
    webhook = new_webhook(store)
    store.write(send_test, webhook.id, EventKind.CALL_FINISHED)
    calls(store)
    store.write(delete_webhook, webhook.id)
    clock.advance(seconds=1)
    [row] = exported(store, clock)
    assert (row["status"], row["url"]) == ("withdrawn", "")


def test_a_long_file_is_written_in_pieces_and_every_delivery_is_in_it_once(store: Store, clock: ManualClock) -> None:
    new_webhook(store)
    calls(store, 450)
    clock.advance(seconds=1)
    process = begun(store)
    steps = []
    while process.due_at is not None:
        clock.set_wall(max(process.due_at, clock.now()))
        process = store.write(take_step, process.id, SMALL) or process
        steps.append(process.done)
        assert process.file is not None
        if process.due_at is not None:
            with pytest.raises(NotFound):
                store.read(file_of, process.file.token)
    assert process.file is not None
    assert store.read(file_of, process.file.token) == (process, len(content(store, process)))
    assert steps == [200, 400, 450]
    assert [row["deliveryId"] for row in rows(store, process)] == [each.id for each in owed(store)][::-1]


# The days


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ({}, MIDNIGHT - 6 * DAY, MONDAY),
        ({"days": 1}, MIDNIGHT, MONDAY),
        ({"days": 30}, MIDNIGHT - 29 * DAY, MONDAY),
        ({"start": date(2026, 1, 2), "end": date(2026, 1, 2)}, MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY),
        ({"start": date(2026, 1, 2), "end": date(2026, 1, 5)}, MIDNIGHT - 3 * DAY, MONDAY),
        ({"start": date(2026, 1, 2), "end": date(9999, 12, 31)}, MIDNIGHT - 3 * DAY, MONDAY),
    ],
)
def test_days_are_whole_days_of_utc_and_today_is_one_of_them(
    store: Store, asked: dict[str, Any], since: object, until: object
) -> None:
    export = begun(store, **asked).asked
    assert isinstance(export, Export)
    assert (export.span.since, export.span.until) == (since, until)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"days": 0}, "days"),
        ({"days": 31}, "days"),
        ({"start": date(2026, 1, 2)}, "endDate"),
        ({"end": date(2026, 1, 2)}, "startDate"),
        ({"start": date(2026, 1, 2), "end": date(2026, 1, 1)}, "endDate"),
        ({"start": date(2026, 1, 2), "end": date(2026, 1, 2), "days": 7}, "days"),
        ({"notify_url": "ftp://you.example/"}, "notifyURL"),
        ({"notify_url": "http://127.0.0.1/"}, "notifyURL"),
        ({"notify_url": "x" * 3000}, "notifyURL"),
    ],
)
def test_what_cannot_be_is_refused_by_name(store: Store, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        begun(store, **asked)
    assert refusal.value.fields[0].field == field


def test_who_keeps_little_exports_as_much_unless_told(store: Store) -> None:
    short = Limits(max_webhooks=1, allowed_networks=AllowedNetworks(), keep_for=3 * DAY)
    process = store.write(begin_export, wanted(), short)
    assert isinstance(process.asked, Export)
    assert process.asked.span.since == MIDNIGHT - 2 * DAY
    assert process.file is not None
    assert process.file.expires_at == MONDAY + 3 * DAY


# The link


def test_the_link_cannot_be_guessed_and_is_good_for_seven_days(store: Store, clock: ManualClock) -> None:
    process, another = begun(store), begun(store)
    assert process.file is not None
    assert another.file is not None
    assert len(process.file.token) == 2 * exports.TOKEN_BYTES
    assert process.file.token != another.file.token
    assert process.file.url == f"https://hookline.example/v3/exports/{process.file.token}.csv"
    assert store.read(link_to, process) is None
    file, process = process.file, ended(store, clock, process)
    assert store.read(link_to, process) == file.url
    clock.set_wall(MONDAY + 7 * DAY)
    assert store.read(link_to, process) is None
    with pytest.raises(NotFound):
        store.read(file_of, file.token)
    assert store.write(forget_old_files, 9) == 1
    assert content(store, process) == b""


# The notification


def finished(store: Store, clock: ManualClock) -> Process:
    process = ended(store, clock, begun(store))
    assert process.notification.due_at == clock.now()
    return process


def test_who_asked_is_told_once(store: Store, clock: ManualClock) -> None:
    process = finished(store, clock)
    told = store.write(begin_notification, process.id)
    assert told is not None
    assert told.file is not None
    assert notification_body(told) == {
        "processId": 1,
        "name": "export",
        "status": "completed",
        "exportUrl": told.file.url,
        "expiresAt": "2026-01-12T09:00:00.000Z",
    }
    assert store.write(begin_notification, process.id) is None  # whoever else tells, not now
    after = store.write(settle_notification, told, 204, "")
    assert after is not None
    assert after.info.endswith(" notifyURL was told.")
    assert store.read(next_notification) is None


def test_who_does_not_answer_is_told_again_as_often_as_the_schedule_says(store: Store, clock: ManualClock) -> None:
    process = finished(store, clock)
    waits = []
    while (due := store.read(next_notification)) is not None:
        assert due.notification.due_at is not None
        waits.append((due.notification.due_at - clock.now()) / timedelta(seconds=1))
        clock.set_wall(due.notification.due_at)
        told = store.write(begin_notification, due.id)
        assert told is not None
        after = store.write(settle_notification, told, 500, "")
        assert after is not None
        assert "It answered 500." in after.info
    assert [base <= wait <= base * 1.2 for base, wait in zip((0, 5, 60, 300, 1800), waits, strict=True)] == [True] * 5
    process = store.read(read_process, process.id)
    assert "notifyURL could not be told in 5 attempts." in process.info
    assert process.status is ProcessStatus.COMPLETED


def test_a_notification_that_nobody_told_the_outcome_of_is_sent_again_when_its_lease_is_over(
    store: Store, clock: ManualClock
) -> None:
    process = finished(store, clock)
    first = store.write(begin_notification, process.id)
    assert first is not None
    clock.advance(seconds=LEASE.total_seconds())
    second = store.write(begin_notification, process.id)
    assert second is not None
    assert store.write(settle_notification, first, 500, "") is None  # it has lost its right
    settled = store.write(settle_notification, second, 200, "")
    assert settled is not None
    assert settled.notification.attempt == 2


def test_an_answer_that_broke_off_does_not_count(store: Store, clock: ManualClock) -> None:
    process = finished(store, clock)
    told = store.write(begin_notification, process.id)
    assert told is not None
    after = store.write(settle_notification, told, 200, "The receiver closed the connection.")
    assert after is not None
    assert after.notification.due_at is not None
    assert "The receiver closed the connection." in after.info
