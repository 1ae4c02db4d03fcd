"""What goes over the wire: exactly the headers of the contract, signed so that receivers believe it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Oracle

from hookline import __version__
from hookline.domain.events import SAMPLES, EventKind, canonical_bytes
from hookline.domain.webhooks import Header
from hookline.engine.requests import RequestMaker, sample_claim
from hookline.ports.sender import Post
from hookline.receiver import Receiver
from hookline.services.booking import book_meeting, cancel_meeting
from hookline.services.deliveries import list_events
from hookline.services.webhooks import rotate_secret, send_test, update_webhook
from tests.engine.house import House, Street, always
from tests.fakes import MONDAY
from tests.values import HOUR, LIMITS, MICROSECOND, call_payload, details, webhook

MONDAY_SECONDS = str(int(MONDAY.timestamp()))


async def events(house: House) -> Sequence[Any]:
    page = await house.database.read(list_events, kind=None, subject=None, after=None, limit=100, cursor=None)
    return page.items


def header(post: Post, name: str) -> str | None:
    return dict(post.headers).get(name)


def test_a_request_carries_exactly_the_headers_of_the_contract(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook("https://receiver.example/hook")
            await house.calls()
            [event], [post] = await events(house), house.posts
            signature = header(post, "webhook-signature")
            assert post.headers == (
                ("Content-Type", "application/json"),
                ("User-Agent", f"Hookline/{__version__}"),
                ("Accept-Encoding", "identity"),
                ("webhook-id", event.id),
                ("webhook-timestamp", MONDAY_SECONDS),
                ("webhook-signature", signature),
                ("hookline-event", "callFinished"),
                ("hookline-subject", event.subject),
                ("hookline-sequence", "1"),
                ("hookline-occurred-at", "2026-01-05T09:00:00.000Z"),
                ("hookline-attempt", "1"),
            )
            assert (post.scheme, post.host, post.port, post.target) == ("https", "receiver.example", 443, "/hook")
            assert post.body == event.body == canonical_bytes(call_payload())
            assert post.timeout_seconds == webhook.timeout_seconds == 15

    asyncio.run(scenario())


def test_the_signature_is_one_that_standard_webhooks_and_our_own_receiver_believe(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook()
            await house.calls()
            [post] = house.posts
            secret = webhook.secrets[0].value
            oracle = Oracle(secret).sign(header(post, "webhook-id") or "", MONDAY, post.body.decode())
            assert header(post, "webhook-signature") == oracle
            message = Receiver(secret, now=MONDAY.timestamp).verify(post.body, dict(post.headers))
            assert (message.event, message.sequence, message.occurred_at) == ("callFinished", 1, MONDAY)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("url", "scheme", "port", "target"),
    [
        ("http://receiver.example", "http", 80, "/"),
        ("https://receiver.example:8443/a%2Fb/../c//?x=%20&y=1+2&x=3", "https", 8443, "/a%2Fb/../c//?x=%20&y=1+2&x=3"),
        ("https://receiver.example?q", "https", 443, "/?q"),
        ("https://receiver.example/x?", "https", 443, "/x?"),
    ],
)
def test_path_and_query_go_byte_for_byte_as_configured(
    street: Street, url: str, scheme: str, port: int, target: str
) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(url, timeout_seconds=3)
            await house.calls()
            [post] = house.posts
            assert (post.scheme, post.host, post.port, post.target) == (scheme, "receiver.example", port, target)
            assert post.timeout_seconds == 3

    asyncio.run(scenario())


def test_a_webhook_kept_with_a_coding_of_its_own_still_asks_for_that_one_alone() -> None:
    """Since `Accept-Encoding` is refused in new webhooks, only those of earlier versions have one."""
    url = "https://receiver.example/hook"
    kept = webhook(url, headers=(Header(key="accept-encoding", value="gzip"),))
    claim = sample_claim(EventKind.CALL_FINISHED, url, kept.secrets[0].value, "01m84bzt8gzf2pqyags10a707n", MONDAY)
    post = RequestMaker(kept, MONDAY).request(claim, MONDAY)
    assert [value for name, value in post.headers if name.lower() == "accept-encoding"] == ["gzip"]


@pytest.mark.parametrize(
    ("webhook", "extra"),
    [
        ({"url": "https://us%C3%ABr:p%3Ass@receiver.example/hook"}, [("Authorization", "Basic dXPDq3I6cDpzcw==")]),
        ({"bearer_token": "t0ken"}, [("Authorization", "Bearer t0ken")]),
        (
            {"headers": (Header(key="X-Team", value="a"), Header(key="x-team", value="b"))},
            [("X-Team", "a"), ("x-team", "b")],
        ),
        (
            {"headers": (Header(key="authorization", value="Token x"), Header(key="X-Empty", value=""))},
            [("authorization", "Token x"), ("X-Empty", "")],
        ),
        ({"bearer_token": "t", "headers": (Header(key="X", value="1"),)}, [("Authorization", "Bearer t"), ("X", "1")]),
    ],
)
def test_credentials_and_headers_of_ones_own_are_added_as_they_are(
    street: Street, webhook: dict[str, Any], extra: list[tuple[str, str]]
) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook(**webhook)
            await house.calls()
            [post] = house.posts
            assert list(post.headers[3 : 3 + len(extra)]) == extra
            assert len(post.headers) == 11 + len(extra)
            assert (post.host, post.target) == ("receiver.example", "/hook")

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", EventKind)
def test_a_test_send_says_so_and_nothing_else_does(street: Street, kind: EventKind) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook()
            await house.write(send_test, webhook.id, kind)
            [post] = house.posts
            assert post.headers[-1] == ("hookline-test", "true")
            assert header(post, "hookline-event") == kind.value
            assert post.body == canonical_bytes(SAMPLES[kind])
            await house.calls()
            assert header(house.posts[-1], "hookline-test") is None

    asyncio.run(scenario())


def test_while_a_secret_is_rotated_both_sign_the_new_one_first_and_then_only_that(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook()
            old = webhook.secrets[0].value
            await house.calls()
            new = await house.write(rotate_secret, webhook.id, HOUR)
            await house.calls()
            await house.go_to(MONDAY + HOUR - MICROSECOND)
            await house.calls()
            both = house.posts[-1]
            await house.go_to(MONDAY + HOUR)
            await house.calls()
            one = house.posts[-1]

            def signatures(post: Post) -> list[str]:
                return (header(post, "webhook-signature") or "").split(" ")

            assert len(signatures(house.posts[0])) == 1
            for post in (house.posts[1], both):
                seconds = int(header(post, "webhook-timestamp") or "")
                at = MONDAY + timedelta(seconds=seconds - int(MONDAY_SECONDS))
                event_id, body = header(post, "webhook-id") or "", post.body.decode()
                assert signatures(post) == [Oracle(secret).sign(event_id, at, body) for secret in (new, old)]
            assert len(signatures(one)) == 1
            Receiver(new, now=(MONDAY + HOUR).timestamp).verify(one.body, dict(one.headers))

    asyncio.run(scenario())


def test_events_of_a_subject_are_tied_together_and_numbered(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            await house.new_webhook()
            meeting_id = await house.write(book_meeting, details(MONDAY + HOUR + timedelta(milliseconds=7)))
            other = await house.write(book_meeting, details(MONDAY + 2 * HOUR))
            await house.write(cancel_meeting, other, "")
            await house.go_to(MONDAY + 2 * HOUR)
            told = [
                tuple(header(post, f"hookline-{name}") for name in ("subject", "sequence", "event", "occurred-at"))
                for post in house.posts
            ]
            assert told == [
                (meeting_id, "1", "meetingBooked", "2026-01-05T09:00:00.000Z"),
                (other, "1", "meetingBooked", "2026-01-05T09:00:00.000Z"),
                (other, "2", "meetingCancelled", "2026-01-05T09:00:00.000Z"),
                (meeting_id, "2", "meetingStarted", "2026-01-05T10:00:00.007Z"),
            ]

    asyncio.run(scenario())


def test_the_same_event_goes_to_every_webhook_under_the_same_id_each_with_its_own_secret(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            ones = [await house.new_webhook(f"https://{name}.example/") for name in "ab"]
            await house.calls()
            assert len({header(post, "webhook-id") for post in house.posts}) == 1
            for webhook in ones:
                [post] = [post for post in house.posts if post.host == webhook.target.host]
                receiver = Receiver(webhook.secrets[0].value, now=MONDAY.timestamp)
                assert receiver.verify(post.body, dict(post.headers)).event == "callFinished"

    asyncio.run(scenario())


def test_a_changed_webhook_is_asked_in_its_new_way(street: Street) -> None:
    street.replying = always(500)

    async def scenario() -> None:
        async with street.house() as house:
            webhook = await house.new_webhook(bearer_token="old")
            await house.calls()
            changes = {"bearer_token": "new", "url": "https://b.example/"}
            await house.write(update_webhook, webhook.id, changes, LIMITS)
            await house.pass_by(seconds=6)
            first, second = house.posts
            assert (first.host, header(first, "Authorization")) == ("receiver.example", "Bearer old")
            assert (second.host, header(second, "Authorization")) == ("b.example", "Bearer new")

    asyncio.run(scenario())


def test_a_maker_serves_one_webhook_as_it_is_and_its_secrets_as_they_are(street: Street) -> None:
    async def scenario() -> None:
        async with street.house() as house:
            made = await house.new_webhook()
            await house.write(rotate_secret, made.id, HOUR)
            rotated = await house.database.read(lambda tx: tx.webhooks.webhook(made.id))
            maker = RequestMaker(rotated, MONDAY)
            assert maker.is_current(rotated, MONDAY + HOUR - MICROSECOND)
            assert not maker.is_current(rotated, MONDAY + HOUR)
            assert not maker.is_current(made, MONDAY)

    asyncio.run(scenario())
