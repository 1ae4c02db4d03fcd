"""What the topics (calendar, phone, outbox, webhooks, keys) ask of a database connection, and how values are kept.

SQL is upper-case, with `:name` parameters, in the words of SQLite; `postgres_sql.py` says which of them PostgreSQL has
others for.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, Protocol

from hookline.domain.deliveries import Claim
from hookline.domain.ids import WebhookId
from hookline.domain.notices import Notice

Row = tuple[Any, ...]
#: Where `Doings` stood: how many claims, owed, timers, processes, intake, how many notices.
Mark = tuple[int, bool, bool, bool, bool, int]
Parameters = Mapping[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def micros_or_none(instant: datetime | None) -> int | None:
    """`micros`, with None for None."""
    return None if instant is None else micros(instant)


def instant(kept: int) -> datetime:
    """The aware UTC instant that was kept as `micros`."""
    return _EPOCH + timedelta(microseconds=kept)


def instant_or_none(kept: int | None) -> datetime | None:
    """`instant`, with None for None."""
    return None if kept is None else instant(kept)


def to_json(value: Any) -> str:
    """JSON as it is kept in text columns."""
    return _ENCODE(value)


@dataclass(slots=True)
class Doings:
    """What the functions of one commit did that others must hear of; cut back when one of them fails."""

    claims: list[Claim] = field(default_factory=list)
    claimed_of: Counter[WebhookId] = field(default_factory=Counter)
    large_bytes_of: Counter[WebhookId] = field(default_factory=Counter)  # of the large bodies among them
    large_bytes: int = 0  # the same, of all webhooks
    webhooks: set[WebhookId] = field(default_factory=set)  # changed, removed or put to rest
    owed: bool = False
    left: bool = False  # something is due for which our listener has no room; it stays when that is undone
    timers: bool = False
    processes: bool = False
    intake: bool = False
    connectors: bool = False  # it stays when that is undone: to look does no harm
    notices: list[Notice] = field(default_factory=list)
    erased: bool = False  # somebody was taken out; it stays when that is undone, which does no harm

    def born_claimed(self, claim: Claim) -> None:
        """A delivery was born with this claim on it."""
        self.claims.append(claim)
        self.claimed_of[claim.webhook.id] += 1
        self.count_bytes(claim.webhook.id, claim.large_bytes)

    def count_bytes(self, webhook_id: WebhookId, large_bytes: int) -> None:
        """A claim with so many bytes of a large body was made (below 0: undone) by this commit."""
        if large_bytes:
            self.large_bytes_of[webhook_id] += large_bytes
            self.large_bytes += large_bytes

    def add(self, more: "Doings") -> None:
        """What another commit did, told together with this one."""
        self.claims += more.claims
        self.claimed_of += more.claimed_of
        self.webhooks |= more.webhooks
        self.owed |= more.owed
        self.left |= more.left
        self.timers |= more.timers
        self.processes |= more.processes
        self.intake |= more.intake
        self.connectors |= more.connectors
        self.notices += more.notices
        self.erased |= more.erased

    def mark(self) -> Mark:
        """Where it stands, to be cut back to."""
        return len(self.claims), self.owed, self.timers, self.processes, self.intake, len(self.notices)

    def cut_back(self, mark: Mark) -> None:
        """Forget what was done since `mark`. Webhooks stay: to look at one that did not change does no harm."""
        count, self.owed, self.timers, self.processes, self.intake, notices = mark
        del self.notices[notices:]
        for claim in self.claims[count:]:
            self.claimed_of[claim.webhook.id] -= 1
            self.count_bytes(claim.webhook.id, -claim.large_bytes)
        del self.claims[count:]


@dataclass(frozen=True, slots=True, eq=False)
class Insert:
    """How rows get into a table; each is equal to itself only. `conflict` is what follows ON CONFLICT, if anything."""

    table: str
    columns: tuple[str, ...]
    conflict: str = ""

    @cache  # noqa: B019  there is one for each table
    def sql(self, count: int) -> str:
        """The statement for `count` rows, with `?` for every value."""
        row = f"({', '.join('?' * len(self.columns))})"
        sql = f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES {', '.join([row] * count)}"
        return f"{sql} ON CONFLICT {self.conflict}" if self.conflict else sql


#: Rows that a commit inserts, about, before it takes no further function: 30 ms of processor time for which all wait.
ROWS_PER_GROUP: Final = 1500


class Session(Protocol):
    """One connection inside one transaction."""

    @property
    def now(self) -> datetime:
        """The instant of the transaction."""

    @property
    def doings(self) -> Doings:
        """What this commit did so far."""

    def token(self) -> int:
        """A draw of 63 bits: the proof of a claim."""

    def rows(self, sql: str, parameters: Parameters = ...) -> Sequence[Row]:
        """Every row of the answer."""

    def run(self, sql: str, parameters: Parameters = ...) -> int:
        """Do it, and tell how many rows it touched."""

    def insert(self, insert: Insert, row: Row) -> None:
        """Insert one row, together with others before anybody can ask for it."""

    def rows_before(self, instant: datetime) -> datetime:
        """Before which instant old rows go one by one, when all before `instant` are to go."""

    def insert_returning_id(self, insert: Insert, row: Row) -> int:
        """Insert one row now and tell the integer `id` that it got."""


def first(rows: Sequence[Row]) -> Row | None:
    """The first row, or None."""
    return rows[0] if rows else None
