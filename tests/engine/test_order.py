"""An ordered webhook gets the events of a subject one after the other, whatever fails; other subjects never wait."""

import asyncio
import random
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest

from hookline.domain.backoff import BREVO, own_policy
from hookline.domain.deliveries import LEASE, Delivery, State
from hookline.domain.ids import MeetingId
from hookline.engine.lanes import CONCURRENCY
from hookline.ports.sender import Post
from hookline.services.booking import book_meeting, cancel_meeting, reschedule_meeting
from hookline.services.deliveries import retry_delivery
from hookline.services.webhooks import delete_webhook, update_webhook
from tests.engine.house import House, Street, always, hanging, silent
from tests.fakes import MONDAY, Reply
from tests.values import DAY, HOUR, LIMITS, details

RETRIES = own_policy((0, 1, 5, 30, 30), retry_4xx=True)


def place(post: Post) -> tuple[str, int]:
    """Which event it is: subject and sequence."""
    headers = dict(post.headers)
    return headers["hookline-subject"], int(headers["hookline-sequence"])


def sequences(house: House, subject: str) -> list[int]:
    """The sequences of all requests about a subject, as they came."""
    return [sequence for of, sequence in map(place, house.posts) if of == subject]


def failing(*places: int, status: int = 500) -> Any:
    """A receiver that refuses the events with these sequences."""
    return lambda post: Reply(status=status if place(post)[1] in places else 200)


class Judge:
    """A receiver that fails now and then, and knows what may come: what follows the last that it took, or that died."""

    def __init__(self, dice: random.Random, failing: float = 0.2) -> None:
        self._dice = dice
        self._failing = failing
        self.settled: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.dead = 0
        self.broken: list[str] = []

    def __call__(self, post: Post) -> Reply:
        subject, sequence = place(post)
        line = (post.host, subject)
        if sequence != self.settled[line] + 1:
            self.broken.append(f"{line} {sequence} came when {self.settled[line]} was settled")
        if self._dice.random() >= self._failing:
            self._settle(line, sequence)
            return Reply()
        self.failures[line] += 1
        if self.failures[line] > len(RETRIES.waits_seconds):
            self.dead += 1
            self._settle(line, sequence)
        return Reply(status=500)

    def _settle(self, line: tuple[str, str], sequence: int) -> None:
        self.settled[line], self.failures[line] = sequence, 0


async def book(house: House, **changes: Any) -> MeetingId:
    """A meeting far off."""
    return await house.write(book_meeting, details(MONDAY + 30 * DAY, **changes))


async def move(house: House, meeting: MeetingId, hours: int) -> None:
    """Two events in one commit."""
    await house.write(reschedule_meeting, meeting, MONDAY + 30 * DAY + hours * HOUR, None)


async def of(house: House, subject: str) -> list[Delivery]:
    """The deliveries of a subject, by sequence."""
    return list(await house.record(subject=subject))


async def states_of(house: House, subject: str) -> list[State]:
    return [each.status for each in await of(house, subject)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("failing_rate", [0.2, 0.6])
def test_however_much_fails_each_event_waits_for_the_one_before_it(
    street: Street, seed: int, failing_rate: float
) -> None:
    dice = random.Random(seed)
    judge = Judge(dice, failing_rate)
    street.replying = judge

    async def scenario() -> None:
        async with street.house() as house:
            for name in ("one", "two"):
                await house.new_webhook(f"https://{name}.example/", ordered=True, retry_policy=RETRIES)
            meetings = [await book(house) for _ in range(8)]
            events = Counter(meetings)
            for step in range(80):
                meeting = dice.choice(meetings)
                await move(house, meeting, step + 1)
                events[meeting] += 2
                if dice.random() < 0.3:
                    await house.pass_by(seconds=dice.choice([1, 5, 30]))
            while {State.PENDING, State.SENDING} & set(await house.states()):
                await house.pass_by(seconds=30)
            assert judge.broken == []
            assert judge.settled == {(f"{name}.example", id_): events[id_] for name in ("one", "two") for id_ in events}
            assert Counter(await house.states())[State.DEAD] == judge.dead

    asyncio.run(scenario())


def test_a_subject_that_is_held_up_delays_no_other(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True)
            held_up = await book(house)
            street.replying = lambda post: Reply(status=500 if place(post)[0] == held_up else 200)
            await move(house, held_up, 1)
            for _ in range(20):
                other = await book(house)
                await move(house, other, 1)
                assert sequences(house, other) == [1, 2, 3]
            assert sequences(house, held_up) == [1, 2]
            assert await states_of(house, held_up) == [State.DELIVERED, State.PENDING, State.PENDING]
            assert (await of(house, held_up))[2].next_attempt_at is None

    asyncio.run(scenario())


def test_many_subjects_that_are_held_up_fill_no_lane(street: Street) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True, retry_policy=own_policy((3600,), retry_4xx=True))
            for _ in range(20):
                meeting = await book(house)
                for hours in range(1, 15):
                    await move(house, meeting, hours)
            street.replying = always(200)
            await house.calls(600)
            assert Counter(await house.states())[State.DELIVERED] == 600

    asyncio.run(scenario())


@pytest.mark.parametrize("end", ["delivered", "dead", "useless"])
def test_however_one_ends_the_next_goes_at_once(street: Street, end: str) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            policy = own_policy((3600,) if end != "useless" else (90_000,), retry_4xx=True)
            await house.new_webhook(ordered=True, retry_policy=policy)
            meeting = await book(house)
            await move(house, meeting, 1)
            assert sequences(house, meeting) == [1]
            street.replying = always(200) if end == "delivered" else failing(1)
            await house.pass_by(seconds=3600 if end != "useless" else 90_000)
            expected = [State.DELIVERED if end == "delivered" else State.DEAD, State.DELIVERED, State.DELIVERED]
            assert await states_of(house, meeting) == expected
            assert sequences(house, meeting) == [1, 1, 2, 3]

    asyncio.run(scenario())


def test_a_start_that_became_useless_while_it_waited_is_never_sent_and_lets_the_next_go(street: Street) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True, retry_policy=own_policy((3 * 86_400,), retry_4xx=True))
            meeting = await house.write(book_meeting, details(MONDAY + HOUR))
            await house.pass_by(hours=1)
            booked, started = await of(house, meeting)
            assert (started.status, started.next_attempt_at) == (State.PENDING, None)
            street.replying = always(200)
            await house.pass_by(days=3)
            assert await states_of(house, meeting) == [State.DELIVERED, State.DEAD]
            assert sequences(house, meeting) == [1, 1]
            await house.write(retry_delivery, started.id)  # by hand it goes nevertheless
            assert await states_of(house, meeting) == [State.DELIVERED, State.DELIVERED]
            assert booked.attempts

    asyncio.run(scenario())


def test_a_retry_by_hand_of_one_that_waits_changes_nothing(street: Street) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True)
            meeting = await book(house)
            await move(house, meeting, 1)
            for waiting in (await of(house, meeting))[1:]:
                await house.write(retry_delivery, waiting.id)
            assert sequences(house, meeting) == [1]
            street.replying = always(200)
            await house.write(retry_delivery, (await of(house, meeting))[0].id)
            assert sequences(house, meeting) == [1, 1, 2, 3]

    asyncio.run(scenario())


def test_one_that_is_replayed_stands_before_those_that_follow_it(street: Street) -> None:
    street.replying = failing(3)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True, retry_policy=own_policy((60,) * 5, retry_4xx=True))
            meeting = await book(house)
            await move(house, meeting, 1)
            await move(house, meeting, 2)
            assert sequences(house, meeting) == [1, 2, 3]
            street.replying = failing(1, 3)
            await house.write(retry_delivery, (await of(house, meeting))[0].id)
            await house.pass_by(seconds=59)
            assert [each.next_attempt_at for each in await of(house, meeting)][2:] == [None] * 3
            street.replying = always(200)
            await house.pass_by(seconds=1)
            assert sequences(house, meeting) == [1, 2, 3, 1, 1, 3, 4, 5]

    asyncio.run(scenario())


def test_one_that_is_replayed_while_an_earlier_one_is_owed_waits(street: Street) -> None:
    street.replying = failing(2, status=410)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(ordered=True)
            meeting = await book(house)
            await move(house, meeting, 1)
            assert await states_of(house, meeting) == [State.DELIVERED, State.DEAD, State.WITHDRAWN]
            await house.write(update_webhook, webhook.id, {"is_active": True}, LIMITS)
            street.replying = failing(2)
            _, second, third = await of(house, meeting)
            await house.write(retry_delivery, second.id)
            await house.write(retry_delivery, third.id)
            assert sequences(house, meeting) == [1, 2, 2]
            street.replying = always(200)
            await house.pass_by(seconds=6)
            assert sequences(house, meeting) == [1, 2, 2, 2, 3]

    asyncio.run(scenario())


def test_what_waits_in_memory_goes_behind_an_earlier_one_that_is_replayed(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True)
            meeting = await book(house)
            street.replying = hanging
            await house.calls(CONCURRENCY)
            await move(house, meeting, 1)  # both wait, the first of them for a free place in this process
            assert await states_of(house, meeting) == [State.DELIVERED, State.SENDING, State.PENDING]
            await house.write(retry_delivery, (await of(house, meeting))[0].id)
            assert await states_of(house, meeting) == [State.SENDING, State.PENDING, State.PENDING]
            street.replying = always(200)
            house.sender.answer(Reply())
            await house.idle()
            assert sequences(house, meeting) == [1, 1, 2, 3]
            assert {len(each.attempts) for each in await of(house, meeting)} == {1, 2}

    asyncio.run(scenario())


def test_a_webhook_that_becomes_ordered_lines_up_what_is_owed(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(retry_policy=own_policy((60,) * 5, retry_4xx=True))
            meeting = await book(house)
            await move(house, meeting, 1)
            assert sorted(sequences(house, meeting)) == [1, 2, 3]
            await house.write(update_webhook, webhook.id, {"ordered": True}, LIMITS)
            assert [each.next_attempt_at is None for each in await of(house, meeting)] == [False, True, True]
            street.replying = failing(1)
            await house.pass_by(seconds=60)
            assert sequences(house, meeting)[3:] == [1]
            street.replying = always(200)
            await house.pass_by(seconds=60)
            assert sequences(house, meeting)[4:] == [1, 2, 3]

    asyncio.run(scenario())


def test_what_is_being_sent_goes_on_when_its_webhook_becomes_ordered_and_then_takes_its_place(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(retry_policy=own_policy((1,) * 5, retry_4xx=True))
            meeting = await book(house)
            await move(house, meeting, 1)
            await house.write(update_webhook, webhook.id, {"ordered": True}, LIMITS)
            assert await states_of(house, meeting) == [State.SENDING] * 3
            for each in tuple(house.sender.hanging):
                each.answer(Reply(status=200 if place(each.post)[1] == 2 else 500))
            street.replying = failing(1)
            await house.idle()
            await house.pass_by(seconds=1)
            first, second, third = await of(house, meeting)
            assert (second.status, third.status, third.next_attempt_at) == (State.DELIVERED, State.PENDING, None)
            street.replying = always(200)
            await house.write(retry_delivery, first.id)
            assert sequences(house, meeting)[3:] == [1, 1, 3]

    asyncio.run(scenario())


def test_a_webhook_that_is_ordered_no_more_holds_nothing_back(street: Street) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(ordered=True)
            meeting = await book(house)
            await move(house, meeting, 1)
            await house.write(update_webhook, webhook.id, {"ordered": False}, LIMITS)
            assert sorted(sequences(house, meeting)) == [1, 2, 3]
            assert await states_of(house, meeting) == [State.PENDING, State.DELIVERED, State.DELIVERED]

    asyncio.run(scenario())


def test_a_host_that_rests_is_left_alone_by_the_next_in_line_too(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True, retry_policy=BREVO)
            meeting = await book(house)
            street.replying = hanging
            await move(house, meeting, 1)
            await house.calls()
            street.replying = silent
            [call] = [each for each in house.sender.hanging if place(each.post)[0] != meeting]
            call.answer(Reply(status=None, error="Nobody listens there."))
            await house.idle()
            [second] = house.sender.hanging
            second.answer(Reply())  # the next one becomes due while the host rests
            await house.idle()
            assert [each.next_attempt_at for each in await of(house, meeting)][2] == MONDAY + timedelta(seconds=600)
            assert sequences(house, meeting) == [1, 2]
            street.replying = always(200)
            await house.pass_by(seconds=600)
            assert sequences(house, meeting) == [1, 2, 3]

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["killed", "stopped", "outlasted"])
def test_through_ends_of_the_process_and_of_leases_the_order_holds(street: Street, how: str) -> None:
    street.replying = hanging
    ids: list[MeetingId] = []

    async def before() -> None:
        async with street.house(stop=False) as house:
            await house.new_webhook(ordered=True, timeout_seconds=30)
            ids.append(await book(house))
            await move(house, ids[0], 1)
            assert sequences(house, ids[0]) == [1]
            if how == "stopped":
                stopping = asyncio.ensure_future(house.engine.stop())
                await house.idle()
                house.sender.answer(Reply(status=500))
                await stopping
            if how == "outlasted":
                house.clock.set_wall(MONDAY + LEASE + timedelta(seconds=1))
                await house.idle()

    async def after() -> None:
        street.replying = failing(1)
        async with street.house() as house:
            if how == "killed":
                await street.take_over(house)
            assert set(sequences(house, ids[0])) <= {1}
            street.replying = always(200)
            await house.pass_by(seconds=60)
            assert sequences(house, ids[0])[-2:] == [2, 3]
            assert await states_of(house, ids[0]) == [State.DELIVERED] * 3

    asyncio.run(before())
    asyncio.run(after())


def test_when_its_webhook_goes_what_waits_goes_with_it(street: Street) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(ordered=True)
            meeting = await book(house)
            await move(house, meeting, 1)
            await house.write(delete_webhook, webhook.id)
            assert await states_of(house, meeting) == [State.SENDING, State.WITHDRAWN, State.WITHDRAWN]
            house.sender.answer(Reply(status=500))
            await house.idle()
            assert await states_of(house, meeting) == [State.WITHDRAWN] * 3
            assert sequences(house, meeting) == [1]

    asyncio.run(scenario())


def test_order_and_limit_go_together(street: Street) -> None:
    begun: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def noting(post: Post) -> Reply:
        subject, sequence = place(post)
        begun[subject].append(((street.clock.now() - MONDAY).total_seconds(), sequence))
        return Reply()

    street.replying = noting

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(ordered=True, rate_limit_per_second=1.0)
            meeting = await book(house)
            await move(house, meeting, 1)
            await move(house, meeting, 2)
            for _ in range(40):
                await house.pass_by(seconds=0.125)
            assert begun[meeting] == [(float(second), second + 1) for second in range(5)]

    asyncio.run(scenario())


def test_a_webhook_that_is_not_ordered_waits_for_nothing(street: Street) -> None:
    street.replying = failing(1)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            meeting = await book(house)
            await house.write(cancel_meeting, meeting, "")
            assert await states_of(house, meeting) == [State.PENDING, State.DELIVERED]

    asyncio.run(scenario())
