"""Failed deliveries walk their whole schedule, to the microsecond, and no further."""

import asyncio
from datetime import datetime, timedelta

import pytest

from hookline.domain.backoff import BREVO, STANDARD, RetryPolicy, own_policy
from hookline.domain.deliveries import State
from hookline.domain.events import EventKind
from hookline.engine.lanes import CONCURRENCY
from hookline.services.booking import book_meeting
from hookline.services.deliveries import retry_delivery
from hookline.services.webhooks import read_webhook
from tests.engine.house import House, Street, always, hanging, silent
from tests.fakes import MONDAY, Reply
from tests.values import DAY, HOUR, MICROSECOND, details

MINUTE = 60.0

#: The table of the contract, in seconds after the attempt before.
STANDARD_WAITS = [5, 60, 300, 1800, 2 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 30 * 3600]
BREVO_WAITS = [600, 3600, 2 * 3600, 8 * 3600]


async def next_attempt_in(house: House) -> float | None:
    """Seconds until the next attempt of the one delivery; None when there is none."""
    due_at = (await house.only()).next_attempt_at
    return None if due_at is None else (due_at - house.clock.now()).total_seconds()


async def walk(house: House) -> list[float]:
    """Every wait of the one delivery, each attempt being made when it is due and not a microsecond before."""
    waits = []
    while (wait := await next_attempt_in(house)) is not None:
        made = len(house.posts)
        due_at = house.clock.now() + timedelta(seconds=wait)
        await house.go_to(due_at - MICROSECOND)
        assert len(house.posts) == made
        await house.go_to(due_at)
        assert len(house.posts) == made + 1
        waits.append(wait)
    return waits


@pytest.mark.parametrize(
    ("policy", "planned"),
    [
        (STANDARD, STANDARD_WAITS),
        (BREVO, BREVO_WAITS),
        (own_policy((5, 60), retry_4xx=True), [5, 60]),
        (own_policy((0, 172_800, 1), retry_4xx=True), [0, 172_800, 1]),
        (own_policy((), retry_4xx=True), []),
        (own_policy((7,) * 30, retry_4xx=True), [7] * 30),
    ],
)
def test_a_receiver_that_always_fails_is_attempted_as_its_policy_says_and_then_never_again(
    street: Street, policy: RetryPolicy, planned: list[int]
) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=policy)
            await house.calls()
            first = len(house.posts)
            waits = [0.0] * (first - 1) + await walk(house)  # a wait of 0 s is over before anybody can look
            assert len(waits) == len(planned)
            for wait, plan in zip(waits, planned, strict=True):
                assert plan <= wait <= plan * (1.2 if policy.jitter else 1)
            delivery = await house.only()
            assert delivery.status is State.DEAD
            assert [attempt.number for attempt in delivery.attempts] == list(range(1, len(planned) + 2))
            assert {attempt.status for attempt in delivery.attempts} == {500}
            await house.pass_by(days=29)
            assert len(house.posts) == len(planned) + 1

    asyncio.run(scenario())


def test_every_attempt_carries_the_same_id_and_bytes_and_its_own_number_and_time(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((5, 60), retry_4xx=True))
            await house.calls()
            await walk(house)
            headers = [dict(post.headers) for post in house.posts]
            assert len({post.body for post in house.posts}) == 1
            assert len({each["webhook-id"] for each in headers}) == 1
            assert [each["hookline-attempt"] for each in headers] == ["1", "2", "3"]
            begun = int(MONDAY.timestamp())
            assert [int(each["webhook-timestamp"]) - begun for each in headers] == [0, 5, 65]
            assert len({each["webhook-signature"] for each in headers}) == 3

    asyncio.run(scenario())


def test_a_delivery_that_succeeds_in_the_end_is_delivered(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            await house.calls()
            street.replying = always(204)
            await walk(house)
            delivery = await house.only()
            assert delivery.status is State.DELIVERED
            assert [attempt.status for attempt in delivery.attempts] == [500, 204]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("reply", "policy", "waits"),
    [
        (Reply(status=301, headers=(("Location", "https://b.example/"),)), own_policy((5,), retry_4xx=True), [5]),
        (Reply(status=404), own_policy((5,), retry_4xx=True), [5]),
        (Reply(status=404), own_policy((5,), retry_4xx=False), []),
        (Reply(status=429), own_policy((5,), retry_4xx=False), []),
        (Reply(status=500), own_policy((5,), retry_4xx=False), [5]),
        (Reply(status=None, error="Nobody listens there."), own_policy((5,), retry_4xx=False), [5]),
        (Reply(status=200, error="It broke off."), own_policy((5,), retry_4xx=False), [5]),
        (Reply(status=302), BREVO, []),
        (Reply(status=404), BREVO, []),
        (Reply(status=429), BREVO, BREVO_WAITS),
        (Reply(status=503), BREVO, BREVO_WAITS),
        (Reply(status=None, error="Nobody listens there."), BREVO, BREVO_WAITS),
    ],
)
def test_what_is_tried_again_is_a_matter_of_the_answer_and_the_policy(
    street: Street, reply: Reply, policy: RetryPolicy, waits: list[float]
) -> None:
    street.replying = lambda _: reply

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=policy)
            await house.calls()
            assert await walk(house) == waits
            delivery = await house.only()
            assert delivery.status is State.DEAD
            assert {(attempt.status, attempt.error) for attempt in delivery.attempts} == {(reply.status, reply.error)}
            assert {post.host for post in house.posts} == {"receiver.example"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [
        (503, "3600", 3600),
        (429, "3600", 3600),
        (503, "86400", 6 * 3600),
        (503, "Mon, 05 Jan 2026 09:30:00 GMT", 1800),
        (503, "Wed, 07 Jan 2026 09:00:00 GMT", 6 * 3600),
        (503, "1", 10),
        (503, "0", 10),
        (503, "Mon, 05 Jan 2026 08:00:00 GMT", 10),
        (503, "soon", 10),
        (500, "3600", 10),
        (404, "3600", 10),
        (301, "3600", 10),
    ],
)
def test_retry_after_lengthens_the_wait_on_429_and_503_up_to_six_hours(
    street: Street, status: int, retry_after: str, wait: float
) -> None:
    street.replying = always(status, ("retry-AFTER", retry_after))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((10,), retry_4xx=True))
            await house.calls()
            assert await walk(house) == [wait]

    asyncio.run(scenario())


def test_410_disables_the_webhook_and_nothing_more_is_sent_to_it(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(retry_policy=own_policy((60,), retry_4xx=True))
            await house.calls(3)
            street.replying = always(410)
            await house.calls(1)
            assert len(house.posts) == 4
            now = await house.database.read(read_webhook, webhook.id)
            assert not now.is_active
            assert "410" in now.disabled_reason
            assert await house.states() == [State.WITHDRAWN] * 3 + [State.DEAD]
            await house.calls(2)
            await house.pass_by(days=3)
            assert len(house.posts) == 4

    asyncio.run(scenario())


def test_a_dead_delivery_that_is_tried_again_by_hand_walks_its_schedule_anew(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((5, 60), retry_4xx=True))
            await house.calls()
            assert await walk(house) == [5, 60]
            await house.write(retry_delivery, (await house.only()).id)
            assert len(house.posts) == 4
            assert await walk(house) == [5, 60]
            assert dict(house.posts[-1].headers)["hookline-attempt"] == "6"

    asyncio.run(scenario())


def test_brevos_policy_leaves_a_host_that_does_not_answer_alone_for_ten_minutes(street: Street) -> None:
    street.replying = lambda post: silent(post) if post.host == "tired.example" else Reply()

    async def scenario() -> None:
        async with street.house() as house:
            for url in ("https://tired.example/a", "https://tired.example:444/b", "https://fresh.example/c"):
                await house.new_webhook(url, retry_policy=BREVO)
            await house.calls()
            assert sorted(post.target for post in house.posts) == ["/a", "/b", "/c"]
            street.replying = always(200)
            await house.pass_by(minutes=5)
            await house.calls(3)
            assert [post.target for post in house.posts[3:]] == ["/c"] * 3
            await house.go_to(MONDAY + timedelta(minutes=10) - MICROSECOND)
            assert len(house.posts) == 6
            await house.go_to(MONDAY + timedelta(minutes=10))
            assert sorted(post.target for post in house.posts[6:]) == ["/a"] * 4 + ["/b"] * 4
            assert set(await house.states()) == {State.DELIVERED}

    asyncio.run(scenario())


def test_a_host_that_stops_answering_is_left_alone_also_by_what_waits_in_memory(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=BREVO)
            await house.calls(2 * CONCURRENCY + 30)
            assert len(house.posts) == CONCURRENCY
            house.sender.answer(Reply(status=None, error="Nobody listens there."))
            await house.idle()
            assert len(house.posts) == 2 * CONCURRENCY  # begun before the first outcome was settled
            untried = [each for each in await house.record() if each.status is State.PENDING and not each.attempts]
            assert len(untried) == 30
            assert {each.next_attempt_at for each in untried} == {MONDAY + timedelta(minutes=10)}
            house.sender.answer(Reply())

    asyncio.run(scenario())


# A start is of no use for ever


async def _starts_that_fail(house: House, until: datetime) -> None:
    while (await house.only()).status is State.PENDING:
        due_at = (await house.only()).next_attempt_at
        assert due_at is not None
        assert due_at < until
        await house.go_to(due_at)


def test_a_start_that_cannot_be_delivered_is_given_up_when_the_meeting_has_ended_for_a_day(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED,))
            await house.write(book_meeting, details(MONDAY + HOUR, HOUR))
            await house.go_to(MONDAY + HOUR)
            assert len(house.posts) == 1
            of_no_use = MONDAY + 2 * HOUR + DAY
            await _starts_that_fail(house, of_no_use)
            delivery = await house.only()
            assert delivery.status is State.DEAD
            assert 1 < len(delivery.attempts) < 10
            assert delivery.attempts[-1].started_at < of_no_use
            made = len(house.posts)
            await house.pass_by(days=5)
            assert len(house.posts) == made

    asyncio.run(scenario())


def test_a_start_that_waited_while_nothing_ran_is_not_sent_when_it_is_of_no_use_any_more(street: Street) -> None:
    street.replying = always(500)

    async def before() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED, EventKind.MEETING_BOOKED))
            await house.write(book_meeting, details(MONDAY, HOUR))
            assert len(house.posts) == 2

    async def after() -> None:
        street.clock.set_wall(MONDAY + HOUR + DAY)
        street.replying = always(200)
        async with street.house() as house:
            assert [dict(post.headers)["hookline-event"] for post in house.posts] == ["meetingBooked"]
            assert await house.states() == [State.DELIVERED, State.DEAD]

    asyncio.run(before())
    asyncio.run(after())
