"""The fences hold, and would notice if they did not."""

import pytest

from tests.fences import CLOCK_HOME, climbers, main


def test_nothing_in_src_climbs_over_a_fence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\ntime.monotonic()",
        "import time\ntime.sleep(1)",
        "from time import monotonic",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "import asyncio\nasync def f():\n    async with asyncio.timeout(1): ...",
        "from asyncio import wait_for",
        "self._loop.call_later(1, f)",
        "asyncio.get_running_loop().time()",
    ],
)
def test_a_clock_that_is_read_elsewhere_is_noticed(source: str) -> None:
    assert list(climbers("engine/dispatcher.py", source))
    assert not list(climbers(CLOCK_HOME, source))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM event",
        "INSERT INTO event VALUES (1)",
        "UPDATE delivery SET token = 1",
        "DELETE FROM delivery",
        "CREATE TABLE x (y)",
        "PRAGMA user_version",
    ],
)
def test_sql_that_is_written_elsewhere_is_noticed(sql: str) -> None:
    assert list(climbers("services/calls.py", f'X = """{sql}"""'))
    assert list(climbers("services/calls.py", f'def f(x):\n    "Doc."\n    return f"{sql} {{x}}"'))
    assert not list(climbers("adapters/sql/outbox.py", f'X = """{sql}"""'))


def test_prose_about_sql_is_no_sql() -> None:
    assert not list(climbers("ports/storage.py", '"""A store runs SELECT x FROM y for us."""'))
