"""An Asterisk, from the connector that somebody makes over HTTP to the event: what it captured is what it becomes."""

import json
from contextlib import AsyncExitStack

from tests.api.door import Door
from tests.connectors.asterisk.ami_server import SECRET, USERNAME, AmiServer, events_of
from tests.connectors.asterisk.captures import CONFIG, EXPECTED, assert_right, capture


def set_up(door: Door, port: int) -> str:
    """The company of the captures; returns the connector's id."""
    for extension, given in CONFIG["users"].items():
        phone = {"extension": extension, "channelPrefixes": [given["channel_prefix"]]}
        if given["outbound_line"]:
            phone["outboundLine"] = given["outbound_line"]
        names = {"givenName": given["given_name"], "familyName": given["family_name"]}
        door.post("/v3/users", {"email": f"{extension}@company.example", **names, "phone": phone})
    for number, given in CONFIG["lines"].items():
        owner = f"{given['owner']}@company.example"
        door.post("/v3/phone-lines", {"number": number, "name": given["name"], "ownerEmail": owner})
    settings = {"host": "127.0.0.1", "port": port, "username": USERNAME, "secret": SECRET, "region": "GB"}
    made = door.post("/v3/connectors", {"kind": "asterisk", "name": "Office", "settings": settings})
    return str(made["id"])


def test_what_an_asterisk_tells_becomes_the_right_events_and_its_connector_says_how_it_stands(door: Door) -> None:
    stack = AsyncExitStack()
    ami: AmiServer = door.run(stack.enter_async_context(AmiServer.running()))
    connector_id = set_up(door, ami.port)
    door.run(ami.listened_to())
    connector = door.once(f"/v3/connectors/{connector_id}", lambda it: it["state"] == "connected")
    assert connector["lastError"] is None
    names = ("inbound_answered", "outbound_no_answer", "two_calls_at_once")
    wanted = [payload for name in names for payload in EXPECTED[name]]
    for name in names:
        door.run(ami.play(events_of(capture(name))))
    door.once("/v3/calls", lambda it: len(it["calls"]) >= len(wanted))
    found = door.get("/v3/calls")["calls"]
    assert {each["source"] for each in found} == {"asterisk"}
    assert_right([each["call"] for each in found], wanted)
    assert door.get(f"/v3/connectors/{connector_id}")["lastEventAt"] is not None
    assert SECRET not in json.dumps(door.get(f"/v3/connectors/{connector_id}"))
    door.run(stack.aclose())
