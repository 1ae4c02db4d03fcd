"""The command line in a folder of its own."""

from pathlib import Path

import pytest

from tests.cli.commands import Hookline


@pytest.fixture
def hookline(tmp_path: Path) -> Hookline:
    return Hookline(tmp_path)
