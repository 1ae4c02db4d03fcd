"""`hookline trigger`: the page's sample goes out as a webhook would, and what came of it is told."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from hookline.domain.events import EventKind
from tests.acceptance.serving import Api, Server
from tests.cli.commands import NOBODY, Hookline, Said
from tests.fakes import Subscriber, replying

pytestmark = pytest.mark.slow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def sent_to(folder: Path, status: int, *words: str) -> tuple[Said, Subscriber]:
    """What a subscriber that answers with `status` got, and what was said of it."""

    async def scenario() -> tuple[Said, Subscriber]:
        async with Subscriber.running(lambda _: replying(status)) as subscriber:
            subscriber.trust(SECRET)
            hookline = Hookline(folder, HOOKLINE_ALLOW_NETWORKS="127.0.0.0/8")
            said = await asyncio.to_thread(hookline, "trigger", *words, "--to", f"{subscriber.url}/hook?a=b")
            return said, subscriber

    return asyncio.run(scenario())


@pytest.mark.parametrize("event", list(EventKind))
def test_one_signed_post_goes_straight_to_a_url_without_a_server(tmp_path: Path, event: EventKind) -> None:
    said, subscriber = sent_to(tmp_path, 204, event, "--secret", SECRET)
    assert (said.code, said.err) == (0, "")
    assert "204" in said.out
    [received] = subscriber.received
    assert received.complaint == ""
    assert received.message is not None
    assert received.message.event == event
    assert received.header("hookline-test") == "true"
    assert received.target == "/hook?a=b"
    assert list(tmp_path.iterdir()) == []


def test_without_a_secret_one_is_made_and_told(tmp_path: Path) -> None:
    said, subscriber = sent_to(tmp_path, 200, "meetingBooked", "--json")
    assert said.code == 0
    [received] = subscriber.received
    assert received.complaint != ""  # it trusts another secret
    subscriber.trust(said.value["secret"])
    assert subscriber.receiver is not None
    subscriber.receiver.verify(received.body, dict(received.headers))
    assert said.value["responseBody"] == "reply"


@pytest.mark.parametrize("status", [500, 302, 410])
def test_an_answer_that_refuses_is_a_failure_and_is_shown(tmp_path: Path, status: int) -> None:
    said, _ = sent_to(tmp_path, status, "callFinished", "--secret", SECRET)
    assert said.code == 1
    assert str(status) in said.out
    assert "reply" in said.out
    assert "Traceback" not in said.err


def test_json_tells_of_a_failure_too(tmp_path: Path) -> None:
    said, _ = sent_to(tmp_path, 500, "callFinished", "--secret", SECRET, "--json")
    assert said.code == 1
    assert said.value["outcome"]["status"] == 500
    assert said.value["outcome"]["delivered"] is False


def test_an_address_that_is_not_public_is_refused_with_how_to_allow_it(hookline: Hookline) -> None:
    for url in ("http://127.0.0.1:9/", "http://localhost:9/", "http://10.2.0.1/", "http://[::1]:9/"):
        assert "HOOKLINE_ALLOW_NETWORKS" in hookline("trigger", "meetingBooked", "--to", url).refusal()


def test_a_port_where_nobody_listens_is_a_failure(hookline: Hookline) -> None:
    said = hookline("trigger", "meetingBooked", "--to", f"http://{NOBODY}/", HOOKLINE_ALLOW_NETWORKS="127.0.0.0/8")
    assert said.code == 1
    assert "no answer" in said.out
    assert "Traceback" not in said.err


def test_a_password_in_the_url_is_not_repeated(hookline: Hookline) -> None:
    url = f"http://me:secret-word@{NOBODY}/"
    said = hookline("trigger", "meetingBooked", "--to", url, HOOKLINE_ALLOW_NETWORKS="127.0.0.0/8")
    assert "secret-word" not in said.out + said.err


def test_without_a_key_there_is_nobody_to_ask(hookline: Hookline) -> None:
    assert "HOOKLINE_API_KEY" in hookline("trigger", "meetingBooked").refusal()


def test_without_a_server_it_is_told_how_to_start_one(hookline: Hookline) -> None:
    assert "hookline serve" in hookline("trigger", "meetingBooked", "--api-key", "some-key-or-other").refusal()


def test_every_webhook_that_wants_the_event_gets_it_and_each_outcome_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(200)) as friendly,
            Subscriber.running(lambda _: replying(503)) as busy,
            Subscriber.running(lambda _: replying(200)) as uninterested,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            hookline = Hookline.beside(server)
            first = await api.subscribe(friendly, events=["callFinished", "meetingBooked"])
            await api.subscribe(uninterested, events=["meetingCancelled"])
            alone = await asyncio.to_thread(hookline, "trigger", "callFinished")
            assert (alone.code, alone.err) == (0, "")
            assert alone.out.count("\n") == 1
            assert friendly.url in alone.out

            second = await api.subscribe(busy)
            both = await asyncio.to_thread(hookline, "trigger", "callFinished", "--json")
            assert (both.code, both.err) == (1, "")
            told = {each["webhookId"]: (each["delivered"], each["status"]) for each in both.value["outcomes"]}
            assert told == {first: (True, 200), second: (False, 503)}

            assert uninterested.received == []
            assert [each.complaint for each in friendly.received] == ["", ""]
            assert {each.header("hookline-test") for each in (*friendly.received, *busy.received)} == {"true"}
            assert msgspec.json.decode(friendly.received[0].body) == msgspec.json.decode(friendly.received[1].body)

    asyncio.run(scenario())


def test_a_disabled_webhook_that_would_want_the_event_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server, Api.to(server) as api:
            hookline = Hookline.beside(server)
            for number in (1, 2):
                made = await api.post("/v3/webhooks", {"url": f"http://{NOBODY}/", "events": ["meetingBooked"]})
                (await api.ask("PUT", f"/v3/webhooks/{made['id']}", {"isActive": False})).of(204)
                refusal = (await asyncio.to_thread(hookline, "trigger", "meetingBooked")).refusal()
                assert ("disabled webhook 1 does." if number == 1 else "disabled webhooks 1, 2 do.") in refusal
                assert "isActive" in refusal

    asyncio.run(scenario())


def test_an_event_that_nobody_wants_and_a_key_that_nobody_knows_are_failures(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            hookline = Hookline.beside(server)
            assert "No active webhook wants meetingBooked." in hookline("trigger", "meetingBooked").refusal()
            assert "Key not found" in hookline("trigger", "meetingBooked", "--api-key", "of-someone-else").refusal()

    asyncio.run(scenario())
