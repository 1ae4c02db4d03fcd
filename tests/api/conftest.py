"""Servers for the tests of the door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.door import Door, open_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A server that nobody has asked anything yet."""
    with open_door(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server for many small questions, none of which leaves anything behind."""
    with open_door(tmp_path_factory.mktemp("shared")) as opened:
        yield opened
