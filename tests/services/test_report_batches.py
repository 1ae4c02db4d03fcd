"""Large batches are accepted all or none, and applied in slices that let others get in between."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hookline.adapters.sql.group import Answered, Call
from hookline.domain.calls import CallTimes
from hookline.domain.events import EventKind, Participant, canonical_bytes
from hookline.ports.storage import CallFilter, MeetingFilter, Transaction
from hookline.services.booking import list_meetings
from hookline.services.calls import list_calls, report_call
from hookline.services.publishing import ROWS_PER_COMMIT
from hookline.services.report_batches import (
    Accepted,
    accept_calls,
    accept_meetings,
    apply_left,
    apply_slice,
    apply_slice_until,
    batch_id_of,
    left_until,
)
from hookline.services.timers import fire_due
from tests.contract.stores import STORES, Place, Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import events, new_webhook, owed
from tests.values import HOUR, call_payload, details

WEBHOOKS = 10
ENDED = CallTimes(started_at=MONDAY - 2 * HOUR, ended_at=MONDAY - HOUR)


def accepted_calls(store: Store, count: int) -> Accepted:
    payloads = [call_payload(duration_seconds=number) for number in range(count)]
    return store.write(accept_calls, payloads, [canonical_bytes(payload) for payload in payloads])


def accepted_meetings(store: Store, count: int, **changes: Any) -> Accepted:
    return store.write(accept_meetings, [details(meeting_name=f"No. {n}", **changes) for n in range(count)])


ACCEPT = {"calls": accepted_calls, "meetings": accepted_meetings}


def apply_all(store: Store, accepted: Accepted) -> int:
    """Apply what is left; how many commits it took."""
    count = 1
    while store.write(apply_slice, batch_id_of(accepted.ids)):
        count += 1
    return count


def kept(store: Store) -> list[str]:
    """The ids of all meetings and calls, in the order in which they were kept."""
    meetings = store.read(list_meetings, MeetingFilter(), limit=10_000, cursor=None).items
    calls = store.read(list_calls, CallFilter(), limit=10_000, cursor=None).items
    return sorted([*(each.id for each in meetings), *(each.id for each in calls)])


def subjects(store: Store) -> list[str]:
    return [event.subject for event in events(store)]


@pytest.mark.parametrize("kind", ACCEPT)
def test_a_batch_that_fits_is_one_commit(store: Store, kind: str) -> None:
    for _ in range(WEBHOOKS):
        new_webhook(store)
    accepted = ACCEPT[kind](store, 50)
    assert not accepted.is_staged
    assert subjects(store) == list(accepted.ids)
    assert len(owed(store)) == 50 * WEBHOOKS


@pytest.mark.parametrize("kind", ACCEPT)
def test_of_a_large_batch_nothing_is_seen_until_it_is_applied_and_then_all_in_order(
    store: Store, clock: ManualClock, kind: str
) -> None:
    for _ in range(WEBHOOKS):
        new_webhook(store)
    accepted = ACCEPT[kind](store, 200)
    assert (accepted.is_staged, kept(store), subjects(store)) == (True, [], [])
    clock.advance(seconds=3)
    assert apply_all(store, accepted) > 2
    assert kept(store) == subjects(store) == list(accepted.ids)
    assert len(owed(store)) == 200 * WEBHOOKS
    assert {event.occurred_at for event in events(store)} == {MONDAY}
    assert {event.created_at for event in events(store)} == {clock.now()}


@pytest.mark.parametrize("kind", ACCEPT)
def test_no_commit_of_a_batch_inserts_more_than_its_share_of_rows(
    sqlite_store: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(40):
        new_webhook(sqlite_store)
    accepted = ACCEPT[kind](sqlite_store, 100)
    for _ in range(apply_all(sqlite_store, accepted)):
        assert sqlite_store._session.inserted <= ROWS_PER_COMMIT


def test_a_meeting_with_many_participants_is_applied_by_itself(store: Store) -> None:
    guests = tuple(Participant(EMAIL=f"guest{number}@example.com") for number in range(ROWS_PER_COMMIT + 1))
    accepted = accepted_meetings(store, 3, event_participants=guests)
    assert apply_all(store, accepted) == 3
    assert kept(store) == list(accepted.ids)


def test_others_get_in_between_the_slices(store: Store) -> None:
    new_webhook(store)
    accepted = accepted_calls(store, 1000)
    assert store.write(apply_slice, batch_id_of(accepted.ids))
    other = store.write(report_call, call_payload())
    apply_all(store, accepted)
    assert len(kept(store)) == 1001
    assert 0 < subjects(store).index(other) < 1000


def test_silent_calls_of_a_large_batch_are_kept_without_events(store: Store) -> None:
    payloads = [call_payload()] * 800
    accepted = store.write(
        accept_calls, payloads, [canonical_bytes(each) for each in payloads], [ENDED] * 800, is_silent=True
    )
    apply_all(store, accepted)
    assert (kept(store), subjects(store)) == (list(accepted.ids), [])


def test_calls_of_a_large_batch_happened_when_they_ended(store: Store) -> None:
    payloads = [call_payload()] * 800
    accepted = store.write(accept_calls, payloads, [canonical_bytes(each) for each in payloads], [ENDED] * 800)
    assert accepted.is_staged
    apply_all(store, accepted)
    assert {event.occurred_at for event in events(store)} == {ENDED.ended_at}
    assert {call.times for call in store.read(list_calls, CallFilter(), limit=10_000, cursor=None).items} == {ENDED}


def test_two_who_apply_one_batch_apply_each_report_once(store: Store) -> None:
    accepted = accepted_calls(store, 1000)
    batch_id = batch_id_of(accepted.ids)
    answers: Sequence[Answered] = ()
    while not answers or answers[-1].value():
        answers, _ = store.write_group([Call(apply_slice, (batch_id,), {})] * 2)
    assert not store.write(apply_slice, batch_id)
    assert subjects(store) == list(accepted.ids)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("slices", [0, 1, 2])
def test_after_a_crash_between_any_two_slices_the_rest_is_applied(
    name: str, slices: int, tmp_path: Path, clock: ManualClock, dice: random.Random
) -> None:
    place = Place(STORES[name], tmp_path, clock, dice)
    dying, next_one = place.open(), place.open()
    accepted = accepted_calls(dying, 1000)
    for _ in range(slices):
        assert dying.write(apply_slice, batch_id_of(accepted.ids))
    clock.advance(seconds=60)
    while next_one.write(lambda tx: apply_slice_until(tx, tx.now)):
        pass
    assert subjects(next_one) == kept(next_one) == list(accepted.ids)
    place.close()


def test_a_batch_from_the_future_is_left_to_nobody(store: Store, clock: ManualClock) -> None:
    clock.set_wall(MONDAY + HOUR)
    accepted = accepted_calls(store, 1000)
    assert store.read(left_until, HOUR) == MONDAY + 2 * HOUR
    clock.set_wall(MONDAY)
    assert store.read(left_until, HOUR) == MONDAY
    while store.write(apply_left, HOUR):
        pass
    assert subjects(store) == list(accepted.ids)


def test_a_slice_that_fails_leaves_the_batch_as_it_was(store: Store) -> None:
    def apply_and_fail(tx: Transaction) -> None:
        apply_slice(tx, batch_id_of(accepted.ids))
        raise OSError("the store went away")

    accepted = accepted_meetings(store, 400)
    with pytest.raises(OSError, match="went away"):
        store.write(apply_and_fail)
    assert kept(store) == []
    apply_all(store, accepted)
    assert kept(store) == list(accepted.ids)


def test_where_many_webhooks_want_starts_fewer_are_announced_in_one_commit(store: Store, clock: ManualClock) -> None:
    apply_all(store, accepted_meetings(store, 100))
    clock.advance(seconds=2 * HOUR.total_seconds())
    for _ in range(40):
        new_webhook(store, events=(EventKind.MEETING_STARTED,))
    assert 1 < store.write(fire_due, 100) < 20
