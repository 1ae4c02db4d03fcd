"""Waiting ends: alone with an alarm of its own, or many of one length with one alarm for all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hookline.adapters.deadlines import Deadlines, TooLate, in_time
from tests.fakes import ManualClock


async def turns() -> None:
    """Let everybody do what there is to do."""
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251  no time passes


async def outcome(wait: Awaitable[None]) -> str:
    try:
        await wait
    except TooLate:
        return "too late"
    return "in time"


def begin(clock: ManualClock, deadlines: Deadlines) -> tuple["asyncio.Future[None]", "asyncio.Task[str]"]:
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return awaited, asyncio.create_task(outcome(deadlines.in_time(clock.monotonic(), awaited)))


def playing(scene: Callable[[ManualClock], Awaitable[Any]], clock: ManualClock) -> None:
    async def play() -> None:
        await scene(clock)

    asyncio.run(play())


def test_one_wait_ends_when_its_time_is_over(clock: ManualClock) -> None:
    async def scene(clock: ManualClock) -> None:
        waiting = asyncio.create_task(outcome(in_time(clock, 5, asyncio.get_running_loop().create_future())))
        await turns()
        clock.advance(seconds=4.999)
        await turns()
        assert not waiting.done()
        clock.advance(seconds=0.001)
        assert await waiting == "too late"
        assert clock.alarms_set == 0

    playing(scene, clock)


def test_each_of_many_ends_at_its_own_moment_and_one_alarm_serves_all(clock: ManualClock) -> None:
    async def scene(clock: ManualClock) -> None:
        deadlines = Deadlines(clock, 15)
        waits = []
        for _ in range(10):
            waits.append(begin(clock, deadlines)[1])
            await turns()
            clock.advance(seconds=1)
        assert clock.alarms_set == 1
        clock.advance(seconds=4.999)
        await turns()
        for number in range(10):
            assert [wait.done() for wait in waits] == [True] * number + [False] * (10 - number)
            clock.advance(seconds=1)
            await turns()
        assert {await wait for wait in waits} == {"too late"}
        assert clock.alarms_set == 0

    playing(scene, clock)


def test_what_is_done_in_time_is_not_disturbed_and_leaves_no_alarm(clock: ManualClock) -> None:
    async def scene(clock: ManualClock) -> None:
        deadlines = Deadlines(clock, 15)
        (first, waiting), (second, later) = begin(clock, deadlines), begin(clock, deadlines)
        await turns()
        clock.advance(seconds=10)
        second.set_result(None)
        assert await later == "in time"
        first.set_result(None)
        clock.advance(seconds=5)  # in the very moment in which it is done
        assert await waiting == "in time"
        assert clock.alarms_set == 0

    playing(scene, clock)


def test_who_begins_while_others_are_just_over_has_its_whole_time(clock: ManualClock) -> None:
    async def scene(clock: ManualClock) -> None:
        deadlines = Deadlines(clock, 15)
        _, over = begin(clock, deadlines)
        await turns()
        clock.advance(seconds=15)
        _, late = begin(clock, deadlines)  # before the one that is over has left
        await turns()
        assert await over == "too late"
        clock.advance(seconds=14.999)
        await turns()
        assert not late.done()
        clock.advance(seconds=0.001)
        assert await late == "too late"

    playing(scene, clock)


def test_who_gives_up_waiting_leaves_nothing_behind(clock: ManualClock) -> None:
    async def scene(clock: ManualClock) -> None:
        deadlines = Deadlines(clock, 15)
        _, waiting = begin(clock, deadlines)
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert clock.alarms_set == 0

    playing(scene, clock)
