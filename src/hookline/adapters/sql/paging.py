"""Lists in pages: conditions that are put together, and the cursor to go on from."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from hookline.adapters.sql.session import Row, micros
from hookline.ports.storage import READ_BYTES, Page

T = TypeVar("T")


class Where:
    """Conditions joined by AND, with their parameters. Conditions are SQL of ours; values never become SQL."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.parameters: dict[str, Any] = {}

    @property
    def sql(self) -> str:
        """The whole condition."""
        return " AND ".join(self._conditions) or "1 = 1"

    def add(self, condition: str, **parameters: Any) -> None:
        """One more condition."""
        self._conditions.append(condition)
        self.parameters.update(parameters)

    def equals(self, column: str, name: str, value: Any) -> None:
        """The column has this value; None asks for nothing."""
        if value is not None:
            self.add(f"{column} = :{name}", **{name: value})

    def before(self, column: str, cursor: str | None) -> None:
        """Go on behind `cursor` in descending order."""
        if cursor is not None:
            self.add(f"{column} < :cursor", cursor=cursor)

    def after(self, column: str, cursor: str | None) -> None:
        """Go on behind `cursor` in ascending order."""
        if cursor is not None:
            self.add(f"{column} > :cursor", cursor=cursor)

    def between(self, column: str, from_at: datetime | None, to_at: datetime | None) -> None:
        """The instant is in [from_at, to_at)."""
        if from_at is not None:
            self.add(f"{column} >= :from_at", from_at=micros(from_at))
        if to_at is not None:
            self.add(f"{column} < :to_at", to_at=micros(to_at))


def page_of(rows: Sequence[Row], limit: int, make: Callable[[Row], T], size: Callable[[T], int]) -> Page[T]:
    """A page of at most `limit` of `rows`, of which one more was asked for. The first column is the cursor.

    `make` may read more of its row; it is not called for rows behind the one with which the page comes to `READ_BYTES`.
    """
    items = list(until_full(map(make, rows[:limit]), size))
    is_end = not items or len(items) == len(rows)
    return Page(items=items, next_cursor=None if is_end else str(rows[len(items) - 1][0]))


def until_full(items: Iterable[T], size: Callable[[T], int]) -> Iterable[T]:
    """These, up to the one with which their sizes in bytes come to `READ_BYTES`."""
    total = 0
    for item in items:
        yield item
        total += size(item)
        if total >= READ_BYTES:
            return
