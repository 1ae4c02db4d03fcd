"""`hookline doctor`: tells what is wrong and what to do, and changes nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Api, Server, in_patience
from tests.cli import spoilt
from tests.cli.commands import Hookline, Said
from tests.fakes import Subscriber, replying

pytestmark = pytest.mark.slow


def graded(said: Said, about: str) -> list[str]:
    """The grades of what it found about something."""
    return [each["grade"] for each in said.value if each["about"] == about]


def sentences(said: Said, grade: str) -> str:
    """All that it found of one grade."""
    return "\n".join(each["says"] for each in said.value if each["grade"] == grade)


def test_beside_a_sound_database_and_a_running_server_all_is_well(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            said = Hookline.beside(server)("doctor", "--json")
            assert (said.code, said.err) == (0, "")
            assert {each["grade"] for each in said.value} == {"ok"}
            assert graded(said, "database") == graded(said, "server") == ["ok"]

    asyncio.run(scenario())


def test_people_are_told_the_same_as_programs_line_by_line(hookline: Hookline) -> None:
    hookline("migrate")
    people, programs = hookline("doctor"), hookline("doctor", "--json")
    assert (people.code, people.err) == (0, "")
    told = [line.split()[:2] for line in people.out.splitlines()]
    assert told == [[each["grade"], each["about"]] for each in programs.value]


def test_a_server_that_does_not_run_is_a_warning(hookline: Hookline) -> None:
    hookline("migrate")
    said = hookline("doctor", "--json")
    assert said.code == 0
    assert graded(said, "server") == ["warning"]
    assert "`hookline serve`" in sentences(said, "warning")


def test_a_database_that_is_not_there_is_a_warning_and_is_not_made(hookline: Hookline) -> None:
    said = hookline("doctor", "--json")
    assert said.code == 0
    assert graded(said, "database") == ["warning"]
    assert hookline.files() == set()


def test_a_file_that_is_no_database_is_a_problem(hookline: Hookline) -> None:
    content = spoilt.garbage(hookline.database)
    said = hookline("doctor", "--json")
    assert said.code == 1
    assert graded(said, "database") == ["problem"]
    assert "not a database" in sentences(said, "problem")
    assert hookline.database.read_bytes() == content
    assert hookline("doctor").code == 1


def test_a_damaged_database_is_a_problem(hookline: Hookline) -> None:
    hookline("migrate")
    spoilt.scratch(hookline.database)
    said = hookline("doctor", "--json")
    assert said.code == 1
    assert graded(said, "database") == ["problem"]
    assert "estore a backup" in sentences(said, "problem")


def test_a_database_of_a_later_version_is_a_problem_that_migrating_does_not_solve(hookline: Hookline) -> None:
    hookline("migrate")
    spoilt.of_schema(hookline.database, 99)
    said = hookline("doctor", "--json")
    assert said.code == 1
    assert "99" in sentences(said, "problem")
    assert "migrate" not in sentences(said, "problem")
    assert spoilt.schema_of(hookline.database) == 99


def test_a_database_that_waits_for_migration_is_a_warning_and_waits_on(hookline: Hookline) -> None:
    hookline.database.touch()
    said = hookline("doctor", "--json")
    assert said.code == 0
    assert graded(said, "database") == ["warning"]
    assert "`hookline migrate`" in sentences(said, "warning")
    assert spoilt.schema_of(hookline.database) == 0


def test_a_folder_that_is_not_there_is_a_problem(hookline: Hookline) -> None:
    said = hookline("doctor", "--json", HOOKLINE_DATABASE="sqlite:///nowhere/hookline.db")
    assert said.code == 1
    assert graded(said, "disk") == ["problem"]


def test_a_wrong_setting_is_a_problem_and_a_strange_one_a_warning(hookline: Hookline) -> None:
    said = hookline("doctor", "--json", HOOKLINE_MAX_WEBHOOKS="0", HOOKLINE_RETENTON_DAYS="1")
    assert said.code == 1
    assert "HOOKLINE_MAX_WEBHOOKS" in sentences(said, "problem")
    assert "HOOKLINE_RETENTON_DAYS" in sentences(said, "warning")


def test_what_is_not_delivered_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(410)) as gone,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            webhook_id = await api.subscribe(gone)
            call = {"phone_line": "+441400800008", "phone_number": "", "type": "missed"}
            await api.post("/v3/calls", call)
            await in_patience(settled(api, webhook_id), "the webhook to be disabled")
            said = Hookline.beside(server)("doctor", "--json")
            assert said.code == 0
            assert f"Webhook {webhook_id} is disabled" in sentences(said, "warning")

    asyncio.run(scenario())


def test_what_waits_for_an_earlier_event_is_told_apart(tmp_path: Path) -> None:
    meeting = {
        "account_email": "anna@example.com",
        "event_participants": [{"EMAIL": "bo@example.com"}],
        "meeting_name": "First talk",
        "meeting_start_timestamp": "2099-05-06T10:00:00Z",
        "meeting_end_timestamp": "2099-05-06T10:30:00Z",
    }

    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(500)) as failing,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            await api.subscribe(failing, events=["meetingBooked", "meetingCancelled"], ordered=True)
            id_ = (await api.post("/v3/meetings", meeting))["id"]
            await api.post(f"/v3/meetings/{id_}/cancel", {}, status=200)
            said = Hookline.beside(server)("doctor", "--json")
            assert "2 are owed, 1 of them behind an earlier event of their subject." in sentences(said, "ok")

    asyncio.run(scenario())


def test_a_webhook_at_which_every_attempt_fails_is_told_before_anything_is_dead(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(500)) as failing,
            Server.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            webhook_id = await api.subscribe(failing)
            await api.post("/v3/calls", {"phone_line": "+441400800008", "phone_number": "", "type": "missed"})
            await in_patience(failed(api, webhook_id), "the first attempt to fail")
            said = Hookline.beside(server)("doctor", "--json")
            assert said.code == 0
            assert graded(said, "webhooks") == ["warning"]
            assert f"Every attempt at webhook {webhook_id} has failed since" in sentences(said, "warning")
            assert "1 is owed." in sentences(said, "ok")

    asyncio.run(scenario())


async def failed(api: Api, webhook_id: int) -> None:
    """Return when the latest attempt at the webhook is known to have failed."""
    while (await webhook(api, webhook_id))["failingSince"] is None:
        pass


async def settled(api: Api, webhook_id: int) -> None:
    """Return when the webhook is disabled."""
    while (await webhook(api, webhook_id))["isActive"]:
        pass


async def webhook(api: Api, webhook_id: int) -> dict[str, Any]:
    """What the API says of it."""
    told: dict[str, Any] = await api.get(f"/v3/webhooks/{webhook_id}")
    return told


def test_something_else_that_answers_is_not_taken_for_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Subscriber.running(lambda _: replying(200)) as stranger:
            hookline = Hookline(tmp_path, HOOKLINE_LISTEN=stranger.url.removeprefix("http://"))
            said = await asyncio.to_thread(hookline, "doctor", "--json")
            assert graded(said, "server") != ["ok"]
            assert "HOOKLINE_LISTEN" in sentences(said, "warning") + sentences(said, "problem")

    asyncio.run(scenario())
