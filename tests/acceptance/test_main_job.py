"""The main job, end to end: what goes into a real server by HTTP comes out of it, signed, at a real subscriber."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import standardwebhooks

from hookline import __version__
from hookline.adapters.system_clock import SystemClock
from hookline.domain.instants import wire_form
from tests.acceptance.load import canonical
from tests.acceptance.serving import Api, Server, in_patience, real_seconds
from tests.fakes import Manner, Received, Subscriber, replying, when

pytestmark = pytest.mark.slow

PAYLOADS: Final = Path(__file__).parents[1] / "fixtures" / "payloads"
EVENTS: Final = ("meetingBooked", "meetingStarted", "meetingCancelled", "callFinished")
#: Whatever could be made "better" on the way: escapes, empty parts, double slashes, a plus, a lone question mark.
TARGET: Final = "/a%2Fb//c;d=1/%7Euser/?x=1&y=%20&&z=+&q=%E2%9C%93&e=?"


def sample(event: str) -> Any:
    """The page's own payload of an event."""
    return json.loads((PAYLOADS / f"{event}.json").read_text("utf-8"))


def times(start: datetime, *, minutes: int = 30) -> dict[str, str]:
    """Start and end, as they go over the wire."""
    end = start + timedelta(minutes=minutes)
    return {"meeting_start_timestamp": wire_form(start), "meeting_end_timestamp": wire_form(end)}


def from_now(seconds: float) -> datetime:
    """An instant that has milliseconds at most."""
    instant = SystemClock().now() + timedelta(seconds=seconds)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@asynccontextmanager
async def a_server(folder: Path, *manners: Manner) -> AsyncIterator[tuple[Server, Api, Subscriber]]:
    """A server, and a subscriber that answers its requests in these manners, then all others with 200."""
    left = list(manners)
    async with (
        Subscriber.running(lambda _: left.pop(0) if left else replying(200)) as subscriber,
        Server.running(folder) as server,
        Api.to(server) as api,
    ):
        yield server, api, subscriber


async def arrived(subscriber: Subscriber, count: int) -> list[Received]:
    """All that arrived, once it is so many."""
    await in_patience(subscriber.until(lambda: len(subscriber.received) >= count), f"{count} requests")
    assert len(subscriber.received) == count
    return subscriber.received


async def nothing_more_came(api: Api, subscriber: Subscriber) -> None:
    """Have another webhook told of a call; by then whatever was still to come would have come."""
    before = len(subscriber.received)
    async with Subscriber.running(lambda _: replying(200)) as witness:
        id_ = await api.subscribe(witness)
        for _ in range(3):
            await api.post("/v3/calls", sample("callFinished"))
        await arrived(witness, 3)
        await api.ask("DELETE", f"/v3/webhooks/{id_}")
    assert len(subscriber.received) == before


async def status_of(api: Api, status: str, count: int) -> list[dict[str, Any]]:
    """The deliveries, once so many have this status."""

    async def look() -> list[dict[str, Any]]:
        while len(found := (await api.get(f"/v3/deliveries?limit=200&status={status}"))["deliveries"]) < count:
            await real_seconds(0.02)
        return list(found)

    found = await in_patience(look(), f"{count} deliveries to be {status}")
    assert len(found) == count
    return found


def require_the_request(got: Received, event: str, body: bytes, *, subject: str, sequence: int) -> None:
    """One request, whole: nothing is missing, nothing is added."""
    assert got.body == body
    assert got.target == TARGET
    assert {name.lower() for name, _ in got.headers} == {
        *("host", "content-length", "content-type", "user-agent", "accept-encoding", "authorization", "x-own"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("hookline-event", "hookline-subject", "hookline-sequence", "hookline-occurred-at", "hookline-attempt"),
    }
    assert got.header("content-type") == "application/json"
    assert got.header("user-agent") == f"Hookline/{__version__}"
    assert got.header("x-own") == 'as it is; "quoted"'
    assert got.header("hookline-event") == event
    assert got.header("hookline-subject") == subject
    assert got.header("hookline-sequence") == str(sequence)
    assert got.header("hookline-attempt") == "1"
    require_verified(got)


def require_verified(got: Received, *secrets: str) -> None:
    """Our receiver library has verified it on arrival; everybody else's does, too, with any of the secrets."""
    assert got.complaint == ""
    assert got.message is not None
    for secret in secrets:
        verified = standardwebhooks.Webhook(secret).verify(got.body, dict(got.headers))
        assert canonical(verified) == got.body


def test_each_event_arrives_byte_for_byte_with_every_header(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (_, api, subscriber):
            port = subscriber.url.rpartition(":")[2]
            made = await api.post(
                "/v3/webhooks",
                {
                    "url": f"http://us%20er:p%C3%A4ss@127.0.0.1:{port}{TARGET}",
                    "events": EVENTS,
                    "headers": [{"key": "X-Own", "value": 'as it is; "quoted"'}],
                },
            )
            subscriber.trust(made["secret"])
            soon = {**sample("meetingStarted"), **times(from_now(0.3))}
            later = {**sample("meetingCancelled"), **times(from_now(3600))}

            call = (await api.post("/v3/calls", sample("callFinished")))["id"]
            booked = (await api.post("/v3/meetings", sample("meetingBooked")))["id"]
            await arrived(subscriber, 2)
            cancelled = (await api.post("/v3/meetings", later))["id"]
            await api.post(f"/v3/meetings/{cancelled}/cancel", {}, status=200)
            await arrived(subscriber, 4)
            started = (await api.post("/v3/meetings", soon))["id"]
            await arrived(subscriber, 6)

            by_place = {
                (each.header("hookline-subject"), each.header("hookline-sequence")): each
                for each in subscriber.received
            }
            for subject, sequence, event, payload in (
                (call, 1, "callFinished", sample("callFinished")),
                (booked, 1, "meetingBooked", sample("meetingBooked")),
                (cancelled, 1, "meetingBooked", later),
                (cancelled, 2, "meetingCancelled", later),
                (started, 1, "meetingBooked", soon),
                (started, 2, "meetingStarted", soon),
            ):
                got = by_place[subject, str(sequence)]
                require_the_request(got, event, canonical(payload), subject=subject, sequence=sequence)
                require_verified(got, made["secret"])
                assert got.header("authorization") == "Basic " + base64.b64encode("us er:päss".encode()).decode()
                kept = await api.get(f"/v3/events/{got.header('webhook-id')}")
                assert kept["occurredAt"] == got.header("hookline-occurred-at")
                assert canonical(kept["payload"]) == got.body
            assert by_place[started, "2"].header("hookline-occurred-at") == soon["meeting_start_timestamp"]
            assert len({each.header("webhook-id") for each in subscriber.received}) == 6

    asyncio.run(scenario())


def test_a_test_send_carries_the_sample_of_the_page_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (_, api, subscriber):
            id_ = await api.subscribe(subscriber, auth={"type": "bearer", "token": "s3cret"})
            for event in EVENTS:
                await api.post(f"/v3/webhooks/{id_}/test", {"event": event}, status=202)
            by_event = {each.header("hookline-event"): each for each in await arrived(subscriber, len(EVENTS))}
            for event in EVENTS:
                got = by_event[event]
                assert got.body == canonical(sample(event))
                assert got.header("hookline-test") == "true"
                assert got.header("authorization") == "Bearer s3cret"
                require_verified(got)
                assert got.message is not None
                assert got.message.is_test

    asyncio.run(scenario())


def test_while_a_secret_is_being_rotated_both_verify(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (_, api, subscriber):
            id_ = await api.subscribe(subscriber)
            old = (await api.get(f"/v3/webhooks/{id_}/secret"))["secret"]
            new = (await api.post(f"/v3/webhooks/{id_}/secret/rotate", {"overlapHours": 1}, status=200))["secret"]
            await api.post("/v3/calls", sample("callFinished"))
            [got] = await arrived(subscriber, 1)
            assert new != old
            assert len((got.header("webhook-signature") or "").split(" ")) == 2
            require_verified(got, old, new)

    asyncio.run(scenario())


def test_a_start_that_is_reached_while_the_server_is_down_fires_when_it_is_up_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (server, api, subscriber):
            await api.subscribe(subscriber, events=["meetingStarted"])
            start = from_now(0.5)
            payload = {**sample("meetingStarted"), **times(start)}
            ids = [(await api.post("/v3/meetings", payload))["id"] for _ in range(3)]
            cancelled = (await api.post("/v3/meetings", payload))["id"]
            await api.post(f"/v3/meetings/{cancelled}/cancel", {}, status=200)
            await server.kill()
            await SystemClock().sleep_until(start)
            assert subscriber.received == []

            await server.start()
            await server.ready()
            got = await arrived(subscriber, 3)
            assert {each.header("hookline-subject") for each in got} == set(ids)
            assert {each.body for each in got} == {canonical(payload)}
            assert {each.header("hookline-occurred-at") for each in got} == {wire_form(start)}
            await nothing_more_came(api, subscriber)

    asyncio.run(scenario())


def test_a_start_that_is_of_no_use_any_more_is_given_up_also_across_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path, *[replying(500)] * 50) as (server, api, subscriber):
            policy = {"scheduleSeconds": [2, 2]}
            await api.subscribe(subscriber, events=["meetingStarted"], retryPolicy=policy)
            over = from_now(-24 * 3600 + 1)  # has ended for 24 h in a second
            await api.post("/v3/meetings", {**sample("meetingStarted"), **times(over, minutes=0)})
            await arrived(subscriber, 1)
            await server.kill()
            await SystemClock().sleep_until(over + timedelta(hours=24))

            await server.start()
            await server.ready()
            await status_of(api, "dead", 1)
            await nothing_more_came(api, subscriber)

    asyncio.run(scenario())


def test_what_failed_is_attempted_again_with_the_same_id_and_bytes_and_its_record_tells(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path, replying(500), replying(404)) as (_, api, subscriber):
            await api.subscribe(subscriber, retryPolicy={"scheduleSeconds": [0, 1]})
            await api.post("/v3/calls", sample("callFinished"))
            got = await arrived(subscriber, 3)
            assert len({each.header("webhook-id") for each in got}) == 1
            assert {each.body for each in got} == {canonical(sample("callFinished"))}
            assert [each.header("hookline-attempt") for each in got] == ["1", "2", "3"]
            assert [each.complaint for each in got] == ["", "", ""]
            [row] = await status_of(api, "delivered", 1)
            assert [(each["number"], each["status"]) for each in row["attempts"]] == [(1, 500), (2, 404), (3, 200)]
            assert {each["responseBody"] for each in row["attempts"]} == {"reply"}

    asyncio.run(scenario())


def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Subscriber.running(lambda _: replying(200)) as elsewhere:
            redirects = [replying(status, f"Location: {elsewhere.url}/hook") for status in (301, 302, 303, 307, 308)]
            async with a_server(tmp_path, *redirects) as (_, api, subscriber):
                await api.subscribe(subscriber, retryPolicy={"scheduleSeconds": [0] * (len(redirects) - 1)})
                await api.post("/v3/calls", sample("callFinished"))
                [row] = await status_of(api, "dead", 1)
                assert [each["status"] for each in row["attempts"]] == [301, 302, 303, 307, 308]
                assert len(subscriber.received) == len(redirects)
                assert elsewhere.received == []

    asyncio.run(scenario())


def test_deleting_a_webhook_withdraws_what_waits_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path, replying(500)) as (_, api, subscriber):
            id_ = await api.subscribe(subscriber, retryPolicy={"scheduleSeconds": [1]})
            await api.post("/v3/calls", sample("callFinished"))
            await arrived(subscriber, 1)
            await status_of(api, "pending", 1)
            assert (await api.ask("DELETE", f"/v3/webhooks/{id_}")).status == 204
            [row] = await status_of(api, "withdrawn", 1)
            assert [each["status"] for each in row["attempts"]] == [500]
            assert row["nextAttemptAt"] is None
            await SystemClock().sleep_until(from_now(1.2))  # past the attempt that would have been
            await nothing_more_came(api, subscriber)

    asyncio.run(scenario())


def test_deleting_a_webhook_withdraws_what_was_not_begun_however_much_the_server_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        async with a_server(tmp_path, *[when(gate, replying(200))] * 1000) as (_, api, subscriber):
            id_ = await api.subscribe(subscriber)
            await api.post("/v3/calls/batch", {"calls": [sample("callFinished")] * 150})
            begun = len(await arrived(subscriber, 64))
            assert (await api.ask("DELETE", f"/v3/webhooks/{id_}")).status == 204
            await status_of(api, "withdrawn", 150 - begun)
            gate.set()
            await status_of(api, "delivered", begun)
            await nothing_more_came(api, subscriber)

    asyncio.run(scenario())
