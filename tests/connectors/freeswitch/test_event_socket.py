"""What a FreeSWITCH tells on its event socket meets what it posts, and whatever becomes of the connection there is
another one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.connectors.freeswitch import FreeSwitch
from hookline.connectors.freeswitch.framing import MOST_BODY_BYTES, MOST_HEAD_BYTES, Framing, NoMessage
from hookline.connectors.freeswitch.hearing import hear
from hookline.connectors.freeswitch.link import BEAT_SECONDS, PATIENCE_SECONDS, SILENCE_SECONDS
from hookline.domain.legs import MessageLeft, RecordingStarted, RecordingStopped
from hookline.errors import Unavailable
from hookline.ports.connectors import Report
from tests.connectors.freeswitch.switch import live, live_phonebook, payloads, reports
from tests.fakes import MONDAY, ManualClock


def on_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


GREETING = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
LISTENING = b"Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n"
CALLER = live("inbound_voicemail_short")[0]["variables"]["uuid"]

MAILBOX = live_phonebook("+441632960140")


def event(**headers: str) -> bytes:
    body = json.dumps(headers).encode()
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%s" % (len(body), body)


def message_left(leg: str = CALLER, **different: str) -> bytes:
    usual = {
        "Event-Name": "CUSTOM", "Event-Subclass": "vm::maintenance", "VM-Action": "leave-message", "VM-UUID": leg,
        "VM-Message-Len": "7", "VM-File-Path": "/var/lib/msg.wav", "Event-Date-Timestamp": "1795425059000000",
    }  # fmt: skip
    return event(**(usual | different))


@dataclass
class Switch:
    """A real socket that speaks as an event socket does, one script for each connection."""

    scripts: list[Callable[["Talk"], Awaitable[None]]]
    port: int = 0
    talks: list["Talk"] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        self.talks.append(talk)
        script = self.scripts[min(len(self.talks), len(self.scripts)) - 1]
        try:
            await script(talk)
        except (ConnectionError, asyncio.IncompleteReadError):
            talk.broken = True
        finally:
            writer.transport.abort()


@dataclass
class Talk:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: list[bytes] = field(default_factory=list)
    broken: bool = False

    def say(self, words: bytes) -> None:
        self.writer.write(words)

    async def heard(self) -> bytes:
        words = await self.reader.readuntil(b"\n\n")
        self.asked.append(words)
        return words

    async def let_in(self) -> None:
        self.say(GREETING)
        await self.heard()
        self.say(ACCEPTED)
        await self.heard()
        self.say(LISTENING)

    async def stay(self) -> None:
        while True:
            await self.heard()


@dataclass
class House:
    """What the connector told us."""

    clock: ManualClock
    switch: Switch
    kept: list[Report] = field(default_factory=list)
    stands: list[tuple[str, str]] = field(default_factory=list)
    refusals: int = 0  # how often the store does not answer yet
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take_in(self, report: Report) -> None:
        async with self.news:
            self.news.notify_all()
            if self.refusals:
                self.refusals -= 1
                raise Unavailable("The store does not answer.")
            self.kept.append(report)

    async def known(self) -> list[Report]:
        """Nothing was heard before."""
        return []

    async def stand(self, state: str, error: str) -> None:
        async with self.news:
            self.stands.append((state, error))
            self.news.notify_all()

    async def until(self, fact: Callable[[], bool], *, step_seconds: float = 0) -> None:
        """Wait until this holds; with a step, time passes meanwhile."""
        while not fact():
            if step_seconds:
                self.clock.advance(seconds=step_seconds)
                for _ in range(20):  # a socket needs a few turns to say and to hear something
                    await _turn()
            else:
                async with self.news:
                    await self.news.wait_for(fact)


async def _turn() -> None:
    """One turn of the loop in which sockets are looked at."""
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


@asynccontextmanager
async def held(*scripts: Callable[[Talk], Awaitable[None]], refusals: int = 0) -> AsyncIterator[House]:
    switch = Switch(list(scripts))
    server = await asyncio.start_server(switch.answer, "127.0.0.1", 0)
    switch.port = server.sockets[0].getsockname()[1]
    house = House(ManualClock(), switch, refusals=refusals)
    kind = FreeSwitch(house.clock, lambda: 0.0)
    settings = kind.check({"eslHost": "127.0.0.1", "eslPort": switch.port, "eslPassword": "ClueCon"})
    holding = asyncio.create_task(kind.hold(settings, house.take_in, house.stand, house.known))
    try:
        yield house
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        server.close()
        await server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


async def one_message(talk: Talk) -> None:
    await talk.let_in()
    talk.say(message_left())
    await talk.stay()


@on_a_loop
async def test_a_message_in_a_mailbox_is_told_and_the_call_becomes_a_missed_voicemail() -> None:
    async with held(one_message) as house:
        await house.until(lambda: bool(house.kept))
    told = reports(live("inbound_voicemail_short"))
    [before] = payloads(told, MAILBOX)
    assert before["type"] == "missed"
    for order in ([*house.kept, *told], [*told, *house.kept]):
        [payload] = payloads(order, MAILBOX)
        assert payload["type"] == "missed voicemail"
    assert house.stands[:2] == [("connecting", ""), ("connected", "")]
    [talk] = house.switch.talks
    assert talk.asked[0] == b"auth ClueCon\n\n"
    assert talk.asked[1].startswith(b"event json ")
    assert talk.asked[1].endswith(b"CUSTOM vm::maintenance\n\n")


async def refuses(talk: Talk) -> None:
    talk.say(GREETING)
    await talk.heard()
    talk.say(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")
    talk.say(b"Content-Type: text/disconnect-notice\nContent-Length: 2\n\nNo")
    await talk.stay()


async def rude(talk: Talk) -> None:
    talk.say(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
    await talk.stay()


@pytest.mark.parametrize(("script", "words"), [(refuses, "refused the password"), (rude, "ACL")])
@on_a_loop
async def test_whoever_is_refused_waits_for_long_and_says_why(
    script: Callable[[Talk], Awaitable[None]], words: str
) -> None:
    async with held(script, one_message) as house:
        await house.until(lambda: house.stands[-1:] != [] and house.stands[-1][0] == "failed")
        assert words in house.stands[-1][1]
        assert "ClueCon" not in house.stands[-1][1]
        house.clock.advance(seconds=29)
        await _turn()
        assert len(house.switch.talks) == 1
        await house.until(lambda: bool(house.kept), step_seconds=0.25)


async def closes(talk: Talk) -> None:
    await talk.let_in()


async def nobody(talk: Talk) -> None:
    talk.writer.transport.abort()


async def babbles(talk: Talk) -> None:
    talk.say(b"HTTP/1.1 400 Bad Request" * 100_000)
    await talk.stay()


async def promises_too_much(talk: Talk) -> None:
    await talk.let_in()
    talk.say(b"Content-Length: 99999999999\nContent-Type: text/event-json\n\n{")
    await talk.stay()


async def is_cut(talk: Talk) -> None:
    await talk.let_in()
    talk.say(message_left()[:-5])
    await talk.writer.drain()


async def says_goodbye(talk: Talk) -> None:
    await talk.let_in()
    talk.say(b"Content-Type: text/disconnect-notice\nContent-Length: 10\n\nGood bye.\n")
    await talk.stay()


async def says_nothing(talk: Talk) -> None:
    await talk.stay()


async def falls_silent(talk: Talk) -> None:
    await talk.let_in()
    await talk.stay()


BAD = [closes, nobody, babbles, promises_too_much, is_cut, says_goodbye, says_nothing, falls_silent]


@pytest.mark.parametrize("script", BAD)
@on_a_loop
async def test_whatever_becomes_of_a_connection_there_is_another_one(
    script: Callable[[Talk], Awaitable[None]],
) -> None:
    async with held(script, one_message) as house:
        await house.until(lambda: bool(house.kept), step_seconds=0.25)
        assert len(house.switch.talks) == 2
        assert house.stands[-1][0] == "connected"
        assert any(error for _, error in house.stands)


@on_a_loop
async def test_pauses_grow_while_nobody_is_there() -> None:
    async with held(nobody) as house:
        await house.until(lambda: len(house.switch.talks) >= 7, step_seconds=0.25)
        elapsed = (house.clock.now() - MONDAY).total_seconds()
        assert elapsed >= 1 + 2 + 4 + 8 + 16 + 30


@on_a_loop
async def test_a_store_that_does_not_answer_gets_the_message_later() -> None:
    async with held(one_message, refusals=3) as house:
        await house.until(lambda: bool(house.kept), step_seconds=0.25)
        assert house.refusals == 0


@on_a_loop
async def test_a_connection_on_which_nothing_happens_is_asked_whether_somebody_is_there() -> None:
    async def answers(talk: Talk) -> None:
        await talk.let_in()
        while True:
            await talk.heard()
            talk.say(b"Content-Type: api/response\nContent-Length: 3\n\nup\n")

    async with held(answers) as house:
        await house.until(lambda: ("connected", "") in house.stands)
        await house.until(lambda: len(house.switch.talks[0].asked) >= 6, step_seconds=BEAT_SECONDS / 30)
        assert len(house.switch.talks) == 1
    assert PATIENCE_SECONDS < BEAT_SECONDS < SILENCE_SECONDS


@on_a_loop
async def test_without_an_event_socket_it_is_not_connected_before_something_was_posted() -> None:
    stands: list[tuple[str, str]] = []

    async def stand(state: str, error: str) -> None:
        stands.append((state, error))

    async def take_in(report: Report) -> None:
        raise AssertionError(report)

    async def known() -> list[Report]:
        return []

    kind = FreeSwitch(ManualClock(), lambda: 0.0)
    holding = asyncio.create_task(kind.hold(kind.check({}), take_in, stand, known))
    for _ in range(20):
        await _turn()
    assert not holding.done()
    assert stands == []
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


# What is heard


def heard(*frames: bytes) -> list[Report]:
    framing = Framing()
    told = [hear(message, MONDAY) for frame in frames for message in framing.feed(frame)]
    return [report for report in told if report is not None]


def test_recordings_are_told_of_the_call_to_which_the_leg_belongs() -> None:
    usual = {"Unique-ID": "b", "variable_originating_leg_uuid": "a", "variable_current_application": "bridge"}
    told = heard(event(**usual, **{"Event-Name": "RECORD_START"}), event(**usual, **{"Event-Name": "RECORD_STOP"}))
    assert [(report.names, type(report.facts[0])) for report in told] == [
        (("b", "a"), RecordingStarted),
        (("b", "a"), RecordingStopped),
    ]


@pytest.mark.parametrize("application", ["voicemail", "record"])
def test_what_is_said_to_a_machine_is_no_recording_of_a_talk(application: str) -> None:
    usual = {"Unique-ID": "b", "variable_current_application": application}
    assert heard(event(**usual, **{"Event-Name": "RECORD_START"})) == []


@pytest.mark.parametrize(
    "different",
    [{"VM-Action": "mwi-update"}, {"VM-Message-Len": "0"}, {"VM-Message-Len": ""}, {"VM-UUID": ""}, {"VM-UUID": "\n"},
     {"Event-Subclass": "sofia::register"}, {"VM-UUID": "x" * 300}],
)  # fmt: skip
def test_what_is_no_message_left_is_none(different: dict[str, str]) -> None:
    assert heard(message_left(**different)) == []


def test_a_message_that_names_its_channel_is_of_that_channel() -> None:
    [report] = heard(message_left(**{"VM-UUID": "file-1", "Unique-ID": CALLER}))
    assert report.call_key == CALLER
    assert isinstance(report.facts[0], MessageLeft)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_stream_makes_it_stumble(stream: bytes, size: int) -> None:
    framing = Framing()
    stream = b"Content-Type: text/event-json\nContent-Length: %d\n\n%s" % (len(stream), stream)
    got = [message for place in range(0, len(stream), size) for message in framing.feed(stream[place : place + size])]
    assert len(got) == 1
    hear(got[0], MONDAY)


@given(st.integers(1, 400))
def test_a_stream_is_the_same_messages_wherever_it_is_cut(size: int) -> None:
    stream = GREETING + ACCEPTED + LISTENING + message_left() + b"\n" + message_left()
    framing = Framing()
    kinds = [
        message.kind for place in range(0, len(stream), size) for message in framing.feed(stream[place : place + size])
    ]
    assert kinds == ["auth/request", "command/reply", "command/reply", "text/event-json", "text/event-json"]


@pytest.mark.parametrize(
    "stream",
    [b"x" * (MOST_HEAD_BYTES + 1), b"Content-Length: %d\n\n" % (MOST_BODY_BYTES + 1), b"Content-Length: -1\n\n",
     b"Content-Length: \xc2\xb2\n\n"],
)  # fmt: skip
def test_what_is_too_long_or_no_message_is_not_kept(stream: bytes) -> None:
    with pytest.raises(NoMessage):
        Framing().feed(stream)
