"""Each hour, what is too old or what nobody can ask for any more is forgotten."""

import asyncio
from datetime import timedelta

from hookline.engine.chores import EVERY, STEP
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting
from hookline.services.idempotency import once
from tests.engine.house import KEEP_FOR, House, Street, always
from tests.fakes import MONDAY
from tests.values import DAY, details


async def answers(house: House) -> int:
    """How many answers of idempotent requests are kept."""

    def count(tx: Transaction) -> int:
        return sum(tx.answers.answer("key_1", f"k{number}") is not None for number in range(2 * STEP + 10))

    return await house.database.read(count)


def test_events_and_deliveries_go_when_they_are_older_than_they_are_kept(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(STEP + 10)
            await house.go_to(MONDAY + KEEP_FOR)
            assert len(await house.record()) == STEP + 10
            await house.pass_by(seconds=(EVERY).total_seconds())
            assert not await house.record()

    asyncio.run(scenario())


def test_the_store_is_tended_at_the_start_and_then_each_hour(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            assert house.database.tended == [KEEP_FOR]
            for _ in range(2):
                await house.pass_by(hours=1)
            assert house.database.tended == [KEEP_FOR] * 3

    asyncio.run(scenario())


def test_what_is_still_owed_stays(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(2)
            for _ in range(70):
                await house.pass_by(hours=1)
            [first, second] = await house.record()
            assert len(first.attempts) == len(second.attempts) == 9

    asyncio.run(scenario())


def test_answers_of_requests_go_after_a_day(street: Street) -> None:
    def ask_many(tx: Transaction) -> None:
        for number in range(2 * STEP + 10):
            once(tx, "key_1", f"k{number}", "f", lambda _: (200, b""))

    async def scenario() -> None:
        async with street.house() as house:
            await house.write(ask_many)
            await house.go_to(MONDAY + DAY)
            assert await answers(house) == 2 * STEP + 10
            await house.go_to(MONDAY + DAY + EVERY)
            assert await answers(house) == 0

    asyncio.run(scenario())


def test_chores_are_done_at_the_start_and_then_each_hour(street: Street) -> None:
    async def before() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(MONDAY - 3 * DAY))

    async def after() -> None:
        street.clock.set_wall(MONDAY + KEEP_FOR + timedelta(seconds=1))
        async with street.house() as house:
            page = await house.database.read(
                lambda tx: tx.outbox.events(kind=None, subject=None, after=None, limit=9, cursor=None)
            )
            assert not page.items

    asyncio.run(before())
    asyncio.run(after())
