"""A street to open houses in."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.stores import STORES, forget_database_of
from tests.engine.house import Street
from tests.fakes import ManualClock


@pytest.fixture(params=STORES)
def street(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Street]:
    yield Street(tmp_path, clock, dice, request.param)
    forget_database_of(tmp_path)
