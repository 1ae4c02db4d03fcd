"""Asking a server: the command line's client of the API, on the standard library alone."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import typer

from hookline.cli.failed import Failed
from hookline.settings import Settings

_TIMEOUT_SECONDS: Final = 30


class NoServer(Failed):
    """No Hookline answers there."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said."""

    status: int
    value: Any

    @property
    def is_fine(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < http.client.BAD_REQUEST

    def fine(self) -> Any:
        """The value of an answer.

        Raises:
            Failed: it is a refusal.
        """
        if self.is_fine:
            return self.value
        told = self.value if isinstance(self.value, dict) else {}
        message = told.get("message") or f"The server answered {self.status}."
        raise Failed(str(message), hint=str(told.get("hint", "")))


def admin_key(given: str | None, settings: Settings) -> str:
    """The key to ask with: the one that was given, else that of the settings.

    Raises:
        Failed: there is none.
    """
    key = given or settings.api_key
    if key is None:
        raise Failed(
            "An admin key is needed.",
            hint="Set HOOKLINE_API_KEY or give --api-key; `hookline keys create --name N --scope admin` makes one.",
        )
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("expected visible ASCII characters.", param_hint="--api-key")
    return key


def ask(
    base_url: str,
    key: str | None,
    method: str,
    path: str,
    body: Any = None,
    *,
    timeout_seconds: float = _TIMEOUT_SECONDS,
    idempotency_key: str | None = None,
) -> Told:
    """One request to the server at `base_url`.

    Raises:
        NoServer: nobody answers there, or somebody who speaks no JSON.
    """
    where = urlsplit(base_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout_seconds)
    headers = {"Content-Type": "application/json", **({"api-key": key} if key else {})}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise NoServer(
            f"No server answers at {base_url}: {reason}.",
            hint="Start it with `hookline serve`, or see HOOKLINE_LISTEN.",
        ) from None
    finally:
        connection.close()
    try:
        return Told(answer.status, json.loads(text) if text else None)
    except ValueError:
        raise NoServer(
            f"Something answers at {base_url}, and it is no Hookline: {answer.status}, not in JSON.",
            hint="Look at HOOKLINE_LISTEN.",
        ) from None
