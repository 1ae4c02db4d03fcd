"""What was planned under a clock that was a year ahead is planned anew once the clock is right."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import LEASE
from hookline.ports.storage import StoredAnswer, Transaction
from hookline.services import deliveries
from hookline.services.calls import report_calls
from hookline.services.clock_repair import is_repair_needed, repair
from hookline.services.webhooks import create_webhook
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import LIMITS, call_payload, wanted

YEAR = timedelta(days=365)
HOUR = timedelta(hours=1)
FAR = 1000


def due_at(store: Store) -> list[datetime]:
    """When what is owed is due, or its lease ends."""
    rows = store.connection.execute("SELECT due_at FROM delivery ORDER BY due_at").fetchall()
    return [datetime.fromtimestamp(micros / 1_000_000, MONDAY.tzinfo) for (micros,) in rows]


def planned(store: Store, **values: Any) -> None:
    """Have every delivery look as a wrong clock would have left it."""
    for name, value in values.items():
        store.connection.execute(
            f"UPDATE delivery SET {name} = {int(value.timestamp() * 1_000_000) if name == 'due_at' else value}"
        )
    store.connection.commit()


def owed(store: Store) -> None:
    """One delivery to one webhook with its own schedule."""
    store.write(create_webhook, wanted(retry_policy=own_policy((60, 172_800), retry_4xx=True)), LIMITS)
    store.write(report_calls, [call_payload()])


@pytest.mark.parametrize(("failures", "waits"), [(0, 0), (1, 60), (2, 172_800)])
def test_a_retry_planned_a_year_ahead_waits_as_its_schedule_says(store: Store, failures: int, waits: int) -> None:
    owed(store)
    planned(store, due_at=MONDAY + YEAR, failures=failures)
    assert store.read(is_repair_needed)
    assert store.write(repair) == 1
    assert due_at(store) == [MONDAY + timedelta(seconds=waits)]
    assert not store.read(is_repair_needed)


def test_a_retry_that_its_schedule_allows_stays_where_it_is(store: Store) -> None:
    owed(store)
    planned(store, due_at=MONDAY + timedelta(hours=48), failures=2)
    assert not store.read(is_repair_needed)
    assert store.write(repair) == 0
    assert due_at(store) == [MONDAY + timedelta(hours=48)]


def test_a_lease_that_ends_in_a_year_ends_as_one_that_begins_now(store: Store, clock: ManualClock) -> None:
    owed(store)
    clock.set_wall(MONDAY + YEAR)
    assert len(store.write(deliveries.claim_due, FAR, LEASE, lambda _: FAR, "node")) == 1
    store.write(hold, "chores", "a node that died")
    clock.set_wall(MONDAY)
    assert store.read(is_repair_needed)
    store.write(repair)
    assert due_at(store) == [MONDAY + LEASE]
    clock.set_wall(MONDAY + LEASE)
    assert store.write(hold, "chores", "another one")
    assert len(store.write(deliveries.claim_due, FAR, LEASE, lambda _: FAR, "node")) == 1


def hold(tx: Transaction, name: str, holder: str) -> bool:
    return tx.leases.hold(name, holder, HOUR)


def test_an_answer_of_next_year_is_remembered_for_a_day_from_now(store: Store) -> None:
    answer = StoredAnswer(fingerprint="f", status=201, body=b"", created_at=MONDAY + YEAR)
    store.write(lambda tx: tx.answers.keep("key_1", "k", answer))
    assert store.read(is_repair_needed)
    store.write(repair)
    kept = store.read(lambda tx: tx.answers.answer("key_1", "k"))
    assert kept is not None
    assert kept.created_at == MONDAY


def test_where_no_clock_was_wrong_nothing_is_changed(store: Store) -> None:
    owed(store)
    before = due_at(store)
    assert not store.read(is_repair_needed)
    assert store.write(repair) == 0
    assert due_at(store) == before
