"""`hookline copy` is killed with many rows on their way, again and again, and goes on where it ended."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from hookline.adapters.sql.copy_tables import TABLES
from hookline.services.calls import report_calls
from hookline.services.webhooks import create_webhook
from hookline.settings import PostgresUrl, database_at
from tests.cli.commands import Hookline
from tests.contract.stores import STORES, database_of, forget_database_of
from tests.copying import tables
from tests.engine.house import Street
from tests.fakes import ManualClock
from tests.values import LIMITS, call_payload, wanted

pytestmark = pytest.mark.slow

_CALLS: Final = 12_000
_KILLS: Final = 3


@pytest.fixture(params=STORES)
def urls(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random
) -> Iterator[tuple[str, str]]:
    """Where many rows are, and an empty database of the other kind."""
    with closing(Street(tmp_path, clock, dice, request.param).open_store()) as store:
        for host in ("one.example", "other.example"):
            store.write(create_webhook, wanted(f"https://{host}/"), LIMITS)
        for _ in range(_CALLS // 500):
            store.write(report_calls, [call_payload()] * 500)
    both = [f"sqlite:///{tmp_path / 'hookline.db'}", database_of(tmp_path)]
    yield (both[0], both[1]) if request.param == "sqlite" else (both[1], both[0])
    forget_database_of(tmp_path)


def where(url: str) -> Path | str:
    found = database_at(url)
    return found.url if isinstance(found, PostgresUrl) else found


def arrived(url: str) -> int:
    """How many rows there are; none where there is no table yet."""
    found = where(url)
    if isinstance(found, Path) and "notice" not in tables.names(found):
        return 0
    return sum(tables.count(found, table.name) for table in TABLES)


def test_a_copy_that_is_killed_at_any_row_goes_on_where_it_ended(urls: tuple[str, str], tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    hookline, words = Hookline(tmp_path), ("copy", "--from", urls[0], "--to", urls[1])
    total, stood = arrived(urls[0]), []
    for kill in range(_KILLS):
        enough = total * kill // _KILLS + dice.randrange(total // _KILLS // 2)
        with hookline.started(*words) as copying:
            while arrived(urls[1]) <= enough:
                copying.require_running()
        stood.append(arrived(urls[1]))
    assert "is not complete" in hookline("keys", "list", HOOKLINE_DATABASE=urls[1]).refusal()
    assert "is not complete" in hookline("serve", HOOKLINE_DATABASE=urls[0]).refusal()
    assert stood == sorted(stood)
    assert [each for each in stood if each < total]
    assert hookline(*words).code == 0
    for table in TABLES:
        assert tables.rows(where(urls[0]), table.name, table.key) == tables.rows(where(urls[1]), table.name, table.key)


def test_a_row_that_did_not_arrive_as_it_was_is_told_with_its_table(urls: tuple[str, str], tmp_path: Path) -> None:
    hookline, words = Hookline(tmp_path), ("copy", "--from", urls[0], "--to", urls[1])
    with hookline.started(*words) as copying:
        while not arrived(urls[1]) > _CALLS:
            copying.require_running()
    with tables.opened(where(urls[1])) as connection:
        connection.execute("UPDATE call SET type = 'missed' WHERE id = (SELECT MIN(id) FROM call)")
        connection.commit()
    refusal = hookline(*words).refusal()
    assert "The table call did not arrive as it was" in refusal
    assert "12,000 rows there, 12,000 here" in refusal
    assert "is not complete" in hookline("serve", HOOKLINE_DATABASE=urls[1]).refusal()
