"""From the last hang-up to the webhook: a manager interface that plays captures at their own pace, a real server, and a
subscriber that checks every signature.

`python -m tests.acceptance.asterisk [--cut] [NAME ...]` plays all captures, or those that are named, each over a
connection of its own, and prints what arrived how long after the last hang-up. With `--cut` each connection is broken
in the middle. `tests/acceptance/test_asterisk.py` plays some as fast as it can.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.command import say
from tests.acceptance.serving import Api, Server, in_patience
from tests.connectors.asterisk.ami_server import SECRET, USERNAME, AmiServer, events_of
from tests.connectors.asterisk.captures import CONFIG, EXPECTED, assert_right, capture
from tests.fakes import Subscriber, replying


async def set_up(api: Api, subscriber: Subscriber) -> None:
    """The company of the captures, and a subscriber."""
    for extension, given in CONFIG["users"].items():
        phone = {"extension": extension, "channelPrefixes": [given["channel_prefix"]]}
        if given["outbound_line"]:
            phone["outboundLine"] = given["outbound_line"]
        names = {"givenName": given["given_name"], "familyName": given["family_name"]}
        await api.post("/v3/users", {"email": f"{extension}@company.example", **names, "phone": phone})
    for number, given in CONFIG["lines"].items():
        owner = f"{given['owner']}@company.example"
        await api.post("/v3/phone-lines", {"number": number, "name": given["name"], "ownerEmail": owner})
    hook = await api.post("/v3/webhooks", {"url": subscriber.url + "/hook", "events": ["callFinished"]})
    subscriber.trust(hook["secret"])


class Played:
    """One capture, and what came of it."""

    def __init__(self, name: str, api: Api, subscriber: Subscriber) -> None:
        self.name = name
        self.expected = EXPECTED[name]
        self._api = api
        self._subscriber = subscriber
        self.arrived_after: list[float] = []  # seconds, from the last hang-up to each event

    async def play(self, *, at_its_pace: bool, cut: bool = False) -> list[dict[str, Any]]:
        """Play it, and return the bodies that arrive."""
        before = len(self._subscriber.received)
        events = events_of(capture(self.name))
        async with AmiServer.running() as ami:
            settings = {"host": "127.0.0.1", "port": ami.port, "username": USERNAME, "secret": SECRET, "region": "GB"}
            made = await self._api.post("/v3/connectors", {"kind": "asterisk", "name": self.name, "settings": settings})
            await in_patience(ami.listened_to(), "the connection")
            middle = len(events) // 2 if cut else 0
            await self._play(ami, events[:middle], at_its_pace=at_its_pace)
            if cut:
                ami.cut()
                await in_patience(ami.listened_to(), "another connection")
            await self._play(ami, events[middle:], at_its_pace=at_its_pace)
            ended_at = asyncio.get_running_loop().time()
            wanted = before + len(self.expected)
            await in_patience(self._subscriber.until(lambda: len(self._subscriber.received) >= wanted), "the webhook")
            self.arrived_after.append(asyncio.get_running_loop().time() - ended_at)
            (await self._api.ask("DELETE", f"/v3/connectors/{made['id']}")).of(204)
        return [json.loads(received.body) for received in self._subscriber.received[before:]]

    async def _play(self, ami: AmiServer, events: Sequence[bytes], *, at_its_pace: bool) -> None:
        if at_its_pace:
            await ami.play_at_its_pace(events)
        else:
            await ami.play(events)


async def play_all(folder: Path, names: Sequence[str], *, at_its_pace: bool, cut: bool = False) -> list[Played]:
    """Play captures, one after the other, to one server; each has to become what it is."""
    played = []
    async with (
        Subscriber.running(lambda _: replying(204)) as subscriber,
        Server.running(folder) as server,
        Api.to(server) as api,
    ):
        await set_up(api, subscriber)
        for name in names:
            each = Played(name, api, subscriber)
            assert_right(await each.play(at_its_pace=at_its_pace, cut=cut), each.expected)
            assert all(received.message is not None for received in subscriber.received)
            played.append(each)
            if each.expected:
                say(f"{name}: {len(each.expected)} in {each.arrived_after[-1]:.3f} s after the last event")
    return played


def main() -> int:
    """Play, tell, and return the exit code."""
    parser = argparse.ArgumentParser(description="From the last hang-up to the webhook.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="captures; all of them if none is named")
    parser.add_argument("--cut", action="store_true", help="break each connection in the middle")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hookline-asterisk-") as folder:
        names = given.names or sorted(EXPECTED)
        played = asyncio.run(play_all(Path(folder), names, at_its_pace=True, cut=given.cut))
    told = [each.arrived_after[-1] for each in played if each.expected]
    say(
        f"{len(played)} captures, all right; the slowest webhook came {max(told, default=0):.3f} s after the last event"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
