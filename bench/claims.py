"""What it costs to claim and to settle, with the store's own verbs, on a database that is full of what is due.

A process of its own, configured like a server; nothing is sent. Prints one JSON object: microseconds of processor time
a delivery, each the median of many transactions, commit included; and those of one question for what is due next.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Final, TypeVar

from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.bootstrap import open_store
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


def timed(work: Callable[[], T], took: list[float]) -> T:
    """What came of it; the seconds of processor time go into `took`."""
    started = time.process_time()
    result = work()
    took.append(time.process_time() - started)
    return result


def measured(store: SqliteStore | PostgresStore) -> dict[str, float]:
    """Claim, settle, ask when the next is due, over and over."""
    claiming: list[float] = []
    settling: list[float] = []
    asking: list[float] = []
    for _ in range(_TRANSACTIONS):
        claims = timed(lambda: store.write(claim_due, BATCH, LEASE, room), claiming)
        outcomes = [accepted(claim) for claim in claims]
        timed(lambda outcomes=outcomes: store.write(settle, outcomes), settling)  # type: ignore[misc]
        timed(lambda: store.read(next_due_at, room), asking)
    return {
        "claim_us": statistics.median(claiming) / BATCH * 1e6,
        "settle_us": statistics.median(settling) / BATCH * 1e6,
        "next_due_us": statistics.median(asking) * 1e6,
    }


def main() -> None:
    """Measure, then print."""
    with open_store(load_settings(os.environ)) as store:
        print(json.dumps(measured(store)))


if __name__ == "__main__":
    main()
