"""What the store promises of batches that are applied in slices."""

from datetime import datetime

from hookline.adapters.sql.group import Call
from hookline.domain.calls import CallTimes
from hookline.domain.ids import CallId, MeetingId
from hookline.domain.meetings import Meeting
from hookline.ports.staged_reports import StagedReport
from hookline.ports.storage import Transaction
from hookline.services.booking import new_meeting
from hookline.services.calls import new_call
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, MICROSECOND, call_payload, details


def stage(tx: Transaction, batch_id: str, count: int = 3) -> list[StagedReport]:
    """Meetings and calls by turns."""
    reports = [
        new_call(tx, call_payload(duration_seconds=number), times=CallTimes(started_at=tx.now, ended_at=tx.now + HOUR))
        if number % 2
        else new_meeting(tx, details(MONDAY + number * MICROSECOND, HOUR))
        for number in range(count)
    ]
    staged = [
        StagedReport(batch_id=batch_id, number=number, report=report, is_silent=number == 3, rows=number + 2)
        for number, report in enumerate(reports)
    ]
    for each in staged:
        tx.staged_reports.add(each)
    return staged


def next_of(store: Store, batch_id: str, limit: int = 100) -> list[StagedReport]:
    return store.read(lambda tx: list(tx.staged_reports.next_of(batch_id, limit)))


def test_staged_reports_come_back_as_they_were_and_in_order(store: Store) -> None:
    staged = store.write(stage, "one", 5)
    store.write(stage, "another")
    assert next_of(store, "one") == staged
    assert next_of(store, "one", 2) == staged[:2]
    assert next_of(store, "none") == []


def test_a_staged_meeting_is_booked_to_the_microsecond(store: Store, clock: ManualClock) -> None:
    store.write(stage, "one")
    clock.advance(seconds=5)
    kept = next_of(store, "one")[2].report
    assert isinstance(kept, Meeting)
    assert (kept.details.start_at, kept.created_at) == (MONDAY + 2 * MICROSECOND, MONDAY)
    assert kept.id.startswith(MeetingId("mtg_"))
    assert next_of(store, "one")[1].report.id.startswith(CallId("call_"))


def test_what_was_applied_goes_and_the_rest_stays(store: Store) -> None:
    first, second = store.write(stage, "one"), store.write(stage, "two")
    store.write(lambda tx: tx.staged_reports.remove("one", up_to=1))
    assert (next_of(store, "one"), next_of(store, "two")) == (first[2:], second)
    store.write(lambda tx: tx.staged_reports.remove("one", up_to=2))
    assert next_of(store, "one") == []


def test_the_batch_that_was_accepted_first_is_told(store: Store, clock: ManualClock) -> None:
    def oldest() -> tuple[str, datetime] | None:
        found: tuple[str, datetime] | None = store.read(lambda tx: tx.staged_reports.oldest())
        return found

    assert oldest() is None
    store.write(stage, "z")
    clock.advance(seconds=10)
    store.write(stage, "a")
    assert oldest() == ("z", MONDAY)
    store.write(lambda tx: tx.staged_reports.remove("z", up_to=99))
    assert oldest() == ("a", clock.now())


def test_the_listener_hears_that_there_is_something_to_apply(store: Store) -> None:
    _, doings = store.write_group([Call(stage, ("one",), {})])
    assert doings.processes
