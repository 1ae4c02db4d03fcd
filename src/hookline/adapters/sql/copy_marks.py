"""The marks that a copy leaves in both databases: from here everything was taken away, and here it arrives.

While a copy is under way neither of the two may be served, and afterwards only the second one: else the same deliveries
would be sent from both. Both marks of a copy have its id, so that a copy that was cut short finds its other half.
The table is there only in a database that was ever copied.
"""

from dataclasses import dataclass
from typing import Final, Literal

from hookline.adapters.sql.session import Row, instant
from hookline.domain.instants import spoken
from hookline.errors import Unavailable

#: What to do when a copy could not go on.
GO_ON: Final = "Call the same command again: a copy that has begun goes on where it ended."

Direction = Literal["away", "here"]

MAKE: Final = """
    CREATE TABLE IF NOT EXISTS moving (
        direction TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        other TEXT NOT NULL,
        begun_at BIGINT NOT NULL,
        is_complete SMALLINT NOT NULL
    )
"""
READ: Final = "SELECT direction, id, other, begun_at, is_complete FROM moving"
SET: Final = """
    INSERT INTO moving (direction, id, other, begun_at, is_complete) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (direction) DO UPDATE SET
        id = excluded.id, other = excluded.other, begun_at = excluded.begun_at, is_complete = excluded.is_complete
"""
COMPLETE: Final = "UPDATE moving SET is_complete = 1 WHERE direction = ?"
TAKE_AWAY: Final = "DELETE FROM moving WHERE direction = 'away'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One half of a copy."""

    id: str
    other: str  # the other database, as people may see it
    begun_at: int
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a database tells of copies."""

    away: Mark | None = None
    here: Mark | None = None

    @classmethod
    def of(cls, rows: list[Row]) -> "Marks":
        """From the rows of the table."""
        found = {
            direction: Mark(id=id_, other=other, begun_at=begun_at, is_complete=bool(is_complete))
            for direction, id_, other, begun_at, is_complete in rows
        }
        return cls(away=found.get("away"), here=found.get("here"))

    def refusal(self, name: str) -> Unavailable | None:
        """Why the database `name` may not be served; None when it may."""
        if self.here is not None and not self.here.is_complete:
            return Unavailable(
                f"The copy of {self.here.other} into {name} is not complete.",
                hint="Call the same `hookline copy` again: it goes on where it ended. Or use another, empty database.",
            )
        if self.away is None:
            return None
        since = spoken(instant(self.away.begun_at))
        if self.away.is_complete:
            return Unavailable(
                f"What was in {name} was moved to {self.away.other} on {since}.",
                hint=f"Serve that one. To use this one again, as it was then, and the other never again: {_UNDO}.",
            )
        return Unavailable(
            f"A copy of {name} to {self.away.other} has begun on {since}, and is not complete.",
            hint=f"Call the same `hookline copy` again: it goes on where it ended. Or give it up: {_UNDO}.",
        )


_UNDO: Final = "`hookline copy --from ... --undo`"
