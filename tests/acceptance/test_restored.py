"""A PostgreSQL database that was dumped and restored by its own tools is a server's again, as it was at that time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Api, Server
from tests.acceptance.test_main_job import arrived, sample
from tests.fakes import Manner, Subscriber, replying
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.slow

#: The first attempt is refused, and the next one comes a second later.
ONCE_MORE: Any = {"retryPolicy": {"scheduleSeconds": [1, 1], "retry4xx": False}}


def test_what_was_owed_when_it_was_dumped_is_delivered_again_with_the_same_id_and_bytes(tmp_path: Path) -> None:
    manners: list[Manner] = [replying(500)]

    async def scenario() -> None:
        async with Subscriber.running(lambda _: manners.pop(0) if manners else replying(200)) as subscriber:
            async with Server.running(tmp_path, HOOKLINE_DATABASE=before) as server, Api.to(server) as api:
                await api.subscribe(subscriber, **ONCE_MORE)
                await api.post("/v3/calls", sample("callFinished"))
                await arrived(subscriber, 1)
                while not (await api.get("/v3/deliveries"))["deliveries"][0]["attempts"]:
                    continue
                await asyncio.to_thread(postgres._run, "pg_dump", "--format=custom", f"--file={dump}", before)
                await arrived(subscriber, 2)
                assert await server.stop() == 0
            restore = ("--no-owner", "--exit-on-error", f"--dbname={after}", dump)
            await asyncio.to_thread(postgres._run, "pg_restore", *restore)
            async with Server.running(tmp_path, HOOKLINE_DATABASE=after) as server, Api.to(server) as api:
                first, second, again = await arrived(subscriber, 3)
                assert len({each.header("webhook-id") for each in (first, second, again)}) == 1
                assert (again.complaint, again.body, again.header("hookline-attempt")) == ("", first.body, "2")
                made = await api.post("/v3/calls", sample("callFinished"))  # what is kept next has an id of its own
                await arrived(subscriber, 4)
                assert made["id"] not in first.body.decode()

    postgres = postgres_server()
    before, after = postgres.new_database(), postgres.empty_database()
    dump = str(postgres._folder / "dump")
    asyncio.run(scenario())
    for url in (before, after):
        postgres.drop(url)
