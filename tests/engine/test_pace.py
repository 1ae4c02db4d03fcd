"""A webhook with a limit sees no more attempts in any second, all of them sooner or later, and slows nobody else."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import State
from hookline.engine.lanes import CONCURRENCY
from hookline.engine.pace import Pace
from hookline.ports.sender import Post
from hookline.services.webhooks import delete_webhook, update_webhook
from tests.engine.house import House, Street, always, hanging
from tests.fakes import MONDAY, Reply
from tests.values import LIMITS

SECOND = timedelta(seconds=1)


class Diary:
    """When attempts were begun, by host."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._replying = street.replying
        self.begun: dict[str, list[datetime]] = {}
        street.replying = self._note

    def _note(self, post: Post) -> Reply | None:
        self.begun.setdefault(post.host, []).append(self._street.clock.now())
        return self._replying(post)

    def after(self, host: str = "receiver.example") -> list[float]:
        """Seconds since the start."""
        return [(at - MONDAY).total_seconds() for at in self.begun.get(host, [])]

    def most_in_a_second(self, host: str = "receiver.example") -> int:
        instants = self.begun[host]
        return max(sum(first <= at < first + SECOND for at in instants) for first in instants)


async def pass_in_steps(house: House, seconds: float, step: float = 0.125) -> None:
    """Let time pass as it does: with everybody getting his turn. Eighths of a second add up without a rest."""
    for _ in range(round(seconds / step)):
        await house.pass_by(seconds=step)


async def change(house: House, webhook_id: Any, **changes: Any) -> None:
    await house.write(update_webhook, webhook_id, changes, LIMITS)


# What the pace itself promises


@settings(deadline=None, max_examples=300)
@given(
    per_second=st.one_of(st.integers(1, 10_000), st.floats(0.01, 10_000)),
    waits=st.lists(st.floats(0.0001, 0.3), min_size=30, max_size=120),
    wanted=st.integers(1, 64),
)
def test_no_second_sees_more_than_the_limit_whenever_somebody_asks(
    per_second: float, waits: list[float], wanted: int
) -> None:
    pace, now, begun = Pace(per_second), 1000.0, Counter[float]()
    for wait in waits:
        begun[now] += pace.begin(wanted, now)
        now += wait
    for first in begun:
        # A limit with a fraction has that much more in some seconds, and less in others.
        assert sum(count for at, count in begun.items() if first <= at < first + 0.999_999) < per_second + 1


@pytest.mark.parametrize("per_second", [0.01, 0.5, 1, 3, 99, 250, 10_000])
def test_who_asks_in_time_is_let_begin_nearly_all_that_the_limit_allows(per_second: float) -> None:
    pace, now, begun = Pace(per_second), 1000.0, 0
    while now < 1000.0 + max(10, 10 / per_second):
        begun += pace.begin(1000, now)
        now = pace.next_at
    assert begun == pytest.approx(per_second * (now - 1000.0), rel=0.02, abs=1)


# And what becomes of it


@pytest.mark.parametrize(("limit", "spacing"), [(1.0, 1.0), (4.0, 0.25), (0.5, 2.0)])
def test_attempts_stand_apart_and_the_first_is_at_once(street: Street, limit: float, spacing: float) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=limit)
            await house.calls(6)
            assert diary.after() == [0.0]
            await pass_in_steps(house, 6 * spacing, spacing / 4)
            assert diary.after() == pytest.approx([number * spacing for number in range(6)])
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_a_lane_that_was_empty_remembers_when_the_latest_attempt_was(street: Street) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=0.5)
            await house.calls()
            await house.pass_by(seconds=0.5)
            await house.calls()
            assert diary.after() == [0.0]
            await pass_in_steps(house, 2)
            assert diary.after() == pytest.approx([0.0, 2.0])
            await house.pass_by(seconds=100)
            await house.calls()  # after a long rest: at once
            assert diary.after()[-1] == pytest.approx(102.5)

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [3.0, 25.0])
def test_a_long_backlog_is_sent_to_its_end_and_never_faster(street: Street, limit: float) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=limit)
            await house.calls(200)
            await pass_in_steps(house, 260 / limit, 0.015625)
            assert set(await house.states()) == {State.DELIVERED}
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}
            assert len(house.posts) == 200
            assert diary.most_in_a_second() <= limit

    asyncio.run(scenario())


def test_retries_count(street: Street) -> None:
    street.replying = always(500)
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=2.0, retry_policy=own_policy((0, 0, 0), retry_4xx=True))
            await house.calls(5)
            await pass_in_steps(house, 11)
            assert set(await house.states()) == {State.DEAD}
            assert len(house.posts) == 20
            assert diary.most_in_a_second() <= 2

    asyncio.run(scenario())


@pytest.mark.parametrize("timeout_seconds", [1, 30])
def test_the_slowest_pace_outlasts_no_lease_and_starves_nobody(street: Street, timeout_seconds: int) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=0.01, timeout_seconds=timeout_seconds)
            await house.calls(4)
            await pass_in_steps(house, 310, 5)
            assert diary.after() == pytest.approx([0.0, 100.0, 200.0, 300.0])
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}
            assert await house.states() == [State.DELIVERED] * 4

    asyncio.run(scenario())


def test_only_what_can_be_sent_soon_is_held(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=2.0)
            await house.calls(100)
            assert Counter(await house.states()) == {State.DELIVERED: 1, State.SENDING: 20, State.PENDING: 79}
            await house.calls(100)
            assert Counter(await house.states()) == {State.DELIVERED: 1, State.SENDING: 20, State.PENDING: 179}

    asyncio.run(scenario())


def test_a_stop_gives_back_what_waits_for_its_turn(street: Street) -> None:
    async def before() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=1.0)
            await house.calls(30)
            await house.engine.stop()
            assert Counter(await house.states()) == {State.DELIVERED: 1, State.PENDING: 29}
            assert all(not each.attempts for each in await house.record(status=State.PENDING))
            assert street.clock.alarms_set == 0

    async def after() -> None:
        async with street.house() as house:
            await pass_in_steps(house, 30)
            assert await house.states() == [State.DELIVERED] * 30
            assert {dict(post.headers)["hookline-attempt"] for post in house.posts} == {"1"}

    asyncio.run(before())
    asyncio.run(after())


def test_a_webhook_with_a_limit_slows_no_other(street: Street) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook("https://slow.example/", rate_limit_per_second=0.1)
            await house.new_webhook("https://fast.example/")
            for sent in range(1, 4):
                await house.calls(300)
                assert len(diary.after("fast.example")) == 300 * sent
            assert diary.after("slow.example") == [0.0]

    asyncio.run(scenario())


def test_one_that_answers_slowly_gets_as_many_as_its_limit_lets_it(street: Street) -> None:
    street.replying = hanging
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=1.0, timeout_seconds=30)
            await house.calls(40)
            await pass_in_steps(house, 25, 0.25)
            assert diary.after() == pytest.approx(list(range(26)))
            street.replying = always(200)
            house.sender.answer(Reply())

    asyncio.run(scenario())


def test_so_many_are_under_way_and_no_more_whatever_the_limit(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(rate_limit_per_second=10_000.0)
            await house.calls(CONCURRENCY + 40)
            await pass_in_steps(house, 0.1, 0.01)
            assert len(house.sender.hanging) == CONCURRENCY
            street.replying = always(200)
            house.sender.answer(Reply())
            await pass_in_steps(house, 0.1, 0.01)
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("before", "after", "instants"),
    [
        (0.1, 2.0, [0.0, 1.0, 1.5, 2.0, 2.5]),  # half a second after the latest is over already
        (2.0, 0.5, [0.0, 0.5, 1.0, 3.0, 5.0]),  # two seconds are counted from the latest
        (1.0, None, [0.0, 1.0, 1.0, 1.0, 1.0]),  # the second at its time, the others without a limit
        (None, 1.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_a_new_limit_applies_at_once(
    street: Street, before: float | None, after: float | None, instants: list[float]
) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(rate_limit_per_second=before)
            await house.calls(5)
            await pass_in_steps(house, 1)
            await change(house, webhook.id, rate_limit_per_second=after)
            await pass_in_steps(house, 4)
            assert diary.after() == pytest.approx(instants)

    asyncio.run(scenario())


def test_a_limit_that_comes_while_many_are_under_way_holds_what_follows(street: Street) -> None:
    street.replying = hanging
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook()
            await house.calls(CONCURRENCY + 10)
            await change(house, webhook.id, rate_limit_per_second=1.0)
            assert len(diary.after()) == CONCURRENCY
            diary._replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            await pass_in_steps(house, 9)
            assert diary.after()[CONCURRENCY:] == pytest.approx(list(range(10)))
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


@pytest.mark.parametrize("changes", [{"description": "Another"}, {"url": "https://new.example/"}])
def test_another_change_begins_no_second_anew(street: Street, changes: dict[str, Any]) -> None:
    diary = Diary(street)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(rate_limit_per_second=1.0)
            await house.calls(4)
            await house.pass_by(seconds=0.5)
            await change(house, webhook.id, **changes)
            await pass_in_steps(house, 4)
            begun = sorted(at for host in diary.begun for at in diary.after(host))
            assert begun == pytest.approx([0.0, 1.0, 2.0, 3.0])

    asyncio.run(scenario())


def test_what_waits_for_its_turn_is_withdrawn_with_its_webhook(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(rate_limit_per_second=1.0)
            await house.calls(30)
            await house.write(delete_webhook, webhook.id)
            await pass_in_steps(house, 3)
            assert Counter(await house.states()) == {State.DELIVERED: 1, State.WITHDRAWN: 29}
            assert len(house.posts) == 1

    asyncio.run(scenario())
