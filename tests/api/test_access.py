"""Who may do what: keys, scopes, and what only admins see."""

import asyncio
from typing import Any, Final

import pytest

from hookline.api.access import Access
from hookline.api.app import BASE, ROUTES
from hookline.api.lookups import LOOKUPS, LOOKUPS_SECONDS
from hookline.api.routes import Route
from hookline.domain.keys import Scope
from hookline.errors import Unauthorized
from hookline.ports.storage import Database
from hookline.services.keys import create_key
from tests.api.door import ADMIN, CALL, MEETING, WEBHOOK, Door
from tests.fakes import ManualClock

#: Contract: admin may do everything; ingest only reports; read changes nothing.
INGEST: Final = {
    ("POST", "/meetings"),
    ("POST", "/meetings/batch"),
    ("PUT", "/meetings/{id}"),
    ("POST", "/meetings/{id}/cancel"),
    ("POST", "/meetings/{id}/reschedule"),
    ("POST", "/calls"),
    ("POST", "/calls/batch"),
}
SECRETS: Final = {("GET", "/webhooks/{id}/secret")}
NOBODY: Final = "evt_01k2j3q4r5s6t7v8w9x0y1z2a3"


def ids(routes: tuple[Route, ...]) -> list[str]:
    return [f"{route.method} {route.path}" for route in routes]


@pytest.mark.parametrize("scope", ["admin", "ingest", "read"])
@pytest.mark.parametrize("route", ROUTES, ids=ids(ROUTES))
def test_a_key_reaches_as_far_as_its_scope(shared_door: Door, route: Route, scope: str) -> None:
    place = (route.method, route.path)
    allowed = {
        "admin": True,
        "ingest": place in INGEST,
        "read": route.method == "GET" and place not in SECRETS,
    }[scope]
    before = shared_door.kept()
    answer = shared_door.ask(route.method, BASE + route.path.replace("{id}", NOBODY), b"{}", scope=scope)
    if allowed:
        assert answer.status_code in {200, 400, 404}
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert scope in answer.json()["message"]
        assert "admin" in answer.json()["hint"]
    assert shared_door.kept() == before


@pytest.mark.parametrize("route", ROUTES, ids=ids(ROUTES))
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api-key": ""},
        {"api-key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {ADMIN}"},
        {"Authorization": ADMIN},
        {"api-key": ADMIN.upper()},
        {"api-key": "wrong", "Authorization": f"Bearer {ADMIN}"},
        {"api-key": "ключ".encode()},
    ],
    ids=str,
)
def test_without_a_key_that_is_known_nothing_is_done(shared_door: Door, route: Route, headers: dict[str, str]) -> None:
    answer = shared_door.ask(route.method, BASE + route.path.replace("{id}", NOBODY), b"{}", scope="", headers=headers)
    assert answer.status_code == 401
    assert (answer.json()["code"], bool(answer.json()["message"])) == ("unauthorized", True)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", ["admin", "ingest", "read"])
@pytest.mark.parametrize("name", ["api-key", "Authorization"])
def test_a_key_is_known_in_either_header(shared_door: Door, name: str, scope: str) -> None:
    key = shared_door.keys[scope]
    given = {name: key if name == "api-key" else f"bearer  {key}"}
    assert shared_door.ask("GET", "/v3/nothing", scope="", headers=given).status_code == 404


def test_an_api_key_beside_somebody_elses_authorization_counts(shared_door: Door) -> None:
    assert shared_door.ask("GET", "/v3/calls", headers={"Authorization": "Basic dXNlcjpwYXNz"}).status_code == 200


def test_whether_something_is_there_is_told_only_to_those_with_a_key(shared_door: Door) -> None:
    for path in ("/v3/", "/v3/nothing", "/v3/meetings/nothing"):
        assert shared_door.ask("GET", path, scope="").status_code == 401


def test_secrets_tokens_header_values_and_passwords_are_for_admins(door: Door) -> None:
    hidden = ("top-token", "top-value", "top-pass", "@rest")
    webhook: dict[str, Any] = {
        **WEBHOOK,
        "auth": {"type": "bearer", "token": hidden[0]},
        "headers": [{"key": "cf-secret", "value": hidden[1]}],
    }
    secret = door.post("/v3/webhooks", webhook)["secret"]
    door.post("/v3/webhooks", {**WEBHOOK, "url": "http://user:top-pass@rest@127.0.0.1:9/a@b?c=d@e#".rstrip("#")})
    for path in ("/v3/webhooks", "/v3/webhooks/1", "/v3/webhooks/2", "/v3/deliveries", "/v3/events"):
        shown = door.ask("GET", path, scope="read").text
        assert not [each for each in (*hidden, secret) if each in shown], path
    read = door.get("/v3/webhooks/1", scope="read")
    assert read["auth"] == {"type": "bearer", "token": "***"}
    assert read["headers"] == [{"key": "cf-secret", "value": "***"}]
    assert door.get("/v3/webhooks/2", scope="read")["url"] == "http://127.0.0.1:9/***"
    assert door.get("/v3/webhooks/1")["auth"]["token"] == hidden[0]
    assert door.ask("GET", "/v3/webhooks/1/secret", scope="read").status_code == 403


class CountedReads:
    """A database that counts how often it is read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    async def read(self, function: Any, *args: Any) -> Any:
        self.reads += 1
        return await self._database.read(function, *args)


def test_guessed_keys_cost_few_reads_and_a_new_key_works_at_once_or_within_a_second_of_guessing(
    sqlite_door: Door,
) -> None:
    door, clock = sqlite_door, ManualClock()
    database = door.site._database
    counted: Any = CountedReads(database)
    access = Access(counted, clock, None)

    async def is_known(key: str) -> bool:
        try:
            await access.key_of({b"api-key": key.encode()})
        except Unauthorized:
            return False
        return True

    async def guess() -> None:
        known = await asyncio.gather(*(is_known(f"guess {number}") for number in range(1000)))
        assert not any(known)

    async def scenario() -> None:
        used = await database.write(create_key, "used", Scope.READ)
        unused = await database.write(create_key, "unused", Scope.READ)
        assert await is_known(used)
        new = await database.write(create_key, "new", Scope.READ)
        assert await is_known(new)  # no guesses yet
        counted.reads = 0
        await guess()
        await guess()
        assert counted.reads <= LOOKUPS + 1
        assert await is_known(unused)
        newest = await database.write(create_key, "newest", Scope.READ)
        clock.advance(seconds=LOOKUPS_SECONDS)
        await guess()
        assert await is_known(newest)
        clock.advance(seconds=5)
        await guess()
        assert await is_known(used)

    door.run(scenario())


def test_who_reports_cannot_look(door: Door) -> None:
    meeting = door.post("/v3/meetings", MEETING, scope="ingest")["id"]
    door.post("/v3/calls", CALL, scope="ingest")
    assert door.ask("PUT", f"/v3/meetings/{meeting}", {"meeting_notes": "x"}, scope="ingest").status_code == 204
    for path in (f"/v3/meetings/{meeting}", "/v3/meetings", "/v3/calls", "/v3/events", "/v3/webhooks"):
        assert door.ask("GET", path, scope="ingest").status_code == 403
