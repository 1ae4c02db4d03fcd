"""A street to open houses in."""

import random
from pathlib import Path

import pytest

from tests.engine.house import Street
from tests.fakes import ManualClock


@pytest.fixture
def street(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Street:
    return Street(tmp_path, clock, dice)
