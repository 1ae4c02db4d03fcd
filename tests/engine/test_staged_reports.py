"""A batch that was accepted is applied, whatever becomes of the process that accepted it."""

import asyncio

import pytest

from hookline.domain.events import canonical_bytes
from hookline.engine.staged_reports import LEFT_FOR
from hookline.services.report_batches import Accepted, accept_calls, apply_slice, batch_id_of
from tests.engine.house import House, Street
from tests.values import call_payload

COUNT = 800


async def accepted(house: House) -> Accepted:
    """A large batch of calls that nobody has begun to apply."""
    payloads = [call_payload(duration_seconds=number) for number in range(COUNT)]
    bodies = [canonical_bytes(payload) for payload in payloads]
    batch = await house.write(accept_calls, payloads, bodies)
    assert batch.is_staged
    return batch


@pytest.mark.parametrize("slices", [0, 1, 2])
def test_after_a_kill_between_any_two_slices_the_next_process_delivers_the_rest(street: Street, slices: int) -> None:
    async def scenario() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook()
            batch = await accepted(house)
            for _ in range(slices):
                assert await house.write(apply_slice, batch_id_of(batch.ids))
        async with street.house() as house:
            await street.take_over(house)
            await house.pass_by(seconds=LEFT_FOR.total_seconds())
            delivered = await house.record()
            assert [delivery.subject for delivery in delivered] == list(batch.ids)

    asyncio.run(scenario())


def test_a_batch_is_left_to_its_request_for_a_while(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await accepted(house)
            await house.pass_by(seconds=LEFT_FOR.total_seconds() - 1)
            assert await house.record() == []
            await house.pass_by(seconds=1)
            assert len(await house.record()) == COUNT

    asyncio.run(scenario())
