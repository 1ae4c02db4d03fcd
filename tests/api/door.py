"""What the tests of the door share: a whole server in this process, and a client of it that is made of plain functions.

Every answer is held against the description of the API: a status or a body that `/openapi.json` does not promise fails
the test that met it.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from hookline.api.site import Site
from hookline.bootstrap import server, storage
from hookline.domain.keys import Scope
from hookline.services.keys import create_key
from hookline.settings import Settings, load_settings
from tests.api.description import check_answer
from tests.fakes import Subscriber, replying
from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")

ADMIN: Final = "admin-key-of-the-tests"
LISTS: Final = ("meetings", "calls", "events", "deliveries", "webhooks", "processes")

MEETING: Final[dict[str, Any]] = {
    "account_email": "anna@example.com",
    "currency": "EUR",
    "event_participants": [{"EMAIL": "bo@example.com", "FIRSTNAME": "Bo", "LASTNAME": ""}],
    "meeting_address": "",
    "meeting_end_timestamp": "2031-05-06T10:30:00.000Z",
    "meeting_location": "https://meet.example/anna",
    "meeting_name": "First talk",
    "meeting_notes": "",
    "meeting_start_timestamp": "2031-05-06T10:00:00.000Z",
    "price": 49.9,
    "questions_and_answers": [{"answer": "Coffee, tea", "question": "To drink?"}],
}
CALL: Final[dict[str, Any]] = {
    "account_name": {"family_name": "Doe", "given_name": "Anna"},
    "duration_seconds": 61,
    "is_forwarded": False,
    "phone_line": "+441400800008",
    "phone_line_name": "Front desk",
    "phone_number": "+14002007868",
    "recording": False,
    "type": "answered",
}
#: Nobody listens there.
NOWHERE: Final = "http://127.0.0.1:9/hook"
WEBHOOK: Final[dict[str, Any]] = {"url": NOWHERE, "events": ["meetingBooked", "callFinished"]}


def settings_for(folder: Path, **environment: str) -> Settings:
    """Settings of a server whose database is in `folder`."""
    return load_settings(environment_for(folder) | environment)


def environment_for(folder: Path) -> dict[str, str]:
    """The environment of a server whose database is in `folder`."""
    return {
        "HOOKLINE_DATABASE": f"sqlite:///{folder}/hookline.db",
        "HOOKLINE_API_KEY": ADMIN,
        "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8",
    }


class Door:
    """A running server, and those who ask it.

    The server's loops turn while a request is under way or `run` is running, and stand still in between.
    """

    def __init__(self, runner: asyncio.Runner, site: Site, settings: Settings, keys: dict[str, str]) -> None:
        self._runner = runner
        self.site = site
        self.settings = settings
        self.keys = keys  # scope -> key
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(site, client=("203.0.113.9", 1024)), base_url="http://hookline.example"
        )

    @property
    def file(self) -> Path:
        """The file of a server on SQLite."""
        assert isinstance(self.settings.database, Path)
        return self.settings.database

    def run(self, awaitable: Awaitable[T]) -> T:
        """Let the server's loop turn until this is done. A hanging test is a failed test."""

        async def in_patience() -> T:
            return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)  # noqa: TID251  real time, for what hangs

        return self._runner.run(in_patience())

    def ask(
        self, method: str, path: str, body: Any = None, *, scope: str = "admin", headers: Any = None, **more: Any
    ) -> httpx.Response:
        """Make one request with the key of `scope` (none for `""`). A body that is no bytes is sent as JSON."""
        given = {"api-key": self.keys[scope]} if scope else {}
        if body is not None:
            more |= {"content": body} if not isinstance(body, dict | list) else {"json": body}
        answer = self.run(self._client.request(method, path, headers={**given, **(headers or {})}, **more))
        check_answer(answer)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        """What is there."""
        answer = self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """What came of it."""
        answer = self.ask("POST", path, body, **more)
        assert answer.status_code in {200, 201, 202}, answer.text
        return answer.json()

    def kept(self) -> dict[str, Any]:
        """Everything that can be listed; of what goes on meanwhile, deliveries and processes, the ids alone, and of
        webhooks not whether they fail.
        """
        found = {name: self.get(f"/v3/{name}")[name] for name in LISTS}
        ids = {name: [each["id"] for each in found[name]] for name in ("deliveries", "processes")}
        return found | ids | {"webhooks": [{**webhook, "failingSince": None} for webhook in found["webhooks"]]}

    def settled(self, delivery_id: str) -> Any:
        """The delivery, once nothing more will happen to it."""
        return self.once(f"/v3/deliveries/{delivery_id}", lambda it: it["status"] not in {"pending", "sending"})

    def once(self, path: str, fact: Callable[[Any], bool]) -> Any:
        """What is there, as soon as `fact` is true of it."""

        async def become_so() -> None:
            while not fact((await self._client.get(path, headers={"api-key": ADMIN})).json()):
                pass

        self.run(become_so())
        return self.get(path)

    @contextmanager
    def subscriber(self, status: int = 200, *headers: str) -> Iterator[Subscriber]:
        """A receiver on the server's loop that answers everything with `status`."""
        stack = AsyncExitStack()
        yield self.run(stack.enter_async_context(Subscriber.running(lambda _: replying(status, *headers))))
        self.run(stack.aclose())

    async def close(self) -> None:
        """Ask nothing more."""
        await self._client.aclose()


@contextmanager
def open_door(folder: Path, **environment: str) -> Iterator[Door]:
    """A server of its own, with a key of every scope, until the block ends."""
    settings = settings_for(folder, **environment)
    with storage.open_store(settings) as store:
        keys = {scope.value: store.write(create_key, scope.value, scope) for scope in Scope}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        site, _ = runner.run(stack.enter_async_context(server.running(settings)))
        door = Door(runner, site, settings, keys | {"admin": ADMIN})
        try:
            yield door
        finally:
            runner.run(door.close())
            runner.run(stack.aclose())


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[str]:
    """A server in a process of its own, until the block ends. Gives its URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    mine = {**inherited, **environment_for(folder), "HOOKLINE_LISTEN": "127.0.0.1:0", **environment}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hookline", "serve"], env=mine, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        try:
            assert process.stdout is not None
            told = re.search(r"http://\S+\d", process.stdout.readline())
            assert told, (folder / "server.log").read_text()
            yield told[0]
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)
