"""Whatever workers do, whoever dies, and however often webhooks change their minds: of an ordered webhook nothing is
claimed while something is owed to it that comes before, and nothing waits for what is not owed.

Generated scripts are played to a store and to `Row`, a model of one delivery that knows no SQL. What waits is told by
one rule, `World.line_up`, that looks at the whole of every line after each step.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.deliveries import LEASE as BORN_LEASE
from hookline.domain.deliveries import Claim, Delivery, State
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import DeliveryId, MeetingId, WebhookId, delivery_id
from hookline.ports.storage import Transaction
from hookline.services.publishing import make_event, owe
from tests.contract.owing import (
    DEAD,
    DELIVERED,
    LEASE,
    added,
    again_at,
    all_deliveries,
    claimed,
    next_due_at,
    settled,
)
from tests.contract.stores import STORES, Place, examples
from tests.fakes import ManualClock
from tests.values import accepted, refused

OWED = (State.PENDING, State.SENDING)
SUBJECTS = 2


@dataclass
class Row:
    """One delivery by the words of the port."""

    webhook: WebhookId
    subject: int
    sequence: int
    due_at: datetime | None  # None: it waits
    give_up_at: datetime | None
    state: State = State.PENDING
    attempt: int = 0
    failures: int = 0
    held_by: Claim | None = None
    attempts: set[int] = field(default_factory=set)

    @property
    def is_owed(self) -> bool:
        return self.state in OWED

    def is_due(self, now: datetime) -> bool:
        return self.is_owed and self.due_at is not None and self.due_at <= now

    def leave(self, state: State, due_at: datetime | None) -> None:
        self.state, self.held_by, self.due_at = state, None, due_at


class World:
    """A store with two webhooks, the first of them ordered, and what is expected of it."""

    def __init__(self, place: Place, clock: ManualClock) -> None:
        self.room = 0  # of the listener: for those that are born claimed
        self.store = place.open(lambda _: self.room)
        self.clock = clock
        self.webhooks = [added(self.store, ordered=True).id, added(self.store).id]
        self.ordered = dict(zip(self.webhooks, (True, False), strict=True))
        self.rests_until: dict[WebhookId, datetime] = {}
        self.published = [0] * SUBJECTS
        self.events: list[Event] = []
        self.rows: dict[DeliveryId, Row] = {}
        self.claims: list[Claim] = []  # that some worker believes to hold, rightly or not

    # What the model says

    def before(self, row: Row) -> list[Row]:
        """What is owed and stands before it."""
        if not self.ordered[row.webhook]:
            return []
        return [
            each
            for each in self.rows.values()
            if each.is_owed
            and (each.webhook, each.subject) == (row.webhook, row.subject)
            and each.sequence < row.sequence
        ]

    def line_up(self) -> None:
        """Who has somebody before him waits; who has nobody, waits no longer."""
        for row in self.rows.values():
            if row.state is State.PENDING:
                if self.before(row):
                    row.due_at = None
                elif row.due_at is None:
                    row.due_at = self.soonest(row.webhook)

    def soonest(self, webhook: WebhookId) -> datetime:
        return max(self.clock.now(), self.rests_until.get(webhook, self.clock.now()))

    def age(self, delivery_id: DeliveryId) -> tuple[datetime, str]:
        due_at = self.rows[delivery_id].due_at
        assert due_at is not None
        return due_at, delivery_id

    # Steps

    def owe(self, subject: int, events: int, give_up_in: int | None, room: int, to: int) -> None:
        """So many events of one subject in one commit, to both webhooks or to one, as filters have it."""
        self.room = room
        now = self.clock.now()
        give_up_at = None if give_up_in is None else now + timedelta(seconds=give_up_in)
        for id_, row in self.store.write(self._publish, subject, events, give_up_at, to):
            self._was_owed(id_, row)
        self.room = 0

    def owe_late(self, pick: int, room: int) -> None:
        """What was not owed when it happened is owed after all: a range is replayed."""
        missing = [
            (event, webhook)
            for event in self.events
            for webhook in self.webhooks
            if delivery_id(event.id, webhook) not in self.rows
        ]
        self.clock.advance(seconds=1)
        if missing:
            event, webhook_id = missing[pick % len(missing)]
            self.room = room
            row = Row(webhook_id, int(event.subject[4:]), event.sequence, self.soonest(webhook_id), None)
            self._was_owed(self.store.write(self._owe_late, event, webhook_id), row)
            self.room = 0

    def catch_up(self, subject: int, room: int) -> None:
        """A webhook misses an event, gets the next one, and then, late, what it missed."""
        self.owe(subject, 1, None, 0, 1)
        self.owe(subject, 1, None, room, 0)
        self.owe_late(-1, room)

    def _owe_late(self, tx: Transaction, event: Event, webhook_id: WebhookId) -> DeliveryId:
        [webhook] = [each for each in tx.webhooks.all() if each.id == webhook_id]
        return owe(tx, event, webhook)

    def _was_owed(self, id_: DeliveryId, row: Row) -> None:
        self.rows[id_] = row
        now = self.clock.now()
        if {each.id: each.status for each in all_deliveries(self.store)}[id_] is State.SENDING:
            assert self.room
            assert row.is_due(now)
            assert not self.before(row)
            row.state, row.attempt, row.due_at = State.SENDING, 1, now + BORN_LEASE

    def _publish(
        self, tx: Transaction, subject: int, events: int, give_up_at: datetime | None, to: int
    ) -> list[tuple[DeliveryId, Row]]:
        made = []
        for _ in range(events):
            self.published[subject] += 1
            sequence = self.published[subject]
            event = make_event(tx, EventKind.MEETING_BOOKED, MeetingId(f"mtg_{subject}"), sequence=sequence, body=b"{}")
            tx.outbox.add_event(event)
            self.events.append(event)
            for webhook in tx.webhooks.wanting(event.kind)[to:]:
                row = Row(webhook.id, subject, sequence, self.soonest(webhook.id), give_up_at)
                made.append((owe(tx, event, webhook, give_up_at=give_up_at), row))
        return made

    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    def claim(self, rooms: tuple[int, int]) -> None:
        now, room = self.clock.now(), dict(zip(self.webhooks, rooms, strict=True))
        before = {id_: bool(self.before(row)) for id_, row in self.rows.items()}
        taken = {claim.delivery_id: claim for claim in claimed(self.store, 100, room.__getitem__)}
        for webhook in self.webhooks:
            due = sorted(
                (id_ for id_, row in self.rows.items() if row.webhook == webhook and row.is_due(now)), key=self.age
            )
            for id_ in due[: room[webhook]]:
                row = self.rows[id_]
                if row.state is State.SENDING:
                    row.attempts.add(row.attempt)
                if before[id_]:
                    row.leave(State.PENDING, None)
                elif row.give_up_at is not None and row.give_up_at <= now:
                    row.leave(State.DEAD, None)
                else:
                    claim = taken.pop(id_)
                    row.attempt += 1
                    row.state, row.held_by, row.due_at = State.SENDING, claim, now + LEASE
                    assert (claim.attempt, claim.failures) == (row.attempt, row.failures)
                    self.claims.append(claim)
        assert taken == {}

    def settle(self, picks: list[tuple[int, str]]) -> None:
        """Several workers tell at once, some of them too late."""
        now, outcomes = self.clock.now(), []
        for pick, how in picks:
            if self.claims:
                claim = self.claims.pop(pick % len(self.claims))
                verdict = {"delivered": DELIVERED, "dead": DEAD, "again": again_at(now + timedelta(seconds=30))}[how]
                outcomes.append((accepted(claim) if how == "delivered" else refused(claim), verdict))
        settled(self.store, *outcomes)
        for outcome, verdict in outcomes:
            row = self.rows[outcome.claim.delivery_id]
            row.attempts.add(outcome.claim.attempt)
            if row.held_by is outcome.claim:
                row.failures += verdict.due_at is not None
                row.leave(verdict.state, verdict.due_at)

    def release(self, pick: int) -> None:
        if self.claims:
            claim = self.claims.pop(pick % len(self.claims))
            self.store.write(lambda tx: tx.outbox.release([claim]))
            row = self.rows[claim.delivery_id]
            if row.held_by is claim:
                row.attempt -= 1
                row.leave(State.PENDING, self.clock.now())

    def recover(self) -> None:
        """All workers died, and told nobody anything."""
        self.store.write(lambda tx: tx.outbox.recover())
        for row in self.rows.values():
            if row.state is State.SENDING:
                row.attempts.add(row.attempt)
                row.leave(State.PENDING, self.clock.now())
        self.claims.clear()

    def withdraw(self, webhook: int) -> None:
        gone = [
            row for row in self.rows.values() if row.webhook == self.webhooks[webhook] and row.state is State.PENDING
        ]
        webhook_id = self.webhooks[webhook]
        assert self.store.write(lambda tx: tx.outbox.withdraw(webhook_id, because="it is over")) == len(gone)
        for row in gone:
            row.leave(State.WITHDRAWN, None)

    def erase(self, pick: int) -> None:
        """Somebody in this event is erased: what is owed of it is withdrawn, being sent or not."""
        if self.events:
            event = self.events[pick % len(self.events)]
            self.store.write(lambda tx: tx.erasure.withdraw(event.id, because="erased"))
            for webhook in self.webhooks:
                row = self.rows.get(delivery_id(event.id, webhook))
                if row is not None and row.is_owed:
                    row.leave(State.WITHDRAWN, None)

    def replay(self, pick: int) -> None:
        if self.rows:
            delivery_id, row = list(self.rows.items())[pick % len(self.rows)]
            self.store.write(lambda tx: tx.outbox.replay(delivery_id))
            if not row.is_owed:
                row.failures, row.give_up_at = 0, None
                row.leave(State.PENDING, self.clock.now())
            elif row.state is State.PENDING and row.due_at is not None:
                row.due_at = self.clock.now()

    def toggle(self, webhook: int) -> None:
        of = self.webhooks[webhook]
        self.ordered[of] = not self.ordered[of]

        def change(tx: Transaction) -> None:
            [webhook] = [each for each in tx.webhooks.all() if each.id == of]
            tx.webhooks.save(replace(webhook, ordered=self.ordered[of]))
            tx.outbox.line_up(of)

        self.store.write(change)

    def rest(self, seconds: int) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        self.store.write(lambda tx: tx.outbox.rest([self.webhooks[0]], until))
        self.rests_until[self.webhooks[0]] = until
        for row in self.rows.values():
            if row.webhook == self.webhooks[0] and row.state is State.PENDING and row.due_at is not None:
                row.due_at = max(row.due_at, until)

    # And after each

    def compare(self) -> None:
        record: Sequence[Delivery] = all_deliveries(self.store)
        assert {each.id for each in record} == set(self.rows)
        for kept in record:
            row = self.rows[kept.id]
            assert kept.status is row.state
            assert kept.next_attempt_at == (row.due_at if row.state is State.PENDING else None)
            assert {attempt.number for attempt in kept.attempts} == row.attempts
        dues = [row.due_at for row in self.rows.values() if row.is_owed and row.due_at is not None]
        assert next_due_at(self.store) == min(dues, default=None)


picks = st.integers(0, 12)
steps = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from([(9, 9), (9, 9), (1, 1), (9, 0)])),
    st.tuples(st.just("claim"), st.just((9, 9))),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 61, 130])),
    st.tuples(
        st.just("settle"),
        st.lists(st.tuples(picks, st.sampled_from(["delivered", "dead", "again", "again"])), min_size=1, max_size=4),
    ),
    st.tuples(
        st.just("owe"),
        st.integers(0, SUBJECTS - 1),
        st.integers(1, 3),
        st.sampled_from([None, None, 40]),
        st.sampled_from([0, 0, 9]),
        st.integers(0, 1),
    ),
    st.tuples(st.just("owe_late"), picks, st.sampled_from([0, 9])),
    st.tuples(st.just("catch_up"), st.integers(0, SUBJECTS - 1), st.sampled_from([0, 9])),
    st.tuples(st.just("erase"), picks),
    st.tuples(st.just("replay"), picks),
    st.tuples(st.just("release"), picks),
    st.tuples(st.just("toggle"), st.integers(0, 1)),
    st.sampled_from([("recover",), ("withdraw", 0), ("withdraw", 1), ("rest", 20)]),
)


@pytest.mark.parametrize("name", STORES)
def test_nothing_is_claimed_before_what_comes_before_it_and_nothing_waits_for_nobody(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(deadline=None, max_examples=examples(name, 100))
    @given(script=st.lists(steps, min_size=6, max_size=30))
    def play(script: list[tuple[str, ...]]) -> None:
        clock = ManualClock()
        place = Place(STORES[name], tmp_path_factory.mktemp("lines"), clock, random.Random(3))
        world = World(place, clock)
        world.owe(0, 2, None, 0, 0)
        for step, *arguments in script:
            getattr(world, step)(*arguments)
            world.line_up()
            world.compare()
        place.close()

    play()
