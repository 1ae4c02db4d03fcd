"""Loops that fail are run again, and whoever asks is told which do not run."""

import asyncio
import logging
from datetime import timedelta

import pytest

from hookline.engine.supervisor import PAUSE, STEADY_SECONDS, Supervisor
from hookline.errors import Unavailable
from tests.fakes import MONDAY, ManualClock, turn


class Worker:
    """A loop that fails when it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.ended = 0
        self._fails: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        self.runs += 1
        self._fails = asyncio.get_running_loop().create_future()
        try:
            await self._fails
        finally:
            self.ended += 1

    async def fail(self, problem: Exception) -> None:
        self._fails.set_exception(problem)
        await settle()

    async def come_to_its_end(self) -> None:
        self._fails.set_result(None)
        await settle()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await turn()


def test_loops_run_from_the_start_until_they_are_stopped(clock: ManualClock) -> None:
    async def scenario() -> None:
        one, other = Worker(), Worker()
        supervisor = Supervisor(clock, {"one": one.run, "other": other.run})
        assert supervisor.failing() == ["one", "other"]
        supervisor.start()
        await settle()
        assert (one.runs, other.runs, supervisor.failing()) == (1, 1, [])
        await supervisor.stop("one")
        assert (one.ended, other.ended, supervisor.failing()) == (1, 0, ["one"])
        await supervisor.stop()
        assert (one.ended, other.ended, supervisor.failing()) == (1, 1, ["one", "other"])
        await supervisor.stop()
        await supervisor.stop("one", "nobody")

    asyncio.run(scenario())


@pytest.mark.parametrize("problem", [Unavailable("The disk is full."), ValueError("A mistake."), KeyError("x")])
def test_a_loop_that_fails_rests_is_reported_and_runs_again(
    clock: ManualClock, problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        worker, other = Worker(), Worker()
        supervisor = Supervisor(clock, {"worker": worker.run, "other": other.run})
        supervisor.start()
        await settle()
        for runs in range(1, 4):
            await worker.fail(problem)
            assert supervisor.failing() == ["worker"]
            clock.advance(seconds=PAUSE.total_seconds() - 0.001)
            await settle()
            assert worker.runs == runs
            clock.advance(seconds=0.001)
            await settle()
            assert worker.runs == runs + 1
        assert other.runs == 1
        await supervisor.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert len(caplog.records) == 3
    for record in caplog.records:
        assert "worker" in record.getMessage()
        # What the disk says is no mistake of ours: one line is enough.
        assert (record.exc_info is None) == isinstance(problem, Unavailable)


def test_a_loop_that_failed_once_is_well_again_as_soon_as_it_runs(clock: ManualClock) -> None:
    async def scenario() -> None:
        worker = Worker()
        supervisor = Supervisor(clock, {"worker": worker.run})
        supervisor.start()
        await settle()
        for _ in range(3):  # far apart: each is the first
            await worker.fail(Unavailable("The disk is full."))
            assert supervisor.failing() == ["worker"]
            clock.advance(seconds=PAUSE.total_seconds())
            await settle()
            assert supervisor.failing() == []
            clock.advance(seconds=STEADY_SECONDS)
        await supervisor.stop()

    asyncio.run(scenario())


def test_a_loop_that_fails_again_and_again_is_failing_until_it_has_run_for_a_while(clock: ManualClock) -> None:
    async def scenario() -> None:
        worker = Worker()
        supervisor = Supervisor(clock, {"worker": worker.run})
        supervisor.start()
        await settle()
        for _ in range(3):
            await worker.fail(Unavailable("The disk is full."))
            clock.advance(seconds=PAUSE.total_seconds())
            await settle()
        for _ in range(2):
            assert supervisor.failing() == ["worker"]
            clock.advance(seconds=STEADY_SECONDS / 2)
        assert supervisor.failing() == []
        await supervisor.stop()

    asyncio.run(scenario())


def test_a_loop_that_came_to_its_end_is_run_again(clock: ManualClock) -> None:
    async def scenario() -> None:
        worker = Worker()
        supervisor = Supervisor(clock, {"worker": worker.run})
        supervisor.start()
        await settle()
        await worker.come_to_its_end()
        assert supervisor.failing() == ["worker"]
        clock.advance(seconds=1)
        await settle()
        assert (worker.runs, supervisor.failing()) == (2, [])
        await supervisor.stop()

    asyncio.run(scenario())


def test_a_loop_is_ended_also_while_it_rests(clock: ManualClock) -> None:
    async def scenario() -> None:
        worker = Worker()
        supervisor = Supervisor(clock, {"worker": worker.run})
        supervisor.start()
        await settle()
        await worker.fail(ValueError("A mistake."))
        await supervisor.stop()
        assert clock.sleepers == clock.alarms_set == 0
        clock.set_wall(MONDAY + timedelta(days=1))
        await settle()
        assert worker.runs == 1

    asyncio.run(scenario())
