"""The file that everything is kept in."""

import random
from pathlib import Path

from hookline.adapters.sql.sqlite import SqliteStore
from tests.fakes import ManualClock


def test_a_new_file_is_for_its_owner_only_and_so_are_those_beside_it(tmp_path: Path, clock: ManualClock) -> None:
    store = SqliteStore(tmp_path / "new.db", clock, random.Random(1))
    try:
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        assert modes == {"new.db": 0o600, "new.db-shm": 0o600, "new.db-wal": 0o600}
    finally:
        store.close()
