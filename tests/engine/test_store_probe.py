"""Readiness asks the store for a write, once for everybody who wants to know."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.engine.store_probe import FRESH_SECONDS, PATIENCE_SECONDS, StoreProbe
from hookline.errors import Unavailable
from hookline.services import readiness
from tests.contract.stores import Store
from tests.fakes import ManualClock, turn

TURNS = 20


class ScriptedStore:
    """A database whose writes end as the test says: at once, with an error, or not at all."""

    def __init__(self) -> None:
        self.writes = 0
        self.sizes: list[int] = []
        self.refusals = 0
        self.error: Exception | None = None
        self.gate: asyncio.Future[None] | None = None

    async def read(self, *_: Any) -> None:
        """Reading always works."""

    async def write(self, _: Any, size: int) -> None:
        """One more write."""
        self.writes += 1
        self.sizes.append(size)
        if self.gate is not None:
            await self.gate
        if self.error is not None:
            raise self.error


def tried(clock: ManualClock, scenario: Callable[[ScriptedStore, StoreProbe], Any]) -> None:
    """Run a scenario on a scripted store."""

    async def run() -> None:
        store = ScriptedStore()
        await scenario(store, StoreProbe(cast("Any", store), clock))

    asyncio.run(run())


def test_a_store_that_reads_but_takes_no_writes_is_a_problem_and_is_none_when_it_does_again(clock: ManualClock) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        store.error = Unavailable("The disk is full.")
        assert await probe.problem() == "The disk is full."
        store.error = None
        clock.advance(seconds=FRESH_SECONDS)
        assert await probe.problem() == ""

    tried(clock, scenario)


def test_everybody_who_asks_within_five_seconds_shares_one_write(clock: ManualClock) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        for second in range(60):
            assert set(await asyncio.gather(*(probe.problem() for _ in range(10)))) == {""}
            assert store.writes == second // FRESH_SECONDS + 1
            clock.advance(seconds=1)

    tried(clock, scenario)


def test_a_refused_request_is_noticed_at_once_although_one_small_row_would_still_fit(clock: ManualClock) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        assert await probe.problem() == ""
        store.refusals += 1
        store.error = Unavailable("The disk is full.")
        assert await probe.problem() == "The disk is full."
        assert await probe.problem() == "The disk is full."
        clock.advance(seconds=FRESH_SECONDS)
        store.error = None
        assert await probe.problem() == ""
        clock.advance(seconds=FRESH_SECONDS)
        assert await probe.problem() == ""
        assert store.sizes == [0, readiness.LARGE_BYTES, readiness.LARGE_BYTES, 0]

    tried(clock, scenario)


def test_what_is_told_to_strangers_names_no_address(clock: ManualClock) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        store.error = Unavailable("It cannot be reached.", for_operator="10.2.0.9 port 5432 refused the connection.")
        assert await probe.problem() == "It cannot be reached."

    tried(clock, scenario)


def test_a_store_that_hangs_is_told_after_five_seconds_and_then_at_once(
    clock: ManualClock,
) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        store.gate = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(probe.problem())
        await turn(times=TURNS)
        clock.advance(seconds=PATIENCE_SECONDS)
        assert await first == "The store did not answer within 5 s."
        second = asyncio.create_task(probe.problem())
        await turn(times=TURNS)
        clock.advance(seconds=0)
        assert await second == "The store did not answer within 5 s."
        assert store.writes == 1  # nothing piles up behind a write that hangs
        store.gate.set_result(None)
        await turn(times=TURNS)
        assert await probe.problem() == ""

    tried(clock, scenario)


def test_a_mistake_of_ours_is_a_problem_too_and_is_logged(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(store: ScriptedStore, probe: StoreProbe) -> None:
        store.error = KeyError("secret")
        assert await probe.problem() == "The store failed with KeyError."

    tried(clock, scenario)
    assert "store.probe_failed" in caplog.text


@pytest.mark.parametrize("size", [0, readiness.LARGE_BYTES])
def test_each_probe_overwrites_one_row_also_when_the_clock_is_set_back(
    store: Store, clock: ManualClock, size: int
) -> None:
    written = set()
    for seconds in (0, 1, -3600):
        clock.set_wall(clock.now() + timedelta(seconds=seconds))
        store.write(readiness.probe_writing, size)
        [row] = store.connection.execute("SELECT created_at, LENGTH(body) FROM answer").fetchall()
        written.add(row)
    assert len(written) == 3
    assert {length for _, length in written} == {size}


def test_the_file_does_not_grow_by_probes(sqlite_store: SqliteStore) -> None:
    sqlite_store.write(readiness.probe_writing, readiness.LARGE_BYTES)
    before = sqlite_store.connection.execute("PRAGMA page_count").fetchone()
    for size in (0, readiness.LARGE_BYTES) * 20:
        sqlite_store.write(readiness.probe_writing, size)
    assert sqlite_store.connection.execute("PRAGMA page_count").fetchone() == before


def test_a_commit_that_the_store_could_not_make_is_counted(tmp_path: Path, clock: ManualClock) -> None:
    async def scenario() -> None:
        database = SqliteDatabase(tmp_path / "hookline.db", clock, random.Random(1), busy_timeout_seconds=0)
        database.start()
        with closing(sqlite3.connect(tmp_path / "hookline.db", isolation_level=None)) as other:
            await database.write(readiness.probe_writing, 0)
            assert database.refusals == 0
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Unavailable):
                await database.write(readiness.probe_writing, 0)
            assert database.refusals == 1
        await database.close()

    asyncio.run(scenario())
