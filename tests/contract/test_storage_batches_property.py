"""Whatever happens: each event is in exactly one batch of its kind, in order, and no batch loses or gains one.

Generated scripts are played to two stores on one database and to a model that knows no SQL.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookline.domain.batches import GATHERING, MAX_EVENTS
from hookline.domain.deliveries import Claim, Delivery, State
from hookline.domain.events import EventKind
from hookline.domain.ids import DeliveryId, MeetingId
from hookline.ports.storage import DeliveryFilter, Transaction
from hookline.services.publishing import make_event
from tests.contract.owing import DELIVERED, LEASE, added, again_at, claimed, pages, settled
from tests.contract.stores import STORES, Place, examples
from tests.fakes import ManualClock
from tests.values import accepted, refused

KINDS = (EventKind.MEETING_BOOKED, EventKind.CALL_FINISHED)


class Undone(Exception):
    """What a function may raise."""


@dataclass
class Kept:
    """One event that was accepted, as the model knows it."""

    number: int  # tells its place among all, and is its body
    kind: EventKind
    batch_id: str = ""
    deliveries: int = 0  # how often a receiver accepted it
    replayed: bool = False
    withdrawn: bool = False


@dataclass
class World:
    """A batched webhook, and what is expected of the stores."""

    place: Place
    clock: ManualClock
    kept: dict[DeliveryId, Kept] = field(default_factory=dict)
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)  # that some worker believes to hold, rightly or not
    said: int = 0

    def __post_init__(self) -> None:
        self.stores = [self.place.open(), self.place.open()]
        self.webhook = added(self.stores[0], batched=True)

    def owe(self, store: int, kind: int, count: int, undone: bool) -> None:
        def owe_all(tx: Transaction) -> list[DeliveryId]:
            owed = []
            for number in range(self.said, self.said + count):
                event = make_event(tx, KINDS[kind], MeetingId(f"mtg_{tx.ulid()}"), sequence=1, body=b"%d" % number)
                tx.outbox.add_event(event)
                owed.append(tx.outbox.owe(event, self.webhook, due_at=tx.now, give_up_at=None))
            if undone:
                raise Undone
            return owed

        try:
            owed = self.stores[store].write(owe_all)
        except Undone:
            return
        for number, delivery_id in enumerate(owed, self.said):
            self.kept[delivery_id] = Kept(number, KINDS[kind])
        self.said += count

    def record(self) -> Sequence[Delivery]:
        """Every delivery."""
        return pages(
            lambda limit, cursor: self.stores[0].read(
                lambda tx: tx.outbox.deliveries(DeliveryFilter(), limit=limit, cursor=cursor)
            ),
            limit=5000,
        )

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    def claim(self, store: int) -> None:
        taken = claimed(self.stores[store])
        for claim in taken:
            numbers = json.loads(claim.event.body)
            assert numbers == sorted(numbers)
            assert 1 <= len(numbers) == (claim.batch_size or 0) <= MAX_EVENTS
            assert self.bytes_of.setdefault(claim.event.id, claim.event.body) == claim.event.body
        self.claims += taken

    def settle(self, pick: int, well: bool) -> None:
        if not self.claims:
            return
        claim = self.claims.pop(pick % len(self.claims))
        outcome = accepted(claim) if well else refused(claim)
        verdict = DELIVERED if well else again_at(self.clock.now())
        lost = settled(self.stores[pick % 2], (outcome, verdict))
        if well and not lost:
            numbers = set(json.loads(claim.event.body))
            for what in self.kept.values():
                what.deliveries += what.number in numbers

    def release(self, pick: int) -> None:
        if self.claims:
            claim = self.claims.pop(pick % len(self.claims))
            self.stores[0].write(lambda tx: tx.outbox.release([claim]))

    def recover(self) -> None:
        """All workers died, and told nobody anything."""
        self.stores[1].write(lambda tx: tx.outbox.recover())
        self.claims.clear()

    def withdraw(self) -> None:
        pending = {each.id for each in self.record() if each.status is State.PENDING}
        assert self.stores[0].write(lambda tx: tx.outbox.withdraw(self.webhook.id, because="it is over")) == len(
            pending
        )
        for each in pending:
            self.kept[each].withdrawn = True

    def replay(self, pick: int) -> None:
        if self.kept:
            delivery_id, what = list(self.kept.items())[pick % len(self.kept)]
            before = {each.id: each for each in self.record()}[delivery_id].status
            self.stores[pick % 2].write(lambda tx: tx.outbox.replay(delivery_id))
            if before not in (State.PENDING, State.SENDING):
                what.replayed, what.withdrawn, what.batch_id = True, False, ""

    def compare(self) -> None:
        record = {each.id: each for each in self.record()}
        assert set(record) == set(self.kept)
        batches = defaultdict(list)
        for delivery_id, what in self.kept.items():
            batch_id = record[delivery_id].batch_id
            assert batch_id is not None
            assert what.batch_id in ("", batch_id)
            what.batch_id = batch_id
            batches[batch_id].append(what)
        for in_batch in batches.values():
            assert len(in_batch) <= MAX_EVENTS
            assert len({what.kind for what in in_batch}) == 1

    def drain(self) -> None:
        """Everything that is owed goes out in the end, and each event once unless somebody asked for more."""
        self.claims.clear()
        while any(each.status in (State.PENDING, State.SENDING) for each in self.record()):
            self.wait(max(GATHERING, LEASE).total_seconds())
            self.claim(0)
            while self.claims:
                self.settle(0, well=True)
        for what in self.kept.values():
            if not what.replayed:
                assert what.deliveries == (0 if what.withdrawn else 1)


which, picks = st.integers(0, 1), st.integers(0, 5)
steps = st.one_of(
    st.tuples(
        st.just("owe"), which, which, st.sampled_from([1, 2, 240, 499, 501]), st.sampled_from([False, False, True])
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.000001, 60.0, 299.999999, 300.0])),
    st.tuples(st.just("claim"), which),
    st.tuples(st.just("settle"), picks, st.booleans()),
    st.tuples(st.just("settle"), picks, st.just(True)),
    st.tuples(st.sampled_from(["release", "replay"]), picks),
    st.sampled_from([("recover",), ("withdraw",)]),
)


@pytest.mark.parametrize("name", STORES)
def test_each_event_is_in_one_batch_in_order_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(deadline=None, max_examples=examples(name, 42))
    @given(script=st.lists(steps, min_size=4, max_size=20))
    def play(script: list[tuple[str, ...]]) -> None:
        clock = ManualClock()
        place = Place(STORES[name], tmp_path_factory.mktemp("batches"), clock, random.Random(3))
        world = World(place, clock)
        for step, *arguments in script:
            getattr(world, step)(*arguments)
            world.compare()
        world.drain()
        place.close()

    play()
