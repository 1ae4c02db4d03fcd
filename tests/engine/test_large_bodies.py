"""Memory is bounded in bytes: large bodies are held once, few at a time, and shut out no webhook."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from hookline.domain.deliveries import SMALL_BODY, Claim, State
from hookline.domain.ids import WebhookId
from hookline.engine import lanes
from hookline.engine.lanes import LARGE_BYTES, LARGE_LANE, LARGE_SHARE, Lanes
from hookline.ports.sender import Post
from hookline.services.calls import report_calls
from tests.engine.house import House, Street, always, hanging
from tests.engine.test_bell_and_lanes import claim
from tests.fakes import Reply
from tests.values import call_payload

#: The length of large bodies here, and bounds that few of them fill.
_SIZE: Final = 10_000
_BYTES: Final = 20 * _SIZE
_LANE: Final = 8 * _SIZE
_SHARE: Final = 3 * _SIZE


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds for bodies of 10 kB that are as narrow as the real ones are for bodies of 1 MB."""
    monkeypatch.setattr(lanes, "LARGE_BYTES", _BYTES)
    monkeypatch.setattr(lanes, "LARGE_LANE", _LANE)
    monkeypatch.setattr(lanes, "LARGE_SHARE", _SHARE)


def large(of: int, number: int = 0, size: int = LARGE_SHARE) -> Claim:
    small = claim(of, number)
    return replace(small, event=replace(small.event, body=b"x" * size))


async def large_calls(house: House, count: int) -> None:
    """So many calls with a body of about `_SIZE`."""
    await house.write(report_calls, [call_payload(phone_line_name="x" * (_SIZE - 500))] * count)


def held(house: House) -> dict[str, list[int]]:
    """The sizes of the bodies under way, by host."""
    sizes: dict[str, list[int]] = {}
    for each in house.sender.hanging:
        sizes.setdefault(each.post.host, []).append(len(each.post.body))
    return sizes


# The lanes


def test_a_small_body_needs_no_bytes() -> None:
    lanes_ = Lanes()
    for number in range(50):
        lanes_.take(large(1, number, SMALL_BODY))
    assert lanes_.has_room_for(WebhookId(1), LARGE_LANE)


def test_one_webhook_holds_so_many_bytes_of_large_bodies_and_no_more() -> None:
    lanes_ = Lanes()
    for number in range(LARGE_LANE // LARGE_SHARE):
        assert lanes_.has_room_for(WebhookId(1), LARGE_SHARE)
        lanes_.take(large(1, number))
    assert lanes_.room(WebhookId(1)) > 0
    assert not lanes_.has_room_for(WebhookId(1), LARGE_SHARE)
    assert lanes_.room(WebhookId(1)) == 0


def test_however_much_the_others_hold_each_webhook_has_its_share() -> None:
    lanes_ = Lanes()
    for of in range(LARGE_BYTES // LARGE_LANE):
        for number in range(LARGE_LANE // LARGE_SHARE):
            lanes_.take(large(of, number))
    late = WebhookId(99)
    assert lanes_.has_room_for(late, LARGE_SHARE // 2)
    lanes_.take(large(late, 1, LARGE_SHARE // 2))
    assert lanes_.has_room_for(late, LARGE_SHARE // 2)
    lanes_.take(large(late, 2, LARGE_SHARE // 2))
    assert not lanes_.has_room_for(late, SMALL_BODY + 1)


def test_a_body_larger_than_any_bound_goes_by_itself() -> None:
    lanes_ = Lanes()
    assert lanes_.has_room_for(WebhookId(1), LARGE_BYTES + 1)
    lanes_.take(large(1, 1, LARGE_BYTES + 1))
    assert not lanes_.has_room_for(WebhookId(1), SMALL_BODY + 1)


def test_what_the_same_commit_claimed_counts_before_the_lanes_hold_it() -> None:
    lanes_ = Lanes()
    assert not lanes_.has_room_for(WebhookId(1), LARGE_SHARE, for_it=LARGE_LANE, in_all=LARGE_LANE)
    assert not lanes_.has_room_for(WebhookId(2), LARGE_SHARE, for_it=LARGE_SHARE, in_all=LARGE_BYTES)
    assert lanes_.has_room_for(WebhookId(3), LARGE_SHARE, for_it=0, in_all=LARGE_BYTES)


def test_a_webhook_that_was_refused_bytes_is_told_once_when_half_are_free() -> None:
    lanes_ = Lanes()
    claims = [large(1, number) for number in range(LARGE_LANE // LARGE_SHARE)]
    for each in claims:
        lanes_.take(each)
    assert not lanes_.has_room_for(WebhookId(1), LARGE_SHARE)
    told: list[int] = []
    for number, each in enumerate(claims, 1):
        assert lanes_.room(WebhookId(1)) == 0 or told
        lanes_.drop(each)
        if lanes_.has_room_again():
            told.append(number)
    assert told == [len(claims) // 2]


def test_whoever_is_told_that_there_is_room_has_it() -> None:
    """Else a query for claims would follow another without an end."""
    lanes_ = Lanes()
    for of in range(2, 2 + LARGE_BYTES // LARGE_LANE):
        for number in range(LARGE_LANE // LARGE_SHARE):
            lanes_.take(large(of, number))
    first = large(1, 1, LARGE_SHARE // 3)
    lanes_.take(first)
    size = LARGE_SHARE - LARGE_SHARE // 3 + 1
    assert not lanes_.has_room_for(WebhookId(1), size)
    assert lanes_.room(WebhookId(1)) == 0
    assert not lanes_.has_room_again()
    lanes_.drop(first)
    assert lanes_.has_room_again()
    assert lanes_.room(WebhookId(1)) > 0
    assert lanes_.has_room_for(WebhookId(1), size)


# The engine


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("restarted", [False, True], ids=["born claimed", "after a restart"])
def test_webhooks_that_hang_with_large_bodies_hold_few_bytes_and_delay_no_other(
    street: Street, restarted: bool
) -> None:
    def replying(post: Post) -> Reply | None:
        return None if post.host.startswith("hangs") else Reply()

    street.replying = replying

    async def scenario() -> None:
        async with street.house(stop=False) as house:
            for number in range(6):
                await house.new_webhook(f"https://hangs-{number}.example/")
            await house.new_webhook("https://answers.example/")
            for _ in range(4):
                await large_calls(house, 10)
            if not restarted:
                await require_bounded(house)
                await deliver_all(house)
        if restarted:
            async with street.house() as house:
                await street.take_over(house)
                await require_bounded(house)
                await deliver_all(house)

    async def require_bounded(house: House) -> None:
        under_way = held(house)
        assert set(under_way) == {f"hangs-{number}.example" for number in range(6)}  # each has a claim
        assert all(sum(sizes) <= _LANE for sizes in under_way.values())
        assert sum(map(sum, under_way.values())) <= _BYTES + 7 * _SHARE
        states = Counter(await house.states())
        if street.store == "sqlite":  # elsewhere the claims of the dead node stand until somebody has room for them
            assert states[State.SENDING] == sum(map(len, under_way.values()))
        assert states[State.DELIVERED] == 40

    async def deliver_all(house: House) -> None:
        street.replying = always(200)
        house.sender.answer(Reply())
        await house.pass_by(minutes=2)  # some had hung for too long
        assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


@pytest.mark.usefixtures("small_bounds")
def test_a_webhook_with_small_bodies_is_not_bounded_by_the_large_ones_of_others(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            for number in range(6):
                await house.new_webhook(f"https://large-{number}.example/", filter=(("phone_line_name", ("x",)),))
            await large_calls(house, 10)
            del house.sender.hanging[:]
            await house.new_webhook("https://small.example/")
            await house.calls(40)
            assert len(held(house)["small.example"]) == 40
            street.replying = always(200)
            house.sender.answer(Reply())

    asyncio.run(scenario())


def test_all_webhooks_are_sent_one_copy_of_a_body(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house(stop=False) as house:
            for number in range(5):
                await house.new_webhook(f"https://hangs-{number}.example/")
            await large_calls(house, 3)
            require_one_copy(house)
        async with street.house() as house:
            await street.take_over(house)
            require_one_copy(house)
            street.replying = always(200)
            house.sender.answer(Reply())

    def require_one_copy(house: House) -> None:
        assert len(house.posts) == 15
        copies = {(dict(post.headers)["webhook-id"], id(post.body)) for post in house.posts}
        assert len(copies) == 3

    asyncio.run(scenario())


@pytest.mark.usefixtures("small_bounds")
def test_batches_are_bounded_in_bytes_too(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            for number in range(8):
                await house.new_webhook(f"https://hangs-{number}.example/", batched=True)
            for _ in range(4):
                await large_calls(house, 3)
                await house.pass_by(minutes=6)
            under_way = held(house)
            assert len(under_way) == 8
            assert sum(map(sum, under_way.values())) <= _BYTES + 8 * (_SHARE + 1000)
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            await house.pass_by(minutes=30)
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())
