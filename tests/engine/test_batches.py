"""Batches leave when they must, to the microsecond, and whoever dies, with the same bytes under the same id."""

import asyncio
import json
from datetime import timedelta

import pytest

from hookline import __version__
from hookline.domain.backoff import BREVO, own_policy
from hookline.domain.batches import GATHERING, MAX_EVENTS
from hookline.domain.deliveries import LEASE, State
from hookline.domain.events import SAMPLES, EventKind, canonical_bytes
from hookline.engine.lanes import CONCURRENCY
from hookline.ports.sender import Post
from hookline.receiver import Receiver
from hookline.services.booking import book_meeting
from hookline.services.deliveries import retry_delivery
from hookline.services.webhooks import delete_webhook, send_test, update_webhook
from tests.engine.house import House, Street, always, hanging, silent
from tests.fakes import MONDAY, Reply
from tests.values import DAY, HOUR, LIMITS, MICROSECOND, call_payload, details

CLOSES = MONDAY + GATHERING


def header(post: Post, name: str) -> str | None:
    return dict(post.headers).get(name)


def sizes(house: House) -> list[int]:
    """How many events each request carried, as it says and as it is."""
    counted = [len(json.loads(post.body)) for post in house.posts]
    assert counted == [int(header(post, "hookline-batch-size") or 0) for post in house.posts]
    return counted


def test_a_batch_carries_exactly_the_headers_of_the_contract_and_verifies(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(batched=True)
            await house.calls(2)
            await house.pass_by(seconds=300)
            [post] = house.posts
            seconds, body = int(CLOSES.timestamp()), canonical_bytes(call_payload())
            batch_id = {each.batch_id for each in await house.record()}.pop()
            assert post.headers == (
                ("Content-Type", "application/json"),
                ("User-Agent", f"Hookline/{__version__}"),
                ("Accept-Encoding", "identity"),
                ("webhook-id", batch_id),
                ("webhook-timestamp", str(seconds)),
                ("webhook-signature", header(post, "webhook-signature")),
                ("hookline-event", "callFinished"),
                ("hookline-batch-size", "2"),
                ("hookline-attempt", "1"),
            )
            assert post.body == b"[" + body + b"," + body + b"]"
            receiver = Receiver(webhook.secrets[0].value, now=lambda: seconds)
            message = receiver.verify(post.body, dict(post.headers))
            assert (message.is_batch, message.payloads) == (True, (call_payload(),) * 2)

    asyncio.run(scenario())


def test_what_gathers_leaves_five_minutes_after_the_first_and_not_a_microsecond_before(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls()
            await house.go_to(CLOSES - MICROSECOND)
            await house.calls()
            assert not house.posts
            await house.go_to(CLOSES)
            assert sizes(house) == [2]
            assert await house.states() == [State.DELIVERED] * 2
            await house.calls()
            await house.go_to(CLOSES + GATHERING)
            assert sizes(house) == [2, 1]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("count", "at_once", "later"), [(MAX_EVENTS - 1, [], [499]), (MAX_EVENTS, [500], []), (MAX_EVENTS + 1, [500], [1])]
)
def test_five_hundred_leave_at_once(street: Street, count: int, at_once: list[int], later: list[int]) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls(count)
            assert sizes(house) == at_once
            await house.go_to(CLOSES)
            assert sizes(house) == at_once + later
            assert len({header(post, "webhook-id") for post in house.posts}) == len(house.posts)
            assert await house.states() == [State.DELIVERED] * count

    asyncio.run(scenario())


def test_each_request_is_of_one_event_and_webhooks_without_batches_get_each_at_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook("https://batched.example/", batched=True)
            await house.new_webhook("https://single.example/")
            await house.calls(3)
            await house.write(book_meeting, details(MONDAY + DAY))
            assert [(post.host, header(post, "hookline-batch-size")) for post in house.posts] == [
                ("single.example", None)
            ] * 4
            await house.go_to(CLOSES)
            sent = {(header(post, "hookline-event"), header(post, "hookline-batch-size")) for post in house.posts[4:]}
            assert sent == {("callFinished", "3"), ("meetingBooked", "1")}

    asyncio.run(scenario())


def test_a_test_is_an_array_of_the_sample_at_once(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(batched=True)
            await house.calls()
            await house.write(send_test, webhook.id, EventKind.CALL_FINISHED)
            [post] = house.posts
            assert post.body == b"[" + canonical_bytes(SAMPLES[EventKind.CALL_FINISHED]) + b"]"
            assert (header(post, "hookline-test"), sizes(house)) == ("true", [1])
            await house.go_to(CLOSES)
            assert sizes(house) == [1, 1]
            assert header(house.posts[1], "hookline-test") is None

    asyncio.run(scenario())


def test_every_attempt_of_a_batch_has_the_same_bytes_and_the_same_id(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True, retry_policy=own_policy((60, 600), retry_4xx=True))
            await house.calls(2)
            await house.go_to(CLOSES)
            await house.calls()  # gathers in another
            await house.go_to(CLOSES + timedelta(seconds=59))
            assert sizes(house) == [2]
            await house.go_to(CLOSES + timedelta(seconds=60))
            await house.go_to(CLOSES + timedelta(seconds=660))
            batch = [post for post in house.posts if header(post, "hookline-batch-size") == "2"]
            assert len({(post.body, header(post, "webhook-id")) for post in batch}) == 1
            assert [header(post, "hookline-attempt") for post in batch] == ["1", "2", "3"]
            assert await house.states() == [State.DEAD, State.DEAD, State.PENDING]
            assert [len(each.attempts) for each in await house.record()] == [3, 3, 1]

    asyncio.run(scenario())


def test_retry_after_is_kept_and_410_withdraws_what_gathers(street: Street) -> None:
    street.replying = always(503, ("Retry-After", "3600"))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls(2)
            await house.go_to(CLOSES)
            first, *_ = await house.record()
            assert first.next_attempt_at == CLOSES + HOUR
            street.replying = always(410)
            await house.go_to(CLOSES + HOUR - timedelta(seconds=1))
            await house.calls()
            await house.go_to(CLOSES + HOUR)
            assert await house.states() == [State.DEAD, State.DEAD, State.WITHDRAWN]

    asyncio.run(scenario())


def test_a_host_that_does_not_answer_rests_with_its_batches(street: Street) -> None:
    street.replying = silent

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True, retry_policy=BREVO)
            await house.calls()
            await house.go_to(CLOSES)
            await house.calls(MAX_EVENTS)
            assert len(house.posts) == 1
            street.replying = always(200)
            await house.go_to(CLOSES + timedelta(seconds=600) - MICROSECOND)
            assert len(house.posts) == 1
            await house.go_to(CLOSES + timedelta(seconds=600))
            assert sizes(house) == [1, 1, 500]

    asyncio.run(scenario())


def test_a_killed_process_loses_nothing_that_gathers_and_sends_what_was_under_way_again(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook(batched=True)
            await house.calls(2)
            await house.go_to(CLOSES)
            await house.calls(3)
            [cut_short] = house.posts
        street.replying = always(200)
        async with street.house() as house:
            await street.take_over(house)
            [again] = house.posts
            assert (again.body, header(again, "webhook-id")) == (cut_short.body, header(cut_short, "webhook-id"))
            assert header(again, "hookline-attempt") == "2"
            await house.go_to(CLOSES + GATHERING)
            assert sizes(house) == [2, 3]
            assert await house.states() == [State.DELIVERED] * 5

    asyncio.run(scenario())


def test_a_process_that_stops_leaves_what_gathers_to_the_next(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls(2)
        assert not house.posts
        async with street.house() as house:
            await house.calls()
            await house.go_to(CLOSES)
            assert sizes(house) == [3]

    asyncio.run(scenario())


def test_an_attempt_that_outlives_its_lease_changes_nothing_when_it_ends(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls()
            await house.go_to(CLOSES)
            house.clock.set_wall(CLOSES + LEASE)  # the machine slept: no time limit rang
            street.replying = always(200)
            await house.idle()
            house.sender.answer(Reply(status=500))
            await house.idle()
            assert await house.states() == [State.DELIVERED]
            assert [attempt.status for attempt in (await house.only()).attempts] == [500, 200]

    asyncio.run(scenario())


def test_what_gathers_leaves_when_its_webhook_gets_no_batches_any_more(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(batched=True)
            await house.calls(2)
            await house.write(update_webhook, webhook.id, {"batched": False}, LIMITS)
            assert sizes(house) == [2]
            await house.calls()
            assert header(house.posts[1], "hookline-batch-size") is None

    asyncio.run(scenario())


def test_what_waits_by_itself_goes_by_itself_when_its_webhook_begins_to_get_batches(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(retry_policy=own_policy((60,), retry_4xx=True))
            await house.calls(2)
            street.replying = always(200)
            await house.write(update_webhook, webhook.id, {"batched": True}, LIMITS)
            await house.calls()
            await house.pass_by(seconds=60)
            assert [header(post, "hookline-batch-size") for post in house.posts] == [None] * 4
            await house.go_to(CLOSES)
            assert [header(post, "hookline-batch-size") for post in house.posts[4:]] == ["1"]

    asyncio.run(scenario())


def test_what_gathers_for_a_webhook_that_is_deleted_or_disabled_is_withdrawn(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            deleted, disabled = [await house.new_webhook(batched=True) for _ in range(2)]
            await house.calls(2)
            await house.write(delete_webhook, deleted.id)
            await house.write(update_webhook, disabled.id, {"is_active": False}, LIMITS)
            await house.go_to(CLOSES)
            assert not house.posts
            assert await house.states() == [State.WITHDRAWN] * 4

    asyncio.run(scenario())


def test_a_retry_by_hand_sends_what_gathers_now_and_what_is_settled_alone(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(batched=True)
            await house.calls(2)
            first, _ = await house.record()
            await house.write(retry_delivery, first.id)
            assert sizes(house) == [2]
            await house.write(retry_delivery, first.id)
            assert sizes(house) == [2, 1]
            assert [header(post, "hookline-attempt") for post in house.posts] == ["1", "2"]
            assert [len(each.attempts) for each in await house.record()] == [2, 1]

    asyncio.run(scenario())


def test_a_backlog_of_batches_delays_nobody_and_goes_out_in_the_end(street: Street) -> None:
    street.replying = lambda post: None if post.host == "hangs.example" else Reply()

    async def scenario() -> None:
        async with street.house() as house:
            hangs = await house.new_webhook("https://hangs.example/", batched=True)
            await house.new_webhook("https://answers.example/")
            for _ in range(2 * CONCURRENCY + 6):
                await house.database.write(send_test, hangs.id, EventKind.CALL_FINISHED)
            await house.calls()
            hosts = [post.host for post in house.posts]
            assert (hosts.count("hangs.example"), hosts.count("answers.example")) == (CONCURRENCY, 1)
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert len(house.posts) == 2 * CONCURRENCY + 6 + 1

    asyncio.run(scenario())
