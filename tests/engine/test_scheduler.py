"""Starts are announced at their instant and not before, and in between nobody is asked."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from hookline.domain.events import Event, EventKind
from hookline.engine.scheduler import BATCH
from hookline.services.booking import book_meeting, book_meetings, cancel_meeting, edit_meeting, reschedule_meeting
from hookline.services.deliveries import list_events
from tests.engine.house import House, Street
from tests.fakes import MONDAY
from tests.values import DAY, HOUR, MICROSECOND, details

TEN = MONDAY + HOUR


async def started(house: House) -> Sequence[Event]:
    """Every start that was announced."""
    page = await house.database.read(
        list_events, kind=EventKind.MEETING_STARTED, subject=None, after=None, limit=10_000, cursor=None
    )
    return page.items


async def told_at(house: House) -> list[datetime]:
    """When each was."""
    return [event.created_at for event in await started(house)]


def test_a_start_is_announced_at_its_instant_and_not_before(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(TEN + MICROSECOND))
            await house.go_to(TEN)
            assert not await started(house)
            await house.go_to(TEN + MICROSECOND)
            assert await told_at(house) == [TEN + MICROSECOND]
            await house.pass_by(days=3)
            assert len(await started(house)) == 1

    asyncio.run(scenario())


def test_a_start_is_sent_to_those_who_want_to_know_at_its_instant(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED,))
            await house.write(book_meeting, details(TEN))
            await house.go_to(TEN)
            [post] = house.posts
            assert dict(post.headers)["webhook-timestamp"] == str(int(TEN.timestamp()))

    asyncio.run(scenario())


def test_until_the_next_start_the_store_is_not_asked(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meetings, [details(TEN), details(MONDAY + DAY)])
            asked = house.database.asked
            for _ in range(59):
                await house.pass_by(minutes=1)
            assert house.database.asked == asked
            await house.go_to(TEN - MICROSECOND)
            assert house.database.asked == asked
            await house.go_to(TEN)
            assert len(await started(house)) == 1

    asyncio.run(scenario())


def test_a_meeting_that_starts_earlier_than_the_next_is_not_slept_through(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(MONDAY + DAY))
            await house.write(book_meeting, details(TEN))
            await house.go_to(TEN)
            assert await told_at(house) == [TEN]

    asyncio.run(scenario())


def test_the_first_meeting_of_all_wakes_who_slept_without_an_end(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.pass_by(minutes=30)
            await house.write(book_meeting, details(TEN))
            await house.go_to(TEN)
            assert await told_at(house) == [TEN]

    asyncio.run(scenario())


def test_a_meeting_in_the_past_starts_at_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(MONDAY - HOUR))
            [event] = await started(house)
            assert (event.occurred_at, event.created_at) == (MONDAY - HOUR, MONDAY)

    asyncio.run(scenario())


@pytest.mark.parametrize("start_at", [TEN - timedelta(minutes=30), TEN + HOUR])
def test_a_meeting_that_was_moved_starts_at_its_new_time_only(street: Street, start_at: datetime) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            meeting_id = await house.write(book_meeting, details(TEN))
            await house.write(reschedule_meeting, meeting_id, start_at, None)
            await house.go_to(MONDAY + DAY)
            [event] = await started(house)
            assert event.occurred_at == start_at

    asyncio.run(scenario())


def test_a_meeting_that_was_cancelled_at_the_last_moment_does_not_start(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            meeting_id = await house.write(book_meeting, details(TEN))
            await house.go_to(TEN - MICROSECOND)
            await house.write(cancel_meeting, meeting_id, "")
            await house.pass_by(days=1)
            assert not await started(house)

    asyncio.run(scenario())


def test_of_an_edit_and_the_timer_at_the_same_instant_the_start_tells_what_was_before(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            meeting_id = await house.write(book_meeting, details(TEN))
            house.clock.advance(seconds=3600)  # the timer is awake now, and has not run yet
            await house.write(edit_meeting, meeting_id, {"meeting_name": "After"})
            [event] = await started(house)
            assert b"First talk" in event.body

    asyncio.run(scenario())


def test_what_became_due_while_nothing_ran_is_announced_at_the_start(street: Street) -> None:
    async def before() -> None:
        async with street.house() as house:
            await house.write(book_meetings, [details(TEN, 3 * DAY), details(TEN), details(MONDAY + 9 * DAY)])

    async def after() -> None:
        street.clock.set_wall(TEN + HOUR + DAY)  # the second has ended for a day, the third is yet to come
        async with street.house() as house:
            [event] = await started(house)
            assert (event.occurred_at, event.created_at) == (TEN, TEN + HOUR + DAY)

    asyncio.run(before())
    asyncio.run(after())


def test_more_starts_at_one_instant_than_go_into_a_transaction_are_all_announced_then(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meetings, [details(TEN)] * (2 * BATCH + 7))
            await house.go_to(TEN)
            events = await started(house)
            assert len(events) == len({event.subject for event in events}) == 2 * BATCH + 7
            assert {event.created_at for event in events} == {TEN}

    asyncio.run(scenario())


def test_exactly_one_transaction_full_is_announced_too(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meetings, [details(TEN)] * BATCH)
            await house.go_to(TEN)
            assert len(await started(house)) == BATCH

    asyncio.run(scenario())


def test_when_the_clock_is_set_forward_past_a_start_it_is_announced_at_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(TEN))
            house.clock.set_wall(TEN + HOUR)
            await house.idle()
            assert await told_at(house) == [TEN + HOUR]

    asyncio.run(scenario())


def test_when_the_clock_is_set_back_a_start_waits_for_the_wall(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(TEN))
            await house.go_to(TEN - timedelta(minutes=1))
            house.clock.set_wall(MONDAY - HOUR)
            await house.go_to(TEN - MICROSECOND)
            assert not await started(house)
            await house.go_to(TEN)
            assert await told_at(house) == [TEN]

    asyncio.run(scenario())


def test_when_the_clock_is_set_back_behind_a_start_it_is_not_announced_again(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(TEN))
            await house.go_to(TEN)
            house.clock.set_wall(MONDAY)
            await house.idle()
            await house.go_to(TEN + HOUR)
            assert len(await started(house)) == 1

    asyncio.run(scenario())
