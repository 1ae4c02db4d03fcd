"""Asking a server: the API's client of the command line, on the standard library alone."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_TIMEOUT_SECONDS: Final = 30


class NoServer(Exception):
    """Nobody answers there. Its text is a sentence."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said."""

    status: int
    value: Any

    @property
    def is_fine(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < http.client.BAD_REQUEST

    @property
    def message(self) -> str:
        """The sentence of a refusal."""
        known = isinstance(self.value, dict) and "message" in self.value
        return str(self.value["message"]) if known else f"The server answered {self.status}."


def ask(base_url: str, key: str | None, method: str, path: str, body: Any = None) -> Told:
    """One request to the server at `base_url`.

    Raises:
        NoServer: it cannot be reached, or speaks no JSON.
    """
    parts = urlsplit(base_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    headers = {"Content-Type": "application/json", **({"api-key": key} if key else {})}
    try:
        connection.request(method, parts.path + path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return Told(answer.status, json.loads(text) if text else None)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise NoServer(f"No server answers at {base_url}: {problem}.") from None
    finally:
        connection.close()
