"""Fixtures that many rooms share: a manual clock, seeded dice, a store of each kind."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hookline.adapters.sql.sqlite import SqliteStore
from tests.contract.stores import STORES, Place, Store
from tests.fakes import ManualClock
from tests.patience import hear_stopping_signals

hear_stopping_signals()

settings.register_profile("no time is asserted", deadline=None)
settings.load_profile("no time is asserted")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dice() -> random.Random:
    return random.Random(20_251_123)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Store]:
    """Each kind of store, with nobody who listens: nothing is born claimed."""
    place = Place(STORES[request.param], tmp_path, clock, dice)
    yield place.open()
    place.close()


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[SqliteStore]:
    """SQLite in a temporary file, for what only it does."""
    opened = SqliteStore(tmp_path / "hookline.db", clock, dice)
    yield opened
    opened.close()
