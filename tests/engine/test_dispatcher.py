"""What is owed is sent: nobody stands in another's way, memory is bounded, and changes are followed."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import LEASE, State
from hookline.engine import dispatcher, lanes
from hookline.engine.dispatcher import OUR_MISTAKE
from hookline.engine.lanes import CAPACITY, CONCURRENCY
from hookline.ports.sender import Post
from hookline.ports.storage import News
from hookline.services.webhooks import delete_webhook, update_webhook
from tests.engine.house import House, Street, always, hanging
from tests.fakes import MONDAY, Reply
from tests.values import LIMITS


def hosts(house: House) -> Counter[str]:
    return Counter(post.host for post in house.posts)


def ids(house: House) -> Counter[str]:
    return Counter(dict(post.headers)["webhook-id"] for post in house.posts)


def test_what_happens_is_sent_at_once_and_each_delivery_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            for name in "abc":
                await house.new_webhook(f"https://{name}.example/")
            await house.calls(50)
            assert hosts(house) == {f"{name}.example": 50 for name in "abc"}
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_a_webhook_that_hangs_delays_no_other(street: Street) -> None:
    def replying(post: Post) -> Reply | None:
        return None if post.host == "hangs.example" else Reply()

    street.replying = replying

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook("https://hangs.example/")
            await house.new_webhook("https://answers.example/")
            for sent in range(1, 6):
                await house.calls(200)
                assert hosts(house)["answers.example"] == 200 * sent
            assert hosts(house)["hangs.example"] == CONCURRENCY
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_many_that_hang_with_a_backlog_each_delay_no_other(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "CAPACITY", 8)
    monkeypatch.setattr(lanes, "TOTAL_CAPACITY", 32)
    monkeypatch.setattr(lanes, "CONCURRENCY", 2)
    monkeypatch.setattr(dispatcher, "CONCURRENCY", 2)

    def replying(post: Post) -> Reply | None:
        return None if post.host.startswith("hangs") else Reply()

    street.replying = replying

    async def scenario() -> None:
        async with street.house() as house:
            for number in range(12):
                await house.new_webhook(f"https://hangs-{number}.example/")
            await house.calls(20)
            await house.new_webhook("https://answers.example/")
            await house.calls(20)
            assert hosts(house)["answers.example"] == 20
            assert sum(state is State.SENDING for state in await house.states()) <= 12 * 8
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_a_webhook_has_so_many_attempts_under_way_and_no_more(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(2 * CONCURRENCY)
            assert len(house.sender.hanging) == CONCURRENCY
            house.sender.hanging[0].answer(Reply())
            await house.idle()
            assert len(house.posts) == CONCURRENCY + 1
            street.replying = always(200)
            house.sender.answer(Reply())

    asyncio.run(scenario())


def test_when_a_lane_is_full_nothing_more_is_claimed_and_it_goes_on_when_there_is_room(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            for _ in range(4):
                await house.calls(400)
            states = Counter(await house.states())
            assert states[State.SENDING] == CAPACITY
            assert states[State.PENDING] == 1600 - CAPACITY
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert set(await house.states()) == {State.DELIVERED}
            assert set(ids(house).values()) == {1}
            assert len(house.posts) == 1600

    asyncio.run(scenario())


def test_a_backlog_that_failed_while_nobody_looked_is_sent_to_its_end(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            for name in "abc":
                await house.new_webhook(f"https://{name}.example/")
            await house.calls(700)
            street.replying = always(200)
            await house.pass_by(seconds=6)
            assert set(await house.states()) == {State.DELIVERED}
            assert hosts(house) == {f"{name}.example": 1400 for name in "abc"}

    asyncio.run(scenario())


def test_one_that_hangs_is_cut_off_by_its_time_limit_and_tried_again(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(timeout_seconds=7)
            await house.calls()
            await house.pass_by(seconds=6.9)
            assert (await house.only()).status is State.SENDING
            await house.pass_by(seconds=0.1)
            delivery = await house.only()
            assert delivery.status is State.PENDING
            [attempt] = delivery.attempts
            assert (attempt.status, attempt.started_at, attempt.duration_ms) == (None, MONDAY, 7000.0)
            assert "7 s" in attempt.error

    asyncio.run(scenario())


def test_a_mistake_of_ours_is_an_outcome_that_is_tried_again(street: Street) -> None:
    def mistaken(_: Post) -> Reply:
        raise ZeroDivisionError

    street.replying = mistaken

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls()
            delivery = await house.only()
            assert (delivery.status, [attempt.error for attempt in delivery.attempts]) == (State.PENDING, [OUR_MISTAKE])

    asyncio.run(scenario())


def test_what_waited_in_memory_until_its_lease_was_nearly_over_is_given_back_and_sent_once(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(timeout_seconds=30)
            await house.calls(CONCURRENCY + 10)
            house.clock.set_wall(MONDAY + LEASE - timedelta(seconds=20))  # as after a sleep of the machine
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert set(await house.states()) == {State.DELIVERED}
            assert set(ids(house).values()) == {1}
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}

    asyncio.run(scenario())


def test_no_attempt_is_begun_that_could_outlast_its_lease(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(timeout_seconds=30)
            await house.calls(CONCURRENCY + 10)
            house.clock.set_wall(MONDAY + LEASE - timedelta(seconds=20))
            house.sender.answer(Reply())
            await house.idle()
            assert len(house.sender.hanging) == 10  # under leases that began just now
            house.clock.set_wall(MONDAY + LEASE + timedelta(seconds=1))
            house.engine.committed(News(owed=True))  # somebody looks for what is due
            await house.idle()
            assert set(ids(house).values()) == {1}
            house.sender.answer(Reply())

    asyncio.run(scenario())


def test_a_change_is_followed_by_what_waits_in_memory(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook("https://old.example/")
            await house.calls(CONCURRENCY + 10)
            await house.write(update_webhook, webhook.id, {"url": "https://new.example/"}, LIMITS)
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert hosts(house) == {"old.example": CONCURRENCY, "new.example": 10}
            assert set(await house.states()) == {State.DELIVERED}
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_what_waits_in_memory_for_a_webhook_that_goes_is_withdrawn(street: Street, how: str) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook()
            await house.calls(CONCURRENCY + 10)
            if how == "disabled":
                await house.write(update_webhook, webhook.id, {"is_active": False}, LIMITS)
            else:
                await house.write(delete_webhook, webhook.id)
            assert Counter(await house.states()) == {State.SENDING: CONCURRENCY, State.WITHDRAWN: 10}
            house.sender.answer(Reply(status=500))
            await house.idle()
            assert set(await house.states()) == {State.WITHDRAWN}
            assert len(house.posts) == CONCURRENCY

    asyncio.run(scenario())


def test_410_stops_what_waits_in_memory(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(CONCURRENCY + 10)
            house.sender.hanging[0].answer(Reply(status=410))
            await house.idle()
            # One more began before the outcome was settled; the other nine never do.
            assert Counter(await house.states()) == {State.DEAD: 1, State.SENDING: CONCURRENCY, State.WITHDRAWN: 9}
            house.sender.answer(Reply())

    asyncio.run(scenario())


@pytest.mark.parametrize("hours", [-30, -1, 1, 30])
def test_when_the_clock_is_set_nothing_is_lost(street: Street, hours: int) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(3)
            house.clock.set_wall(MONDAY + timedelta(hours=hours))
            await house.idle()
            await house.calls(3)
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert set(await house.states()) == {State.DELIVERED}
            assert len(ids(house)) == 6
            # Set forward, the clock says that leases are over; so what was under way may be sent again.
            assert max(ids(house).values()) <= (2 if hours > 0 else 1)

    asyncio.run(scenario())


def test_while_there_is_nothing_to_send_the_store_is_not_asked(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((5400,), retry_4xx=True))
            await house.calls()
            asked = house.database.asked
            for _ in range(58):
                await house.pass_by(seconds=60)
            assert house.database.asked == asked
            await house.pass_by(hours=1)
            assert len(house.posts) == 2

    asyncio.run(scenario())
