"""Several nodes on one database: what has to be done is done once, by whoever is first, and nobody waits for the dead.

Nodes wake one another over PostgreSQL, which is tested where it is done. Here they look by themselves when told to.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from hookline.adapters.sql.postgres import TIME_LIMITS, PostgresStore
from hookline.domain.deliveries import LEASE, State
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import WebhookId
from hookline.domain.processes import Only, Process, ProcessStatus
from hookline.engine import chores
from hookline.engine.chores import EVERY, STEP
from hookline.engine.processes import AFTER_ANOTHER, PACE
from hookline.engine.scheduler import BATCH
from hookline.errors import Unavailable
from hookline.ports.storage import News, Transaction
from hookline.services.booking import book_meeting, book_meetings
from hookline.services.deliveries import list_events
from hookline.services.exports import begin_export
from hookline.services.processes import read_process, take_step
from hookline.services.replays import begin_replay
from hookline.services.timers import fire_due
from hookline.settings import ALL_ROLES, Role
from tests.contract.stores import Store, database_of, forget_database_of
from tests.engine.house import KEEP_FOR, House, Street, always, hanging, idle
from tests.engine.test_processes import EXPORT, ONCE
from tests.fakes import MONDAY, ManualClock, Reply, turn
from tests.values import HOUR, LIMITS, details

TEN = MONDAY + HOUR
API, DELIVER, TIMERS = (frozenset({role}) for role in Role)
#: More turns of the event loop than any chain of steps here needs to come to its next wait.
_TURNS: Final = 60


@pytest.fixture
def street(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Street]:
    yield Street(tmp_path, clock, dice, "postgres", lock_seconds=TIME_LIMITS.lock_seconds)
    forget_database_of(tmp_path)


async def look(*houses: House) -> None:
    """Let each look what there may be to do, as it does by itself every few seconds."""
    for house in houses:
        house.engine.committed(News(owed=True, timers=True, processes=True))
    await idle(*(house.database for house in houses))


async def pass_by(*houses: House, seconds: float) -> None:
    """Let time pass, of which all have the same."""
    houses[0].clock.advance(seconds=seconds)
    await idle(*(house.database for house in houses))


async def started(house: House) -> Sequence[Event]:
    """Every start that was announced."""
    page = await house.database.read(
        list_events, kind=EventKind.MEETING_STARTED, subject=None, after=None, limit=10_000, cursor=None
    )
    return page.items


def ids(*houses: House) -> Counter[str]:
    """How often each delivery's event was sent, by all of them."""
    return Counter(dict(post.headers)["webhook-id"] for house in houses for post in house.posts)


# Starts of meetings


@pytest.mark.parametrize("count", [1, BATCH, 2 * BATCH + 7])
def test_every_start_is_announced_once_by_whoever_is_first(street: Street, count: int) -> None:
    async def scenario() -> None:
        async with street.house() as first, street.house() as second, street.house() as third:
            nodes = first, second, third
            await first.new_webhook(events=(EventKind.MEETING_STARTED,))
            await first.write(book_meetings, [details(TEN)] * count)
            await look(*nodes)
            await pass_by(*nodes, seconds=3600)
            events = await started(first)
            assert len(events) == len({event.subject for event in events}) == count
            assert {event.created_at for event in events} == {TEN}
            await look(*nodes)
            assert ids(*nodes) == {event.id: 1 for event in events}

    asyncio.run(scenario())


def test_a_node_that_dies_while_it_announces_has_announced_nothing_and_the_next_one_does(street: Street) -> None:
    fired, dies = threading.Event(), threading.Event()

    def die(tx: Transaction) -> None:
        assert fire_due(tx, BATCH) == 1
        fired.set()
        dies.wait()
        dying.connection.close()

    async def scenario() -> None:
        async with street.house() as house:
            await house.write(book_meeting, details(TEN))
            death = asyncio.ensure_future(asyncio.to_thread(dying.write, die))
            await asyncio.to_thread(fired.wait)
            street.clock.advance(seconds=3600)  # this node wants to announce it too, and waits for the other
            await turn(times=_TURNS)
            assert not await started(house)
            dies.set()
            with pytest.raises(Unavailable):
                await death
            await idle(house.database)
            assert len(await started(house)) == 1

    dying = PostgresStore(database_of(street.folder), ManualClock(TEN), street.dice)
    asyncio.run(scenario())


def test_what_a_node_announced_and_could_not_send_before_it_died_is_sent_by_another_within_the_lease(
    street: Street,
) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house(roles=API | DELIVER) as second:
            await second.new_webhook(events=(EventKind.MEETING_STARTED,))
            await second.write(book_meeting, details(TEN))
            async with street.house(stop=False) as first:
                await pass_by(first, second, seconds=3600)
                assert len(first.posts) == 1
            street.replying = always(200)
            await look(second)
            assert second.posts == []
            await pass_by(second, seconds=LEASE.total_seconds())
            [post] = second.posts
            assert dict(post.headers)["hookline-attempt"] == "2"
            assert len(await started(second)) == 1
            assert await second.states() == [State.DELIVERED]

    asyncio.run(scenario())


def test_who_is_woken_and_finds_nothing_due_asks_for_no_commit(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with street.house(roles=TIMERS) as house:
            await house.write(book_meeting, details(TEN))
            monkeypatch.setattr(house.database, "write", None)
            await look(house)
            assert house.engine.failing() == []
            monkeypatch.undo()

    asyncio.run(scenario())


# Roles


def test_a_node_that_only_takes_requests_holds_no_delivery_and_sends_none(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=API) as front, street.house(roles=DELIVER) as back:
            webhook = await front.new_webhook()
            await front.calls(3)
            await look(front)
            assert front.engine.room(webhook.id) == 0
            assert set(await front.states()) == {State.PENDING}
            await look(back)
            assert set(await front.states()) == {State.DELIVERED}
            assert (len(front.posts), len(back.posts)) == (0, 3)

    asyncio.run(scenario())


def test_a_node_that_does_what_its_time_has_come_for_leaves_sending_to_others(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=TIMERS) as clockwork, street.house(roles=DELIVER) as back:
            await clockwork.new_webhook(events=(EventKind.MEETING_STARTED,))
            await clockwork.write(book_meeting, details(TEN))
            await look(back)
            await pass_by(clockwork, back, seconds=3600)
            await look(back)
            assert (len(clockwork.posts), len(back.posts)) == (0, 1)

    asyncio.run(scenario())


def test_without_a_node_whose_role_it_is_a_start_waits_and_is_announced_when_there_is_one(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=API | DELIVER) as house:
            await house.write(book_meeting, details(TEN))
            await pass_by(house, seconds=7200)
            await look(house)
            assert not await started(house)
            async with street.house(roles=TIMERS):
                assert len(await started(house)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("roles", "loops"),
    [
        (API, []),
        (DELIVER, ["claims", "outcomes"]),
        (TIMERS, ["batches", "chores", "clock", "intake", "notifications", "processes", "timers"]),
        (
            ALL_ROLES,
            ["batches", "chores", "claims", "clock", "intake", "notifications", "outcomes", "processes", "timers"],
        ),
    ],
)
def test_a_node_has_the_loops_of_its_roles_and_answers_for_no_others(
    street: Street, roles: frozenset[Role], loops: list[str]
) -> None:
    async def scenario() -> None:
        async with street.house(roles=roles) as house:
            assert house.engine.failing() == []
            await house.engine.stop()
            assert house.engine.failing() == loops
            house.engine.close()
            assert house.engine.room(WebhookId(1)) == 0

    asyncio.run(scenario())


# Long work


async def replaying(street: Street, house: House, count: int) -> Process:
    """A replay of so many calls that failed."""
    street.replying = always(500)
    await house.new_webhook(retry_policy=ONCE)
    since = house.clock.now()
    await house.calls(count)
    street.replying = always(200)
    await house.pass_by(seconds=60)
    house.posts.clear()
    return await house.write(begin_replay, 1, since, None, Only.FAILED)


async def now(house: House, process: Process) -> Process:
    return await house.database.read(read_process, process.id)


def test_two_nodes_replay_at_the_pace_of_one_and_nothing_twice(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as first, street.house() as second:
            process = await replaying(street, first, 230)
            done = []
            for _ in range(5):
                await look(first, second)
                done.append((await now(first, process)).done)
                await pass_by(first, second, seconds=PACE.step / PACE.per_second)
            assert done == [50, 100, 150, 200, 230]
            assert (await now(first, process)).status is ProcessStatus.COMPLETED
            await look(first, second)
            assert len(ids(first, second)) == 230
            assert set(ids(first, second).values()) == {1}

    asyncio.run(scenario())


def test_who_comes_second_leaves_the_next_steps_to_the_first_for_a_while(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(first: Store) -> None:
        async with street.house(roles=API | DELIVER) as house, street.house(roles=TIMERS) as second:
            process = await replaying(street, house, 1000)
            write: Any = second.database.write

            async def write_second(*asked: Any) -> Any:
                first.write(take_step, 1, PACE)
                return await write(*asked)

            monkeypatch.setattr(second.database, "write", write_second)
            await look(second)
            assert (await now(house, process)).done == 50
            asked = second.database.asked
            monkeypatch.undo()
            await pass_by(second, seconds=AFTER_ANOTHER.total_seconds() - 0.001)
            assert second.database.asked == asked
            await pass_by(second, seconds=0.001)
            assert (await now(house, process)).done == 100

    first = street.open_store()
    try:
        asyncio.run(scenario(first))
    finally:
        first.close()


def test_when_the_node_that_took_the_steps_dies_another_goes_on_where_it_was(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as second:
            async with street.house(stop=False, roles=TIMERS) as first:
                process = await replaying(street, second, 230)
                await look(first, second)
                await pass_by(first, second, seconds=0.5)
            for _ in range(10):
                await pass_by(second, seconds=0.5)
                await look(second)
            after = await now(second, process)
            assert (after.done, after.status) == (230, ProcessStatus.COMPLETED)
            assert set(ids(second).values()) == {1}
            assert len(ids(second)) == 230

    asyncio.run(scenario())


def test_of_a_file_somebody_is_told_by_one_node(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=TIMERS) as first, street.house(roles=TIMERS) as second:
            process = await first.write(begin_export, EXPORT, LIMITS)
            await look(first, second)
            assert len(first.posts) + len(second.posts) == 1
            assert (await now(first, process)).info.endswith("notifyURL was told.")

    asyncio.run(scenario())


def test_when_the_node_that_tells_of_a_file_dies_another_tells_when_its_lease_is_over(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house(roles=API) as house:
            async with street.house(roles=TIMERS, stop=False) as first:
                process = await first.write(begin_export, EXPORT, LIMITS)
                assert len(first.posts) == 1
            street.replying = lambda _: Reply()
            async with street.house(roles=TIMERS) as second:
                assert second.posts == []
                await pass_by(house, second, seconds=LEASE.total_seconds())
                assert len(second.posts) == 1
                assert (await now(second, process)).info.endswith("notifyURL was told.")

    asyncio.run(scenario())


# Limits


def begun(*houses: House) -> int:
    """How many attempts all of them have begun."""
    return sum(len(house.posts) for house in houses)


def test_several_nodes_together_keep_the_limit_of_a_webhook(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as first, street.house() as second:
            nodes = first, second
            await first.new_webhook(rate_limit_per_second=2.0)
            await look(*nodes)
            for node in nodes:
                await node.calls(10)
                await look(*nodes)
            assert begun(*nodes) == 1
            for count in range(2, 21):
                await pass_by(*nodes, seconds=0.5)
                await look(*nodes)
                assert begun(*nodes) == count
            await pass_by(*nodes, seconds=0.5)
            assert set(ids(*nodes).values()) == {1}
            assert min(begun(node) for node in nodes) == 0
            assert set(await first.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_when_the_node_that_sent_at_a_limit_stops_another_goes_on_as_soon_as_the_limit_lets_it(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as second:
            async with street.house() as first:
                await first.new_webhook(rate_limit_per_second=0.5)
                await first.calls(5)
                await look(second)
                assert (begun(first), begun(second)) == (1, 0)
            await look(second)
            assert begun(second) == 0
            for count in range(1, 5):
                await pass_by(second, seconds=2)
                assert begun(second) == count

    asyncio.run(scenario())


def test_when_the_node_that_sent_at_a_limit_dies_another_goes_on_when_nothing_it_held_can_begin_any_more(
    street: Street,
) -> None:
    async def scenario() -> None:
        async with street.house() as second:
            async with street.house(stop=False) as first:
                await first.new_webhook(rate_limit_per_second=1.0)
                await first.calls(3)
                assert begun(first) == 1
            await look(second)
            await pass_by(second, seconds=LEASE.total_seconds())
            await look(second)
            assert begun(second) == 0
            await pass_by(second, seconds=30)
            assert begun(second) == 1
            for count in (2, 3):
                await pass_by(second, seconds=1)
                assert begun(second) >= min(count, 2)

    asyncio.run(scenario())


# Chores


def test_while_one_node_tidies_no_other_does_and_when_it_dies_the_next_goes_on(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=API | DELIVER) as house:
            await house.new_webhook()
            await house.calls(STEP + 10)
            house.clock.advance(seconds=(KEEP_FOR + EVERY).total_seconds())
            assert await house.write(lambda tx: tx.leases.hold(chores.NAME, "one that died", chores.LEASE))
            async with street.house(roles=TIMERS) as second:
                assert len(await house.record()) == STEP + 10
                await pass_by(second, house, seconds=chores.LEASE.total_seconds() - 1)
                assert len(await house.record()) == STEP + 10
                await pass_by(second, house, seconds=1)
                assert not await house.record()

    asyncio.run(scenario())


def test_a_node_that_lost_its_turn_stops_in_the_middle(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=API | DELIVER) as house:
            await house.new_webhook()
            await house.calls(10)
            house.clock.advance(seconds=(KEEP_FOR + EVERY).total_seconds())

            assert await house.write(lambda tx: tx.leases.hold(chores.NAME, "another", chores.LEASE))
            assert await house.write(chores._step, "slow", lambda tx: tx.outbox.forget_before(tx.now, limit=5)) == 0
            assert len(await house.record()) == 10

    asyncio.run(scenario())


def test_nodes_that_tidy_one_after_the_other_forget_everything_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as first, street.house() as second:
            await first.new_webhook()
            await first.calls(2 * STEP + 10)
            await pass_by(first, second, seconds=(KEEP_FOR + EVERY).total_seconds())
            await pass_by(first, second, seconds=chores.LEASE.total_seconds())
            assert not await first.record()
            assert first.engine.failing() == second.engine.failing() == []
            assert chores.NAME not in await first.database.read(lambda tx: tx.leases.held())  # whoever is done lets go

    asyncio.run(scenario())
