"""A group: the functions that share one commit, and what became of each. How a commit is made: the dialects' files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hookline.adapters.sql.session import ROWS_PER_GROUP
from hookline.adapters.sql.transaction import SqlTransaction
from hookline.domain.ids import WebhookId


def nobody_has_room(_: WebhookId) -> int:
    """The room of a store that nobody listens to: nothing is born claimed."""
    return 0


def every_body_fits(webhook_id: WebhookId, size: int, for_it: int, in_all: int) -> bool:
    """`Listener.has_room_for` of a store without a listener: it bounds no bytes."""
    del webhook_id, size, for_it, in_all
    return True


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

    def value(self) -> Any:
        """What the function returned; what it raised is raised again."""
        if self.error is not None:
            raise self.error
        return self.result


class Parts(Protocol):
    """A session whose transaction has a part for each function."""

    def begin_part(self) -> None:
        """Begin the part of one function."""

    def end_part(self) -> None:
        """Keep what this part did."""

    def undo_part(self) -> None:
        """As if this part had not been."""

    @property
    def inserted(self) -> int:
        """Rows inserted since the transaction began."""


def run_parts(
    calls: Sequence[Call], parts: Parts, tx: SqlTransaction, breaks_group: Callable[[Exception], bool]
) -> list[Answered]:
    """Run functions of a group, the first ones, until the commit has `ROWS_PER_GROUP` rows; see `run_part`.

    Returns the answers of those that were run.
    """
    answers: list[Answered] = []
    for call in calls:
        answers.append(run_part(call, parts, tx, breaks_group))
        if parts.inserted >= ROWS_PER_GROUP:
            break
    return answers


def run_part(call: Call, parts: Parts, tx: SqlTransaction, breaks_group: Callable[[Exception], bool]) -> Answered:
    """Run one function of a group. What it raises undoes its part, unless it `breaks_group`: that is raised again."""
    parts.begin_part()
    try:
        result = call.function(tx, *call.args, **call.kwargs)
        parts.end_part()
    except Exception as refusal:
        if breaks_group(refusal):
            raise
        parts.undo_part()
        tx.forget_held()
        return Answered(error=refusal)
    return Answered(result=result)
