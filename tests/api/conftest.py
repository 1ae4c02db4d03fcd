"""Servers for the tests of the door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.door import Door, open_door
from tests.contract.stores import STORES, database_of, forget_database_of


@pytest.fixture(params=STORES)
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """A server that nobody has asked anything yet."""
    with door_on(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module", params=STORES)
def shared_door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server for many small questions, none of which leaves anything behind."""
    with door_on(request.param, tmp_path_factory.mktemp("shared")) as opened:
        yield opened


@pytest.fixture
def sqlite_door(tmp_path: Path) -> Iterator[Door]:
    """A server on a file, for what only that does."""
    with open_door(tmp_path) as opened:
        yield opened


@contextmanager
def door_on(store: str, folder: Path) -> Iterator[Door]:
    """A server on this kind of store."""
    try:
        with open_door(folder, **({} if store == "sqlite" else {"HOOKLINE_DATABASE": database_of(folder)})) as opened:
            yield opened
    finally:
        forget_database_of(folder)
