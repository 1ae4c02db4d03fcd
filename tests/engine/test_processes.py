"""Long work goes on at its pace, over crashes, beside everything else; and who asked for a file is told of it."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import LEASE, State
from hookline.domain.events import EventKind
from hookline.domain.processes import Only, Process, ProcessStatus
from hookline.engine.processes import OUR_MISTAKE, PACE
from hookline.ports.sender import Post
from hookline.services.exports import NewExport, begin_export
from hookline.services.processes import read_process, take_step
from hookline.services.replays import begin_replay
from tests.engine.house import KEEP_FOR, House, Street, always, hanging, silent
from tests.fakes import Reply
from tests.values import LIMITS

ONCE = own_policy((), retry_4xx=True)
EXPORT = NewExport(kinds=tuple(EventKind), notify_url="https://me:secret@told.example/here?x=1", days=1)


async def outage(street: Street, house: House, count: int) -> datetime:
    """So many calls were missed; by now the receiver is up again. Returns when that was."""
    street.replying = always(500)
    await house.new_webhook(retry_policy=ONCE)
    since = house.clock.now()
    await house.calls(count)
    assert set(await house.states()) == {State.DEAD}
    street.replying = always(200)
    house.posts.clear()
    await house.pass_by(seconds=60)
    return since


async def begin(house: House, since: datetime, only: Only = Only.FAILED) -> Process:
    return await house.write(begin_replay, 1, since, None, only)


async def now(house: House, process: Process) -> Process:
    return await house.database.read(read_process, process.id)


def ids(posts: Sequence[Post]) -> list[str]:
    return [dict(post.headers)["webhook-id"] for post in posts]


def test_a_replay_begins_at_once_and_goes_on_at_a_constant_rate(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            since = await outage(street, house, 230)
            process = await begin(house, since)
            sent = [len(house.posts)]
            for _ in range(5):
                await house.pass_by(seconds=PACE.step / PACE.per_second)
                sent.append(len(house.posts))
            assert sent == [50, 100, 150, 200, 230, 230]
            assert (await now(house, process)).info == "230 of 230 deliveries are due again."
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_what_is_replayed_comes_in_the_order_of_keeping_with_the_same_id_and_bytes(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            street.replying = always(500)
            await house.new_webhook(retry_policy=ONCE)
            await house.calls(120)
            first = list(house.posts)
            street.replying = always(200)
            house.posts.clear()
            await house.pass_by(seconds=1)
            await begin(house, house.clock.now() - timedelta(hours=1))
            await house.pass_by(seconds=0.5)
            await house.pass_by(seconds=0.5)
            assert sorted(ids(house.posts)) == sorted(ids(first))
            for start in (0, 50, 100):  # those of one step leave side by side
                assert sorted(ids(house.posts[start : start + 50])) == sorted(ids(first))[start : start + 50]
            assert {dict(post.headers)["webhook-id"]: post.body for post in house.posts} == {
                dict(post.headers)["webhook-id"]: post.body for post in first
            }

    asyncio.run(scenario())


def test_a_receiver_that_hangs_gets_no_heap_in_front_of_its_live_events(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            since = await outage(street, house, 1000)
            street.replying = hanging
            process = await begin(house, since)
            for _ in range(8):
                await house.pass_by(seconds=1)
            assert (await now(house, process)).done == PACE.most_in_front + PACE.step
            street.replying = always(200)
            house.sender.answer(Reply())
            for _ in range(18):
                await house.pass_by(seconds=1)
            assert (await now(house, process)).status is ProcessStatus.COMPLETED

    asyncio.run(scenario())


@pytest.mark.parametrize("only", list(Only))
def test_who_is_killed_goes_on_where_they_were_and_sends_nothing_twice(street: Street, only: Only) -> None:
    async def killed() -> Process:
        async with street.house(stop=False) as house:
            since = await outage(street, house, 230)
            process = await begin(house, since, only)
            await house.pass_by(seconds=0.5)
            await house.pass_by(seconds=0.2)
            sent.extend(ids(house.posts))
            assert (await now(house, process)).done == 100
            return process

    async def going_on(process: Process) -> None:
        async with street.house() as house:
            for _ in range(8):
                await house.pass_by(seconds=0.5)
            sent.extend(ids(house.posts))
            after = await now(house, process)
            assert (after.done, after.total, after.status) == (230, 230, ProcessStatus.COMPLETED)

    sent: list[str] = []
    asyncio.run(going_on(asyncio.run(killed())))
    assert len(sent) == len(set(sent)) == 230


def test_a_step_that_another_node_has_taken_is_not_taken_again(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            since = await outage(street, house, 120)
            process = await begin(house, since)
            house.clock.set_wall(house.clock.now() + timedelta(seconds=0.5))
            other = street.open_store()
            other.write(take_step, process.id, PACE)
            other.close()
            await house.idle()
            assert (await now(house, process)).done == 100
            await house.pass_by(seconds=0.5)
            await house.pass_by(seconds=0.5)
            assert len(ids(house.posts)) == len(set(ids(house.posts))) == 120

    asyncio.run(scenario())


def test_live_events_do_not_wait_for_a_replay(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            since = await outage(street, house, 500)
            await begin(house, since)
            await house.pass_by(seconds=0.2)
            before = len(house.posts)
            await house.calls()
            assert len(house.posts) == before + 1

    asyncio.run(scenario())


def test_a_mistake_of_ours_ends_its_process_and_no_other(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(tx: Any, process_id: int, pace: Any) -> Process | None:
        if process_id == 1:
            raise RuntimeError
        return take_step(tx, process_id, pace)

    monkeypatch.setattr("hookline.services.processes.take_step", mistaken)

    async def scenario() -> None:
        async with street.house() as house:
            since = await outage(street, house, 3)
            first, second = await begin(house, since), await begin(house, since)
            await house.idle()
            after = await now(house, first)
            assert (after.status, after.error) == (ProcessStatus.FAILED, OUR_MISTAKE)
            assert (await now(house, second)).status is ProcessStatus.COMPLETED
            assert house.engine.failing() == []

    asyncio.run(scenario())


def test_while_there_is_nothing_to_do_the_store_is_not_asked(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            before = house.database.asked
            await house.pass_by(minutes=50)
            assert house.database.asked == before

    asyncio.run(scenario())


# Exports


async def exporting(house: House) -> Process:
    """An export of a little, with its file."""
    await house.new_webhook()
    await house.calls(3)
    await house.pass_by(seconds=1)
    house.posts.clear()
    process = await house.write(begin_export, EXPORT, LIMITS)
    return await now(house, process)


def test_who_asked_for_a_file_is_told_as_soon_as_it_is_there(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            process = await exporting(house)
            assert process.status is ProcessStatus.COMPLETED
            [post] = house.posts
            assert (post.host, post.target, dict(post.headers)["Authorization"]) == (
                "told.example",
                "/here?x=1",
                "Basic bWU6c2VjcmV0",
            )
            assert process.file is not None
            told = json.loads(post.body)
            assert (told["processId"], told["status"], told["exportUrl"]) == (1, "completed", process.file.url)
            assert process.info.endswith("notifyURL was told.")

    asyncio.run(scenario())


def test_a_long_export_goes_on_after_a_crash(street: Street) -> None:
    async def killed() -> Process:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            await house.calls(900)
            await house.pass_by(seconds=1)
            process = await house.write(begin_export, EXPORT, LIMITS)
            await house.pass_by(seconds=0.02)
            assert (await now(house, process)).done == 400
            return process

    async def going_on(process: Process) -> None:
        async with street.house() as house:
            for _ in range(4):
                await house.pass_by(seconds=0.02)
            after = await now(house, process)
            assert (after.done, after.total, after.status) == (900, 900, ProcessStatus.COMPLETED)
            pieces = [await _piece(house, number) for number in range(6)]
            assert b"".join(piece for piece in pieces if piece).count(b"\r\n") == 901

    asyncio.run(going_on(asyncio.run(killed())))


async def _piece(house: House, number: int) -> bytes | None:
    piece: bytes | None = await house.database.read(lambda tx: tx.processes.part(1, number))
    return piece


def test_who_does_not_answer_is_told_again_over_restarts(street: Street) -> None:
    street.replying = lambda post: silent(post) if post.host == "told.example" else Reply()

    async def killed() -> None:
        async with street.house(stop=False) as house:
            await exporting(house)
            assert len(house.posts) == 1

    async def going_on() -> None:
        async with street.house() as house:
            await house.pass_by(seconds=4)
            assert house.posts == []
            await house.pass_by(seconds=2)
            assert len(house.posts) == 1
            for _ in range(8):
                await house.pass_by(minutes=10)
            assert len(house.posts) == 4
            process = await house.database.read(read_process, 1)
            assert "could not be told in 5 attempts. Nobody listens there." in process.info

    asyncio.run(killed())
    asyncio.run(going_on())


def test_a_notification_that_was_under_way_when_the_process_died_is_sent_again(street: Street) -> None:
    street.replying = lambda post: None if post.host == "told.example" else Reply()

    async def killed() -> None:
        async with street.house(stop=False) as house:
            await exporting(house)
            assert len(house.sender.hanging) == 1

    async def going_on() -> None:
        street.replying = always(200)
        async with street.house() as house:
            assert house.posts == []
            await house.pass_by(seconds=LEASE.total_seconds())
            assert len(house.posts) == 1
            assert "notifyURL was told." in (await house.database.read(read_process, 1)).info

    asyncio.run(killed())
    asyncio.run(going_on())


def test_files_and_processes_are_tidied_away(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            process = await exporting(house)
            await house.pass_by(days=7, hours=1)
            assert await _piece(house, 0) is None
            assert (await now(house, process)).status is ProcessStatus.COMPLETED
            await house.pass_by(seconds=KEEP_FOR.total_seconds())
            processes: Any = await house.database.read(lambda tx: tx.processes.count())
            assert processes == 0

    asyncio.run(scenario())
