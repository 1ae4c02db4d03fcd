"""Everything moves from one kind of database into the other: each row as it was, and what is owed is sent once."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hookline.adapters.sql.copy_tables import TABLES
from hookline.adapters.sql.places import Place, SqlitePlace
from hookline.adapters.sql.postgres_place import PostgresPlace
from hookline.adapters.sql.session import micros
from hookline.adapters.system_clock import SystemClock
from hookline.bootstrap import server, storage
from hookline.errors import Unavailable
from hookline.services.calls import report_calls
from hookline.services.webhooks import create_webhook
from hookline.settings import load_settings
from tests.contract.stores import STORES, database_of, forget_database_of
from tests.copying import tables
from tests.copying.everything import arrivals, fill
from tests.engine.house import KEEP_FOR, Street, always
from tests.fakes import ManualClock
from tests.values import LIMITS, call_payload, wanted

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> ManualClock:
    """It begins now: what is given back is due by the real clock."""
    return ManualClock(SystemClock().now())


class Move:
    """From a street of one kind to one of the other."""

    def __init__(self, source: Street, target: Street) -> None:
        self.source = source
        self.target = target

    @property
    def places(self) -> tuple[Place, Place]:
        return place_of(self.source), place_of(self.target)

    def rows(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All rows of both, by table."""
        return all_rows(where(self.source)), all_rows(where(self.target))

    def copy(self) -> dict[str, int]:
        return storage.copy(*self.places, KEEP_FOR, lambda *_: None)


@pytest.fixture(params=STORES)
def move(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Move]:
    [other] = set(STORES) - {request.param}
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    yield Move(Street(tmp_path / "from", clock, dice, request.param), Street(tmp_path / "to", clock, dice, other))
    for name in ("from", "to"):
        forget_database_of(tmp_path / name)


def where(street: Street) -> Path | str:
    return street.folder / "hookline.db" if street.store == "sqlite" else database_of(street.folder)


def place_of(street: Street) -> Place:
    found = where(street)
    return SqlitePlace(found) if isinstance(found, Path) else PostgresPlace(found)


def all_rows(found: Path | str) -> dict[str, Any]:
    return {
        table.name: [
            {name: without_nul(value) for name, value in row.items()}
            for row in tables.rows(found, table.name, table.key)
        ]
        for table in TABLES
    }


def without_nul(value: Any) -> Any:
    """PostgreSQL's text has none."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def test_each_row_of_each_table_is_as_it_was(move: Move) -> None:
    asyncio.run(fill(move.source))
    before = all_rows(where(move.source))
    counts = move.copy()
    there, here = move.rows()
    assert there == here
    assert {name: len(rows) for name, rows in here.items()} == counts
    assert min(counts.values()) > 0, counts
    unchanged = set(counts) - {"delivery", "attempt", "settled_delivery"}
    assert {name: there[name] for name in unchanged} == {name: before[name] for name in unchanged}


def test_what_is_copied_is_in_parts_that_go_as_a_whole(move: Move) -> None:
    asyncio.run(fill(move.source))
    move.copy()
    found = where(move.target)
    if isinstance(found, str):
        assert [tables.count(found, f"{name}_rest") for name in ("event", "settled_delivery", "attempt")] == [0, 0, 0]


def test_what_a_dead_server_was_sending_is_given_back(move: Move) -> None:
    asyncio.run(fill(move.source))
    before = all_rows(where(move.source))
    claimed = {row["id"] for row in before["delivery"] if row["token"] is not None}
    move.copy()
    _, here = move.rows()
    assert claimed
    assert [row for row in here["delivery"] if row["token"] is not None] == []
    assert claimed <= {row["id"] for row in here["delivery"]}


def test_what_is_owed_arrives_once_from_the_new_database_and_never_from_the_old(move: Move) -> None:
    async def scenario() -> None:
        await fill(move.source)
        await asyncio.to_thread(move.copy)
        _, here = move.rows()
        hosts = {row["id"]: row["url"].split("/")[2] for row in here["webhook"] if row["is_active"]}
        end = micros(move.target.clock.now() + timedelta(hours=5))
        owed = {
            (hosts[row["webhook_id"]], row["event_id"])
            for row in here["delivery"]
            if row["batch_id"] is None and (row["give_up_at"] or end) >= end
        }
        assert {host for host, _ in owed} >= {
            "ordered.example",
            "batched.example",
            "failing.example",
            "hanging.example",
        }
        move.target.replying = always(200)
        async with move.target.house() as house:
            for _ in range(300):
                await house.pass_by(minutes=1)
            arrived = arrivals(house.posts)
            assert [each for each in house.posts if each.host == "told.example"]
        assert set(arrived.values()) == {1}
        assert owed <= set(arrived)
        assert tables.count(where(move.target), "delivery") == 0
        with pytest.raises(Unavailable, match="was moved to"):
            await serve(move.source)

    asyncio.run(scenario())


def test_what_is_new_comes_after_what_was_copied(move: Move) -> None:
    asyncio.run(fill(move.source))
    move.copy()
    _, before = move.rows()
    highest = {table.name: max(row[table.key[0]] for row in before[table.name]) for table in TABLES if table.numbers}
    store = move.target.open_store()
    try:
        made = store.write(create_webhook, wanted(), LIMITS)
        store.write(report_calls, [call_payload()])
    finally:
        store.close()
    _, after = move.rows()
    assert made.id > highest["webhook"] + 1  # the one that was deleted had that
    assert max(row["position"] for row in after["event"]) > highest["event"]
    assert max(row["position"] for row in after["webhook_history"]) > highest["webhook_history"]


def test_a_copy_that_ended_between_its_two_marks_goes_on(move: Move) -> None:
    move.source.open_store().close()
    move.copy()
    forget_mark(where(move.source))  # as if it had been killed when it had marked the target alone
    with closing(move.source.open_store()) as store:
        store.write(create_webhook, wanted(), LIMITS)
    assert move.copy()["webhook"] == 1
    set_incomplete(where(move.source))  # as if it had been killed when the target was complete
    with pytest.raises(Unavailable, match="is not complete"):
        asyncio.run(serve(move.source))
    with closing(move.target.open_store()) as store:  # it is served already
        store.write(report_calls, [call_payload()])
        assert move.copy()["webhook"] == 1
    assert tables.count(where(move.target), "call") == 1
    with pytest.raises(Unavailable, match="was moved to"):
        asyncio.run(serve(move.source))


def forget_mark(found: Path | str) -> None:
    with tables.opened(found) as connection:
        connection.execute("DELETE FROM moving")
        connection.commit()


def set_incomplete(found: Path | str) -> None:
    with tables.opened(found) as connection:
        connection.execute("UPDATE moving SET is_complete = 0")
        connection.commit()


async def serve(street: Street) -> None:
    """Do what `hookline serve` does, but for listening."""
    found = where(street)
    settings = load_settings({"HOOKLINE_DATABASE": found if isinstance(found, str) else f"sqlite:///{found}"})
    async with server.running(settings):
        pass
