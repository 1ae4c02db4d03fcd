"""Bodies of requests are bounded together: a server holds few large ones, and reads none without a key."""

from collections.abc import AsyncIterator

import pytest

from hookline.api.app import Door as AnyDoor
from hookline.api.body_room import BodyRoom
from hookline.errors import Unavailable
from tests.api.door import CALL, Door


def test_what_is_held_is_counted_until_it_is_answered() -> None:
    room = BodyRoom(100)
    with room.one_body() as one:
        one.grow(60)
        one.grow(30)
        assert room.held_bytes == 90
        with room.one_body() as other, pytest.raises(Unavailable):
            other.grow(11)
        assert room.held_bytes == 90
    assert room.held_bytes == 0


def test_a_body_for_which_there_is_no_room_is_unavailable_and_leaves_nothing(
    sqlite_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnyDoor, "bodies", BodyRoom(1000))
    refused = sqlite_door.ask("POST", "/v3/calls", {**CALL, "phone_line_name": "x" * 1000})
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    assert AnyDoor.bodies.held_bytes == 0
    assert len(sqlite_door.kept()["calls"]) == 0
    sqlite_door.post("/v3/calls", CALL)


@pytest.mark.parametrize("path", ["/v3/calls", "/in/twilio/of-nobody"])
def test_without_a_key_no_body_is_read(sqlite_door: Door, path: str) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(3):
            read.append(number)
            yield b"x" * 1000

    answer = sqlite_door.ask("POST", path, body(), scope="")
    assert answer.status_code in {401, 404}
    assert read == []
