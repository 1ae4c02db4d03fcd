"""A clock that was wrong and is set right: what it has planned comes at its time, without a restart."""

import asyncio
from datetime import timedelta

from hookline.engine.clock_watch import EVERY
from tests.engine.house import Street, always
from tests.fakes import MONDAY

YEAR = timedelta(days=365)


def test_a_retry_planned_under_a_clock_a_year_ahead_is_made_when_its_schedule_says(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            house.clock.set_wall(MONDAY + YEAR)
            await house.pass_by(seconds=EVERY.total_seconds())
            await house.new_webhook()
            await house.calls(1)
            assert len(house.sender.posts) == 1
            house.clock.set_wall(MONDAY)
            await house.idle()
            for _ in range(2):
                await house.pass_by(seconds=EVERY.total_seconds())
            assert len(house.sender.posts) >= 2

    asyncio.run(scenario())
