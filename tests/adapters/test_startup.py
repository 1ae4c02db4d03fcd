"""A start waits for a database that is away, for a bounded time, and for nothing else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from hookline.adapters.sql.startup import Unreachable, retry_while_unreachable
from hookline.errors import Unavailable
from tests.fakes import ManualClock


def failing(times: int, problem: Exception) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """A step that fails so often before it succeeds; and a list with an element for each attempt."""
    attempts: list[int] = []

    async def attempt() -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise problem
        return "done"

    return attempt, attempts


def started(attempt: Callable[[], Awaitable[str]], clock: ManualClock, **more: float) -> str:
    """What came of the step, with time passing whenever the start sleeps."""

    async def scenario() -> str:
        step = asyncio.ensure_future(retry_while_unreachable(attempt, step="migration", clock=clock, **more))
        while not step.done():
            await asyncio.sleep(0)  # noqa: TID251  a turn of the event loop, no time
            if clock.sleepers:
                clock.advance(seconds=1)
        return step.result()

    return asyncio.run(scenario())


def test_a_step_is_tried_again_while_the_database_is_away(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    attempt, attempts = failing(4, Unreachable("The database is starting up."))
    assert started(attempt, clock) == "done"
    assert len(attempts) == 5
    said = [record.getMessage() for record in caplog.records if record.name == "hookline.store"]
    assert [line.split()[:2] for line in said] == [["store.waiting", "step=migration"]] * 4 + [
        ["store.reached", "step=migration"]
    ]
    assert "gives_up_in_s=60" in said[0]
    assert "starting up" in said[0]


def test_after_its_time_a_start_fails_with_what_was_wrong_last(clock: ManualClock) -> None:
    attempt, attempts = failing(1000, Unreachable("Connection refused."))
    with pytest.raises(Unreachable, match="refused"):
        started(attempt, clock, patience_seconds=10)
    assert len(attempts) == 11


def test_without_patience_there_is_one_attempt(clock: ManualClock) -> None:
    attempt, attempts = failing(1, Unreachable("Connection refused."))
    with pytest.raises(Unreachable):
        started(attempt, clock, patience_seconds=0)
    assert attempts == [1]


def test_what_no_wait_can_mend_ends_a_start_at_once(clock: ManualClock) -> None:
    attempt, attempts = failing(1, Unavailable("The database has the encoding LATIN1."))
    with pytest.raises(Unavailable, match="LATIN1"):
        started(attempt, clock)
    assert attempts == [1]
