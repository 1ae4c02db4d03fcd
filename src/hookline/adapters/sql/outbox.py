"""Events and deliveries in SQL: what both databases share.

The hot table `delivery` holds only what is still owed, so its cost does not grow with history. A row with a token is
being sent, and its `due_at` is the end of the lease: a worker that dies leaves a row that becomes due by itself. One
without a `due_at` waits for another: `lines.py`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from hookline.adapters.sql.abandoned import EXPIRED, GIVE_BACK_EXPIRED, owed_to_gone
from hookline.adapters.sql.batches import FORGET_OLD_ATTEMPTS, SqlBatches
from hookline.adapters.sql.bodies import BOUNDED_EVENT_COLUMNS, EventBodies, body_bytes
from hookline.adapters.sql.delivery_record import SqlDeliveryRecord
from hookline.adapters.sql.lines import SqlLines, behind, in_turn
from hookline.adapters.sql.paging import Where, page_of
from hookline.adapters.sql.records import CUT_SHORT, attempt_row, event_of
from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    first,
    instant_or_none,
    micros,
    micros_or_none,
    to_json,
)
from hookline.adapters.sql.webhooks import SqlWebhooks
from hookline.domain.batches import MAX_HELD
from hookline.domain.deliveries import MOVES, SMALL_BODY, USELESS, Claim, Delivery, Outcome, State, Verdict
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, EventId, WebhookId, delivery_id, ulid
from hookline.domain.webhooks import Webhook, gone_because
from hookline.ports.storage import DeliveryFilter, Fits, Page

_EVENT_COLUMNS: Final = "e.id, e.kind, e.subject, e.sequence, e.occurred_at, e.created_at, e.body, e.is_test"
ADD_EVENT: Final = Insert(
    "event", ("id", "kind", "subject", "sequence", "occurred_at", "created_at", "body", "is_test")
)
EVENT: Final = f"SELECT {_EVENT_COLUMNS} FROM event e WHERE e.id = :id"
EVENTS: Final = f"""
    SELECT e.position, {BOUNDED_EVENT_COLUMNS} FROM event e WHERE {{where}} ORDER BY e.position LIMIT :limit
"""
AFTER_EVENT: Final = """
    e.position > COALESCE(
        (SELECT position FROM event WHERE id = :after), (SELECT MAX(position) FROM event WHERE id < :after), 0)
"""
OWE: Final = Insert(
    "delivery",
    (
        *("id", "event_id", "webhook_id", "due_at", "token", "attempt", "failures", "give_up_at", "created_at"),
        *("line", "sequence"),
    ),
)
DUE: Final = f"""
    SELECT d.id, d.attempt, d.failures, d.give_up_at, d.token, d.token IS NOT NULL AND {behind("d")},
        {BOUNDED_EVENT_COLUMNS}
    FROM delivery d LEFT JOIN event e ON e.id = d.event_id
    WHERE d.webhook_id = :webhook_id AND d.due_at <= :now
    ORDER BY d.due_at, d.id LIMIT :limit
"""
CLAIM: Final = """
    UPDATE delivery SET attempt = attempt + 1, due_at = :lease_until, token = :token
    WHERE id IN (SELECT value FROM json_each(:ids))
"""
#: One question for all: an index answers for each webhook.
NEXT_DUE: Final = """
    SELECT w.id, (SELECT MIN(d.due_at) FROM delivery d WHERE d.webhook_id = w.id AND d.due_at IS NOT NULL)
    FROM webhook w WHERE w.is_active = 1
"""
#: The proof of a claim is its delivery and its token together: a token alone may be that of many.
SETTLED: Final = """
    DELETE FROM delivery
    WHERE id IN (SELECT value FROM json_each(:ids)) AND id || ' ' || token IN (SELECT value FROM json_each(:proofs))
    RETURNING id, token, created_at, webhook_id, line
"""
KEEP_SETTLED: Final = Insert(
    "settled_delivery",
    ("id", "event_id", "webhook_id", "status", "attempt", "give_up_at", "created_at", "settled_at", "reason"),
)
POSTPONED: Final = f"""
    UPDATE delivery SET due_at = {in_turn(":due_at")}, token = NULL, failures = failures + 1
    WHERE id = :id AND token = :token
"""
KEEP_ATTEMPT: Final = Insert(
    "attempt",
    (
        *("delivery_id", "number", "started_at", "duration_us", "status", "error"),
        *("response_headers", "response_body"),
    ),
    "(delivery_id, number) DO UPDATE SET started_at = excluded.started_at, duration_us = excluded.duration_us,"
    " status = excluded.status, error = excluded.error, response_headers = excluded.response_headers,"
    " response_body = excluded.response_body",
)
#: An attempt under a lease began when the lease did, or later; never before its delivery was.
KEEP_CUT_SHORT: Final = """
    INSERT INTO attempt (delivery_id, number, started_at, duration_us, status, error, response_headers, response_body)
    SELECT id, attempt, CASE WHEN due_at - :lease > created_at THEN due_at - :lease ELSE created_at END, 0, NULL,
        :error, '[]', :nothing
    FROM delivery WHERE {where}
    ON CONFLICT (delivery_id, number) DO NOTHING
"""
RELEASE: Final = f"""
    UPDATE delivery SET attempt = attempt - 1, due_at = {in_turn(":now")}, token = NULL
    WHERE id = :id AND token = :token
"""
RECOVER: Final = f"UPDATE delivery SET due_at = {in_turn(':now')}, token = NULL WHERE token IS NOT NULL"
_PENDING_OF: Final = """
    token IS NULL AND webhook_id = :webhook_id
    AND (batch_id IS NULL OR batch_id NOT IN (SELECT id FROM delivery WHERE token IS NOT NULL))
"""
_THESE: Final = """
    (id IN (SELECT value FROM json_each(:ids)) OR batch_id IN (SELECT value FROM json_each(:ids)))
"""
#: Not the batches themselves, whose event is their own.
GIVE_UP: Final = """
    INSERT INTO settled_delivery
        (id, event_id, webhook_id, status, attempt, give_up_at, created_at, settled_at, reason, batch_id)
    SELECT id, event_id, webhook_id, :status,
        COALESCE((SELECT b.attempt FROM delivery b WHERE b.id = delivery.batch_id), attempt),
        give_up_at, created_at, :now, :reason, batch_id
    FROM delivery WHERE {where} AND event_id <> id
"""
FORGET_OWED: Final = "DELETE FROM delivery WHERE {where} RETURNING webhook_id, line"
REST: Final = "UPDATE delivery SET due_at = :until WHERE token IS NULL AND webhook_id = :webhook_id AND due_at < :until"
HURRY: Final = """
    UPDATE delivery SET due_at = :now, gathers = NULL
    WHERE id = COALESCE((SELECT batch_id FROM delivery WHERE id = :id), :id) AND token IS NULL AND due_at IS NOT NULL
"""
OWE_AGAIN: Final = """
    INSERT INTO delivery (id, event_id, webhook_id, due_at, token, attempt, failures, give_up_at, created_at, line,
        sequence)
    SELECT s.id, s.event_id, s.webhook_id, :now, NULL, s.attempt, 0, NULL, s.created_at,
        CASE WHEN w.ordered = 1 THEN e.subject END, CASE WHEN w.ordered = 1 THEN e.sequence END
    FROM settled_delivery s JOIN event e ON e.id = s.event_id LEFT JOIN webhook w ON w.id = s.webhook_id
    WHERE s.id = :id
    RETURNING webhook_id, line, sequence
"""
FORGET_SETTLED: Final = "DELETE FROM settled_delivery WHERE id = :id"
# Ids begin with the instant of birth, so age is a range of the primary key.
FORGET_OLD: Final = (
    """
    DELETE FROM settled_delivery WHERE id IN (
        SELECT id FROM settled_delivery WHERE id < 'dlv_' || :bound ORDER BY id LIMIT :limit)
    """,
    """
    DELETE FROM attempt WHERE (delivery_id, number) IN (
        SELECT delivery_id, number FROM attempt
        WHERE delivery_id >= 'dlv_' AND delivery_id < 'dlv_' || :bound
            AND delivery_id NOT IN (SELECT id FROM delivery)
        ORDER BY delivery_id LIMIT :limit)
    """,
    FORGET_OLD_ATTEMPTS,
    """
    DELETE FROM event WHERE id IN (
        SELECT id FROM event
        WHERE id < 'evt_' || :bound AND id NOT IN (SELECT event_id FROM delivery WHERE id < 'dlv_' || :bound)
        ORDER BY id LIMIT :limit)
    """,
)
#: What a row of the record says of a delivery whose attempt came to this.
_STATES: Final = {signal: state.value for (before, signal), state in MOVES.items() if before is State.SENDING}


class SqlOutbox:
    """`ports.storage.Outbox`. `room`, `fits` and `lease` are those of the store's listener."""

    def __init__(
        self,
        session: Session,
        webhooks: SqlWebhooks,
        batches: SqlBatches,
        bodies: EventBodies,
        *,
        room: Callable[[WebhookId], int],
        fits: Fits,
        lease: timedelta,
    ) -> None:
        self._session = session
        self._webhooks = webhooks
        self._batches = batches
        self._lines = SqlLines(session, webhooks)
        self._bodies = bodies
        self._record = SqlDeliveryRecord(session)
        self._room = room
        self._fits = fits
        self._lease = lease

    # Events

    def add_event(self, event: Event) -> None:
        self._session.insert(
            ADD_EVENT,
            (
                event.id,
                event.kind.value,
                event.subject,
                event.sequence,
                micros(event.occurred_at),
                micros(event.created_at),
                event.body,
                int(event.is_test),
            ),
        )

    def event(self, event_id: str) -> Event | None:
        row = first(self._session.rows(EVENT, {"id": event_id}))
        return None if row is None else event_of(row)

    def events(
        self, *, kind: EventKind | None, subject: str | None, after: EventId | None, limit: int, cursor: str | None
    ) -> Page[Event]:
        where = Where()
        where.add("e.is_test = 0")
        where.equals("e.kind", "kind", kind and kind.value)
        where.equals("e.subject", "subject", subject)
        if after is not None:
            where.add(AFTER_EVENT, after=after)
        if cursor is not None:
            where.add("e.position > :cursor", cursor=int(cursor))
        rows = self._session.rows(EVENTS.format(where=where.sql), {**where.parameters, "limit": limit + 1})
        return page_of(rows, limit, lambda row: self._bodies.event_of(row[1:]), body_bytes)

    # What is owed

    def owe(self, event: Event, webhook: Webhook, *, due_at: datetime, give_up_at: datetime | None) -> DeliveryId:
        if webhook.batched:
            return self._batches.owe(event, webhook, due_at=due_at, give_up_at=give_up_at)
        session, doings = self._session, self._session.doings
        owed_id, claim = delivery_id(event.id, webhook.id), None
        waits = webhook.ordered and self._lines.has_to_wait(event, webhook)
        is_due, room = not waits and due_at <= session.now, self._room(webhook.id)
        may_hold = webhook.rate_limit_per_second is None  # of the others, another node may send
        has_room = doings.claimed_of[webhook.id] < room
        if is_due and may_hold and has_room and self._has_room_for(webhook.id, len(event.body)):
            claim = Claim(
                delivery_id=owed_id,
                attempt=1,
                failures=0,
                lease_until=session.now + self._lease,
                token=session.token(),
                give_up_at=give_up_at,
                event=event,
                webhook=webhook,
            )
            doings.born_claimed(claim)
            self._bodies.share(event)
        else:  # a listener without room for what is due looks by itself once it has some
            doings.owed |= room > 0 if is_due else not waits
            doings.left |= is_due
        session.insert(
            OWE,
            (
                owed_id,
                event.id,
                webhook.id,
                None if waits else micros(claim.lease_until if claim else due_at),
                claim.token if claim else None,
                claim.attempt if claim else 0,
                0,
                micros_or_none(give_up_at),
                micros(session.now),
                event.subject if webhook.ordered else None,
                event.sequence if webhook.ordered else None,
            ),
        )
        if webhook.ordered and event.created_at != session.now:  # of the past: later ones may be owed already
            self._lines.take_place(webhook.id, event.subject, event.sequence)
        return owed_id

    def claim_due(self, limit: int, lease: timedelta, room: Callable[[WebhookId], int]) -> list[Claim]:
        token = self._session.token()
        claims: list[Claim] = []
        now, next_due = micros(self._session.now), self._next_due()
        for webhook in self._by_turns():
            if next_due.get(webhook.id, now + 1) > now:
                continue
            share = min(room(webhook.id), limit - len(claims), MAX_HELD if webhook.batched else limit)
            if share > 0:
                claims += self._claim_for(webhook, share, lease, token)
        if claims:
            ids = to_json([claim.delivery_id for claim in claims])
            self._session.run(CLAIM, {"ids": ids, "lease_until": micros(self._session.now + lease), "token": token})
        return claims

    def next_due_at(self, room: Callable[[WebhookId], int]) -> datetime | None:
        earliest = min((due_at for id_, due_at in self._next_due().items() if room(id_) > 0), default=None)
        return instant_or_none(earliest)

    def settle(self, verdicts: Sequence[tuple[Outcome, Verdict]]) -> list[Claim]:
        session = self._session
        held = self._settle_final([outcome.claim for outcome, verdict in verdicts if verdict.due_at is None])
        lost, now = [], micros(session.now)
        for outcome, verdict in verdicts:
            claim = outcome.claim
            session.insert(KEEP_ATTEMPT, attempt_row(claim.delivery_id, outcome.attempt))
            if verdict.due_at is None:
                token, created_at = held.get(claim.delivery_id, (None, 0))
                still_ours = claim.token == token
                if still_ours and claim.batch_size is not None:
                    self._lines.let_next_go(self._batches.settle(claim, verdict))
                elif still_ours:
                    session.insert(KEEP_SETTLED, _settled_row(claim, verdict, created_at, now))
            else:
                still_ours = self._postpone(claim, verdict.due_at)
            if not still_ours:
                lost.append(claim)
        return lost

    def release(self, claims: Sequence[Claim]) -> None:
        now = micros(self._session.now)
        for claim in claims:
            self._session.run(RELEASE, {"id": claim.delivery_id, "token": claim.token, "now": now})
        self._session.doings.owed = True

    def recover(self) -> int:
        self._keep_cut_short("token IS NOT NULL", {}, self._lease)
        recovered = self._session.run(RECOVER, {"now": micros(self._session.now)})
        self.withdraw_abandoned()
        self._session.doings.owed = True
        return recovered

    def withdraw_abandoned(self) -> int:
        withdrawn = 0
        for webhook_id in owed_to_gone(self._session, self._webhooks):
            expired = {"webhook_id": webhook_id, "now": micros(self._session.now)}
            self._keep_cut_short(EXPIRED, expired, self._lease)
            self._session.run(GIVE_BACK_EXPIRED, expired)
            withdrawn += self.withdraw(webhook_id, because=gone_because(self._webhooks.webhook(webhook_id)))
        return withdrawn

    def rest(self, webhook_ids: Sequence[WebhookId], until: datetime) -> None:
        for webhook_id in webhook_ids:
            self._session.run(REST, {"webhook_id": webhook_id, "until": micros(until)})
            self._webhooks.rest(webhook_id, until)

    def withdraw(self, webhook_id: WebhookId, *, because: str) -> int:
        return self._give_up(State.WITHDRAWN, because, _PENDING_OF, {"webhook_id": webhook_id})

    def withdraw_these(self, delivery_ids: Sequence[DeliveryId], *, because: str) -> None:
        """Settle these as withdrawn, and those that are being sent too: their claims are lost."""
        self._give_up(State.WITHDRAWN, because, _THESE, {"ids": to_json(delivery_ids)})

    def replay(self, delivery_id: DeliveryId) -> None:
        self.replay_together([delivery_id])

    def replay_together(self, delivery_ids: Sequence[DeliveryId]) -> None:
        self._batches.put_together([each for each in delivery_ids if self._replay(each)])
        self._session.doings.owed = True

    def close_batches(self, webhook_id: WebhookId, due_at: datetime) -> None:
        self._batches.close_all(webhook_id, due_at)

    def line_up(self, webhook_id: WebhookId) -> None:
        self._lines.line_up(webhook_id)

    def forget_before(self, instant: datetime, *, limit: int) -> int:
        parameters = {"bound": ulid(self._session.rows_before(instant), 0), "limit": limit}
        return sum(self._session.run(statement, parameters) for statement in FORGET_OLD)

    # The record

    def delivery(self, delivery_id: str) -> Delivery | None:
        return self._record.delivery(delivery_id)

    def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None) -> Page[Delivery]:
        return self._record.deliveries(wanted, limit=limit, cursor=cursor)

    def _next_due(self) -> dict[WebhookId, int]:
        """When the next delivery of each active webhook is due that has any."""
        return {WebhookId(id_): due_at for id_, due_at in self._session.rows(NEXT_DUE) if due_at is not None}

    def _by_turns(self) -> list[Webhook]:
        """The active webhooks, from a different one on each time, so that a full batch shuts out nobody for long."""
        active = [webhook for webhook in self._webhooks.all() if webhook.is_active]
        start = self._session.token() % len(active) if active else 0
        return active[start:] + active[:start]

    def _claim_for(self, webhook: Webhook, share: int, lease: timedelta, token: int) -> list[Claim]:
        now = micros(self._session.now)
        rows = self._session.rows(DUE, {"webhook_id": webhook.id, "now": now, "limit": share})
        claims, useless, waiting = [], [], []
        for owed_id, attempt, failures, useful_until, old_token, has_to_wait, *told in rows:
            if not has_to_wait and told[0] is not None and not self._has_room_for(webhook.id, told[-1]):
                break
            if old_token is not None:
                self._keep_cut_short("id = :id", {"id": owed_id}, lease)
            if has_to_wait:
                waiting.append(owed_id)
                continue
            if told[0] is None:
                event, size, give_up_at = self._batches.take(owed_id)
                if not self._has_room_for(webhook.id, len(event.body)):
                    break
            else:
                event, size, give_up_at = self._bodies.event_of(told), None, useful_until
            if give_up_at is not None and give_up_at <= now:
                useless.append(owed_id)
                continue
            claim = Claim(
                delivery_id=DeliveryId(owed_id),
                attempt=attempt + 1,
                failures=failures,
                lease_until=self._session.now + lease,
                token=token,
                give_up_at=instant_or_none(give_up_at),
                event=event,
                webhook=webhook,
                batch_size=size,
            )
            claims.append(claim)
            self._session.doings.count_bytes(webhook.id, claim.large_bytes)
        self._lines.wait(waiting)
        if useless:
            self._give_up(State.DEAD, USELESS, _THESE, {"ids": to_json(useless)})
        return claims

    def _has_room_for(self, webhook_id: WebhookId, size: int) -> bool:
        """Whether the listener has room for a body of this many bytes beside those that this commit has claimed."""
        doings = self._session.doings
        return size <= SMALL_BODY or self._fits(webhook_id, size, doings.large_bytes_of[webhook_id], doings.large_bytes)

    def _keep_cut_short(self, where: str, parameters: dict[str, Any], lease: timedelta) -> None:
        """Record the attempts under leases of this length that nobody told the outcome of."""
        more = {"error": CUT_SHORT, "nothing": b"", "lease": lease // timedelta(microseconds=1)}
        self._session.run(KEEP_CUT_SHORT.format(where=where), {**parameters, **more})

    def _settle_final(self, claims: Sequence[Claim]) -> dict[DeliveryId, tuple[int, int]]:
        """Take what is settled for good out of the hot table. Returns token and birth of those that were still ours."""
        if not claims:
            return {}
        proofs = to_json([f"{claim.delivery_id} {claim.token}" for claim in claims])
        ids = to_json([claim.delivery_id for claim in claims])
        gone = self._session.rows(SETTLED, {"ids": ids, "proofs": proofs})
        self._lines.let_next_go((webhook_id, line) for *_, webhook_id, line in gone)
        return {owed_id: (token, created_at) for owed_id, token, created_at, *_ in gone}

    def _replay(self, delivery_id: DeliveryId) -> bool:
        """Owe a settled delivery again, or hurry one that waits. Returns whether it was settled."""
        now = {"id": delivery_id, "now": micros(self._session.now)}
        self._batches.keep_attempts(delivery_id)
        again = first(self._session.rows(OWE_AGAIN, now))
        if again is None:
            self._session.run(HURRY, now)
            self._batches.forget_held()
            return False
        self._session.run(FORGET_SETTLED, {"id": delivery_id})
        self._lines.take_place(*again)
        return True

    def _postpone(self, claim: Claim, due_at: datetime) -> bool:
        """Give a delivery back until `due_at`, if it is still ours."""
        self._session.doings.owed = True
        proof = {"id": claim.delivery_id, "token": claim.token}
        return bool(self._session.run(POSTPONED, {**proof, "due_at": micros(due_at)}))

    def _give_up(self, state: State, reason: str, where: str, parameters: dict[str, Any]) -> int:
        """Settle without another attempt. Returns how many."""
        more = {"status": state.value, "reason": reason, "now": micros(self._session.now)}
        given_up = self._session.run(GIVE_UP.format(where=where), {**parameters, **more})
        self._lines.let_next_go(self._session.rows(FORGET_OWED.format(where=where), parameters))
        self._batches.forget_held()
        return given_up


def _settled_row(claim: Claim, verdict: Verdict, created_at: int, now: int) -> Row:
    return (
        claim.delivery_id,
        claim.event.id,
        claim.webhook.id,
        _STATES[verdict.signal],
        claim.attempt,
        micros_or_none(claim.give_up_at),
        created_at,
        now,
        verdict.reason,
    )
