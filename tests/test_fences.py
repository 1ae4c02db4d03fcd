"""The fences hold, and would notice if they did not."""

import pytest

from hookline.adapters.sql.postgres_migrate import BREAKS
from tests.fences import CLOCK_HOME, climbers, main, shared_numbers, takes_away
from tests.patience import PATIENCE_SECONDS
from tests.time_bounds import EXCUSE, short_bounds


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


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE notice;",
        "ALTER TABLE event DROP COLUMN kind;",
        "ALTER TABLE event\n    ALTER COLUMN kind DROP DEFAULT;",
        "ALTER TABLE event RENAME COLUMN kind TO name;",
        "ALTER TABLE event RENAME TO fact;",
        "ALTER TABLE event ALTER COLUMN sequence TYPE BIGINT;",
        "ALTER TABLE event ALTER sequence SET DATA TYPE BIGINT;",
        "ALTER TABLE event ADD COLUMN colour TEXT NOT NULL;",
        "ALTER TABLE event ADD colour TEXT COLLATE \"C\" NOT NULL, ADD COLUMN size TEXT NOT NULL DEFAULT '';",
        "ALTER TABLE event ADD COLUMN size TEXT NOT NULL DEFAULT '', ADD COLUMN colour TEXT NOT NULL;",
        "ALTER TABLE event ALTER COLUMN kind SET NOT NULL;",
        "ALTER TABLE event ADD CONSTRAINT short CHECK (LENGTH(kind) < 9);",
        "ALTER TABLE event ADD UNIQUE (subject);",
        "CREATE UNIQUE INDEX event_once ON event (subject);",
        "TRUNCATE notice;",
    ],
)
def test_a_migration_that_the_version_before_does_not_survive_is_noticed_unless_it_says_so(sql: str) -> None:
    assert takes_away(f"CREATE TABLE colour (name TEXT NOT NULL);\n{sql}")
    assert not takes_away(f"{BREAKS}\n{sql}")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE colour (name TEXT NOT NULL UNIQUE);\nCREATE UNIQUE INDEX colour_once ON colour (name);",
        "ALTER TABLE event ADD COLUMN colour TEXT;\nCREATE TABLE size (name TEXT NOT NULL);",
        "ALTER TABLE event ADD COLUMN colour TEXT COLLATE \"C\" NOT NULL DEFAULT '';",
        "ALTER TABLE event ADD COLUMN colour TEXT DEFAULT '' NOT NULL, ADD COLUMN size INTEGER;",
        "CREATE INDEX event_by_colour ON event (kind);  -- DROP and RENAME are for others",
        "DROP INDEX event_by_subject;",
        "ALTER TABLE event ALTER COLUMN kind SET DEFAULT '';",
        "INSERT INTO notice (id) VALUES ('x');",
    ],
)
def test_a_migration_that_adds_is_none_of_those(sql: str) -> None:
    assert not takes_away(sql)


@pytest.mark.parametrize(
    "source",
    [
        "process.wait(timeout=30)",
        "subprocess.run(command, timeout=60)",
        "_LONG: Final = 60\nsubprocess.run(command, timeout=_LONG)",
        "await asyncio.wait_for(answer, 5)",
        "async with asyncio.timeout(1.5): ...",
        "await in_patience(answer, 'an answer', seconds=10)",
        "connection.settimeout(3)",
        "thread.join(2)",
        "socket.create_connection(address, timeout=0.5)",
        "assert time.monotonic() - began < 0.3",
        "assert clock.monotonic() - began <= 2",
    ],
)
def test_a_wait_of_a_test_that_a_busy_machine_would_miss_is_noticed(source: str) -> None:
    assert list(short_bounds("api/test_listening.py", source))
    first, _, rest = source.rpartition("\n")
    excused = f"{first}\n{EXCUSE} the test says why\n{rest}"
    assert not list(short_bounds("api/test_listening.py", excused))


@pytest.mark.parametrize(
    "source",
    ["api.subscribe(subscriber, timeoutSeconds=1)", "_SHORT = 5\nWANTED = {'url': url, 'timeoutSeconds': _SHORT}"],
)
def test_a_time_limit_that_a_busy_machine_would_miss_is_noticed_where_attempts_are_real(source: str) -> None:
    assert list(short_bounds("acceptance/order.py", source))
    assert not list(short_bounds("api/test_webhooks.py", source))


@pytest.mark.parametrize(
    "source",
    [
        "process.wait(timeout=PATIENCE_SECONDS)",
        f"process.wait(timeout={PATIENCE_SECONDS})",
        "await in_patience(answer, 'an answer')",
        "await wait_for(answer, seconds)",
        "', '.join(names)",
        "assert clock.monotonic() - began >= 0.009",
        "assert clock.now() < later",
        "house.pass_by(seconds=1)",
    ],
)
def test_a_wait_that_any_machine_can_keep_is_let_pass(source: str) -> None:
    assert not list(short_bounds("acceptance/test_main_job.py", source))


def test_migrations_that_share_a_number_are_noticed() -> None:
    assert shared_numbers(["0001_first.sql", "0002_second.sql"]) == []
    assert shared_numbers(["0002_b.sql", "0001_first.sql", "0002_a.sql"]) == [
        "0002_b.sql: it has the number of 0002_a.sql"
    ]
