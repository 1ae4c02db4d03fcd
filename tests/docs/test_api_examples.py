"""Every example of docs/reference/api.md is asked of a running server, in the order of the page, removals last."""

import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from hookline.api.app import ROUTES
from tests.api.door import Door, open_door
from tests.docs import pages
from tests.fakes import RawReceiver, Received, Subscriber, Visit, replying

RECEIVER: Final = "https://you.example/hookline"
ANSWER: Final = b"HTTP/1.1 204 No Content\r\nServer: you\r\n\r\n"
#: What differs from one run to the next: names for things, instants, durations.
_NAME: Final = re.compile(r"(?:evt|mtg|call|dlv|usr|line|con)_[0-9a-z]{26}(?:_\d+)?|whsec_[0-9A-Za-z+/=]+")
#: The address of a connector holds a token of its own.
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+/in/3cx/[\w-]{43}")
_INSTANT: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SPOKEN: Final = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")


@dataclass(frozen=True, slots=True)
class Example:
    """One request of the page, and what the page says comes back."""

    method: str
    path: str
    body: str
    status: int
    answer: Any


def examples() -> Iterator[Example]:
    blocks = pages.blocks(pages.page("reference/api.md"))
    for number, block in enumerate(blocks):
        if block.kind != "http":
            continue
        first, _, body = block.code.partition("\n")
        method, path = first.split(" ")
        if without_body := re.match(r"\s+Answers (\d+) without a body\.", block.after):
            yield Example(method, path, body, int(without_body[1]), None)
        else:
            shown = blocks[number + 1]
            yield Example(method, path, body, int(shown.title), json.loads(shown.code))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_door(tmp_path, HOOKLINE_ALLOW_NETWORKS="127.0.0.0/8") as door:
        yield door


async def accept(visit: Visit) -> None:
    while await visit.request():
        await visit.write(ANSWER)


def test_every_example_gives_what_the_page_says(door: Door) -> None:
    stack = AsyncExitStack()
    receiver = door.run(stack.enter_async_context(RawReceiver.running(accept)))
    names: dict[str, str] = {RECEIVER: f"http://127.0.0.1:{receiver.port}/hookline"}
    try:
        for example in sorted(examples(), key=lambda example: example.method == "DELETE"):
            aside = ("deliveries", "replay", "events")
            if example.method == "DELETE" or any(word in example.path for word in aside):
                settle(door)
            if "processes" in example.path:
                finish(door)
            answer = door.ask(example.method, known(example.path, names), known(example.body, names).encode() or None)
            assert answer.status_code == example.status, f"{example.method} {example.path}: {answer.text}"
            got = answer.json() if answer.content else None
            agree(example.answer, got, names, f"{example.method} {example.path}")
    finally:
        door.run(stack.aclose())


def settle(door: Door) -> None:
    """Let everything that is owed be delivered: the server's loops turn while it is asked."""
    while any(door.get(f"/v3/deliveries?status={status}")["deliveries"] for status in ("pending", "sending")):
        continue


def finish(door: Door) -> None:
    """Let every process come to its end."""
    while any(each["status"] != "completed" for each in door.get("/v3/processes")["processes"]):
        continue


def known(text: str, names: dict[str, str]) -> str:
    """The page's names of things replaced by those of this run."""
    for told, here in names.items():
        text = text.replace(told, here)
    return text


def agree(told: Any, got: Any, names: dict[str, str], where: str) -> None:
    """The same, but for what differs from run to run; names of things are remembered."""
    if isinstance(told, dict):
        assert isinstance(got, dict), where
        assert set(told) == set(got), where
        for key in told:
            agree(told[key], got[key], names, f"{where} {key}")
    elif isinstance(told, list):
        assert isinstance(got, list), where
        assert len(told) == len(got), where
        for index, pair in enumerate(zip(told, got, strict=True)):
            agree(*pair, names, f"{where}[{index}]")
    elif isinstance(told, str) and _NAME.fullmatch(told):
        assert _NAME.fullmatch(got), where
        assert told.split("_")[0] == got.split("_")[0], where
        assert names.setdefault(told, got) == got or told.startswith("whsec_"), where
    elif isinstance(told, str) and _ADDRESS.fullmatch(told):
        assert _ADDRESS.fullmatch(got), where
    elif where.endswith(("At", "_at")):
        assert _INSTANT.fullmatch(got) if told else got is None, where
    elif where.endswith("durationMs"):
        assert isinstance(got, float), where
    elif where.endswith("why"):
        assert _SPOKEN.sub("then", told) == _SPOKEN.sub("then", got), where
    else:
        assert known(told, names) == got if isinstance(told, str) else told == got, where


def test_every_route_has_one_example() -> None:
    asked = [(example.method, example.path.removeprefix("/v3").partition("?")[0]) for example in examples()]
    asked = [
        (method, re.sub(r"(?<=/participants/).+", "{email}", re.sub(r"(?<=/contacts/).+", "{phoneNumber}", path)))
        for method, path in asked
    ]
    shapes = [
        (method, re.sub(r"(?<=/)(?:\d+|(?:evt|mtg|call|dlv|usr|line|con)_[0-9a-z_]+)", "{id}", path))
        for method, path in asked
    ]
    assert len(shapes) == len(ROUTES)
    assert set(shapes) == {(route.method, route.path) for route in ROUTES}


def test_the_paths_beside_the_api_are_there_without_a_key(door: Door) -> None:
    told = pages.table(pages.page("reference/api.md"), "path", "answers")
    assert told
    for path, _ in told:
        answer: httpx.Response = door.ask(*pages.plain(path).split(" "), scope="")
        assert answer.status_code == 200, path


def test_every_header_of_a_request_is_on_its_page_and_no_other(door: Door) -> None:
    def answered(_: Received) -> Any:
        return replying(204)

    stack = AsyncExitStack()
    subscriber = door.run(stack.enter_async_context(Subscriber.running(answered)))
    try:
        hook = door.post("/v3/webhooks", {"url": subscriber.url, "events": ["callFinished"]})
        door.post("/v3/webhooks", {"url": subscriber.url, "events": ["callFinished"], "batched": True})
        for id_ in (1, 2):
            door.post(f"/v3/webhooks/{id_}/test", {"event": "callFinished"})
        door.run(subscriber.until(lambda: len(subscriber.received) == 2))
        settle(door)
    finally:
        door.run(stack.aclose())
    assert hook["id"] == 1
    told = pages.table(pages.section(pages.page("reference/delivery.md"), "Headers"), "header", "value")
    sent = {name.lower() for received in subscriber.received for name, _ in received.headers}
    assert {pages.plain(row[0]).lower() for row in told} == sent - {"host", "content-length"}
