"""What the store promises of large rows: a list ends where it is large enough, and what is behind that is not read."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from hookline.adapters.sql import paging
from hookline.adapters.sql.bodies import WITH_THE_ROW, EventBodies
from hookline.domain.deliveries import Claim
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import CallId, WebhookId
from hookline.domain.meetings import Meeting
from hookline.domain.processes import Span
from hookline.ports.storage import CallFilter, DeliveryFilter, MeetingFilter, Page, Timer, Transaction
from hookline.services.calls import report_call
from hookline.services.publishing import make_event
from tests.contract.owing import DELIVERED, LEASE, added, claimed, owed, plenty, settled
from tests.contract.stores import Place, Store
from tests.contract.test_storage_calendar import new_meeting
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, accepted, call_payload, details

#: Longer than what comes with its row, and the bound that three of them reach.
_SIZE: Final = WITH_THE_ROW + 1000
_READ: Final = 5 * _SIZE // 2


@pytest.fixture(autouse=True)
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "READ_BYTES", _READ)


def new_event(tx: Transaction) -> Event:
    subject = CallId(f"call_{tx.ulid()}")
    return make_event(tx, EventKind.CALL_FINISHED, subject, sequence=1, body=b"x" * _SIZE)


def large_event(tx: Transaction) -> None:
    tx.outbox.add_event(new_event(tx))


def large_meeting(tx: Transaction) -> Meeting:
    meeting = new_meeting(tx, details(MONDAY, meeting_notes="x" * (_SIZE // 2)))
    tx.calendar.add(meeting)
    tx.calendar.set_timer(Timer(meeting_id=meeting.id, version=1, due_at=MONDAY))
    return meeting


def large_call(tx: Transaction) -> None:
    report_call(tx, call_payload(phone_line_name="x" * _SIZE))


def all_pages(fetch: Callable[[str | None], Page[Any]]) -> list[int]:
    """How many items each page of a list has; all items are there, each once."""
    page = fetch(None)
    items, counts = list(page.items), [len(page.items)]
    while page.next_cursor is not None:
        page = fetch(page.next_cursor)
        items += page.items
        counts.append(len(page.items))
    assert len({item.id for item in items}) == len(items)
    return counts


def test_a_page_ends_with_the_event_that_makes_it_large_enough(store: Store) -> None:
    for _ in range(7):
        store.write(large_event)
    feed = {"kind": None, "subject": None, "after": None, "limit": 5}
    assert all_pages(lambda cursor: store.read(lambda tx: tx.outbox.events(**feed, cursor=cursor))) == [3, 3, 1]


def test_a_page_ends_with_the_meeting_that_makes_it_large_enough(store: Store) -> None:
    for _ in range(7):
        store.write(large_meeting)
    wanted = MeetingFilter()
    fetch = lambda cursor: store.read(lambda tx: tx.calendar.meetings(wanted, limit=5, cursor=cursor))  # noqa: E731
    assert all_pages(fetch) == [3, 3, 1]


def test_a_page_ends_with_the_call_that_makes_it_large_enough(store: Store) -> None:
    for _ in range(7):
        store.write(large_call)
    fetch = lambda cursor: store.read(lambda tx: tx.phone.calls(CallFilter(), limit=5, cursor=cursor))  # noqa: E731
    assert all_pages(fetch) == [3, 3, 1]


def test_a_page_ends_with_the_delivery_whose_answers_make_it_large_enough(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "READ_BYTES", 2 * len(b"answer 200") + 1)
    to = added(store)
    for _ in range(7):
        owed(store, to)
    settled(store, *((accepted(claim), DELIVERED) for claim in claimed(store)))
    wanted = DeliveryFilter()
    fetch = lambda cursor: store.read(lambda tx: tx.outbox.deliveries(wanted, limit=5, cursor=cursor))  # noqa: E731
    assert all_pages(fetch) == [3, 3, 1]


def test_a_walk_through_events_takes_a_few_large_ones_at_a_time(store: Store) -> None:
    for _ in range(4):
        store.write(large_event)
    span = Span(kinds=tuple(EventKind), since=MONDAY, until=MONDAY + HOUR)
    first = store.read(lambda tx: tx.history.events(span, after="", limit=100))
    rest = store.read(lambda tx: tx.history.events(span, after=first[-1].id, limit=100))
    assert (len(first), len(rest)) == (3, 1)


def test_few_timers_of_large_meetings_are_due_at_once(store: Store, clock: ManualClock) -> None:
    for _ in range(7):
        store.write(large_meeting)
    clock.advance(seconds=1)
    assert len(store.read(lambda tx: tx.calendar.due_timers(100))) == 3


def test_of_what_is_behind_the_end_of_a_page_no_body_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        store.write(large_event)
    read: list[str] = []
    event_of = EventBodies.event_of

    def noting(bodies: EventBodies, row: Sequence[Any]) -> Event:
        assert row[-3] is None  # it did not come with its row
        read.append(row[0])
        return event_of(bodies, row)

    monkeypatch.setattr(EventBodies, "event_of", noting)
    store.read(lambda tx: tx.outbox.events(kind=None, subject=None, after=None, limit=6, cursor=None))
    assert len(read) == 3


# Claims


def owe_large(tx: Transaction, *to: WebhookId) -> None:
    event = new_event(tx)
    tx.outbox.add_event(event)
    for webhook_id in to:
        webhook = tx.webhooks.webhook(webhook_id)
        assert webhook is not None
        tx.outbox.owe(event, webhook, due_at=tx.now, give_up_at=None)


def test_claims_end_with_the_first_body_for_which_the_listener_has_no_room(place: Place) -> None:
    asked: list[tuple[int, int, int]] = []

    def fits(_: WebhookId, size: int, for_it: int, in_all: int) -> bool:
        asked.append((size, for_it, in_all))
        return for_it < 2 * _SIZE

    store = place.open(fits=fits)
    ids = [added(store).id, added(store).id]
    for _ in range(4):
        store.write(owe_large, *ids)
    claims = claimed(store)
    assert sorted(claim.webhook.id for claim in claims) == sorted(ids * 2)
    assert asked == [(_SIZE, mine * _SIZE, (mine + others) * _SIZE) for others in (0, 2) for mine in (0, 1, 2)]
    assert len(claimed(store)) == 4  # the next commit begins to count anew


def test_a_delivery_for_whose_body_there_is_no_room_is_not_born_claimed(place: Place) -> None:
    store = place.open(room=plenty, fits=lambda *_: False)
    store.write(owe_large, added(store).id)
    assert len(place.open().write(lambda tx: tx.outbox.claim_due(9, LEASE, plenty))) == 1


def test_a_small_body_needs_no_room_in_bytes(place: Place) -> None:
    store = place.open(fits=lambda *_: False)
    owed(store, added(store))
    assert len(claimed(store)) == 1


def test_claims_on_one_event_share_its_body_also_across_calls(store: Store) -> None:
    store.write(owe_large, *(added(store).id for _ in range(4)))
    held: list[Claim] = []
    while len(held) < 4:
        held += claimed(store, limit=1)
    assert len({id(claim.event) for claim in held}) == 1


def test_a_body_from_which_somebody_was_erased_is_read_again(store: Store) -> None:
    to = [added(store).id for _ in range(2)]
    store.write(owe_large, *to)
    [before] = claimed(store, limit=1)
    store.write(lambda tx: tx.erasure.rewrite_event(before.event.id, b"y" * _SIZE))
    [after] = claimed(store, limit=1)
    assert (before.event.body[:1], after.event.body[:1]) == (b"x", b"y")


def test_what_another_connection_erased_is_read_again(place: Place) -> None:
    store, other = place.open(), place.open()
    to = [added(store).id for _ in range(2)]
    store.write(owe_large, *to)
    [before] = claimed(store, limit=1)
    other.write(lambda tx: tx.erasure.rewrite_event(before.event.id, b"y" * _SIZE))
    [after] = claimed(store, limit=1)
    assert (before.event.body[:1], after.event.body[:1]) == (b"x", b"y")
