"""The way to a PostgreSQL server that is away: nodes ask for it ever more seldom, each at moments of its own."""

import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from hookline.adapters.sql.postgres_link import Link
from hookline.errors import Unavailable
from tests.fakes import ManualClock
from tests.postgres_server import postgres_server

NODES = 40
STEP_SECONDS = 0.05


@pytest.fixture
def away(tmp_path: Path) -> str:
    """The URL of a server that is not there."""
    return f"postgresql:///hookline?host={tmp_path}"


@pytest.fixture
def url() -> Iterator[str]:
    made = postgres_server().new_database()
    yield made
    postgres_server().forget(made)


def try_until(clock: ManualClock, links: Sequence[Link], *, seconds: float) -> list[list[float]]:
    """Everybody always wants something. Returns when each of them tried to connect."""
    tries: list[list[float]] = [[] for _ in links]
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        for link, of_one in zip(links, tries, strict=True):
            if link.seconds_to_wait() <= 0:
                of_one.append(clock.monotonic())
                with pytest.raises(psycopg.OperationalError):
                    link.mend()
        clock.advance(seconds=STEP_SECONDS)
    return tries


def test_nodes_that_lost_the_server_at_one_moment_come_back_at_many(away: str, clock: ManualClock) -> None:
    links = [Link(away, clock, random.Random(seed)) for seed in range(NODES)]
    tries = try_until(clock, links, seconds=60)
    assert len({of_one[0] for of_one in tries}) == 1  # at once, as they lost it
    assert all(10 <= len(of_one) <= 30 for of_one in tries)
    returns = sorted(clock.monotonic() + max(link.seconds_to_wait(), 0) for link in links)
    assert returns[-1] - returns[0] > 3
    for first in returns:  # in no half of a second more than a quarter of them
        assert sum(first <= each < first + 0.5 for each in returns) <= NODES // 4


def test_who_asks_too_soon_is_told_without_a_try(away: str, clock: ManualClock) -> None:
    link = Link(away, clock, random.Random(1))
    with pytest.raises(psycopg.OperationalError):
        link.mend()
    for _ in range(100):
        with pytest.raises(Unavailable, match="cannot be reached now"):
            link.mend()


def test_a_server_that_was_away_for_hours_is_come_back_to(url: str, away: str, clock: ManualClock) -> None:
    link = Link(away, clock, random.Random(1))
    for _ in range(1500):  # three hours and more
        with pytest.raises(psycopg.OperationalError):
            link.mend()
        clock.advance(seconds=8)
    link._url = url
    assert not link.mend().closed
    link.close()


def test_the_log_says_once_that_the_server_is_away_and_once_that_it_is_back(
    url: str, away: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hookline.store")
    link = Link(away, clock, random.Random(1), purpose="write")
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            link.mend()
        clock.advance(seconds=8)
    link._url = url
    link.mend()
    lost, back = [record.getMessage() for record in caplog.records]
    assert lost.startswith("store.lost connection=write error=")
    assert back == "store.back connection=write away_s=40.0"
    link.connection.close()
    link.mend()
    assert caplog.records[-1].getMessage() == "store.back connection=write away_s=0.0"
    link.close()
