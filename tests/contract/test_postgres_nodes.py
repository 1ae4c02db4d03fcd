"""Several nodes on one PostgreSQL database: each hears what the others commit, also when it was deaf for a while."""

import asyncio
import os
import random
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg

from hookline.adapters.sql.postgres_database import PostgresDatabase
from hookline.adapters.system_clock import ServerClock
from hookline.domain.ids import WebhookId
from hookline.domain.webhooks import Webhook
from hookline.ports.storage import News, Transaction
from hookline.services.booking import book_meeting
from hookline.services.calls import report_call
from hookline.services.intake import take_in
from tests.patience import PATIENCE_SECONDS
from tests.postgres_server import postgres_server
from tests.telling import TELLER, a_whole_call, report
from tests.values import HOUR, call_payload, details, webhook


class Node:
    """A node's database and its listener, which remembers what it heard. Of `room` it has as much as it was told."""

    def __init__(self, url: str, seed: int, room: int = 0) -> None:
        self.clock = ServerClock()
        self.database = PostgresDatabase(url, self.clock, random.Random(seed), agree=self.clock.agree)
        self.heard: list[News] = []
        self._room = room
        self._hears = asyncio.Event()
        self.database.listen(self)

    def room(self, _: WebhookId) -> int:
        return self._room

    def has_room_for(self, *_: int) -> bool:
        return True

    def committed(self, news: News) -> None:
        self.heard.append(news)
        self._hears.set()

    async def hears(self, fact: Callable[[News], Any]) -> None:
        """Until it hears something of which that is true."""

        async def wait() -> None:
            while not any(fact(news) for news in self.heard):
                self._hears.clear()
                await self._hears.wait()

        await asyncio.wait_for(wait(), PATIENCE_SECONDS)  # noqa: TID251  real time, for what hangs


@asynccontextmanager
async def nodes(url: str, *rooms: int) -> AsyncIterator[list[Node]]:
    """Nodes that all listen already, and have forgotten what they heard at their start."""
    opened = [Node(url, seed, room) for seed, room in enumerate(rooms)]
    for node in opened:
        node.database.start()
    for node in opened:
        await node.hears(lambda news: news.timers)
        node.heard.clear()
    try:
        yield opened
    finally:
        for node in opened:
            await node.database.close()


def played(scenario: Callable[[str], Awaitable[None]]) -> None:
    url = postgres_server().new_database()

    async def play() -> None:
        await scenario(url)

    asyncio.run(play())
    postgres_server().forget(url)


def add(tx: Transaction) -> Webhook:
    return tx.webhooks.add(webhook())


def is_told_apart_from_a_look(news: News) -> bool:
    """What a node hears from others says one thing; what it says to itself now and then says everything."""
    return not (news.owed and news.timers and news.processes)


def test_what_one_node_has_no_room_for_another_hears_of() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 10) as [full, idle]:
            await full.database.write(add)
            await full.database.write(report_call, call_payload())
            await idle.hears(lambda news: news.owed and is_told_apart_from_a_look(news))
            claims = await idle.database.write(lambda tx: tx.outbox.claim_due(10, timedelta(seconds=60), lambda _: 10))
            assert len(claims) == 1

    played(scenario)


def test_what_a_node_has_room_for_is_its_own_and_no_other_is_woken() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 10, 10) as [here, there]:
            await here.database.write(add)
            await here.database.write(report_call, call_payload())
            assert [len(news.claims) for news in here.heard if news.claims] == [1]
            await here.database.write(book_meeting, details(here.clock.now() + HOUR))
            # This is heard after whatever was to be heard of the call.
            await there.hears(lambda news: news.timers and is_told_apart_from_a_look(news))
            assert not [news for news in there.heard if news.owed and is_told_apart_from_a_look(news)]

    played(scenario)


def test_a_call_that_one_node_heard_of_and_a_connector_that_it_made_are_news_on_all() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 0) as [here, there]:
            await here.database.write(take_in, TELLER, report(*a_whole_call()))
            await there.hears(lambda news: news.intake and is_told_apart_from_a_look(news))
            await here.database.write(lambda tx: tx.phonebook.remove_connector(TELLER.connector_id))
            await there.hears(lambda news: news.connectors and is_told_apart_from_a_look(news))

    played(scenario)


def test_a_webhook_that_one_node_changed_is_another_at_once_on_all() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 10, 10) as [here, there]:
            added = await here.database.write(add)
            await there.database.write(report_call, call_payload())
            await here.database.write(lambda tx: tx.webhooks.remove(added.id))
            await there.hears(lambda news: added.id in news.webhooks)
            there.heard.clear()
            await there.database.write(report_call, call_payload())
            assert not [news for news in there.heard if news.claims]

    played(scenario)


def test_many_webhooks_that_change_at_once_are_told_whole() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 0) as [here, there]:
            added = [each.id for each in await here.database.write(lambda tx: [add(tx) for _ in range(1000)])]
            until = await here.database.write(lambda tx: tx.now + timedelta(seconds=60))
            await here.database.write(lambda tx: tx.outbox.rest(added, until))
            await there.hears(lambda _: set().union(*(news.webhooks for news in there.heard)) >= set(added))

    played(scenario)


def test_a_node_that_was_deaf_finds_out_what_changed_meanwhile() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 0) as [here, there]:
            added = await here.database.write(add)
            until = await here.database.write(lambda tx: tx.now + timedelta(seconds=60))
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%FROM writing'"
                )
            await here.database.write(lambda tx: tx.outbox.rest([added.id], until))
            await there.hears(lambda news: added.id in news.webhooks)

    played(scenario)


def test_what_somebody_else_says_on_our_channel_makes_nobody_deaf() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 0) as [here, there]:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("NOTIFY hookline, 'hello'")
                connection.execute("NOTIFY hookline")
            added = await here.database.write(add)
            await here.database.write(lambda tx: tx.webhooks.remove(added.id))
            await there.hears(lambda news: added.id in news.webhooks and is_told_apart_from_a_look(news))

    played(scenario)


def test_a_node_with_thousands_of_connections_to_others_hears_what_is_committed() -> None:
    async def scenario(url: str) -> None:
        with many_open_files():
            async with nodes(url, 0, 0) as [here, there]:
                await here.database.write(add)
                await here.database.write(report_call, call_payload())
                await there.hears(lambda news: news.owed and is_told_apart_from_a_look(news))

    played(scenario)


@contextmanager
def many_open_files() -> Iterator[None]:
    """More than the numbers that `select` knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2000)), hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < 1024:
        opened.append(os.dup(opened[0]))
    try:
        yield
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_all_nodes_have_the_clock_of_the_server() -> None:
    async def scenario(url: str) -> None:
        async with nodes(url, 0, 0) as [here, there]:
            before = await here.database.write(lambda tx: tx.now)
            after = await there.database.write(lambda tx: tx.now)
            assert before < after
            assert abs(here.clock.now() - there.clock.now()) < timedelta(seconds=30)

    played(scenario)
