"""SIGTERM under load: what is being sent ends and is recorded, what was not begun is as if it had not been taken."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.load import Client, Ledger
from tests.acceptance.record import Record, settled_record
from tests.acceptance.serving import Api, Server, in_patience, real_seconds
from tests.fakes import Subscriber, replying, slowly, when

pytestmark = pytest.mark.slow

#: More than are attempted at the same time to one webhook, and more than one process holds of one.
_CALLS = 1000
_STOPS = 5
_ALL = ["callFinished", "meetingBooked", "meetingStarted", "meetingCancelled"]


def a_call(number: int) -> dict[str, Any]:
    """A call that can be told from others."""
    return {"phone_line": "+441400800008", "phone_number": "", "type": "missed", "phone_line_name": f"call {number}"}


def require_each_once(subscriber: Subscriber, record: Record) -> None:
    """Every event of the record arrived exactly once, as the first attempt, which stands alone in the record."""
    arrived = Counter(each.header("webhook-id") for each in subscriber.received)
    assert set(arrived) == {each.id for each in record.events}
    assert [id_ for id_, count in arrived.items() if count != 1] == []
    assert {each.header("hookline-attempt") for each in subscriber.received} == {"1"}
    attempts = [[(each.number, each.status) for each in row.attempts] for row in record.deliveries]
    assert [each for each in attempts if each != [(1, 200)]] == []
    assert {each.complaint for each in subscriber.received} == {""}


def test_a_stop_waits_for_what_is_being_sent_and_leaves_the_rest_untouched(tmp_path: Path) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        async with (
            Subscriber.running(lambda _: when(gate, replying(200))) as subscriber,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            await api.subscribe(subscriber)
            await api.post("/v3/calls/batch", {"calls": [a_call(number) for number in range(_CALLS)]})
            await in_patience(subscriber.until(lambda: len(subscriber.received) >= 64), "the first POSTs")
            server.tell_to_stop()
            await in_patience(server.stopping(), "the server to hear that it shall stop")
            begun = len(subscriber.received)
            gate.set()
            assert await server.gone() == 0
            assert len(subscriber.received) == begun  # nothing was begun behind the signal
            assert begun < _CALLS

            await server.start()
            await server.ready()
            record = await settled_record(api, Ledger())
            assert len(record.events) == _CALLS
            require_each_once(subscriber, record)

    asyncio.run(scenario())


def test_stop_after_stop_under_load_loses_and_repeats_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    dice = random.Random(seed)
    ledger = Ledger()

    async def act(client: Client, ending: asyncio.Event) -> None:
        while not ending.is_set():
            await client.act()

    async def scenario() -> None:
        ending = asyncio.Event()
        async with (
            Subscriber.running(lambda _: slowly(dice.uniform(0, 0.02), replying(200))) as subscriber,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            await api.subscribe(subscriber, events=_ALL)
            clients = [Client(f"client{number}", api, ledger, random.Random(f"{seed} {number}")) for number in range(4)]
            acting = [asyncio.create_task(act(client, ending)) for client in clients]
            for number in range(_STOPS):
                backlog = {"calls": [a_call(number) for number in range(_CALLS)]}
                await api.ask("POST", "/v3/calls/batch", backlog, key=f"backlog {number}")
                await real_seconds(dice.uniform(0, 0.3))
                assert await server.stop() == 0
                await server.start()
                await server.ready()
            ending.set()
            await asyncio.gather(*acting)
            record = await settled_record(api, ledger)
            require_each_once(subscriber, record)
            assert len(record.events) == _STOPS * _CALLS + ledger.events
            assert "Traceback" not in server.end_of_log()

    try:
        asyncio.run(scenario())
    except AssertionError as problem:
        raise AssertionError(f"seed {seed}: {problem}") from problem
