"""The file that everything is kept in."""

import random
import subprocess
import sys
from pathlib import Path

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.keys import Scope
from hookline.services.keys import create_key, list_keys
from tests.fakes import ManualClock


def test_a_new_file_is_for_its_owner_only_and_so_are_those_beside_it(tmp_path: Path, clock: ManualClock) -> None:
    store = SqliteStore(tmp_path / "new.db", clock, random.Random(1))
    try:
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        assert modes == {"new.db": 0o600, "new.db-shm": 0o600, "new.db-wal": 0o600}
    finally:
        store.close()


OTHER_PROCESS = """
import random, sys
from pathlib import Path
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.keys import Scope
from hookline.services.keys import create_key, list_keys
from hookline.adapters.system_clock import SystemClock
from hookline.domain.keys import Scope
from hookline.services.keys import create_key
store = SqliteStore(Path(sys.argv[1]), SystemClock(), random.Random(2))
store.write(create_key, "from elsewhere", Scope.READ)
store.close()
"""


def test_a_second_store_in_the_process_leaves_the_first_its_locks(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "shared.db"
    first = SqliteStore(path, clock, random.Random(1))
    first.write(create_key, "ours", Scope.READ)
    SqliteStore(path, clock, random.Random(1)).close()
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], check=True)
    assert (tmp_path / "shared.db-wal").exists()  # whoever believes to be the last one takes the log away
    assert [key.name for key in first.read(list_keys)] == ["ours", "from elsewhere"]
    first.close()
