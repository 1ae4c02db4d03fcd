"""A stop, a crash, and a store that cannot answer: nothing is lost, and only a crash repeats anything."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import LEASE, State
from hookline.domain.ids import WebhookId
from hookline.engine.lanes import CONCURRENCY
from hookline.errors import Unavailable
from hookline.ports.storage import News
from hookline.services.booking import book_meeting
from hookline.services.calls import report_call
from tests.engine.house import House, Street, always, hanging
from tests.fakes import MONDAY, Reply, turn
from tests.values import HOUR, call_payload, details


def ids(house: House) -> Counter[str]:
    return Counter(dict(post.headers)["webhook-id"] for post in house.posts)


async def attempts_of(house: House) -> Counter[tuple[int, ...]]:
    """How often each list of attempt numbers occurs in the record."""
    return Counter(tuple(attempt.number for attempt in each.attempts) for each in await house.record())


# A graceful stop


def test_a_stop_lets_what_is_being_sent_end_and_gives_back_what_was_not_begun(street: Street) -> None:
    street.replying = hanging

    async def before() -> Counter[str]:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            await house.calls(CONCURRENCY + 40)
            stopping = asyncio.ensure_future(house.engine.stop())
            await house.idle()
            assert not stopping.done()
            assert Counter(await house.states()) == {State.SENDING: CONCURRENCY, State.PENDING: 40}
            house.sender.answer(Reply())
            await stopping
            assert Counter(await house.states()) == {State.DELIVERED: CONCURRENCY, State.PENDING: 40}
            return ids(house)

    async def after(sent: Counter[str]) -> None:
        street.replying = always(200)
        async with street.house() as house:
            assert set(await house.states()) == {State.DELIVERED}
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}
            assert set((sent + ids(house)).values()) == {1}
            assert await attempts_of(house) == {(1,): CONCURRENCY + 40}

    asyncio.run(after(asyncio.run(before())))


def test_what_is_given_back_at_a_stop_keeps_its_attempts_and_its_place_in_the_schedule(street: Street) -> None:
    street.replying = always(500)

    async def before() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook(retry_policy=own_policy((5, 60), retry_4xx=True))
            await house.calls(CONCURRENCY + 5)
            street.replying = hanging
            await house.pass_by(seconds=5)
            stopping = asyncio.ensure_future(house.engine.stop())
            await house.idle()
            house.sender.answer(Reply())
            await stopping
            assert await attempts_of(house) == {(1, 2): CONCURRENCY, (1,): 5}

    async def after() -> None:
        street.replying = always(500)
        async with street.house() as house:
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"2"}
            [due_at] = {each.next_attempt_at for each in await house.record(status=State.PENDING)}
            assert due_at == MONDAY + timedelta(seconds=65)

    asyncio.run(before())
    asyncio.run(after())


def test_a_stop_with_nothing_to_do_ends_at_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            assert house.engine.failing() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(12))
def test_a_stop_at_any_moment_of_a_claim_leaves_no_false_attempt(street: Street, turns: int) -> None:
    street.replying = always(500)

    async def before() -> Counter[str]:
        async with street.house(stop=False) as house:
            await house.new_webhook(retry_policy=own_policy((5,), retry_4xx=True))
            await house.calls(20)
            street.replying = always(200)
            house.clock.advance(seconds=5)
            for _ in range(turns):
                await turn()
            await house.engine.stop()
            assert State.SENDING not in await house.states()
            return ids(house)

    async def after(sent: Counter[str]) -> None:
        async with street.house() as house:
            assert set(await house.states()) == {State.DELIVERED}
            assert await attempts_of(house) == {(1, 2): 20}
            assert set((sent + ids(house)).values()) == {2}

    asyncio.run(after(asyncio.run(before())))


@pytest.mark.parametrize("turns", range(6))
def test_what_is_accepted_just_before_a_stop_is_delivered_once(street: Street, turns: int) -> None:
    async def before() -> Counter[str]:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            writes = [asyncio.ensure_future(house.database.write(report_call, call_payload())) for _ in range(200)]
            for _ in range(turns):
                await turn()
            await house.engine.stop()
            await asyncio.gather(*writes)
            return ids(house)

    async def after(sent: Counter[str]) -> None:
        async with street.house() as house:
            assert set(await house.states()) == {State.DELIVERED}
            assert await attempts_of(house) == {(1,): 200}
            assert set((sent + ids(house)).values()) == {1}

    asyncio.run(after(asyncio.run(before())))


# A crash


def test_after_a_crash_what_was_being_sent_is_sent_again_and_its_cut_short_attempt_is_in_the_record(
    street: Street,
) -> None:
    street.replying = hanging

    async def before() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            await house.calls(3)

    async def after() -> None:
        street.replying = always(200)
        async with street.house() as house:
            await street.take_over(house)
            assert set(await house.states()) == {State.DELIVERED}
            assert await attempts_of(house) == {(1, 2): 3}
            [first, second] = (await house.record())[0].attempts
            assert (first.status, second.status) == (None, 200)
            assert first.error
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"2"}

    asyncio.run(before())
    asyncio.run(after())


def test_what_was_booked_before_a_crash_starts_after_it(street: Street) -> None:
    async def before() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            await house.write(book_meeting, details(MONDAY + HOUR))

    async def after() -> None:
        street.clock.set_wall(MONDAY + HOUR + timedelta(minutes=30))
        async with street.house() as house:
            [post] = house.posts
            assert dict(post.headers)["hookline-event"] == "meetingStarted"
            assert dict(post.headers)["hookline-occurred-at"] == "2026-01-05T10:00:00.000Z"

    asyncio.run(before())
    asyncio.run(after())


# A store that cannot answer


def test_while_the_store_cannot_answer_no_outcome_is_lost_and_nothing_is_sent_twice(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(5)
            with street.locked():
                house.sender.answer(Reply(status=204))
                for _ in range(5):
                    await house.pass_by(seconds=1)
                assert set(await house.states()) == {State.SENDING}
            await house.pass_by(seconds=1)
            assert set(await house.states()) == {State.DELIVERED}
            assert await attempts_of(house) == {(1,): 5}
            assert len(house.posts) == 5

    asyncio.run(scenario())


def test_a_store_that_cannot_answer_for_longer_than_a_lease_keeps_every_outcome_in_the_record(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls(5)
            street.replying = always(200)
            with street.locked():
                house.sender.answer(Reply(status=204))
                await house.idle()
                await house.go_to(MONDAY + LEASE - timedelta(seconds=1))
            await house.pass_by(seconds=10)
            assert set(await house.states()) == {State.DELIVERED}
            assert {each.attempts[0].status for each in await house.record()} == {204}

    asyncio.run(scenario())


def test_a_loop_that_the_store_could_not_answer_is_reported_and_runs_again(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            with street.locked():
                house.engine.committed(News(owed=True))
                await house.idle()
                assert house.engine.failing() == ["claims"]
            await house.pass_by(seconds=1)
            assert house.engine.failing() == []
            await house.calls(2)
            assert len(house.posts) == 2

    asyncio.run(scenario())


def test_callers_are_told_while_the_store_cannot_answer_and_nothing_of_theirs_is_sent(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            with street.locked(), pytest.raises(Unavailable):
                await house.calls()
            await house.pass_by(seconds=5)
            assert not house.posts
            await house.calls()
            assert len(house.posts) == 1

    asyncio.run(scenario())


def test_a_stop_while_the_store_cannot_answer_waits_until_every_outcome_is_kept(street: Street) -> None:
    street.replying = hanging

    async def before() -> Counter[str]:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            await house.calls(CONCURRENCY + 10)
            with street.locked():
                stopping = asyncio.ensure_future(house.engine.stop())
                await house.idle()
                house.sender.answer(Reply())
                await house.pass_by(seconds=3)
                assert not stopping.done()
            await house.pass_by(seconds=1)
            await stopping
            assert Counter(await house.states()) == {State.DELIVERED: CONCURRENCY, State.PENDING: 10}
            return ids(house)

    async def after(sent: Counter[str]) -> None:
        street.replying = always(200)
        async with street.house() as house:
            assert await attempts_of(house) == {(1,): CONCURRENCY + 10}
            assert set((sent + ids(house)).values()) == {1}

    asyncio.run(after(asyncio.run(before())))


def test_an_engine_that_is_stopping_has_no_room(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            assert house.engine.room(WebhookId(1)) > 0
            await house.engine.stop()
            assert house.engine.room(WebhookId(1)) == 0
            loops = [
                "batches",
                "chores",
                "claims",
                "clock",
                "intake",
                "notifications",
                "outcomes",
                "processes",
                "timers",
            ]
            assert house.engine.failing() == loops

    asyncio.run(scenario())
