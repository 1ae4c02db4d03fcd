"""What it costs to claim and to settle, with the store's own verbs, on a database that is full of what is due.

A process of its own, configured like a server; nothing is sent. Prints one JSON object: microseconds of processor time
of this process a delivery, and microseconds until it was done (`wall`), in which a server's share is too; each the
median of many transactions, commit included. And those of one question for what is due next.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Final, TypeVar

from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.bootstrap.storage import open_store
from hookline.domain.deliveries import LEASE, Attempt, Claim, Outcome
from hookline.domain.ids import WebhookId
from hookline.engine.dispatcher import BATCH
from hookline.engine.lanes import CAPACITY
from hookline.services.deliveries import claim_due, next_due_at, settle
from hookline.settings import load_settings

T = TypeVar("T")

_TRANSACTIONS: Final = 20


def room(_: WebhookId) -> int:
    """As much as one webhook ever has."""
    return CAPACITY


def accepted(claim: Claim) -> Outcome:
    """What comes of a claim when all is well."""
    started_at = claim.lease_until - LEASE
    answer = Attempt(number=claim.attempt, started_at=started_at, duration_ms=1.0, status=200, error="")
    return Outcome(claim=claim, attempt=answer)


class Took:
    """What was done over and over, each time with its processor time and until it was done, in seconds."""

    def __init__(self) -> None:
        self._cpu: list[float] = []
        self._wall: list[float] = []

    def by(self, work: Callable[[], T]) -> T:
        """What came of it this time."""
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        self._cpu.append(time.process_time() - cpu)
        self._wall.append(time.perf_counter() - wall)
        return result

    def microseconds(self, name: str, deliveries: int) -> dict[str, float]:
        """The medians, for one of so many deliveries."""
        medians = {f"{name}_us": statistics.median(self._cpu), f"{name}_wall_us": statistics.median(self._wall)}
        return {figure: seconds / deliveries * 1e6 for figure, seconds in medians.items()}


def measured(store: SqliteStore | PostgresStore) -> dict[str, float]:
    """Claim, settle, ask when the next is due, over and over."""
    claiming, settling, asking = Took(), Took(), Took()
    for _ in range(_TRANSACTIONS):
        claims = claiming.by(lambda: store.write(claim_due, BATCH, LEASE, room))
        outcomes = [accepted(claim) for claim in claims]
        settling.by(lambda outcomes=outcomes: store.write(settle, outcomes))  # type: ignore[misc]
        asking.by(lambda: store.read(next_due_at, room))
    return {
        **claiming.microseconds("claim", BATCH),
        **settling.microseconds("settle", BATCH),
        **asking.microseconds("next_due", 1),
    }


def main() -> None:
    """Measure, then print."""
    with open_store(load_settings(os.environ)) as store:
        print(json.dumps(measured(store)))


if __name__ == "__main__":
    main()
