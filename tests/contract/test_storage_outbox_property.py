"""Whatever workers do, in whatever order, and whoever dies: nothing owed is lost, doubled, or in two live claims.

Generated scripts are played to a store and to `Owed`, a model of one delivery that knows no SQL.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.deliveries import Claim, State, Verdict
from hookline.domain.ids import DeliveryId, WebhookId
from hookline.domain.webhooks import Webhook
from tests.contract.owing import (
    DEAD,
    DELIVERED,
    LEASE,
    added,
    again_at,
    all_deliveries,
    claimed,
    next_due_at,
    owed,
    settled,
)
from tests.contract.stores import STORES, Place, Store, examples
from tests.fakes import ManualClock
from tests.values import accepted, refused

SETTLED = (State.DELIVERED, State.DEAD, State.WITHDRAWN)


@dataclass
class Owed:
    """One delivery by the words of the port."""

    webhook: WebhookId
    due_at: datetime
    state: State = State.PENDING
    attempt: int = 0
    failures: int = 0
    held_by: Claim | None = None
    attempts: set[int] = field(default_factory=set)

    def is_due(self, now: datetime) -> bool:
        return self.state in (State.PENDING, State.SENDING) and self.due_at <= now

    def claim(self, claim: Claim) -> None:
        if self.held_by is not None:
            self.attempts.add(self.held_by.attempt)
        self.attempt += 1
        self.state, self.held_by, self.due_at = State.SENDING, claim, claim.lease_until

    def leave(self, state: State, due_at: datetime) -> None:
        self.state, self.held_by, self.due_at = state, None, due_at


class World:
    """A store with two webhooks, and what is expected of it."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.webhooks: list[Webhook] = [added(store), added(store)]
        self.owed: dict[DeliveryId, Owed] = {}
        self.claims: list[Claim] = []  # that some worker believes to hold, rightly or not

    def owe(self, webhook: int, due_in: int) -> None:
        to = self.webhooks[webhook]
        due_at = self.clock.now() + timedelta(seconds=due_in)
        self.owed[owed(self.store, to, due_in=due_in)] = Owed(to.id, due_at)

    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    def claim(self, limit: int, rooms: tuple[int, int]) -> None:
        now = self.clock.now()
        room = dict(zip((webhook.id for webhook in self.webhooks), rooms, strict=True))
        taken = claimed(self.store, limit, room.__getitem__)
        due = [each for each, what in self.owed.items() if what.is_due(now)]
        reachable = sum(
            min(rooms[index], sum(self.owed[each].webhook == webhook.id for each in due))
            for index, webhook in enumerate(self.webhooks)
        )
        assert len(taken) == min(limit, reachable)
        assert len({claim.delivery_id for claim in taken}) == len(taken)
        for webhook_id, at_most in room.items():
            mine = [claim.delivery_id for claim in taken if claim.webhook.id == webhook_id]
            assert len(mine) <= at_most
            oldest = sorted((each for each in due if self.owed[each].webhook == webhook_id), key=self._age)
            assert sorted(mine, key=self._age) == oldest[: len(mine)]
        for claim in taken:
            what = self.owed[claim.delivery_id]
            what.claim(claim)
            assert (claim.attempt, claim.failures) == (what.attempt, what.failures)
            assert claim.lease_until == now + LEASE
        self.claims += taken

    def take_over(self) -> None:
        """Everything is claimed by workers who fall silent, and then by others."""
        self.claim(9, (9, 9))
        self.wait(61)
        self.claim(9, (9, 9))

    def _age(self, delivery_id: DeliveryId) -> tuple[datetime, str]:
        return self.owed[delivery_id].due_at, delivery_id

    def settle(self, picks: list[tuple[int, str]]) -> None:
        """Several workers tell at once, some of them too late, none of them twice."""
        now = self.clock.now()
        told, outcomes = [], []
        for pick, how in picks:
            if self.claims:
                claim = self.claims.pop(pick % len(self.claims))
                verdict = {"delivered": DELIVERED, "dead": DEAD, "again": again_at(now + timedelta(seconds=30))}[how]
                outcomes.append((accepted(claim) if how == "delivered" else refused(claim), verdict))
                told.append((claim, verdict))
        lost = settled(self.store, *outcomes)
        assert {id(claim) for claim in lost} == {
            id(claim) for claim, verdict in told if not self._counts(claim, verdict)
        }

    def _counts(self, claim: Claim, verdict: Verdict) -> bool:
        what = self.owed[claim.delivery_id]
        what.attempts.add(claim.attempt)
        if what.held_by is not claim:
            return False
        if verdict.due_at is not None:
            what.failures += 1
        what.leave(verdict.state, verdict.due_at or self.clock.now())
        return True

    def release(self, pick: int) -> None:
        if self.claims:
            claim = self.claims.pop(pick % len(self.claims))
            self.store.write(lambda tx: tx.outbox.release([claim]))
            what = self.owed[claim.delivery_id]
            if what.held_by is claim:
                what.attempt -= 1
                what.leave(State.PENDING, self.clock.now())

    def recover(self) -> None:
        """All workers died, and told nobody anything."""
        held = [what for what in self.owed.values() if what.held_by is not None]
        assert self.store.write(lambda tx: tx.outbox.recover()) == len(held)
        for what in held:
            what.attempts.add(what.attempt)
            what.leave(State.PENDING, self.clock.now())
        self.claims.clear()

    def withdraw(self, webhook: int) -> None:
        gone = [
            what
            for what in self.owed.values()
            if what.webhook == self.webhooks[webhook].id and what.state is State.PENDING
        ]
        webhook_id = self.webhooks[webhook].id
        assert self.store.write(lambda tx: tx.outbox.withdraw(webhook_id, because="it is over")) == len(gone)
        for what in gone:
            what.leave(State.WITHDRAWN, self.clock.now())

    def replay(self, pick: int) -> None:
        if self.owed:
            delivery_id, what = list(self.owed.items())[pick % len(self.owed)]
            self.store.write(lambda tx: tx.outbox.replay(delivery_id))
            if what.state in SETTLED:
                what.failures = 0
            if what.state is not State.SENDING:
                what.leave(State.PENDING, self.clock.now())

    def compare(self) -> None:
        record = {each.id: each for each in all_deliveries(self.store)}
        assert set(record) == set(self.owed)
        for delivery_id, what in self.owed.items():
            kept = record[delivery_id]
            assert kept.status is what.state
            assert kept.next_attempt_at == (what.due_at if what.state is State.PENDING else None)
            assert {attempt.number for attempt in kept.attempts} == what.attempts
        still_owed = [what.due_at for what in self.owed.values() if what.state not in SETTLED]
        assert next_due_at(self.store) == min(still_owed, default=None)


webhooks = st.integers(0, 1)
picks = st.integers(0, 9)
rooms = st.sampled_from([(9, 9), (9, 9), (9, 1), (0, 9), (2, 2)])
#: Leases run out often, so that many scripts have workers that are too late.
steps = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from([1, 3, 9]), rooms),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 60, 61])),
    st.tuples(
        st.just("settle"),
        st.lists(st.tuples(picks, st.sampled_from(["delivered", "dead", "again", "again"])), min_size=1, max_size=4),
    ),
    st.just(("take_over",)),
    st.tuples(st.just("owe"), webhooks, st.sampled_from([-5, 0, 30])),
    st.tuples(st.just("release"), picks),
    st.sampled_from([("recover",), ("withdraw", 0), ("withdraw", 1), ("replay", 0), ("replay", 2), ("replay", 3)]),
)


@pytest.mark.parametrize("name", STORES)
def test_whatever_workers_do_nothing_owed_is_lost_doubled_or_in_two_live_claims(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(deadline=None, max_examples=examples(name, 150))
    @given(script=st.lists(steps, min_size=6, max_size=30))
    def play(script: list[tuple[str, ...]]) -> None:
        clock = ManualClock()
        place = Place(STORES[name], tmp_path_factory.mktemp("outbox"), clock, random.Random(3))
        world = World(place.open(), clock)
        for webhook, due_in in ((0, -3), (1, -2), (0, -1), (1, 30)):
            world.owe(webhook, due_in)
        for step, *arguments in script:
            getattr(world, step)(*arguments)
            world.compare()
        place.close()

    play()
