"""While somebody is erased, what is held in memory to be sent is taken back: nothing about them goes out after."""

import asyncio

from hookline.domain.deliveries import State
from hookline.domain.events import Participant
from hookline.engine.lanes import CONCURRENCY
from hookline.services.booking import book_meetings
from hookline.services.erasure import erase_participant
from tests.engine.house import Street, hanging
from tests.fakes import Reply
from tests.values import details

ADA = Participant(EMAIL="ada@example.com")


def test_what_waits_in_a_lane_is_never_sent_and_what_is_in_the_air_changes_nothing(street: Street) -> None:
    asyncio.run(erase_while_a_receiver_hangs(street))


async def erase_while_a_receiver_hangs(street: Street) -> None:
    street.replying = hanging
    async with street.house() as house:
        await house.new_webhook()
        await house.write(book_meetings, [details(event_participants=(ADA,))] * (CONCURRENCY + 20))
        await house.write(book_meetings, [details()])
        assert len(house.posts) == CONCURRENCY
        await house.write(erase_participant, "ada@example.com", 10_000)
        street.replying = lambda _: Reply()
        house.sender.answer(Reply(body=b"ada, thank you"))
        await house.idle()
        after = house.posts[CONCURRENCY:]
        assert len(after) == 1
        assert b"ada@" not in after[0].body
        states = await house.states()
        assert states == [State.WITHDRAWN] * (CONCURRENCY + 20) + [State.DELIVERED]
        assert not any(attempt.response_body for each in (await house.record())[:-1] for attempt in each.attempts)
