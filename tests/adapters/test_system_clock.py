"""The real clock, as far as a test may hold it to anything without waiting long."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hookline.adapters.system_clock import ServerClock, SystemClock
from hookline.ports.clock import Clock


def test_it_keeps_the_promise_of_the_port() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_sleeper_never_wakes_before_its_instant() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        for micros in (0, 1, 900, 3_000, 20_500):
            instant = clock.now() + timedelta(microseconds=micros)
            await clock.sleep_until(instant)
            assert clock.now() >= instant

    asyncio.run(scenario())


def test_a_past_instant_is_no_wait_at_all() -> None:
    asyncio.run(SystemClock().sleep_until(datetime(1970, 1, 1, tzinfo=UTC)))


def test_a_sleeper_notices_within_a_second_that_the_machine_was_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    clock = SystemClock()
    wall = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: wall + timedelta(days=len(naps)))

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)
    asyncio.run(clock.sleep_until(wall + timedelta(days=2)))
    assert naps == [1.0, 1.0]


def test_a_sleeper_sleeps_on_when_the_machine_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    clock = SystemClock()
    instant = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    walls = iter([instant - timedelta(seconds=0.5), instant - timedelta(hours=1), instant])
    monkeypatch.setattr(SystemClock, "now", lambda _: next(walls))

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)
    asyncio.run(clock.sleep_until(instant))
    assert naps == [0.5, 1.0]


def test_an_alarm_rings_once_and_not_too_early() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        rung: list[float] = []
        done = asyncio.Event()
        set_at = clock.monotonic()

        def ring() -> None:
            rung.append(clock.monotonic())
            done.set()

        alarm = clock.alarm(0.01, ring)
        await done.wait()
        alarm.cancel()  # harmless after it rang
        assert len(rung) == 1
        assert rung[0] - set_at >= 0.009  # event loops round to their own milliseconds

    asyncio.run(scenario())


def test_a_cancelled_alarm_never_rings() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        rung: list[str] = []
        done = asyncio.Event()
        clock.alarm(0.0, lambda: rung.append("cancelled")).cancel()
        clock.alarm(-1.0, lambda: rung.append("past"))
        clock.alarm(0.01, done.set)
        await done.wait()
        assert rung == ["past"]

    asyncio.run(scenario())


NINE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class Machine:
    """What the clocks of a machine show: its wall, and the seconds that it was awake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall: datetime) -> None:
        self.wall = wall
        self.awake = 100.0
        monkeypatch.setattr(SystemClock, "now", lambda _: self.wall)
        monkeypatch.setattr(SystemClock, "monotonic", lambda _: self.awake)

    def spend(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.awake += seconds


@pytest.mark.parametrize("wrong_by", [timedelta(minutes=-2), timedelta(), timedelta(minutes=2), timedelta(days=9000)])
def test_a_machine_whose_clock_is_wrong_has_the_time_of_the_server(
    monkeypatch: pytest.MonkeyPatch, wrong_by: timedelta
) -> None:
    machine, clock = Machine(monkeypatch, NINE + wrong_by), ServerClock()
    assert clock.now() == machine.wall
    clock.agree(NINE)
    machine.spend(90)
    assert clock.now() == NINE + timedelta(seconds=90)
    clock.agree(NINE + timedelta(seconds=91))
    assert clock.now() == NINE + timedelta(seconds=91)


def test_whatever_is_done_to_the_machine_no_lease_looks_longer_than_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, clock = Machine(monkeypatch, NINE), ServerClock()
    clock.agree(NINE)
    machine.spend(30)
    machine.wall -= timedelta(hours=1)  # somebody sets the machine back
    assert clock.now() == NINE + timedelta(seconds=30)
    clock.agree(NINE + timedelta(seconds=30))
    machine.wall += timedelta(seconds=60)  # it sleeps for a minute, in which the other clock stands still
    assert clock.now() == NINE + timedelta(seconds=90)
