"""Batches in SQL: what both databases share.

A batch is owed like a delivery and is a row of `delivery` too, its id being its event's, so whatever is done to what is
owed (claims, leases, retries, rest) is done to it. The deliveries that go in it are rows with its id as `batch_id`;
they are never due by themselves, and become what it becomes. Its attempts are kept once, under its own id.

Each event asks for the open batch of its kind, so open batches are held in memory for as long as nobody changed them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from hookline.adapters.sql.records import ATTEMPT_COLUMNS
from hookline.adapters.sql.session import Insert, Row, Session, first, instant, micros, micros_or_none, to_json
from hookline.domain.batches import GATHERING, Gathering, batch_body, new_gathering
from hookline.domain.deliveries import Claim, Verdict
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import BatchId, DeliveryId, EventId, MeetingId, WebhookId, delivery_id
from hookline.domain.webhooks import Webhook

OWE_BATCH: Final = Insert(
    "delivery", ("id", "event_id", "webhook_id", "due_at", "attempt", "failures", "created_at", "gathers")
)
OWE_IN_BATCH: Final = Insert(
    "delivery", ("id", "event_id", "webhook_id", "attempt", "failures", "give_up_at", "created_at", "batch_id")
)
#: Its length is counted as `domain.batches.batch_body` makes it.
GATHERS: Final = """
    SELECT b.id, b.created_at, COUNT(*), SUM(LENGTH(e.body)) + COUNT(*) + 1
    FROM delivery b JOIN delivery d ON d.batch_id = b.id JOIN event e ON e.id = d.event_id
    WHERE b.webhook_id = :webhook_id AND b.gathers = :kind
    GROUP BY b.id, b.created_at
"""
CLOSE: Final = "UPDATE delivery SET gathers = NULL WHERE id = :id AND gathers IS NOT NULL"
#: Never later than they would have been.
CLOSE_EARLY: Final = "UPDATE delivery SET gathers = NULL, due_at = MIN(due_at, :due_at) WHERE id = :id"
CLOSE_ALL_EARLY: Final = """
    UPDATE delivery SET gathers = NULL, due_at = MIN(due_at, :due_at)
    WHERE webhook_id = :webhook_id AND gathers IS NOT NULL
"""
IN_BATCH: Final = """
    SELECT e.body, d.give_up_at, e.kind, e.occurred_at, e.created_at, e.is_test
    FROM delivery d JOIN event e ON e.id = d.event_id WHERE d.batch_id = :id ORDER BY e.position
"""
KEEP_SETTLED_IN_BATCH: Final = """
    INSERT INTO settled_delivery
        (id, event_id, webhook_id, status, attempt, give_up_at, created_at, settled_at, reason, batch_id)
    SELECT id, event_id, webhook_id, :status, :attempt, give_up_at, created_at, :now, :reason, batch_id
    FROM delivery WHERE batch_id = :id
"""
FORGET_IN_BATCH: Final = "DELETE FROM delivery WHERE batch_id = :id RETURNING webhook_id, line"
#: The batch that it went in is its batch no more, and keeps its attempts for the others.
COPY_ATTEMPTS: Final = f"""
    INSERT INTO attempt (delivery_id, {ATTEMPT_COLUMNS})
    SELECT :id, {ATTEMPT_COLUMNS} FROM attempt
    WHERE delivery_id = (SELECT batch_id FROM settled_delivery WHERE id = :id)
    ON CONFLICT (delivery_id, number) DO NOTHING
"""
TO_BE_BATCHED: Final = """
    SELECT d.id, d.webhook_id, e.kind, e.is_test, LENGTH(e.body) FROM delivery d JOIN event e ON e.id = d.event_id
    WHERE d.id IN (SELECT value FROM json_each(:ids)) AND d.webhook_id IN (SELECT id FROM webhook WHERE batched = 1)
    ORDER BY e.position
"""
#: Its attempts are numbered on from those of all that are in it.
BATCH_OF: Final = """
    INSERT INTO delivery (id, event_id, webhook_id, due_at, attempt, failures, created_at)
    SELECT :batch_id, :batch_id, MIN(webhook_id), MIN(due_at), MAX(attempt), 0, :now
    FROM delivery WHERE id IN (SELECT value FROM json_each(:ids))
"""
INTO_BATCH: Final = """
    UPDATE delivery SET due_at = NULL, batch_id = :batch_id WHERE id IN (SELECT value FROM json_each(:ids))
"""
FORGET_OLD_ATTEMPTS: Final = """
    DELETE FROM attempt WHERE (delivery_id, number) IN (
        SELECT delivery_id, number FROM attempt
        WHERE delivery_id >= 'batch_' AND delivery_id < 'batch_' || :bound
            AND delivery_id NOT IN (SELECT id FROM delivery)
        ORDER BY delivery_id LIMIT :limit)
"""


class SqlBatches:
    """What the outbox does with batches."""

    def __init__(self, session: Session, ulid: Callable[[], str]) -> None:
        self._session = session
        self._ulid = ulid
        self._held: dict[tuple[WebhookId, EventKind], Gathering] = {}

    def forget_held(self) -> None:
        """Read from the database again: somebody changed it, or what was held was rolled back."""
        self._held.clear()

    def owe(self, event: Event, webhook: Webhook, *, due_at: datetime, give_up_at: datetime | None) -> DeliveryId:
        """Owe an event in the open batch of its kind, or in one that begins to gather with it. A test goes alone.

        `due_at` is the earliest that the batch may be due, whenever it closes.
        """
        owed_id, born_at = delivery_id(event.id, webhook.id), micros(self._session.now)
        gathering = None if event.is_test else self._joined(event, webhook.id, due_at)
        batch_id = gathering.id if gathering else self._begin(webhook.id, due_at, gathers=None)
        self._session.insert(
            OWE_IN_BATCH, (owed_id, event.id, webhook.id, 0, 0, micros_or_none(give_up_at), born_at, batch_id)
        )
        if gathering is not None and gathering.is_full:
            self._close_early(gathering.id, due_at)
        return owed_id

    def close_all(self, webhook_id: WebhookId, due_at: datetime) -> None:
        """Let nothing more into the batches of a webhook, and have them due."""
        self._session.run(CLOSE_ALL_EARLY, {"webhook_id": webhook_id, "due_at": micros(due_at)})
        self._session.doings.owed = True
        self.forget_held()

    def take(self, batch_id: DeliveryId) -> tuple[Event, int, int | None]:
        """Close a batch. Returns what it says, as one event; how many are in it; and from when on all are of no use."""
        self._close(batch_id)
        bodies, give_up_ats, *facts = zip(*self._session.rows(IN_BATCH, {"id": batch_id}), strict=True)
        kind, occurred_at, created_at, is_test = (of_each[0] for of_each in facts)
        event = Event(
            id=EventId(batch_id),
            kind=EventKind(kind),
            subject=MeetingId(""),
            sequence=0,
            occurred_at=instant(occurred_at),
            created_at=instant(created_at),
            body=batch_body(bodies),
            is_test=bool(is_test),
        )
        return event, len(bodies), None if None in give_up_ats else max(give_up_ats)

    def settle(self, claim: Claim, verdict: Verdict) -> Sequence[Row]:
        """All that went in a batch becomes what the batch became. Returns webhook and line of each."""
        batch = {"id": claim.delivery_id}
        became = {"status": verdict.state.value, "reason": verdict.reason, "attempt": claim.attempt}
        self._session.run(KEEP_SETTLED_IN_BATCH, {**batch, **became, "now": micros(self._session.now)})
        return self._session.rows(FORGET_IN_BATCH, batch)

    def keep_attempts(self, settled_id: DeliveryId) -> None:
        """Have a settled delivery keep the attempts of its batch as its own, since it is going to leave it."""
        self._session.run(COPY_ATTEMPTS, {"id": settled_id})

    def put_together(self, owed_ids: Sequence[DeliveryId]) -> None:
        """Put what is owed by itself, to webhooks that get batches, into batches: those of one kind in one, as far as
        they fit. A test goes alone.
        """
        rows = self._session.rows(TO_BE_BATCHED, {"ids": to_json(owed_ids)})
        for batch_id, members in self._parted(rows).items():
            batch = {"batch_id": batch_id, "ids": to_json(members)}
            self._session.run(BATCH_OF, {**batch, "now": micros(self._session.now)})
            self._session.run(INTO_BATCH, batch)

    def _parted(self, rows: Iterable[Row]) -> Mapping[BatchId, Sequence[str]]:
        """Which of `TO_BE_BATCHED` go in which batch."""
        members: dict[BatchId, list[str]] = {}
        open_ones: dict[tuple[int, str], Gathering] = {}
        for owed_id, webhook_id, kind, is_test, body_bytes in rows:
            gathering = None if is_test else open_ones.get((webhook_id, kind))
            if gathering is None or not gathering.has_place_for(body_bytes):
                gathering = new_gathering(self._new_id(), self._session.now)
            members.setdefault(gathering.id, []).append(owed_id)
            if not is_test:
                open_ones[webhook_id, kind] = gathering.joined_by(body_bytes)
        return members

    def _joined(self, event: Event, webhook_id: WebhookId, due_at: datetime) -> Gathering:
        """The batch that this event goes in, with it."""
        now, key = self._session.now, (webhook_id, event.kind)
        gathering = self._held.get(key) or self._read(webhook_id, event.kind)
        if gathering is not None and now >= gathering.closes_at:
            self._close(gathering.id)
            gathering = None
        elif gathering is not None and not gathering.has_place_for(len(event.body)):
            self._close_early(gathering.id, due_at)
            gathering = None
        if gathering is None:
            batch_id = self._begin(webhook_id, max(now + GATHERING, due_at), gathers=event.kind)
            gathering = new_gathering(batch_id, now)
        self._held[key] = gathering = gathering.joined_by(len(event.body))
        return gathering

    def _read(self, webhook_id: WebhookId, kind: EventKind) -> Gathering | None:
        row = first(self._session.rows(GATHERS, {"webhook_id": webhook_id, "kind": kind.value}))
        if row is None:
            return None
        batch_id, created_at, size, body_bytes = row
        closes_at = instant(created_at) + GATHERING
        return Gathering(id=batch_id, closes_at=closes_at, size=size, body_bytes=body_bytes)

    def _begin(self, webhook_id: WebhookId, due_at: datetime, *, gathers: EventKind | None) -> BatchId:
        batch_id = self._new_id()
        born_at = micros(self._session.now)
        self._session.insert(
            OWE_BATCH, (batch_id, batch_id, webhook_id, micros(due_at), 0, 0, born_at, gathers and gathers.value)
        )
        self._session.doings.owed = True
        return batch_id

    def _close(self, batch_id: DeliveryId) -> None:
        if self._session.run(CLOSE, {"id": batch_id}):
            self._hold_no_more(batch_id)

    def _close_early(self, batch_id: BatchId, due_at: datetime) -> None:
        self._session.run(CLOSE_EARLY, {"id": batch_id, "due_at": micros(due_at)})
        self._session.doings.owed = True
        self._hold_no_more(batch_id)

    def _hold_no_more(self, batch_id: DeliveryId) -> None:
        self._held = {key: gathering for key, gathering in self._held.items() if gathering.id != batch_id}

    def _new_id(self) -> BatchId:
        return BatchId(DeliveryId(f"batch_{self._ulid()}"))
