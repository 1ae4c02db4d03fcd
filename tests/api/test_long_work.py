"""Large bodies are checked beside the event loop, and lists of meetings have bounds."""

import asyncio
import sys
import threading
from typing import Any

import pytest

from hookline.api.long_work import SHORT_BODY, LongWork
from hookline.domain.events import MAX_ANSWERS, MAX_PARTICIPANTS
from tests.api.door import MEETING, Door
from tests.patience import PATIENCE_SECONDS

LARGE = b"x" * (SHORT_BODY + 1)


def test_the_event_loop_goes_on_while_a_large_body_is_checked() -> None:
    let_go = threading.Event()

    async def scenario() -> str:
        checking = asyncio.ensure_future(LongWork().check(LARGE, lambda: let_go.wait(PATIENCE_SECONDS)))
        asyncio.get_running_loop().call_soon(let_go.set)  # only a loop that goes on does so
        assert await checking
        return "checked"

    assert asyncio.run(scenario()) == "checked"


def test_one_large_body_is_checked_at_a_time() -> None:
    under_way, most = 0, 0
    lock = threading.Lock()

    def check() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        with lock:
            under_way -= 1

    async def scenario() -> None:
        work = LongWork()
        await asyncio.gather(*(work.check(LARGE, check) for _ in range(50)))

    asyncio.run(scenario())
    assert most == 1


def test_a_short_body_is_checked_at_once_in_the_thread_of_the_loop() -> None:
    async def scenario() -> None:
        here = threading.current_thread()
        assert await LongWork().check(b"x" * SHORT_BODY, threading.current_thread) is here
        assert await LongWork().check(LARGE, threading.current_thread) is not here

    asyncio.run(scenario())


def test_the_interpreter_hands_over_more_often_while_a_large_body_is_checked_and_as_usual_afterwards() -> None:
    usual = sys.getswitchinterval()

    def fail() -> None:
        assert sys.getswitchinterval() < usual
        raise ValueError("refused")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="refused"):
            await LongWork().check(LARGE, fail)

    asyncio.run(scenario())
    assert sys.getswitchinterval() == usual


PARTICIPANT = {"EMAIL": "a@b.example"}
ANSWER = {"answer": "tea", "question": "To drink?"}


@pytest.mark.parametrize("count", [MAX_PARTICIPANTS, 25_000])
@pytest.mark.parametrize(
    ("attribute", "most", "item"),
    [
        ("event_participants", MAX_PARTICIPANTS, {"EMAIL": "a@b.example"}),
        ("questions_and_answers", MAX_ANSWERS, ANSWER),
    ],
)
def test_the_lists_of_a_meeting_have_a_bound(
    sqlite_door: Door, attribute: str, most: int, item: dict[str, str], count: int
) -> None:
    meeting: dict[str, Any] = {**MEETING, attribute: [item] * count}
    id_ = sqlite_door.post("/v3/meetings", MEETING)["id"]
    made = sqlite_door.ask("POST", "/v3/meetings", json=meeting)
    edited = sqlite_door.ask("PUT", f"/v3/meetings/{id_}", json={attribute: [item] * count})
    if count <= most:
        assert (made.status_code, edited.status_code) == (201, 204)
    else:
        said = f"expected at most {most} items, got {count}."
        for answer in (made, edited):
            assert answer.status_code == 400
            assert (answer.json()["code"], answer.json()["fields"]) == (
                "out_of_range",
                [{"field": attribute, "message": said}],
            )
