"""Looking at an Asterisk before it is connected."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hookline.adapters.system_clock import SystemClock
from hookline.connectors.asterisk.endpoints import Endpoint
from hookline.connectors.asterisk.link import LoginRefused, NoLink
from hookline.connectors.asterisk.looking import Seen, look
from hookline.connectors.asterisk.settings import read_settings
from tests.connectors.asterisk.ami_server import SECRET, USERNAME, AmiServer
from tests.fakes import ManualClock

ENDPOINTS: Final = [
    {"ObjectName": "101", "OutboundAuths": ""},
    {"ObjectName": "102", "OutboundAuths": ""},
    {"ObjectName": "carrier", "OutboundAuths": "carrier-auth"},
]


def settings(ami: AmiServer, **more: Any) -> Any:
    return read_settings({"host": "127.0.0.1", "port": ami.port, "username": USERNAME, "secret": SECRET, **more})


def looked(prepare: Callable[[AmiServer], None] = lambda _: None, **more: Any) -> Seen:
    async def scenario() -> Seen:
        async with AmiServer.running() as ami:
            ami.entries["PJSIPShowEndpoints"] = ENDPOINTS
            ami.entries["PJSIPShowEndpoint"] = [{"Context": "from-internal"}]
            prepare(ami)
            return await look(settings(ami, **more), SystemClock())

    return asyncio.run(scenario())


def test_versions_trunks_and_contexts_are_seen() -> None:
    seen = looked()
    assert (seen.asterisk, seen.ami) == ("22.10.1", "11.0.0")
    assert seen.endpoints == (
        Endpoint(technology="PJSIP", name="101", context="from-internal", is_trunk=False, prefix="PJSIP/101-"),
        Endpoint(technology="PJSIP", name="102", context="from-internal", is_trunk=False, prefix="PJSIP/102-"),
        Endpoint(technology="PJSIP", name="carrier", context="from-internal", is_trunk=True, prefix="PJSIP/carrier-"),
    )
    assert seen.trunk_prefixes == ["PJSIP/carrier-"]
    assert seen.outbound_contexts == ["from-internal"]


def test_trunks_of_older_drivers_are_seen() -> None:
    def prepare(ami: AmiServer) -> None:
        ami.denied.add("PJSIPShowEndpoints")  # as where chan_pjsip is not loaded
        ami.entries["SIPpeers"] = [
            {"Channeltype": "SIP", "ObjectName": "201", "Dynamic": "yes"},
            {"Channeltype": "SIP", "ObjectName": "telco", "Dynamic": "no"},
        ]
        ami.peers = {"201": "from-internal", "telco": "from-pstn"}
        ami.entries["IAXpeerlist"] = [
            {"Channeltype": "IAX", "ObjectName": "301", "Dynamic": "yes"},
            {"Channeltype": "IAX", "ObjectName": "branch", "Dynamic": "no"},
        ]
        ami.entries["DAHDIShowChannels"] = [
            {"DAHDIChannel": "1", "Signalling": "ISDN PRI", "Context": "from-pstn"},
            {"DAHDIChannel": "2", "Signalling": "ISDN PRI", "Context": "from-pstn"},
            {"DAHDIChannel": "33", "Signalling": "FXS Kewlstart", "Context": "from-pstn"},
            {"DAHDIChannel": "34", "Signalling": "FXO Kewlstart", "Context": "from-internal"},
        ]

    seen = looked(prepare)
    assert seen.trunk_prefixes == ["SIP/telco-", "IAX2/branch-", "DAHDI/i", "DAHDI/33-"]
    assert (seen.inbound_contexts, seen.outbound_contexts) == (["from-pstn"], ["from-internal"])


def test_what_the_account_may_not_ask_is_unknown_and_no_failure() -> None:
    def deny(ami: AmiServer) -> None:
        ami.denied |= {"PJSIPShowEndpoints", "CoreSettings", "Command"}

    seen = looked(deny)
    assert (seen.asterisk, seen.endpoints, seen.reads, seen.missing) == ("", None, None, ())


def test_what_is_needed_and_not_heard_is_missing() -> None:
    seen = looked()
    assert replace(seen, reads=("system", "call")).missing == ("dialplan",)
    assert replace(seen, reads=("all",)).missing == ()


def test_the_greeting_without_a_time_is_no_sign_that_events_have_none() -> None:
    assert looked().has_times is None


def test_classes_are_read_from_the_configuration_when_commands_are_denied() -> None:
    def prepare(ami: AmiServer) -> None:
        ami.denied.add("Command")
        ami.section = ["secret=a-secret", "read=system,call", "write=system,reporting"]

    seen = looked(prepare)
    assert (seen.reads, seen.missing) == (("system", "call"), ("dialplan",))


def test_the_configuration_is_not_asked_for_where_only_a_digest_of_the_secret_may_cross_the_network() -> None:
    def prepare(ami: AmiServer) -> None:
        ami.denied.add("Command")
        ami.section = ["secret=a-secret", "read=system,call"]

    assert looked(prepare, auth="md5").reads is None


def test_a_digest_of_the_secret_will_do() -> None:
    assert looked(auth="md5").ami == "11.0.0"


def test_a_wrong_secret_is_told_as_such() -> None:
    with pytest.raises(LoginRefused, match="Authentication failed"):
        looked(secret="wrong")


def test_who_does_not_answer_is_not_waited_for_without_end() -> None:
    clock = ManualClock()

    async def scenario() -> None:
        async with AmiServer.running() as ami:
            ami.deaf.add("CoreSettings")
            looking = asyncio.ensure_future(look(settings(ami), clock))
            await ami.asked("CoreSettings")
            clock.advance(seconds=11)
            await looking

    with pytest.raises(NoLink, match="did not answer CoreSettings in time"):
        asyncio.run(scenario())


def command(port: int, *more: str, secret: str = SECRET) -> Awaitable[tuple[int, str, str]]:
    async def run() -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("hookline")), "connect", "asterisk", "--host", "127.0.0.1",
            "--port", str(port), "--username", USERNAME, "--secret-env", "AMI_SECRET", *more,
            env={"AMI_SECRET": secret, "COLUMNS": "80"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    return run()


def test_the_command_shows_what_is_there_and_how_to_connect_it() -> None:
    async def scenario() -> None:
        async with AmiServer.running() as ami:
            ami.entries["PJSIPShowEndpoints"] = ENDPOINTS
            ami.entries["PJSIPShowEndpoint"] = [{"Context": "from-internal"}]
            code, out, err = await command(ami.port)
            assert (code, err) == (0, ""), err
            assert "Asterisk 22.10.1" in out
            assert "trunk    PJSIP/carrier-" in out
            assert SECRET not in out
            code, out, _ = await command(ami.port, "--json")
            assert code == 0
            body = msgspec.json.decode(out)
            assert body["connector"]["settings"]["trunkChannelPrefixes"] == ["PJSIP/carrier-"]
            assert SECRET not in out

    asyncio.run(scenario())


def test_the_command_says_in_a_sentence_what_is_wrong() -> None:
    async def scenario() -> None:
        async with AmiServer.running() as ami:
            code, out, err = await command(ami.port, secret="wrong")
            assert (code, out) == (1, "")
            assert "refused the login" in err
        code, out, err = await command(ami.port)
        assert (code, out) == (1, "")
        assert "cannot be reached" in err
        assert "Traceback" not in err

    asyncio.run(scenario())
