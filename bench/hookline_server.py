"""The server that is measured: a real `hookline serve` on a database of its own, spoken to over HTTP alone."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any, Final, Self

from bench import processes
from bench.bodies import encoded
from bench.processes import MeasurementFailed, Receiver, wait_until

KEY: Final = "the-key-of-the-bench-0123456789"


class Server:
    """One running server."""

    def __init__(self, session: int, port: int) -> None:
        self.session = session
        self.port = port

    @classmethod
    @contextlib.contextmanager
    def started(cls, database: str) -> Iterator[Self]:
        """A server on the database at this URL, for as long as the block lasts."""
        port = processes.free_port()
        settings = {
            "HOOKLINE_DATABASE": database,
            "HOOKLINE_LISTEN": f"127.0.0.1:{port}",
            "HOOKLINE_API_KEY": KEY,
            "HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        with processes.running(processes.python("-m", "hookline", "serve"), settings) as process:
            wait_until(lambda: processes.answers(port), "the server", limit_seconds=20)
            server = cls(process.pid, port)
            wait_until(lambda: server.ask("GET", "/readyz")[0] == http.client.OK, "its readiness", limit_seconds=20)
            yield server

    def add_webhooks(self, receiver: Receiver, *, count: int, event: str) -> None:
        """Have `event` sent to the receiver `count` times over."""
        for number in range(count):
            self.create("/v3/webhooks", {"url": f"{receiver.url}/hook/{number}", "events": [event]})

    def create(self, path: str, value: object) -> Any:
        """POST something that is to be made.

        Raises:
            MeasurementFailed: it was refused.
        """
        status, answer = self.ask("POST", path, encoded(value))
        if status != http.client.CREATED:
            raise MeasurementFailed(f"POST {path} was answered {status}: {answer.decode()}")
        return json.loads(answer)

    def wait_until_settled(self) -> None:
        """Return when the outcome of every delivery is recorded."""
        wait_until(lambda: not (self._has("sending") or self._has("pending")), "the last outcome to be recorded")

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request and its answer: status and body."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request(method, path, body, {"api-key": KEY, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _has(self, status: str) -> bool:
        code, answer = self.ask("GET", f"/v3/deliveries?status={status}&limit=1")
        if code != http.client.OK:
            raise MeasurementFailed(f"The deliveries could not be read ({code}): {answer.decode()}")
        return bool(json.loads(answer)["deliveries"])
