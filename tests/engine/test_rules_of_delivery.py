"""What the answer of a receiver leads to, rule by rule, each walked through the whole schedule on the manual clock.

`RULES` is the list of all rules of delivery, with the tests that hold them; those that are not further down in this
file are elsewhere.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from hookline.domain.backoff import BREVO, STANDARD, RetryPolicy, own_policy
from hookline.domain.deliveries import State
from hookline.domain.events import EventKind
from hookline.ports.sender import Post
from hookline.services.booking import book_meeting, cancel_meeting
from hookline.services.webhooks import read_webhook
from tests.engine.house import House, Street, always, hanging, silent
from tests.engine.test_schedules import walk
from tests.fakes import MONDAY, Reply
from tests.values import DAY, HOUR, MICROSECOND, details

TESTS: Final = Path(__file__).parents[1]
SIX_HOURS: Final = 6 * 3600
OWN: Final = own_policy((5, 60), retry_4xx=True)
OWN_WITHOUT_4XX: Final = own_policy((5, 60), retry_4xx=False)
POLICIES: Final = {"standard": STANDARD, "brevo": BREVO, "own": OWN, "own without 4xx": OWN_WITHOUT_4XX}
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)

_SCHEDULES: Final = "engine/test_schedules.py::test_"
_HERE: Final = "engine/test_rules_of_delivery.py::test_"
RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "2xx within the time limit is success": (
        f"{_HERE}any_2xx_is_success_at_the_first_attempt",
        "domain/test_deliveries.py::test_2xx_is_success",
        "domain/test_deliveries.py::test_an_answer_that_broke_off_is_a_failure_whatever_its_status",
    ),
    "the time limit is the webhook's, and of 15 s unless it says otherwise": (
        f"{_HERE}a_receiver_that_hangs_is_cut_off_at_its_time_limit_at_every_attempt",
        "adapters/test_http_sender.py::test_an_answer_that_is_not_there_in_time_is_given_up",
        "adapters/test_http_sender.py::test_a_body_that_drips_does_not_stretch_the_time",
    ),
    "5 s of it at most are for connecting": (
        "adapters/test_http_connection.py::test_a_name_server_that_is_silent_is_given_up_after_the_time_for_connecting",
        "adapters/test_http_connection.py::test_an_address_that_is_silent_is_given_up_after_the_time_for_connecting",
        "adapters/test_http_sender_tls.py::test_a_handshake_that_does_not_end_is_given_up_after_the_time_for_connecting",
        "adapters/test_http_connection.py::test_a_short_time_limit_holds_for_connecting_too",
    ),
    "redirects are never followed and count as failures": (
        f"{_HERE}a_redirect_is_a_failure_like_any_other",
        "adapters/test_no_way_inside.py::test_no_answer_sends_it_elsewhere",
    ),
    "16 KiB of the answer are read and kept": (
        "adapters/test_http_answer.py::test_a_longer_body_is_cut_and_the_answer_is_complete_without_the_rest",
        "adapters/test_http_answer.py::test_a_body_of_exactly_the_limit_is_whole",
        "adapters/test_http_sender.py::test_a_failure_with_a_long_body_is_known_by_its_status_headers_and_beginning",
    ),
    "Retry-After is honoured on 429 and 503, only lengthens, up to 6 h": (
        f"{_HERE}retry_after_is_asked_anew_at_every_attempt",
        f"{_HERE}a_retry_after_that_is_a_date_is_over_when_the_date_is",
        f"{_HERE}retry_after_means_nothing_on_any_other_answer",
        f"{_SCHEDULES}retry_after_lengthens_the_wait_on_429_and_503_up_to_six_hours",
        "domain/test_backoff.py::test_whatever_a_receiver_writes_the_wait_is_between_none_and_six_hours",
    ),
    "410 disables the webhook": (
        f"{_HERE}410_disables_the_webhook_under_every_policy_and_at_any_attempt",
        f"{_SCHEDULES}410_disables_the_webhook_and_nothing_more_is_sent_to_it",
    ),
    "standard: ten attempts, each wait up to a fifth longer and never shorter": (
        f"{_SCHEDULES}a_receiver_that_always_fails_is_attempted_as_its_policy_says_and_then_never_again",
        "domain/test_backoff.py::test_jitter_lengthens_the_standard_waits_by_up_to_a_fifth_and_never_shortens",
        "domain/test_deliveries.py::test_a_wait_is_the_planned_one_with_its_jitter_or_what_was_asked_if_that_is_longer",
    ),
    "brevo: five attempts; no answer, 429 and 5xx are retried, any other answer ends it": (
        f"{_SCHEDULES}a_receiver_that_always_fails_is_attempted_as_its_policy_says_and_then_never_again",
        f"{_SCHEDULES}what_is_tried_again_is_a_matter_of_the_answer_and_the_policy",
        f"{_HERE}under_brevo_any_other_4xx_ends_it",
        "domain/test_backoff.py::test_brevo_retries_no_answer_429_and_5xx_and_nothing_else",
    ),
    "brevo: a host that does not answer rests for 10 minutes": (
        f"{_SCHEDULES}brevos_policy_leaves_a_host_that_does_not_answer_alone_for_ten_minutes",
        f"{_SCHEDULES}a_host_that_stops_answering_is_left_alone_also_by_what_waits_in_memory",
        f"{_HERE}a_host_that_stays_silent_rests_after_every_attempt_also_across_a_restart",
        f"{_HERE}a_host_rests_for_those_alone_whose_policy_says_so",
    ),
    "own schedule: 0 to 30 waits of at most 48 h, without jitter": (
        f"{_SCHEDULES}a_receiver_that_always_fails_is_attempted_as_its_policy_says_and_then_never_again",
        "domain/test_backoff.py::test_schedules_that_somebody_wrote_down_are_kept_to_the_second",
        "api/test_bad_input.py::test_what_makes_no_webhook_is_refused",
    ),
    "own schedule: 4xx as said, every other failure but 410": (
        f"{_HERE}an_own_schedule_retries_4xx_only_where_it_says_so",
        f"{_SCHEDULES}what_is_tried_again_is_a_matter_of_the_answer_and_the_policy",
    ),
    "a start that is reached while nothing runs is announced as soon as something does, up to 24 h after the end": (
        f"{_HERE}an_overdue_start_is_announced_until_the_meeting_has_ended_for_a_day",
        "engine/test_scheduler.py::test_what_became_due_while_nothing_ran_is_announced_at_the_start",
    ),
    "a meetingStarted that is still undelivered then is given up": (
        f"{_HERE}a_start_is_attempted_until_the_meeting_has_ended_for_a_day_and_no_longer",
        f"{_HERE}no_other_event_is_given_up_because_of_its_age",
        f"{_SCHEDULES}a_start_that_waited_while_nothing_ran_is_not_sent_when_it_is_of_no_use_any_more",
    ),
}


async def run_out(house: House) -> None:
    """Let everything that is owed be attempted when it is due, until nothing is owed any more."""
    while pending := await house.record(status=State.PENDING):
        await house.go_to(min(each.next_attempt_at for each in pending if each.next_attempt_at is not None))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_held_by_tests_that_exist(rule: str) -> None:
    for place in RULES[rule]:
        file, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE), place


@every_policy
@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206, 226, 299])
def test_any_2xx_is_success_at_the_first_attempt(street: Street, policy: RetryPolicy, status: int) -> None:
    street.replying = always(status, ("Retry-After", "3600"))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=policy)
            await house.calls()
            assert (await house.only()).status is State.DELIVERED
            await house.pass_by(days=4)
            assert len(house.posts) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [1, 15, 30])
def test_a_receiver_that_hangs_is_cut_off_at_its_time_limit_at_every_attempt(street: Street, limit: int) -> None:
    street.replying = hanging

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=OWN, timeout_seconds=limit)
            await house.calls()
            for made, wait in enumerate((5, 60, None), start=1):
                begun = house.clock.now()
                await house.go_to(begun + timedelta(seconds=limit) - MICROSECOND)
                assert ((await house.only()).status, len(house.posts)) == (State.SENDING, made)
                await house.go_to(begun + timedelta(seconds=limit))
                delivery = await house.only()
                assert delivery.attempts[-1].error == f"There was no answer within {limit} s."
                if wait is None:
                    assert delivery.status is State.DEAD
                else:
                    assert delivery.next_attempt_at == house.clock.now() + timedelta(seconds=wait)
                    await house.pass_by(seconds=wait)

    asyncio.run(scenario())


@every_policy
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_is_a_failure_like_any_other(street: Street, policy: RetryPolicy, status: int) -> None:
    street.replying = always(status, ("Location", "https://elsewhere.example/"))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=policy)
            await house.calls()
            waits = await walk(house)
            assert len(waits) == (0 if policy is BREVO else len(policy.waits_seconds))
            assert (await house.only()).status is State.DEAD
            assert {post.host for post in house.posts} == {"receiver.example"}

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "least"), [("3600", 3600), ("5400", 5400), ("999999", SIX_HOURS), ("1", 0)])
@pytest.mark.parametrize("name", ["standard", "brevo", "own"])
def test_retry_after_is_asked_anew_at_every_attempt(
    street: Street, status: int, asked: str, least: int, name: str
) -> None:
    street.replying = always(status, ("Retry-After", asked))
    policy = POLICIES[name]

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=policy)
            await house.calls()
            waits = await walk(house)
            assert len(waits) == len(policy.waits_seconds)
            for wait, plan in zip(waits, policy.waits_seconds, strict=True):
                assert max(plan, least) <= wait <= max(plan * (1.2 if policy.jitter else 1), least)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_that_is_a_date_is_over_when_the_date_is(street: Street, status: int) -> None:
    street.replying = always(status, ("Retry-After", "Mon, 05 Jan 2026 12:00:00 GMT"))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((5, 60, 300), retry_4xx=True))
            await house.calls()
            assert await walk(house) == [3 * 3600, 60, 300]

    asyncio.run(scenario())


def test_a_date_that_is_days_away_is_waited_for_six_hours_at_a_time(street: Street) -> None:
    street.replying = always(503, ("Retry-After", "Wed, 07 Jan 2026 12:00:00 GMT"))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=own_policy((5, 5, 5, SIX_HOURS + 1), retry_4xx=True))
            await house.calls()
            assert await walk(house) == [SIX_HOURS] * 3 + [SIX_HOURS + 1]

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [301, 400, 404, 408, 500, 502, 504])
@pytest.mark.parametrize("asked", ["3600", "Mon, 05 Jan 2026 12:00:00 GMT"])
def test_retry_after_means_nothing_on_any_other_answer(street: Street, status: int, asked: str) -> None:
    street.replying = always(status, ("Retry-After", asked))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(retry_policy=OWN)
            await house.calls()
            assert await walk(house) == [5, 60]

    asyncio.run(scenario())


@every_policy
@pytest.mark.parametrize("failures_before", [0, 1, 2])
def test_410_disables_the_webhook_under_every_policy_and_at_any_attempt(
    street: Street, policy: RetryPolicy, failures_before: int
) -> None:
    to_the_gone: list[Post] = []

    def gone_in_the_end(post: Post) -> Reply:
        if post.host != "gone.example":
            return Reply()
        to_the_gone.append(post)
        return Reply(status=410 if len(to_the_gone) > failures_before else 500)

    street.replying = gone_in_the_end

    async def scenario() -> None:
        async with street.house() as house:
            gone = await house.new_webhook("https://gone.example/hook", retry_policy=policy)
            other = await house.new_webhook("https://other.example/hook", retry_policy=policy)
            await house.calls()
            await run_out(house)
            assert len(to_the_gone) == failures_before + 1
            assert "410" in (await house.database.read(read_webhook, gone.id)).disabled_reason
            assert (await house.database.read(read_webhook, other.id)).is_active
            assert [each.status for each in await house.record(webhook_id=gone.id)] == [State.DEAD]
            await house.calls()
            await run_out(house)
            assert len(to_the_gone) == failures_before + 1
            assert [post.host for post in house.posts].count("other.example") == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 425, 451, 499])
def test_under_brevo_any_other_4xx_ends_it(street: Street, status: int) -> None:
    street.replying = always(status, ("Retry-After", "3600"))

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(retry_policy=BREVO)
            await house.calls()
            assert await walk(house) == []
            assert (await house.only()).status is State.DEAD
            assert (await house.database.read(read_webhook, webhook.id)).is_active

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [400, 404, 429, 499])
def test_an_own_schedule_retries_4xx_only_where_it_says_so(street: Street, status: int) -> None:
    street.replying = always(status)

    async def scenario() -> None:
        async with street.house() as house:
            for path, policy in (("/with", OWN), ("/without", OWN_WITHOUT_4XX)):
                await house.new_webhook(f"https://receiver.example{path}", retry_policy=policy)
            await house.calls()
            await run_out(house)
            assert [post.target for post in house.posts].count("/with") == 3
            assert [post.target for post in house.posts].count("/without") == 1

    asyncio.run(scenario())


# The rest of a host


def test_a_host_that_stays_silent_rests_after_every_attempt_also_across_a_restart(street: Street) -> None:
    street.replying = silent
    ten_minutes = timedelta(minutes=10)

    async def before() -> None:
        async with street.house() as house:
            await house.new_webhook("https://tired.example/hook", retry_policy=BREVO)
            await house.calls()
            assert len(house.posts) == 1
            await house.go_to(MONDAY + timedelta(minutes=9))
            await house.calls()
            assert len(house.posts) == 1

    async def after() -> None:
        async with street.house() as house:
            await house.calls()
            await house.go_to(MONDAY + ten_minutes - MICROSECOND)
            assert house.posts == []
            await house.go_to(MONDAY + ten_minutes)
            assert len(house.posts) == 3
            await house.calls()  # it was silent again: it rests again
            await house.go_to(MONDAY + 2 * ten_minutes - MICROSECOND)
            assert len(house.posts) == 3
            street.replying = always(200)
            await house.go_to(MONDAY + 2 * ten_minutes)
            assert len(house.posts) == 6  # two for the second time, one for the first; the oldest waits for its hour
            await house.calls()
            assert len(house.posts) == 7

    asyncio.run(before())
    asyncio.run(after())


def test_a_host_rests_for_those_alone_whose_policy_says_so(street: Street) -> None:
    street.replying = silent

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook("https://tired.example/brevo", retry_policy=BREVO)
            await house.new_webhook("https://tired.example/own", retry_policy=own_policy((), retry_4xx=True))
            await house.calls(1)
            await house.pass_by(minutes=5)
            await house.calls(1)
            assert sorted(post.target for post in house.posts) == ["/brevo", "/own", "/own"]

    asyncio.run(scenario())


# Starts


@pytest.mark.parametrize(
    ("late", "is_announced"),
    [
        (timedelta(0), True),
        (MICROSECOND, True),
        (HOUR, True),
        (HOUR + DAY - MICROSECOND, True),
        (HOUR + DAY, False),
        (30 * DAY, False),
    ],
    ids=str,
)
def test_an_overdue_start_is_announced_until_the_meeting_has_ended_for_a_day(
    street: Street, late: timedelta, is_announced: bool
) -> None:
    start = MONDAY + HOUR

    async def before() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED,))
            await house.write(book_meeting, details(start, HOUR))

    async def after() -> None:
        street.clock.set_wall(start + late)
        async with street.house() as house:
            assert len(house.posts) == is_announced
            if is_announced:
                assert (await house.only()).status is State.DELIVERED
            await house.pass_by(days=2)
            assert len(house.posts) == is_announced

    asyncio.run(before())
    asyncio.run(after())


async def attempts_at_a_start(house: House, start: datetime) -> list[float]:
    """When each attempt at the start of the one meeting was made, in seconds after it; then there are no more."""
    await house.go_to(start)
    while (due_at := (await house.only()).next_attempt_at) is not None:
        await house.go_to(due_at)
    await house.pass_by(days=3)
    delivery = await house.only()
    assert delivery.status is State.DEAD
    return [(attempt.started_at - start).total_seconds() for attempt in delivery.attempts]


@pytest.mark.parametrize(
    ("policy", "retry_after", "attempts"),
    [
        (own_policy((86_400, 3_599, 1), retry_4xx=True), "0", [0, 86_400, 89_999]),
        (own_policy((86_400, 3_600), retry_4xx=True), "0", [0, 86_400]),
        (own_policy((90_000,), retry_4xx=True), "0", [0]),
        (own_policy((86_400, 5), retry_4xx=True), "3600", [0, 86_400]),
        (own_policy((10,) * 5, retry_4xx=True), "21600", [0, 21_600, 43_200, 64_800, 86_400]),
        (BREVO, "0", [0, 600, 4_200, 11_400, 40_200]),
    ],
)
def test_a_start_is_attempted_until_the_meeting_has_ended_for_a_day_and_no_longer(
    street: Street, policy: RetryPolicy, retry_after: str, attempts: list[float]
) -> None:
    street.replying = always(503, ("Retry-After", retry_after))

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED,), retry_policy=policy)
            await house.write(book_meeting, details(MONDAY + HOUR, HOUR))
            assert await attempts_at_a_start(house, MONDAY + HOUR) == attempts

    asyncio.run(scenario())


def test_a_start_under_the_standard_policy_is_given_up_a_day_after_the_end(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_STARTED,))
            await house.write(book_meeting, details(MONDAY + HOUR, HOUR))
            made = await attempts_at_a_start(house, MONDAY + HOUR)
            # 0 s, 5 s, 1 min ... 6 h and, unless the jitter is large, 12 h later; 24 h after that would be too late
            assert len(made) == 8
            assert made[-1] < 25 * 3600

    asyncio.run(scenario())


def test_no_other_event_is_given_up_because_of_its_age(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(events=(EventKind.MEETING_BOOKED, EventKind.MEETING_CANCELLED))
            meeting_id = await house.write(book_meeting, details(MONDAY + HOUR, HOUR))
            await house.write(cancel_meeting, meeting_id, "")
            await run_out(house)
            assert {len(delivery.attempts) for delivery in await house.record()} == {10}

    asyncio.run(scenario())
