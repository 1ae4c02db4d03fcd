"""What is said of long work at any time, and the lines of an exported file."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hookline.domain.deliveries import Attempt, State
from hookline.domain.events import EventKind
from hookline.domain.exports import COLUMNS, Recorded, head, lines
from hookline.domain.ids import DeliveryId, EventId, MeetingId, WebhookId
from hookline.domain.processes import Export, File, Notification, Only, Process, ProcessStatus, Replay, Span, begun
from tests.fakes import MONDAY
from tests.values import DAY, HOUR

SPAN = Span(kinds=tuple(EventKind), since=MONDAY - DAY, until=MONDAY)
REPLAY = Replay(span=SPAN, webhook_id=WebhookId(1), only=Only.FAILED, filter=())
EXPORT = Export(span=SPAN, webhook_id=None, newest_first=True, notify_url="https://you.example/")


def replaying() -> Process:
    return begun(REPLAY, total=480, now=MONDAY)


def test_a_replay_says_how_far_it_is() -> None:
    process = replaying()
    assert (process.status, process.due_at) == (ProcessStatus.QUEUED, MONDAY)
    after = process.went_on("dlv_1", 120, next_at=MONDAY + HOUR)
    assert (after.status, after.due_at, after.cursor) == (ProcessStatus.IN_PROCESS, MONDAY + HOUR, "dlv_1")
    assert after.info == "120 of 480 deliveries are due again."


def test_what_was_passed_over_is_said_at_the_end() -> None:
    process = replaying().went_on("dlv_1", 478, next_at=MONDAY).completed(MONDAY)
    assert process.info == (
        "478 of 480 deliveries are due again."
        " Passed over, since delivered or attempted meanwhile, or no longer kept: 2."
    )


def test_what_failed_meanwhile_is_counted_too() -> None:
    process = replaying().went_on("dlv_1", 481, next_at=MONDAY).completed(MONDAY)
    assert process.info == "481 of 481 deliveries are due again."


def test_a_process_that_cannot_go_on_says_why_and_how_far_it_came() -> None:
    process = replaying().went_on("dlv_1", 120, next_at=MONDAY).failed("Webhook 1 was deleted.", MONDAY + HOUR)
    assert process.info == "Webhook 1 was deleted. 120 of 480 deliveries were due again by then."
    assert (process.due_at, process.completed_at) == (None, MONDAY + HOUR)


def test_an_export_says_how_long_its_file_is_kept_and_who_was_told() -> None:
    file = File(token="t", url="https://h.example/t", expires_at=MONDAY + 7 * DAY)
    process = begun(EXPORT, total=3, now=MONDAY, file=file)
    assert process.info == "0 of 3 deliveries are in the file."
    told = Notification(outcome="Somebody was.")
    process = replace(process.went_on("", 3, next_at=MONDAY).completed(MONDAY), notification=told)
    assert process.info == "3 deliveries are in the file, which is kept until 2026-01-12T09:00:00.000Z. Somebody was."


def recorded(*attempts: Attempt, **changes: Any) -> Recorded:
    made = Recorded(
        id=DeliveryId("dlv_1_7"),
        event_id=EventId("evt_1"),
        webhook_id=WebhookId(7),
        event=EventKind.MEETING_BOOKED,
        subject=MeetingId("mtg_1"),
        sequence=2,
        status=State.PENDING,
        created_at=MONDAY,
        attempts=attempts,
    )
    return replace(made, **changes)


def attempt(number: int, status: int | None, error: str = "") -> Attempt:
    started_at = MONDAY + number * timedelta(seconds=1)
    return Attempt(number=number, started_at=started_at, duration_ms=1.5, status=status, error=error)


def read(*many: Recorded, url: str = "https://you.example/hook") -> list[dict[str, str]]:
    body = head() + lines(many, {WebhookId(7): url})
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def test_each_attempt_has_a_line_and_a_delivery_without_any_has_one() -> None:
    first, second, alone = read(recorded(attempt(1, None, "Nobody listens."), attempt(2, 204)), recorded())
    assert tuple(first) == COLUMNS
    assert first == {
        "event": "meetingBooked",
        "webhookId": "7",
        "url": "https://you.example/hook",
        "deliveryId": "dlv_1_7",
        "eventId": "evt_1",
        "subject": "mtg_1",
        "sequence": "2",
        "status": "pending",
        "attempt": "1",
        "startedAt": "2026-01-05T09:00:01.000Z",
        "durationMs": "1.500",
        "responseStatus": "",
        "error": "Nobody listens.",
        "createdAt": "2026-01-05T09:00:00.000Z",
    }
    assert (second["attempt"], second["responseStatus"], second["error"]) == ("2", "204", "")
    assert (alone["attempt"], alone["startedAt"], alone["createdAt"]) == ("", "", first["createdAt"])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_spreadsheet_runs_what_came_from_outside(text: str) -> None:
    [row] = read(recorded(attempt(1, 500, text)))
    assert row["error"] == "'" + text


def test_whatever_a_text_holds_stays_in_its_cell() -> None:
    text = 'He said "no", twice,\r\nand hung up: ☎'
    [row] = read(recorded(attempt(1, 500, text)))
    assert row["error"] == text
    assert head().endswith(b"\r\n")


def test_of_a_webhook_that_is_gone_there_is_no_url() -> None:
    [row] = read(recorded(webhook_id=WebhookId(8)))
    assert (row["webhookId"], row["url"]) == ("8", "")
