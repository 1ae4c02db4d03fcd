"""A full disk and a locked database: 503, nothing half-kept, and back to work without a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest

from hookline.api.app import BASE, ROUTES
from hookline.api.connectors import NewConnectorBody
from hookline.api.examples import BODIES
from hookline.api.phone_lines import NewPhoneLineBody
from hookline.api.processes import ExportBody, ReplayBody
from hookline.api.users import NewUserBody
from hookline.ports.storage import Transaction
from tests.api.door import CALL, MEETING, NOWHERE, WEBHOOK, Door

#: Too much for what is left of a page, whatever is there already.
MANY_CALLS: Final = {"calls": [{**CALL, "phone_line_name": "x" * 400}] * 300}
MANY_MEETINGS: Final = {"meetings": [{**MEETING, "meeting_notes": "x" * 400}] * 300}


@pytest.fixture
def door(sqlite_door: Door) -> Door:
    """On a file. What befalls a server on PostgreSQL: `tests/acceptance/test_postgres_trouble.py`."""
    return sqlite_door


@contextmanager
def full_disk(door: Door) -> Iterator[None]:
    """A database file that cannot grow, for the connection that writes."""

    def limit(pages: str) -> None:
        def set_limit(_: Transaction) -> None:
            connection = door.site._database._store.connection  # type: ignore[attr-defined]  # of the SQLite store
            connection.execute(f"PRAGMA max_page_count = {pages}")

        door.run(door.site._database.write(set_limit))

    limit("1")  # never below what is there
    yield
    limit("4294967294")


@contextmanager
def locked(door: Door) -> Iterator[None]:
    """Another process that holds the file."""
    with closing(sqlite3.connect(door.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def assert_unavailable(door: Door, method: str, path: str, body: Any, **more: Any) -> None:
    answer = door.ask(method, path, body, **more)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert str(door.file.parent) not in answer.text


@pytest.mark.parametrize(("path", "body"), [("/v3/calls/batch", MANY_CALLS), ("/v3/meetings/batch", MANY_MEETINGS)])
def test_on_a_full_disk_nothing_is_kept_and_when_there_is_room_again_everything_is(
    door: Door, path: str, body: dict[str, Any]
) -> None:
    with door.subscriber() as subscriber:
        door.post("/v3/webhooks", {**WEBHOOK, "url": subscriber.url})
        before = door.kept()
        key = {"Idempotency-Key": "one"}
        with full_disk(door):
            for _ in range(2):
                assert_unavailable(door, "POST", path, body, headers=key)
            assert door.kept() == before
            assert door.ask("GET", "/healthz", scope="").status_code == 200
        assert len(door.post(path, body, headers=key)["ids"]) == 300
        door.run(subscriber.until(lambda: len(subscriber.received) == 300))
    assert len({each.header("webhook-id") for each in subscriber.received}) == 300


def test_on_a_full_disk_one_call_after_another_is_kept_whole_or_refused(door: Door) -> None:
    """The room that is left is used up; what was accepted stays, what was refused left nothing."""
    accepted = []
    with full_disk(door):
        while (answer := door.ask("POST", "/v3/calls", MANY_CALLS["calls"][0])).status_code == 201:
            accepted.append(answer.json()["id"])
        assert answer.status_code == 503
    for id_ in accepted:
        door.get(f"/v3/calls/{id_}")
        assert len(door.get(f"/v3/events?subject={id_}")["events"]) == 1
    assert len(door.get("/v3/calls?limit=200")["calls"]) == min(len(accepted), 200)


def test_while_the_database_is_locked_nothing_is_kept_and_then_everything_works_again(door: Door) -> None:
    meeting = door.post("/v3/meetings", MEETING)["id"]
    before = door.kept()
    with locked(door):
        assert_unavailable(door, "POST", f"/v3/meetings/{meeting}/cancel", {})
        assert door.kept() == before  # who only reads does not notice
        assert door.get("/healthz", scope="")["status"] == "up"
    assert door.post(f"/v3/meetings/{meeting}/cancel") == {"id": meeting, "status": "cancelled"}


def test_a_database_that_lost_its_tables_makes_every_route_unavailable_and_none_fail(door: Door) -> None:
    meeting = door.post("/v3/meetings", MEETING)["id"]
    door.post("/v3/webhooks", WEBHOOK)
    tables = (
        *("meeting", "call", "event", "delivery", "settled_delivery", "webhook", "answer", "notice"),
        *("webhook_history", "process", "user_account", "phone_line", "connector"),
    )
    bodies: dict[str, Any] = {
        "/meetings": MEETING, "/meetings/batch": {"meetings": [MEETING]}, "/calls": CALL,
        "/calls/batch": {"calls": [CALL]},
        "/meetings/{id}/reschedule": {"meeting_start_timestamp": "2032-01-01T00:00:00Z"}, "/webhooks": WEBHOOK,
        "/webhooks/{id}/test": {"event": "callFinished"}, "/webhooks/{id}/replay": BODIES[ReplayBody],
        "/webhooks/export": {**BODIES[ExportBody], "notifyURL": NOWHERE}, "/users": BODIES[NewUserBody],
        "/phone-lines": BODIES[NewPhoneLineBody], "/connectors": BODIES[NewConnectorBody],
    }  # fmt: skip
    with closing(sqlite3.connect(door.file, isolation_level=None)) as other:
        for table in tables:
            other.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")
        for route in ROUTES:
            path = BASE + route.path.replace("{id}", meeting if "meetings" in route.path else "1")
            path = path.replace("{email}", "bo@example.com").replace("{phoneNumber}", "+14002007868")
            assert_unavailable(door, route.method, path, bodies.get(route.path, {}))
        for table in tables:
            other.execute(f"ALTER TABLE lost_{table} RENAME TO {table}")
    assert [each["id"] for each in door.get("/v3/meetings")["meetings"]] == [meeting]
    door.post("/v3/calls", CALL)
