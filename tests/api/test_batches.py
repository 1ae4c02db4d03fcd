"""Large batches through the door: accepted as a whole, applied in slices, answered when all is applied."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from hookline.engine import staged_reports
from hookline.errors import Unavailable
from hookline.ports.storage import Transaction
from hookline.services import report_batches
from tests.api.door import CALL, MEETING, WEBHOOK, Door

COUNT: Final = 400
CALLS: Final = {"calls": [{**CALL, "phone_line_name": f"No. {number}"} for number in range(COUNT)]}
MEETINGS: Final = {"meetings": [{**MEETING, "meeting_name": f"No. {number}"} for number in range(COUNT)]}
BATCHES: Final = {"/v3/calls/batch": CALLS, "/v3/meetings/batch": MEETINGS}
KEY: Final = {"Idempotency-Key": "order-4711"}


@pytest.fixture(params=BATCHES)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
    """What happens instead of the next slices, the first of them first."""
    instead: list[Callable[[], None]] = []
    apply_slice = report_batches.apply_slice

    def apply(tx: Transaction, batch_id: str) -> bool:
        if instead:
            instead.pop(0)()
        return apply_slice(tx, batch_id)

    monkeypatch.setattr(report_batches, "apply_slice", apply)
    yield instead
    assert not instead


def go_on() -> None:
    """A slice as usual."""


def fail() -> None:
    raise Unavailable("The disk is full.")


def subjects(door: Door) -> list[str]:
    """What the feed tells of, in order."""
    found: list[str] = []
    page = door.get("/v3/events?limit=100")
    while True:
        found += [event["subject"] for event in page["events"]]
        if page["next"] is None:
            return found
        page = door.get(f"/v3/events?limit=100&cursor={page['next']}")


def test_when_a_large_batch_is_answered_all_of_it_is_there(door: Door, path: str) -> None:
    door.post("/v3/webhooks", WEBHOOK)
    ids = door.post(path, BATCHES[path])["ids"]
    assert subjects(door) == ids
    assert len(set(ids)) == COUNT
    what = path.split("/")[2]
    assert door.get(f"{path.removesuffix('/batch')}/{ids[-1]}")[what.removesuffix("s")] == BATCHES[path][what][-1]


def test_a_large_batch_that_is_asked_for_twice_is_there_once(door: Door, path: str) -> None:
    first = door.ask("POST", path, BATCHES[path], headers=KEY)
    again = door.ask("POST", path, BATCHES[path], headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert subjects(door) == first.json()["ids"]


def test_who_asks_again_while_a_batch_is_being_applied_gets_the_same_answer_when_it_is(door: Door, path: str) -> None:
    async def both() -> list[Any]:
        requests = [
            door._client.post(path, json=BATCHES[path], headers={"api-key": door.keys["admin"], **KEY})
            for _ in range(2)
        ]
        return await asyncio.gather(*requests)

    first, second = door.run(both())
    assert (first.status_code, first.content) == (second.status_code, second.content) == (201, first.content)
    assert subjects(door) == first.json()["ids"]


def test_other_commits_get_in_between_the_slices_of_a_batch(door: Door) -> None:
    for number in range(10):
        door.post("/v3/webhooks", {**WEBHOOK, "url": f"{WEBHOOK['url']}{number}"})

    async def batch_and_calls() -> tuple[Any, list[str]]:
        headers = {"api-key": door.keys["admin"]}
        batch = asyncio.ensure_future(door._client.post("/v3/calls/batch", json=CALLS, headers=headers))
        others = []
        while not batch.done():
            others.append((await door._client.post("/v3/calls", json=CALL, headers=headers)).json()["id"])
        return (await batch).json()["ids"], others

    ids, others = door.run(batch_and_calls())
    places = [ids.index(each) if each in ids else None for each in subjects(door)]
    first, last = places.index(0), places.index(COUNT - 1)
    assert any(place is None for place in places[first:last])
    assert len(others) + COUNT == len(places)


@pytest.mark.parametrize("instead", [[fail], [go_on, fail]], ids=["before the first slice", "after the first slice"])
def test_a_batch_that_was_accepted_is_answered_so_when_the_store_fails_and_is_applied_later(
    door: Door, path: str, slices: list[Callable[[], None]], instead: list[Callable[[], None]]
) -> None:
    for number in range(3):
        door.post("/v3/webhooks", {**WEBHOOK, "url": f"{WEBHOOK['url']}{number}"})
    slices += instead
    answer = door.ask("POST", path, BATCHES[path], headers=KEY)
    assert answer.status_code == 201
    assert len(subjects(door)) < COUNT
    assert door.post(path, BATCHES[path], headers=KEY) == answer.json()  # whoever asks applies what is left
    assert subjects(door) == answer.json()["ids"]


def test_the_engine_applies_what_was_left(
    door: Door, path: str, slices: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_reports, "LEFT_FOR", timedelta())
    slices.append(fail)
    ids = door.post(path, BATCHES[path])["ids"]
    what = path.removesuffix("/batch")
    door.run(_until_found(door, f"{what}/{ids[-1]}"))
    assert subjects(door) == ids


async def _until_found(door: Door, path: str) -> None:
    while (await door._client.get(path, headers={"api-key": door.keys["admin"]})).status_code == 404:
        pass


def test_who_is_in_a_batch_that_is_still_to_be_applied_is_erased_from_it_too(
    door: Door, slices: list[Callable[[], None]]
) -> None:
    slices.append(fail)
    ids = door.post("/v3/meetings/batch", MEETINGS)["ids"]
    assert door.ask("DELETE", "/v3/participants/bo@example.com").json()["meetings"] == COUNT
    assert subjects(door) == ids
    assert door.get("/v3/meetings?participant=bo@example.com")["meetings"] == []
