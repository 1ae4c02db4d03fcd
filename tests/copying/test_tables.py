"""A copy knows each table and each column that there is: whoever adds one has to add it there too."""

import random
from pathlib import Path

import pytest

from hookline.adapters.sql.copy_tables import OF_ONE_DATABASE, TABLES, Copied
from hookline.adapters.sql.migrate import migrations_of
from hookline.adapters.sql.sqlite import SqliteStore
from tests.copying import tables
from tests.fakes import ManualClock
from tests.postgres_server import postgres_server

KNOWN = {table.name for table in TABLES}


@pytest.fixture
def file(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Path:
    SqliteStore(tmp_path / "hookline.db", clock, dice).close()
    return tmp_path / "hookline.db"


@pytest.fixture(scope="module")
def url() -> str:
    return postgres_server().new_database()


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_are_numbered_from_one_without_a_gap_and_none_has_the_number_of_another(dialect: str) -> None:
    numbers = [number for number, _ in migrations_of(dialect)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_table_of_sqlite_is_known(file: Path) -> None:
    assert tables.names(file) - OF_ONE_DATABASE == KNOWN


def test_each_table_of_postgresql_is_known(url: str) -> None:
    assert tables.names(url) - OF_ONE_DATABASE == KNOWN


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_column_is_known_on_both_sides(file: Path, url: str, table: Copied) -> None:
    assert tables.columns(file, table.name) == set(table.columns) == tables.columns(url, table.name)
    assert len(set(table.columns)) == len(table.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_copied_in_the_order_of_their_keys(file: Path, table: Copied) -> None:
    assert table.key == tables.key(file, table.name)


def test_all_that_is_counted_is_counted_on(file: Path, url: str) -> None:
    wanted = {table.name for table in TABLES if table.numbers}
    assert tables.counted(file) == wanted == tables.counted(url)
