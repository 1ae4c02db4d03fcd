"""A machine without a free file descriptor makes no attempts, so no webhook fails for it."""

import asyncio
import logging

import pytest

from hookline.domain.deliveries import State
from hookline.engine.dispatcher import OUR_MISTAKE
from hookline.ports.sender import NoDescriptors, Post
from tests.engine.house import Street, always
from tests.fakes import Reply


def starving(_: Post) -> Reply:
    raise NoDescriptors


def test_for_want_of_a_descriptor_no_attempt_is_counted_and_it_is_made_as_soon_as_there_is_one(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    street.replying = starving
    caplog.set_level(logging.ERROR, "hookline.deliveries")

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls()
            for _ in range(20):
                await house.pass_by(seconds=1)
            assert len(house.posts) <= 22
            assert await house.states() != [State.DELIVERED]
            street.replying = always(200)
            await house.pass_by(seconds=2)
            assert await house.states() == [State.DELIVERED]
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}

    asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("attempts.not_made ")
    assert OUR_MISTAKE not in caplog.text
