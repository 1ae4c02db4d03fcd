"""How a loop sleeps until it is needed, and how many claims are held of whom."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.batches import MAX_HELD
from hookline.domain.deliveries import Claim
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, EventId, MeetingId, WebhookId
from hookline.engine.bell import Bell
from hookline.engine.lanes import CAPACITY, CONCURRENCY, TOTAL_CAPACITY, Lanes
from tests.fakes import MONDAY, ManualClock, turn
from tests.values import HOUR, MICROSECOND, webhook

# The bell


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await turn()


async def is_done(waiting: Awaitable[Any]) -> bool:
    await settle()
    return asyncio.ensure_future(waiting).done()


@pytest.mark.parametrize("until", [None, MONDAY + HOUR])
def test_a_ring_wakes_who_waits(clock: ManualClock, until: Any) -> None:
    async def scenario() -> None:
        bell = Bell(clock)
        waiting = asyncio.ensure_future(bell.wait(until))
        assert not await is_done(waiting)
        bell.ring()
        assert await is_done(waiting)
        assert clock.sleepers == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("until", [None, MONDAY + HOUR])
def test_a_ring_that_nobody_heard_is_kept_as_one(clock: ManualClock, until: Any) -> None:
    async def scenario() -> None:
        bell = Bell(clock)
        bell.ring()
        bell.ring()
        assert await is_done(asyncio.ensure_future(bell.wait(until)))
        waiting = asyncio.ensure_future(bell.wait(until))
        assert not await is_done(waiting)
        waiting.cancel()

    asyncio.run(scenario())


def test_the_instant_wakes_who_waits_for_it_and_not_before(clock: ManualClock) -> None:
    async def scenario() -> None:
        bell = Bell(clock)
        waiting = asyncio.ensure_future(bell.wait(MONDAY + HOUR))
        clock.advance(seconds=(HOUR - MICROSECOND).total_seconds())
        assert not await is_done(waiting)
        clock.advance(seconds=0.000001)
        assert await is_done(waiting)
        waiting = asyncio.ensure_future(bell.wait())
        assert not await is_done(waiting)
        waiting.cancel()

    asyncio.run(scenario())


def test_an_instant_that_is_over_is_not_waited_for(clock: ManualClock) -> None:
    async def scenario() -> None:
        assert await is_done(asyncio.ensure_future(Bell(clock).wait(MONDAY - timedelta(days=1))))

    asyncio.run(scenario())


def test_who_gives_up_waiting_leaves_nobody_asleep(clock: ManualClock) -> None:
    async def scenario() -> None:
        waiting = asyncio.ensure_future(Bell(clock).wait(MONDAY + HOUR))
        assert not await is_done(waiting)
        waiting.cancel()
        await settle()
        assert clock.sleepers == 0

    asyncio.run(scenario())


# The lanes


def claim(of: int, number: int = 0) -> Claim:
    event = Event(
        id=EventId(f"evt_{number}"),
        kind=EventKind.CALL_FINISHED,
        subject=MeetingId("mtg_a"),
        sequence=1,
        occurred_at=MONDAY,
        created_at=MONDAY,
        body=b"{}",
    )
    return Claim(
        delivery_id=DeliveryId(f"dlv_{number}_{of}"),
        attempt=1,
        failures=0,
        lease_until=MONDAY + HOUR,
        token=1,
        give_up_at=None,
        event=event,
        webhook=webhook(id=WebhookId(of)),
    )


def test_a_lane_holds_so_many_claims_whatever_becomes_of_them(clock: ManualClock) -> None:
    lanes = Lanes()
    held = [claim(1, number) for number in range(CAPACITY)]
    assert lanes.room(WebhookId(1)) == CAPACITY
    for each in held:
        lanes.take(each)
    assert lanes.room(WebhookId(1)) == 0
    assert lanes.room(WebhookId(2)) == CAPACITY
    assert lanes.empty(WebhookId(1)) == held  # taken out to be given back, and still held until that is done
    assert lanes.room(WebhookId(1)) == 0
    lanes.drop(held[0])
    assert lanes.room(WebhookId(1)) == 1


def test_somebody_who_was_told_that_a_lane_is_full_is_told_once_when_half_of_it_is_free() -> None:
    lanes = Lanes()
    held = [claim(1, number) for number in range(CAPACITY)]
    for each in held:
        lanes.take(each)
    assert not lanes.has_room_again()
    lanes.room(WebhookId(1))
    told = []
    for number, each in enumerate(held, 1):
        lanes.drop(each)
        if lanes.has_room_again():
            told.append(number)
    assert told == [CAPACITY // 2]


def test_however_full_the_others_are_each_lane_takes_what_it_can_send_at_the_same_time() -> None:
    lanes = Lanes()
    for of in range(TOTAL_CAPACITY // CAPACITY):
        for number in range(CAPACITY):
            lanes.take(claim(of, number))
    late = WebhookId(999)
    assert lanes.room(late) == CONCURRENCY
    held = [claim(late, number) for number in range(CONCURRENCY)]
    for each in held:
        lanes.take(each)
    assert lanes.room(late) == 0
    told = 0
    for each in held:
        lanes.drop(each)
        told += lanes.has_room_again()
    assert told == 1


def test_a_lane_with_batches_holds_fewer_since_each_is_large() -> None:
    lanes = Lanes()
    held = [replace(claim(1, number), batch_size=500) for number in range(MAX_HELD)]
    for each in held:
        lanes.take(each)
    assert lanes.room(WebhookId(1)) == 0
    told = []
    for number, each in enumerate(held, 1):
        lanes.drop(each)
        if lanes.has_room_again():
            told.append(number)
    assert told == [MAX_HELD // 2]
    assert lanes.room(WebhookId(1)) == CAPACITY


def test_closed_lanes_have_no_room_and_give_up_what_waits() -> None:
    lanes = Lanes()
    held = [claim(of, number) for of in range(3) for number in range(4)]
    for each in held:
        lanes.take(each)
    begun = lanes[WebhookId(0)].waiting.popleft()
    assert lanes.close() == [each for each in held if each is not begun]
    assert lanes.room(WebhookId(0)) == lanes.room(WebhookId(7)) == 0
    assert lanes.close() == []
    for each in held:
        lanes.drop(each)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["take", "drop", "room", "empty"]), st.integers(1, 3)), max_size=60))
def test_what_is_held_is_what_was_taken_and_not_dropped(script: list[tuple[str, int]]) -> None:
    lanes = Lanes()
    held: dict[int, list[Claim]] = {1: [], 2: [], 3: []}
    for number, (step, of) in enumerate(script):
        if step == "take":
            held[of].append(claim(of, number))
            lanes.take(held[of][-1])
        elif step == "drop" and held[of]:
            lanes.drop(held[of].pop())
        elif step == "empty":
            lanes.empty(WebhookId(of))
        for each, claims in held.items():
            assert lanes.room(WebhookId(each)) == CAPACITY - len(claims)
