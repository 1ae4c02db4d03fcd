"""The real thing: `hookline serve` in a process of its own, that can be asked, stopped and killed."""

import asyncio
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from tests.fakes import Subscriber
from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")

API_KEY: Final = "the-acceptance-key"
#: Ports below those that Linux gives to outgoing connections: nobody takes ours while the server is down.
_PORTS: Final = range(20_000, 32_000)
#: How long to leave a server alone that is there and could not answer.
_BREATHER_SECONDS: Final = 0.05


class Broken(AssertionError):
    """The server did what it must never do."""


async def in_patience(awaited: Awaitable[T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """What `awaited` comes to. A hanging test is a failed test."""
    try:
        return await asyncio.wait_for(awaited, seconds)  # noqa: TID251  real time, for what hangs
    except TimeoutError:
        raise Broken(f"Waited {seconds:g} s in vain for {what}.") from None


async def real_seconds(seconds: float) -> None:
    """Let real time pass: for load that arrives over time, never to wait for something."""
    await asyncio.sleep(seconds)  # noqa: TID251  processes live in real time


async def keep_acting(
    act: Callable[[], Awaitable[None]], dice: random.Random, *, longest_pause_seconds: float, ending: asyncio.Event
) -> None:
    """Act, and act again after a pause, until it is the end."""
    while not ending.is_set():
        await act()
        await real_seconds(dice.uniform(0, longest_pause_seconds))


def raise_what_failed(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Whoever failed ends the run."""
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            task.result()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    body: bytes
    retry_after: str | None = None

    @property
    def value(self) -> Any:
        """The body as JSON's own kinds of value; None when there is none."""
        return msgspec.json.decode(self.body) if self.body else None

    def of(self, status: int) -> Any:
        """The value of an answer that has to have this status."""
        self.require(status)
        return self.value

    def require(self, status: int) -> None:
        """Raise `Broken` if the answer has another status. The body is not read."""
        if self.status != status:
            raise Broken(f"Expected {status}, got {self.status}: {self.body[:300]!r}")


class Server:
    """One installation: a folder and a port. It lives as often as it is started."""

    #: The module that is run.
    program = "hookline"

    def __init__(self, folder: Path, **settings: str) -> None:
        """`settings` go on top of those that every server here has."""
        self.lives = 0
        self.folder = folder
        self.database = folder / "hookline.db"
        self.log = folder / "server.log"
        self.up = asyncio.Event()
        self.port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")},
            "HOOKLINE_DATABASE": f"sqlite:///{self.database}",
            "HOOKLINE_LISTEN": f"127.0.0.1:{self.port}",
            "HOOKLINE_API_KEY": API_KEY,
            "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8",
            **settings,
        }

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, **settings: str) -> AsyncIterator["Server"]:
        """One that is up, and gone when the block ends."""
        server = cls(folder, **settings)
        try:
            await server.start()
            await server.ready()
            yield server
        finally:
            await server.kill()

    async def start(self) -> None:
        """Start the process. It is not up yet."""
        self.lives += 1
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.program, "serve"),
                cwd=self.folder,
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    async def ready(self) -> None:
        """Return when it says that it listens."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = await in_patience(self._process.stdout.readline(), "the server to listen")
        if b"listens on" not in line:
            code = await self._process.wait()
            raise Broken(f"The server did not start: {line!r}, exit code {code}\n{self.end_of_log()}")
        self.up.set()

    async def kill(self) -> None:
        """`kill -9`, unless it is gone already. Nothing of it is left when this returns."""
        self.up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def stop(self) -> int:
        """SIGTERM, and the code with which it exits."""
        self.tell_to_stop()
        return await self.gone()

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        self.up.clear()
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: it does nothing, and does not know."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def make_key(self, scope: str) -> str:
        """A new API key of this scope."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hookline", "keys", "create", "--name", scope, "--scope", scope),
            cwd=self.folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
        )
        key, _ = await in_patience(process.communicate(), "a key")
        return key.decode().strip()

    async def stopping(self) -> None:
        """Return when it says that it begins nothing new."""
        assert self._process is not None
        assert self._process.stdout is not None
        while b"Stopping" not in await self._process.stdout.readline():
            continue

    async def gone(self) -> int:
        """Return the exit code once the process is gone."""
        assert self._process is not None
        await in_patience(self._process.communicate(), "the server to exit")
        assert self._process.returncode is not None
        return self._process.returncode

    @property
    def died(self) -> bool:
        """Whether the process ended although nobody ended it."""
        return self.up.is_set() and (self._process is None or self._process.returncode is not None)

    @property
    def resident_mb(self) -> float:
        """Memory that the process holds just now, in MB of 1,000,000 bytes."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def open_files(self) -> int:
        """How many files and connections the process has open just now."""
        assert self._process is not None
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def limit_open_files(self, soft: int, hard: int | None = None) -> tuple[int, int]:
        """Let the process open so many files from now on. Returns the limits before."""
        assert self._process is not None
        before = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (soft, before[1] if hard is None else hard))
        return before

    def end_of_log(self) -> str:
        """The last that it logged."""
        return self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Api:
    """Asks a server over HTTP, as its users do."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self.asked = asyncio.Event()  # set by every request
        self.repeats = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, server: Server) -> AsyncIterator["Api"]:
        """With connections of its own until the block ends."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers={"api-key": API_KEY}) as session:
            yield cls(server, session)

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Ask until there is an answer, however often the server dies meanwhile.

        A POST that may have to be repeated needs an idempotency `key`; without one it is asked once only.
        """
        while True:
            server = await self._one_that_is_up()
            try:
                answer = await self._once(server, method, path, body, key)
            except (aiohttp.ClientError, ConnectionError) as problem:
                if server.died:
                    raise Broken(f"The server died by itself.\n{server.end_of_log()}") from problem
                if method == "POST" and key is None:
                    raise
                await real_seconds(_BREATHER_SECONDS if server.up.is_set() else 0)
            else:
                if answer.status != 503:
                    return answer
                await real_seconds(_BREATHER_SECONDS)
            self.repeats += 1

    async def ask_once(self, method: str, path: str, body: Any = None) -> Answer:
        """What the server says just now, whatever it is."""
        return await self._once(self._server, method, path, body, None)

    async def get(self, path: str) -> Any:
        """What is there."""
        return (await self.ask("GET", path)).of(200)

    async def post(self, path: str, body: Any, *, status: int = 201) -> Any:
        """What a POST that is asked once is answered."""
        return (await self.ask("POST", path, body)).of(status)

    async def subscribe(self, subscriber: Subscriber, path: str = "/hook", **settings: Any) -> int:
        """Make a webhook of a subscriber, which then trusts its secret. Returns its id."""
        body = {"url": subscriber.url + path, "events": ["callFinished"], **settings}
        made = (await self.ask("POST", "/v3/webhooks", body, key=f"subscribe {subscriber.url}{path}")).of(201)
        subscriber.trust(made["secret"])
        return int(made["id"])

    async def _one_that_is_up(self) -> Server:
        """Whom to ask next."""
        await in_patience(self._server.up.wait(), "the server to be up again")
        return self._server

    async def _once(self, server: Server, method: str, path: str, body: Any, key: str | None) -> Answer:
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        url = f"http://127.0.0.1:{server.port}{path}"
        content = None if body is None else msgspec.json.encode(body)
        self.asked.set()
        async with self._session.request(method, url, data=content, headers=headers) as response:
            return Answer(response.status, await response.read(), response.headers.get("retry-after"))


def _free_port() -> int:
    while True:
        port = next(_candidates)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


#: Each process of ours tries them in an order of its own, and none twice.
_candidates = iter(random.Random(os.getpid()).sample(_PORTS, len(_PORTS)))
