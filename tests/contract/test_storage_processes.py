"""Long work is kept, found and forgotten; and what was kept can be walked through a few at a time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from hookline.domain.batches import MAX_BYTES
from hookline.domain.deliveries import LEASE, State
from hookline.domain.events import SAMPLES, CallType, EventKind, canonical_bytes, plain
from hookline.domain.exports import Recorded
from hookline.domain.filters import parse_filter, stopped_by
from hookline.domain.ids import CallId, DeliveryId, MeetingId, WebhookId, delivery_id
from hookline.domain.processes import Export, File, Notification, Only, Process, Replay, Span, begun
from hookline.ports.storage import Transaction
from hookline.services.publishing import make_event
from tests.contract.gathering import CALLED, CLOSES, gathered, numbers
from tests.contract.owing import DEAD, DELIVERED, added, again_at, claimed, delivery, new_event, owed, settled
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import DAY, HOUR, MICROSECOND, accepted, refused

ALL = tuple(EventKind)


def span(since: datetime = MONDAY, until: datetime = MONDAY + DAY, kinds: tuple[EventKind, ...] = ALL) -> Span:
    return Span(kinds=kinds, since=since, until=until)


REPLAY = Replay(
    span=span(kinds=ALL[:2]), webhook_id=WebhookId(7), only=Only.ALL, filter=(("type", ("missed", "answered")),)
)
EXPORT = Export(span=span(), webhook_id=None, newest_first=True, notify_url="https://you.example/told")


def kept(store: Store, asked: Any = REPLAY, now: datetime = MONDAY, **changes: Any) -> Process:
    process: Process = store.write(lambda tx: tx.processes.add(replace(begun(asked, total=3, now=now), **changes)))
    return process


def file(token: str = "t", expires_at: datetime = MONDAY + DAY) -> File:
    return File(token=token, url=f"https://h.example/{token}", expires_at=expires_at)


def now(store: Store, process: Process) -> Process | None:
    found: Process | None = store.read(lambda tx: tx.processes.process(process.id))
    return found


def write(store: Store, process: Process, body: bytes) -> None:
    store.write(lambda tx: tx.processes.add_part(process.id, body))


def size(store: Store, process: Process) -> int:
    found: int = store.read(lambda tx: tx.processes.size(process.id))
    return found


def _part(process: Process, number: int, tx: Transaction) -> bytes | None:
    return tx.processes.part(process.id, number)


# Processes


def test_a_process_comes_back_as_it_was_kept(store: Store) -> None:
    replaying = kept(store)
    exporting = kept(
        store,
        EXPORT,
        file=file(),
        notification=Notification(attempt=2, due_at=MONDAY + MICROSECOND, outcome="Not yet."),
        completed_at=MONDAY + HOUR,
        error="Alas.",
    )
    of_one = kept(store, replace(EXPORT, webhook_id=WebhookId(3), newest_first=False))
    assert [replaying.id, exporting.id, of_one.id] == [1, 2, 3]
    for process in (replaying, exporting, of_one):
        assert now(store, process) == process
    assert store.read(lambda tx: tx.processes.process(4)) is None
    assert store.read(lambda tx: tx.processes.of_file("t")) == exporting
    assert store.read(lambda tx: tx.processes.of_file("u")) is None
    assert store.read(lambda tx: tx.processes.tokens_of_files()) == {"t"}


def test_a_process_that_was_changed_is_kept_so(store: Store) -> None:
    process = kept(store).went_on("dlv_x", 2, next_at=MONDAY + HOUR)
    store.write(lambda tx: tx.processes.save(process))
    assert now(store, process) == process
    failed = replace(process.failed("Alas.", MONDAY + DAY), notification=Notification(due_at=MONDAY))
    store.write(lambda tx: tx.processes.save(failed))
    assert now(store, process) == failed


def test_processes_are_listed_by_creation(store: Store) -> None:
    first, second, third = (kept(store) for _ in range(3))

    def listed(**how: Any) -> Sequence[Process]:
        found: Sequence[Process] = store.read(lambda tx: tx.processes.processes(**how))
        return found

    assert listed(newest_first=False, limit=2, offset=0) == [first, second]
    assert listed(newest_first=False, limit=2, offset=2) == [third]
    assert listed(newest_first=True, limit=2, offset=1) == [second, first]
    assert store.read(lambda tx: tx.processes.count()) == 3


def test_the_step_that_may_be_taken_first_is_found(store: Store) -> None:
    assert store.read(lambda tx: tx.processes.next_step()) is None
    later = kept(store, due_at=MONDAY + HOUR)
    sooner = kept(store)
    kept(store, due_at=None)
    assert store.read(lambda tx: tx.processes.next_step()) == sooner
    store.write(lambda tx: tx.processes.save(sooner.completed(MONDAY)))
    assert store.read(lambda tx: tx.processes.next_step()) == later


def test_the_notification_that_is_due_first_is_found(store: Store) -> None:
    assert store.read(lambda tx: tx.processes.next_notification()) is None
    kept(store, EXPORT, notification=Notification(due_at=MONDAY + HOUR))
    sooner = kept(store, EXPORT, notification=Notification(due_at=MONDAY))
    kept(store, EXPORT)
    assert store.read(lambda tx: tx.processes.next_notification()) == sooner


def test_a_file_is_read_in_the_pieces_in_which_it_was_written(store: Store) -> None:
    one, other = kept(store, EXPORT), kept(store, EXPORT)
    for body in (b"first\r\n", b"\x00\xff", b"third"):
        write(store, one, body)
    write(store, other, b"another")
    pieces = [store.read(partial(_part, one, number)) for number in range(4)]
    assert pieces == [b"first\r\n", b"\x00\xff", b"third", None]
    assert (size(store, one), size(store, kept(store))) == (14, 0)


def test_files_go_when_their_time_is_over_and_processes_after_them(store: Store, clock: ManualClock) -> None:
    ended = kept(store, EXPORT, file=file("a"), due_at=None)
    longer = kept(store, EXPORT, file=file("b", MONDAY + 2 * DAY), due_at=None)
    at_work = kept(store, EXPORT, file=file("c"))
    for process in (ended, longer, at_work):
        for _ in range(2):
            write(store, process, b"x")

    def forget_processes() -> int:
        gone: int = store.write(lambda tx: tx.processes.forget_before(MONDAY + DAY, limit=10))
        return gone

    assert forget_processes() == 0
    assert store.write(lambda tx: tx.processes.forget_expired(limit=9)) == 0
    clock.set_wall(MONDAY + DAY)
    assert [store.write(lambda tx: tx.processes.forget_expired(limit=1)) for _ in range(3)] == [1, 1, 0]
    assert [size(store, each) for each in (ended, longer, at_work)] == [0, 2, 2]
    assert forget_processes() == 1
    assert now(store, ended) is None
    assert kept(store).id == 4  # ids are never used again


@pytest.mark.parametrize("changes", [{"due_at": MONDAY}, {"due_at": None, "notification": Notification(due_at=MONDAY)}])
def test_a_process_that_has_something_to_do_is_never_forgotten(store: Store, changes: dict[str, Any]) -> None:
    kept(store, EXPORT, **changes)
    assert store.write(lambda tx: tx.processes.forget_before(MONDAY + 99 * DAY, limit=9)) == 0


# The walk


def test_events_are_walked_in_the_order_of_keeping_up_to_the_edges_of_the_span(
    store: Store, clock: ManualClock
) -> None:
    def at(instant: datetime, kind: EventKind = EventKind.MEETING_BOOKED) -> str:
        clock.set_wall(instant)
        made: str = store.write(new_event, kind).id
        return made

    at(MONDAY - MICROSECOND)
    first = at(MONDAY)
    second = at(MONDAY)
    at(MONDAY + HOUR, EventKind.CALL_FINISHED)
    last = at(MONDAY + DAY - MICROSECOND)
    at(MONDAY + DAY)
    test = store.write(_kept_test)
    wanted = span(kinds=(EventKind.MEETING_BOOKED,))

    def walk(after: str) -> list[str]:
        found = store.read(lambda tx: tx.history.events(wanted, after=after, limit=2))
        return [event.id for event in found]

    assert (walk(""), walk(second), walk(last)) == ([first, second], [last], [])
    assert store.read(lambda tx: tx.history.count_events(wanted)) == 3
    assert store.read(lambda tx: tx.history.count_events(span(until=MONDAY + 9 * DAY))) == 5
    assert store.read(lambda tx: tx.history.count_events(span(kinds=()))) == 0
    assert test


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": ["answered"]},
        {"type": ["missed", "missed voicemail"]},
        {"recording": [True]},
        {"recording": [False, True]},
        {"duration_seconds": [123.0, 5]},
        {"duration_seconds": [10**30]},
        {"price": [49.9]},
        {"price": [123.0, 49.9]},
        {"currency": ["EUR"], "type": ["missed"]},
        {"phone_line_name": ['Élan "1" – 你好']},
        {"phone_line_name": ["", "1"]},
    ],
)
def test_events_that_pass_a_filter_are_counted_as_they_are_let_pass(store: Store, wanted: dict[str, list[Any]]) -> None:
    call, meeting = plain(SAMPLES[EventKind.CALL_FINISHED]), plain(SAMPLES[EventKind.MEETING_BOOKED])
    payloads = [
        *(call | {"type": each.value} for each in CallType),
        *(call | {"recording": each, "duration_seconds": 5} for each in (True, False)),
        *(call | {"phone_line_name": each} for each in ('Élan "1" – 你好', "", "1")),
        *(meeting | {"price": each} for each in (0, 49.9, 49.95, 123)),
        *(meeting | {"currency": each} for each in ("EUR", "USD")),
    ]
    for payload in payloads:
        store.write(_kept_with, canonical_bytes(payload))
    filter_ = parse_filter(wanted)
    passing = sum(stopped_by(filter_, payload) is None for payload in payloads)
    assert store.read(lambda tx: tx.history.count_events(span(), filter_)) == passing


def _kept_with(tx: Transaction, body: bytes) -> None:
    subject = CallId(f"call_{tx.ulid()}")
    tx.outbox.add_event(make_event(tx, EventKind.CALL_FINISHED, subject, sequence=1, body=body))


def _kept_test(tx: Transaction) -> str:
    event = make_event(tx, EventKind.CALL_FINISHED, CallId(f"call_{tx.ulid()}"), sequence=1, body=b"{}", is_test=True)
    tx.outbox.add_event(event)
    return event.id


def test_events_kept_while_the_clock_was_set_back_are_in_the_span_of_their_instant(
    store: Store, clock: ManualClock
) -> None:
    clock.set_wall(MONDAY + HOUR)
    store.write(new_event)
    clock.set_wall(MONDAY)
    back = store.write(new_event)
    found = store.read(lambda tx: tx.history.events(span(until=MONDAY + HOUR), after="", limit=9))
    assert [event.id for event in found] == [back.id]


@pytest.mark.parametrize("since", [datetime.fromisoformat("0001-01-01T00:00:00+00:00"), MONDAY])
def test_a_span_may_begin_before_time(store: Store, since: datetime) -> None:
    store.write(new_event)
    assert store.read(lambda tx: tx.history.count_events(span(since=since))) == 1


def test_what_was_not_delivered_is_walked_and_nothing_else(store: Store, clock: ManualClock) -> None:
    webhook, other = added(store), added(store)
    dead, delivered, failing, sending, fresh, of_other = (
        owed(store, to) for to in (webhook, webhook, webhook, webhook, webhook, other)
    )
    clock.advance(seconds=1)
    by_id = {claim.delivery_id: claim for claim in claimed(store)}
    outcomes = [
        (refused(by_id[dead]), DEAD),
        (accepted(by_id[delivered]), DELIVERED),
        (refused(by_id[failing]), again_at(MONDAY + HOUR)),
        (refused(by_id[of_other]), DEAD),
    ]
    settled(store, *outcomes)
    store.write(lambda tx: tx.outbox.release([by_id[fresh]]))
    withdrawn = owed(store, other)
    store.write(lambda tx: tx.outbox.withdraw(other.id, because="Gone."))

    def walk(of: WebhookId, after: str = "", limit: int = 9) -> Sequence[DeliveryId]:
        found: Sequence[DeliveryId] = store.read(
            lambda tx: tx.history.undelivered(span(), of, after=after, limit=limit)
        )
        return found

    assert walk(webhook.id) == [dead, failing]
    assert walk(webhook.id, limit=1) == [dead]
    assert walk(webhook.id, after=dead) == [failing]
    assert walk(other.id) == [of_other, withdrawn]
    assert store.read(lambda tx: tx.history.count_undelivered(span(), webhook.id)) == 2
    assert store.read(lambda tx: tx.history.count_undelivered(span(since=MONDAY + DAY), webhook.id)) == 0
    asked = [dead, delivered, failing, sending, fresh, delivery_id(by_id[dead].event.id, WebhookId(99))]
    assert store.read(lambda tx: tx.history.states(asked)) == {
        dead: State.DEAD,
        delivered: State.DELIVERED,
        failing: State.PENDING,
        sending: State.SENDING,
        fresh: State.PENDING,
    }


def test_what_is_due_or_being_sent_is_in_front_and_nothing_that_waits_for_later(
    store: Store, clock: ManualClock
) -> None:
    webhook, other = added(store), added(store)
    for due_in in (0, 0, 0, 3600):
        owed(store, webhook, due_in=due_in)
    owed(store, other)
    claimed(store, 1, lambda _: 1, lease=LEASE)

    def in_front(limit: int = 9) -> int:
        count: int = store.read(lambda tx: tx.history.in_front(webhook.id, LEASE, limit=limit))
        return count

    assert (in_front(), in_front(2)) == (3, 2)
    clock.advance(seconds=3600)
    assert in_front() == 4


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_record_is_walked_in_either_direction(store: Store, clock: ManualClock, newest_first: bool) -> None:
    webhook, other = added(store), added(store)
    ids = [owed(store, to) for to in (webhook, other, webhook, webhook)]
    clock.advance(seconds=1)
    [claim, *rest] = claimed(store, 2, lambda _: 1)
    settled(store, (refused(claim, 503), DEAD))

    def walk(of: WebhookId | None, after: str = "", limit: int = 9) -> Sequence[Recorded]:
        found: Sequence[Recorded] = store.read(
            lambda tx: tx.history.recorded(span(), of, after=after, newest_first=newest_first, limit=limit)
        )
        return found

    order = ids[::-1] if newest_first else ids
    assert [each.id for each in walk(None)] == order
    assert [each.id for each in walk(None, after=order[1])] == order[2:]
    assert [each.id for each in walk(None, limit=3)] == order[:3]
    assert [each.id for each in walk(other.id)] == [ids[1]]
    assert store.read(lambda tx: tx.history.count_recorded(span(), None)) == 4
    assert store.read(lambda tx: tx.history.count_recorded(span(), webhook.id)) == 3
    by_id = {each.id: each for each in walk(None)}
    dead = by_id[claim.delivery_id]
    assert (dead.status, dead.event, dead.sequence, dead.created_at) == (State.DEAD, claim.event.kind, 1, MONDAY)
    [attempt] = dead.attempts
    assert (attempt.number, attempt.status, attempt.duration_ms) == (1, 503, 5.0)
    assert {by_id[each.delivery_id].status for each in rest} == {State.SENDING}


def test_a_test_send_is_in_no_walk(store: Store) -> None:
    webhook = added(store)

    def owe_test(tx: Transaction) -> None:
        event = make_event(tx, ALL[0], MeetingId(f"mtg_{tx.ulid()}"), sequence=1, body=b"{}", is_test=True)
        tx.outbox.add_event(event)
        tx.outbox.owe(event, webhook, due_at=tx.now, give_up_at=None)

    store.write(owe_test)
    [claim] = claimed(store)
    settled(store, (refused(claim), DEAD))
    assert store.read(lambda tx: tx.history.count_events(span())) == 0
    assert store.read(lambda tx: tx.history.count_undelivered(span(), webhook.id)) == 0
    assert store.read(lambda tx: tx.history.count_recorded(span(), None)) == 0


# Batches


def test_what_is_replayed_together_goes_in_one_batch_of_each_kind(store: Store, clock: ManualClock) -> None:
    webhook = added(store, batched=True)
    booked = gathered(store, webhook, b"0", b"1", b"2")
    called = gathered(store, webhook, b"3", b"4", kind=CALLED)
    clock.set_wall(CLOSES)
    settled(store, *((refused(claim), DEAD) for claim in claimed(store)))
    ids = [booked[2], booked[0], *called, booked[1]]
    store.write(lambda tx: tx.outbox.replay_together(ids))
    again = claimed(store)
    assert sorted(numbers(claim) for claim in again) == [[0, 1, 2], [3, 4]]
    assert [(claim.attempt, claim.failures) for claim in again] == [(2, 0)] * 2
    settled(store, *((accepted(claim), DELIVERED) for claim in again))
    for each in ids:
        assert [attempt.number for attempt in delivery(store, each).attempts] == [1, 2]
        assert delivery(store, each).status is State.DELIVERED


def test_what_does_not_fit_goes_in_a_second_batch(store: Store, clock: ManualClock) -> None:
    webhook = added(store, batched=True)
    ids = gathered(store, webhook, *[b'"%s"' % (b"x" * (MAX_BYTES // 2 - 10))] * 3)
    clock.set_wall(CLOSES)
    settled(store, *((refused(claim), DEAD) for claim in claimed(store)))
    store.write(lambda tx: tx.outbox.replay_together(ids))
    assert sorted(claim.batch_size or 0 for claim in claimed(store)) == [1, 2]


def test_what_goes_in_a_batch_stands_where_its_batch_does(store: Store, clock: ManualClock) -> None:
    webhook = added(store, batched=True)
    ids = gathered(store, webhook, b"0", b"1")
    wanted = span()

    def undelivered() -> Sequence[DeliveryId]:
        found: Sequence[DeliveryId] = store.read(
            lambda tx: tx.history.undelivered(wanted, webhook.id, after="", limit=9)
        )
        return found

    def recorded() -> list[tuple[State, list[int]]]:
        found = store.read(lambda tx: tx.history.recorded(wanted, None, after="", newest_first=False, limit=9))
        return [(each.status, [attempt.number for attempt in each.attempts]) for each in found]

    def states() -> set[State]:
        return set(store.read(lambda tx: tx.history.states(ids)).values())

    assert (undelivered(), states(), recorded()) == ([], {State.PENDING}, [(State.PENDING, [])] * 2)
    clock.set_wall(CLOSES)
    [claim] = claimed(store)
    assert (undelivered(), states(), recorded()) == ([], {State.SENDING}, [(State.SENDING, [])] * 2)
    settled(store, (refused(claim), again_at(CLOSES + HOUR)))
    assert (undelivered(), states(), recorded()) == (ids, {State.PENDING}, [(State.PENDING, [1])] * 2)
    clock.set_wall(CLOSES + HOUR)
    [claim] = claimed(store)
    settled(store, (refused(claim), DEAD))
    assert (undelivered(), states(), recorded()) == (ids, {State.DEAD}, [(State.DEAD, [1, 2])] * 2)
    store.write(lambda tx: tx.outbox.replay_together(ids))
    [claim] = claimed(store)
    settled(store, (accepted(claim), DELIVERED))
    assert (undelivered(), states(), recorded()) == ([], {State.DELIVERED}, [(State.DELIVERED, [1, 2, 3])] * 2)
