"""A call that connectors told of is settled at its instant, once, whoever dies and however many nodes there are."""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hookline.adapters.sql.postgres import TIME_LIMITS
from hookline.domain.call_legs import NO_LEGS
from hookline.domain.calls import Call
from hookline.engine.intake import BATCH, OUR_MISTAKE
from hookline.ports.intake import HeardCall
from hookline.ports.storage import CallFilter, News, Transaction
from hookline.services import intake as settling
from hookline.services.calls import list_calls
from hookline.services.intake import take_in
from hookline.settings import Role
from tests.contract.stores import database_of, forget_database_of
from tests.engine.house import KEEP_FOR, House, Street, idle
from tests.fakes import ManualClock
from tests.telling import LINE, TELLER, WAITS, a_whole_call, add_line, comes_in, report


@pytest.fixture
def postgres(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Iterator[Street]:
    database_of(tmp_path)
    yield Street(tmp_path, clock, dice, "postgres", lock_seconds=TIME_LIMITS.lock_seconds)
    forget_database_of(tmp_path)


async def tell(house: House, *keys: str, complete: bool = False) -> None:
    """Calls that are over are told of."""
    for key in keys:
        await house.write(take_in, TELLER, report(*a_whole_call(), key=key, complete=complete))


async def calls(house: House) -> Sequence[Call]:
    page = await house.database.read(list_calls, CallFilter(), limit=10_000, cursor=None)
    return page.items


async def heard(house: House, key: str) -> HeardCall | None:
    return await house.database.read(lambda tx: tx.intake.heard(TELLER.connector_id, key))


def test_a_call_is_published_when_nothing_more_is_to_be_expected_and_not_before(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.write(add_line, LINE)
            await tell(house, "one")
            await house.pass_by(seconds=29.999999)
            assert not house.posts
            await house.pass_by(seconds=0.000001)
            assert len(house.posts) == 1
            await house.pass_by(days=3)
            assert len(await calls(house)) == 1

    asyncio.run(scenario())


def test_a_call_that_is_due_before_all_others_is_not_slept_through(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await house.write(take_in, TELLER, report(*comes_in(), key="goes on"))
            await tell(house, "waits")
            await tell(house, "at once", complete=True)
            assert len(await calls(house)) == 1
            await house.pass_by(seconds=WAITS.total_seconds())
            assert len(await calls(house)) == 2

    asyncio.run(scenario())


def test_until_a_call_is_due_the_store_is_not_asked(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await tell(house, "one")
            asked = house.database.asked
            await house.pass_by(seconds=29)
            assert house.database.asked == asked

    asyncio.run(scenario())


def test_what_became_due_while_nobody_ran_is_settled_at_the_start(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(stop=False) as killed:
            await killed.write(add_line, LINE)
            await tell(killed, "one")
        street.clock.advance(seconds=3600)
        async with street.house() as house:
            assert len(await calls(house)) == 1

    asyncio.run(scenario())


def test_what_was_settled_before_a_crash_is_not_settled_again(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(stop=False) as killed:
            await killed.write(add_line, LINE)
            await tell(killed, "one", complete=True)
            assert len(await calls(killed)) == 1
        async with street.house() as house:
            await tell(house, "one", complete=True)
            await house.pass_by(days=2)
            assert len(await calls(house)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [1, 2 * BATCH + 7])
def test_every_call_is_settled_once_by_whoever_is_first(postgres: Street, count: int) -> None:
    def all_of_them(tx: Transaction) -> None:
        for number in range(count):
            take_in(tx, TELLER, report(*a_whole_call(), key=str(number)))

    async def scenario() -> None:
        async with postgres.house() as first, postgres.house() as second, postgres.house() as third:
            nodes = first, second, third
            await first.write(add_line, LINE)
            await first.write(all_of_them)
            for node in nodes:
                node.engine.committed(News(intake=True))
            await idle(*(node.database for node in nodes))
            postgres.clock.advance(seconds=WAITS.total_seconds())
            await idle(*(node.database for node in nodes))
            assert len(await calls(first)) == count

    asyncio.run(scenario())


def test_a_mistake_of_ours_ends_its_call_and_no_other(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = settling._settle

    def mistaken(tx: Any, call: HeardCall, books: Any, **how: Any) -> Any:
        if call.call_key == "bad":
            raise ZeroDivisionError
        return decide(tx, call, books, **how)

    monkeypatch.setattr("hookline.services.intake._settle", mistaken)

    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await tell(house, "a", "bad", "c")
            await house.pass_by(seconds=WAITS.total_seconds())
            assert len(await calls(house)) == 2
            given_up = await heard(house, "bad")
            assert given_up is not None
            assert (given_up.is_settled, given_up.reason) == (True, OUR_MISTAKE)
            assert not house.engine.failing()

    asyncio.run(scenario())


def test_a_call_whose_legs_cannot_be_told_is_an_event_all_the_same(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("hookline.services.intake.legs_of", mistaken)

    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await tell(house, "a", "b", complete=True)
            assert [call.legs for call in await calls(house)] == [NO_LEGS, NO_LEGS]
            assert not house.engine.failing()

    asyncio.run(scenario())


def test_only_a_node_that_does_what_its_time_has_come_for_settles(street: Street) -> None:
    async def scenario() -> None:
        async with street.house(roles=frozenset({Role.API, Role.DELIVER})) as house:
            await house.write(add_line, LINE)
            await tell(house, "one", complete=True)
            assert not await calls(house)
        async with street.house(roles=frozenset({Role.TIMERS})) as house:
            assert len(await calls(house)) == 1

    asyncio.run(scenario())


def test_what_is_settled_is_forgotten_with_everything_else_of_its_time(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await tell(house, "one", complete=True)
            await house.pass_by(seconds=KEEP_FOR.total_seconds() - 60)
            assert await heard(house, "one") is not None
            await house.pass_by(seconds=timedelta(hours=2).total_seconds())
            assert await heard(house, "one") is None

    asyncio.run(scenario())


def test_one_line_of_the_log_tells_what_a_call_became(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hookline.intake")

    async def scenario() -> None:
        async with street.house() as house:
            await house.write(add_line, LINE)
            await tell(house, "one", complete=True)
            [call] = await calls(house)
            assert (
                f"call.settled connector=con_1 kind=scripted key='one' facts=6 call={call.id} reason='' line=''"
                in caplog.messages
            )

    asyncio.run(scenario())
