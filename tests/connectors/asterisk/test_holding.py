"""Whoever holds on to an Asterisk hears of every call, once, whatever becomes of the connection."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from hookline.connectors.asterisk import Asterisk
from hookline.domain.finished_calls import FinishedCall, finished_call
from hookline.domain.legs import Fact
from hookline.errors import Unavailable
from hookline.ports.connectors import Report
from tests.connectors.asterisk.ami_server import SECRET, USERNAME, AmiServer, events_of, written
from tests.connectors.asterisk.captures import (
    CONFIG,
    EXPECTED,
    LIVE,
    PRESENTATIONS,
    assert_right,
    capture,
    phonebook,
    plain,
)
from tests.fakes import ManualClock, RawReceiver, Visit, turn, until

NAMES = sorted(EXPECTED)


class Holder:
    """Somebody who holds on to an Asterisk, and what becomes of it."""

    def __init__(self, clock: ManualClock, port: int, **settings: Any) -> None:
        self.clock = clock
        self.connector = Asterisk(clock, lambda: 0.0)
        given = {"host": "127.0.0.1", "port": port, "username": USERNAME, "secret": SECRET}
        prefixes, contexts = [CONFIG["trunk_channel_prefix"]], [CONFIG["inbound_context"]]
        where = {"trunkChannelPrefixes": prefixes, "inboundContexts": contexts}
        self.settings = self.connector.check({**given, **where, **settings})
        self.facts: dict[str, list[Fact]] = {}
        self.kept: dict[str, list[Fact]] = {}  # what another process wrote down
        self.taken = 0
        self.stands: list[tuple[str, str]] = []
        self.refuses = False

    @asynccontextmanager
    async def holding(self) -> AsyncIterator["Holder"]:
        """Hold on until the block ends."""
        task = asyncio.create_task(self.connector.hold(self.settings, self._take_in, self._stand, self._known))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _take_in(self, report: Report) -> None:
        if self.refuses:
            raise Unavailable("The store is locked.")
        kept = self.facts.setdefault(report.call_key, [])
        kept += [fact for fact in report.facts if fact not in kept]
        self.taken += 1

    async def _known(self) -> list[Report]:
        return [Report(call_key=key, facts=tuple(facts)) for key, facts in self.kept.items()]

    async def _stand(self, state: str, error: str) -> None:
        self.stands.append((state, error))

    @property
    def state(self) -> str:
        """How it stands."""
        return self.stands[-1][0] if self.stands else ""

    @property
    def error(self) -> str:
        """What went wrong."""
        return self.stands[-1][1]

    def payloads(self) -> list[dict[str, Any]]:
        """The bodies of the events."""
        found = [finished_call(facts, phonebook()) for facts in self.facts.values()]
        return [plain(call.payload) for call in found if isinstance(call, FinishedCall)]

    async def connected(self) -> None:
        """Return when it is."""
        await until(lambda: self.state == "connected")

    async def have(self, calls: int) -> None:
        """Return when so many calls have been reported."""
        await until(lambda: len(self.payloads()) == calls)


async def heard(ami: AmiServer, holder: Holder) -> None:
    """Return when all that was said so far has been heard: something that was asked for later was answered."""
    await holder.connected()
    asked = ami.names().count("Ping")
    holder.clock.advance(seconds=30)
    await ami.asked("Ping", times=asked + 1)
    await turn(times=20)


async def lose(ami: AmiServer, holder: Holder, *, by: Callable[[], None] | None = None) -> None:
    """Break the connection, and return when that was noticed and the pause has begun."""
    (by or ami.cut)()
    await until(lambda: holder.state == "connecting")
    await until(lambda: holder.clock.alarms_set == 1)


def run(script: Callable[[], Any]) -> None:
    asyncio.run(script())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [97, 65536])
def test_what_is_told_on_the_connection_becomes_the_right_calls(name: str, size: int, clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            await ami.listened_to()
            await ami.play(events_of(capture(name)), size=size)
            await holder.have(len(EXPECTED[name]))
            assert_right(holder.payloads(), EXPECTED[name], seconds=0)

    run(script)


def test_a_recording_that_listens_to_nobody_is_understood(clock: ManualClock) -> None:
    """It tells that we are in although we never asked, and says goodbye."""

    async def script() -> None:
        async def plays(visit: Visit) -> None:
            await visit.write(capture("transfer_attended_refer"))

        async with RawReceiver.running(plays) as player, Holder(clock, player.port).holding() as holder:
            await holder.have(1)
            assert_right(holder.payloads(), EXPECTED["transfer_attended_refer"], seconds=0)
            assert ("connected", "") in holder.stands

    run(script)


@pytest.mark.parametrize("name", ["inbound_answered", "two_calls_at_once", "queue_to_voicemail_message"])
def test_a_connection_that_breaks_again_and_again_changes_nothing_when_nothing_was_missed(
    name: str, clock: ManualClock
) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            events = events_of(capture(name))
            for start in range(0, len(events), 40):
                await ami.listened_to()
                await ami.play(events[start : start + 40])
                await heard(ami, holder)
                await lose(ami, holder)
                clock.advance(seconds=30)
            await holder.have(len(EXPECTED[name]))
            assert_right(holder.payloads(), EXPECTED[name], seconds=0)

    run(script)


def test_a_call_that_ends_while_we_are_away_is_reported_when_we_are_back(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            events = events_of(capture("inbound_answered"))
            end = next(place for place, each in enumerate(events) if each.startswith(b"Event: Hangup"))
            await ami.listened_to()
            await ami.play(events[: end - 10])
            await heard(ami, holder)
            await lose(ami, holder)
            await ami.play(events[end - 10 :])  # nobody is there
            clock.advance(seconds=2)
            await ami.asked("CoreShowChannels", times=2)
            await until(lambda: clock.alarms_set > 1)  # it is asked again, since a message may overtake another
            await turn(times=50)
            assert not holder.payloads()
            clock.advance(seconds=5)
            await holder.have(1)
            assert holder.payloads()[0]["type"] == "answered"
            assert holder.error.startswith("Was away from 09:00:30 to 09:00:32 UTC; calls that ended then may be")

    run(script)


def test_how_long_we_were_away_is_logged(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            await holder.connected()
            await ami.listened_to()
            await lose(ami, holder)
            clock.advance(seconds=8)
            await holder.connected()
            assert f"asterisk.gap connector=127.0.0.1:{ami.port} seconds=8" in caplog.messages

    with caplog.at_level(logging.WARNING):
        run(script)


def test_a_hang_up_that_was_lost_does_not_keep_a_call_in_the_air(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            await ami.asked("CoreShowChannels")
            events = events_of(capture("inbound_answered"))
            await ami.play([each for each in events if not each.startswith(b"Event: Hangup\r\n")])
            await ami.play([each for each in events if each.startswith(b"Event: Hangup\r\n")], told=False)
            for _ in range(10):
                await heard(ami, holder)
            await ami.asked("CoreShowChannels", times=2)
            await turn(times=50)
            assert not holder.payloads()
            clock.advance(seconds=5)
            await holder.have(1)

    run(script)


def test_a_caller_whose_number_is_withheld_on_a_trusted_trunk_has_none(clock: ManualClock) -> None:
    """No event says it: Asterisk is asked about each caller, and while the call goes on."""

    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            ami.presentation = PRESENTATIONS["caller_privacy_only"]
            await ami.listened_to()
            events = events_of(LIVE.stream("caller_privacy_only"))
            await ami.play(events[:20])
            await ami.asked("Getvar")
            await turn(times=20)
            await ami.play(events[20:])
            await holder.have(1)
            assert holder.payloads()[0]["phone_number"] == ""
            [asked] = [each for each in ami.heard if each["Action"] == "Getvar"]  # not about phones of ours
            assert (asked["Channel"], asked["Variable"]) == ("PJSIP/trunk-000000b6", "CALLERID(num-pres)")

    run(script)


def test_an_account_that_may_not_ask_about_callers_is_told_so_once(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            ami.denied.add("Getvar")
            await ami.listened_to()
            await ami.play(events_of(capture("inbound_answered")))
            await holder.have(1)
            await heard(ami, holder)
            await ami.play(events_of(capture("inbound_missed_no_answer")))
            await holder.have(2)
            await heard(ami, holder)
            assert ami.names().count("Getvar") == 1

    run(script)


def test_who_may_not_list_channels_hears_of_calls_all_the_same(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            ami.denied.add("CoreShowChannels")
            await ami.asked("CoreShowChannels")
            await ami.play(events_of(capture("inbound_answered")))
            await holder.have(1)
            for _ in range(25):
                await heard(ami, holder)
            assert ami.names().count("CoreShowChannels") == 1
            assert holder.state == "connected"

    run(script)


def test_an_asterisk_that_never_answers_a_listing_changes_nothing(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            ami.deaf.add("CoreShowChannels")
            await ami.asked("CoreShowChannels")
            events = events_of(capture("inbound_answered"))
            await ami.play(events[:60])
            for _ in range(25):
                await heard(ami, holder)
            await ami.play(events[60:])
            await holder.have(1)
            assert_right(holder.payloads(), EXPECTED["inbound_answered"], seconds=0)

    run(script)


def test_calls_of_an_asterisk_that_died_are_over(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            ami.denied.add("CoreShowChannels")  # so that only its time since it started tells
            events = events_of(capture("inbound_answered"))
            end = next(place for place, each in enumerate(events) if each.startswith(b"Event: Hangup"))
            await ami.listened_to()
            await ami.play(events[: end - 10])
            await heard(ami, holder)
            await lose(ami, holder, by=ami.die)
            clock.advance(seconds=30)
            await holder.connected()
            await heard(ami, holder)
            await holder.have(1)

    run(script)


def test_calls_are_over_when_asterisk_is_shut_down(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            events = events_of(capture("inbound_answered"))
            end = next(place for place, each in enumerate(events) if each.startswith(b"Event: Hangup"))
            await ami.listened_to()
            await ami.play([*events[: end - 10], written(("Event", "Shutdown"), ("Shutdown", "Cleanly"))])
            await holder.have(1)

    run(script)


def test_silence_is_a_dead_connection(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            await holder.connected()
            await ami.asked("CoreShowChannels")
            await turn(times=50)
            ami.deaf.add("Ping")
            clock.advance(seconds=30)
            await ami.asked("Ping")
            assert holder.state == "connected"
            clock.advance(seconds=60)
            await until(lambda: holder.state == "connecting")
            assert holder.error == "Asterisk said nothing for 60 s."
            await turn(times=20)
            clock.advance(seconds=1)
            await holder.connected()

    run(script)


def test_a_ping_that_is_answered_keeps_a_quiet_connection(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            await holder.connected()
            for _ in range(30):
                await heard(ami, holder)
            assert ami.visits == 1
            assert ami.names().count("CoreShowChannels") == 4  # at the beginning, and every five minutes

    run(script)


def test_a_wrong_secret_is_told_and_tried_again_slowly(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port, secret="wrong").holding() as holder:
            await until(lambda: holder.state == "failed")
            place = f"127.0.0.1:{ami.port}"
            assert holder.error == f"Asterisk at {place} refused the login of 'hookline': Authentication failed."
            await turn(times=20)
            clock.advance(seconds=29)
            await turn(times=50)
            assert ami.visits == 1
            ami.secret = "wrong"  # set right over there
            clock.advance(seconds=2)
            await holder.connected()
            assert holder.error == ""

    run(script)


def test_the_secret_is_not_sent_when_a_digest_is_asked_for(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port, auth="md5").holding() as holder:
            await holder.connected()
            assert ami.names()[:2] == ["Challenge", "Login"]
            assert SECRET not in str(ami.heard)

    run(script)


def test_what_is_no_asterisk_learns_no_secret(clock: ManualClock) -> None:
    async def script() -> None:
        async def other(visit: Visit) -> None:
            await visit.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            requests.append(await visit.reader.read())

        requests: list[bytes] = []
        async with RawReceiver.running(other) as stranger, Holder(clock, stranger.port).holding() as holder:
            await until(lambda: holder.state == "failed")
            assert "is no manager interface: it says 'SSH-2.0-OpenSSH_9.6'" in holder.error
            await until(lambda: bool(requests))
        assert SECRET.encode() not in b"".join(requests)

    run(script)


def test_who_says_nothing_at_first_is_given_up(clock: ManualClock) -> None:
    async def script() -> None:
        async def quiet(visit: Visit) -> None:
            await visit.gone()

        async with RawReceiver.running(quiet) as stranger, Holder(clock, stranger.port).holding() as holder:
            await until(lambda: stranger.visits == 1 and clock.alarms_set == 1)
            await turn(times=20)
            clock.advance(seconds=10)
            await until(lambda: holder.state == "failed")
            assert holder.error == "It did not answer the login in time."

    run(script)


def test_nobody_there_is_a_failure_that_says_where(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as gone:
            port = gone.port
        async with Holder(clock, port).holding() as holder:
            await until(lambda: holder.state == "failed")
            assert holder.error.startswith(f"127.0.0.1:{port} cannot be reached: ")

    run(script)


def test_pauses_grow_while_it_does_not_work(clock: ManualClock) -> None:
    async def script() -> None:
        visits: list[float] = []

        async def closes(visit: Visit) -> None:
            visits.append(clock.monotonic())

        async with RawReceiver.running(closes) as door, Holder(clock, door.port).holding() as holder:
            for count in range(1, 9):
                await until(lambda: len(visits) == count)  # noqa: B023  awaited here
                await until(lambda: holder.state == "failed" and clock.alarms_set == 1)
                await turn(times=20)
                pause = min(2 ** (count - 1), 30)
                clock.advance(seconds=pause - 0.5)
                await turn(times=20)
                assert len(visits) == count
                clock.advance(seconds=0.5)
            assert holder.stands == [("connecting", ""), ("failed", "Asterisk closed the connection.")]

    run(script)


def test_tls_wants_a_certificate_to_be_trusted_unless_told_otherwise(clock: ManualClock) -> None:
    async def script() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
        async with AmiServer.running(tls=tls) as ami:
            async with Holder(clock, ami.port, tls=True).holding() as holder:
                await until(lambda: holder.state == "failed")
                assert "is not to be trusted" in holder.error
            async with Holder(clock, ami.port, tls=True, tlsVerify=False).holding() as holder:
                await holder.connected()

    run(script)


def test_a_store_that_does_not_answer_loses_nothing(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami, Holder(clock, ami.port).holding() as holder:
            holder.refuses = True
            await ami.listened_to()
            await ami.play(events_of(capture("two_calls_at_once")))
            await heard(ami, holder)
            assert not holder.payloads()
            holder.refuses = False
            clock.advance(seconds=30)
            await holder.have(len(EXPECTED["two_calls_at_once"]))
            assert holder.state == "connected"

    run(script)


def test_what_is_over_when_it_is_stopped_is_written_down(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami:
            async with Holder(clock, ami.port).holding() as holder:
                holder.refuses = True
                await ami.listened_to()
                await ami.play(events_of(capture("inbound_answered")))
                await heard(ami, holder)
                holder.refuses = False
            assert len(holder.payloads()) == 1

    run(script)


def test_a_store_that_hangs_holds_up_neither_the_listening_nor_for_long_the_end(clock: ManualClock) -> None:
    async def script() -> None:
        async with AmiServer.running() as ami:
            holder = Holder(clock, ami.port)
            hangs = asyncio.Event()

            async def hanging(*_: object) -> None:
                await hangs.wait()

            async def known() -> list[Report]:
                return []

            task = asyncio.create_task(holder.connector.hold(holder.settings, hanging, hanging, known))
            await ami.asked("CoreShowChannels")
            await ami.play(events_of(capture("inbound_answered")))
            clock.advance(seconds=30)
            await ami.asked("Ping")
            task.cancel()
            await turn(times=20)
            clock.advance(seconds=5)
            await asyncio.gather(task, return_exceptions=True)

    run(script)
