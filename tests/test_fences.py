"""The fences hold, and would notice if they did not."""

import pytest

from hookline.adapters.sql.postgres_migrate import BREAKS
from tests.fences import CLOCK_HOME, climbers, main, takes_away


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
