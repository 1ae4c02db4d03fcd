"""Every test of this folder runs on every store."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.domain.webhooks import Webhook
from tests.contract.owing import added
from tests.contract.stores import STORES, Place, Store
from tests.fakes import ManualClock


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Place]:
    """An empty database."""
    made = Place(STORES[request.param], tmp_path, clock, dice)
    yield made
    made.close()


@pytest.fixture
def store(place: Place) -> Store:
    """A store with nobody who listens: nothing is born claimed."""
    return place.open()


@pytest.fixture
def batched(store: Store) -> Webhook:
    """A webhook that gets batches."""
    return added(store, batched=True)
