"""A group: the functions that share one commit, and what became of each. How they are run: the dialects' files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hookline.domain.ids import WebhookId


def nobody_has_room(_: WebhookId) -> int:
    """The room of a store that nobody listens to: nothing is born claimed."""
    return 0


@dataclass(frozen=True, slots=True)
class Call:
    """One function that waits for a commit."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(slots=True)
class Answered:
    """What a function returned, or the exception that undid its part of the commit."""

    result: Any = None
    error: BaseException | None = None
