"""Fixtures that many rooms share: a manual clock, seeded dice, a store in a temporary file."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.adapters.sql.sqlite import SqliteStore
from tests.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def dice() -> random.Random:
    return random.Random(20_251_123)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[SqliteStore]:
    """SQLite in a temporary file, with nobody who listens: nothing is born claimed."""
    opened = SqliteStore(tmp_path / "hookline.db", clock, dice)
    yield opened
    opened.close()
