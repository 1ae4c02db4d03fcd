"""The dispatcher: takes what is due, has it sent, and settles what came of it, many outcomes in one commit.

Claims arrive in two ways: born claimed, right after the commit that made them, or claimed from the store when they are
due. Nothing is ever only here: whatever this process holds is leased in the store, and due again when it dies.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from hookline.domain.deliveries import ACCEPTED, LEASE, Attempt, Claim, Outcome, Verdict
from hookline.domain.ids import WebhookId
from hookline.engine.bell import Bell
from hookline.engine.lanes import CONCURRENCY, Lane, Lanes
from hookline.engine.pace import Pace
from hookline.engine.requests import RequestMaker
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.sender import Answer, NoDescriptors, Sender
from hookline.ports.storage import Database, News, Transaction
from hookline.services import deliveries, paced

#: Deliveries claimed, and outcomes settled, in one transaction.
BATCH: Final = 256
#: How long to leave a store alone that could not answer.
_STORE_REST: Final = timedelta(seconds=1)
#: How long a claim is kept for which there was no file descriptor, before it is given back.
_SENDER_REST: Final = timedelta(seconds=1)
_NOT_SENT_LOGGED_EVERY_SECONDS: Final = 60.0
#: What must be left of a lease beyond the time limit when an attempt begins.
_LEASE_SLACK: Final = timedelta(seconds=5)

OUR_MISTAKE: Final = "Hookline itself failed while it made this attempt; its log says more."

_log = logging.getLogger("hookline.deliveries")


class Dispatcher:
    """Sends what is owed. Run `claim_forever` and `settle_forever`; hear the store's news through `committed`."""

    def __init__(self, database: Database, sender: Sender, clock: Clock) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock
        self._lanes = Lanes()
        self._due = Bell(clock)
        self._outcomes: list[Outcome] = []
        self._unsent: list[Claim] = []  # to be given back: the lease ran out or the webhook changed while they waited
        self._changed: set[WebhookId] = set()  # webhooks that changed since the claim under way was begun
        self._settling = Bell(clock)
        self._all_settled = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._not_sent = 0  # attempts that could not be made, since that was logged
        self._not_sent_logged_at = -_NOT_SENT_LOGGED_EVERY_SECONDS
        self._node = ""  # as it is called in the store, once it claims

    def room(self, webhook_id: WebhookId) -> int:
        """See `ports.storage.Listener.room`."""
        return self._lanes.room(webhook_id)

    def has_room_for(self, webhook_id: WebhookId, size: int, for_it: int, in_all: int) -> bool:
        """See `ports.storage.Listener.has_room_for`."""
        return self._lanes.has_room_for(webhook_id, size, for_it, in_all)

    def committed(self, news: News) -> None:
        """Send what was born claimed; look for the rest; give back what waits for a webhook that is another now."""
        self._changed.update(news.webhooks)
        self._accept(news.claims, changed=news.webhooks)
        for webhook_id in news.webhooks:
            self._give_back(webhook_id)
        if news.owed:
            self._due.ring()

    async def claim_forever(self) -> None:
        """Claim what is due, then sleep until something is, or until there is room again."""
        self._node = self._node or await self._database.write(deliveries.name_node)
        while True:
            # Shielded: what the store gave us is sent or given back, also when this loop is ended before it hears that.
            if await asyncio.shield(asyncio.ensure_future(self._claim())) < BATCH:
                await self._due.wait(until=await self._database.read(deliveries.next_due_at, self.room, self._node))

    async def settle_forever(self) -> None:
        """Settle outcomes as they come in; those that come in meanwhile share the next commit."""
        while True:
            await self._settle_all()  # at first, too: when this loop failed, it left some
            self._all_settled.set()
            await self._settling.wait()

    def close(self) -> None:
        """Take nothing more, and give back what was not begun. What is being sent goes on."""
        self._unsent += self._lanes.close()
        self._settling.ring()

    async def stop(self) -> None:
        """Close, let what is being sent end, and have it settled.

        `settle_forever` must still run; `claim_forever` must not.
        """
        self.close()
        with suppress(Unavailable):  # when this is answered, every claim that was made before it has been told of
            await self._database.write(deliveries.release, [])
        while self._under_way:
            await asyncio.wait(self._under_way)
        while self._outcomes or self._unsent:
            self._all_settled.clear()
            await self._all_settled.wait()
        with suppress(Unavailable):  # then others wait until its time is over
            await self._database.write(paced.leave, self._node)

    async def _claim(self) -> int:
        self._changed.clear()
        claims = await self._database.write(deliveries.claim_due, BATCH, LEASE, self.room, self._node)
        self._accept(claims, changed=self._changed)
        return len(claims)

    def _accept(self, claims: Sequence[Claim], *, changed: Collection[WebhookId]) -> None:
        """Hold claims and begin what can be begun; give back what is for a webhook as it was, and all once we stop."""
        for webhook_id, lane in {claim.webhook.id: self._take(claim) for claim in claims}.items():
            if webhook_id in changed or not self._lanes.is_open:
                self._give_back(webhook_id)
            else:
                self._begin_attempts(lane)

    def _take(self, claim: Claim) -> Lane:
        """Hold a claim; give it back if its large body does not fit beside what was claimed since the store asked."""
        size = claim.large_bytes
        fits = not size or self._lanes.has_room_for(claim.webhook.id, size)
        lane = self._lanes.take(claim)
        if not fits:
            self._unsent.append(lane.waiting.pop())
            self._settling.ring()
        return lane

    def _give_back(self, webhook_id: WebhookId) -> None:
        self._unsent += self._lanes.empty(webhook_id)
        self._settling.ring()

    def _begin_attempts(self, lane: Lane) -> None:
        if lane.pace is not None:
            self._begin_at_pace(lane, lane.pace)
            return
        for _ in range(min(len(lane.waiting), CONCURRENCY - lane.under_way)):
            self._begin(lane, self._attempt_one_by_one(lane))

    def _begin_at_pace(self, lane: Lane, pace: Pace) -> None:
        """Begin what the limit lets begin now, and wake up for the next. What cannot be begun soon is given back."""
        now = self._clock.now()
        while lane.waiting and not _outlasts_an_attempt(lane.waiting[0], now):
            self._unsent.append(lane.waiting.popleft())  # before a place in the second is spent on it
        for _ in range(pace.begin(min(len(lane.waiting), CONCURRENCY - lane.under_way), self._clock.monotonic())):
            self._begin(lane, self._attempt_once(lane, pace, lane.waiting.popleft()))
        self._unsent += self._lanes.empty_beyond_pace(lane)
        if self._unsent:
            self._settling.ring()
        if lane.waiting and lane.under_way < CONCURRENCY:
            pace.wake_at_next(self._clock, lambda: self._begin_attempts(lane))
        if self._lanes.has_room_again():
            self._due.ring()

    def _begin(self, lane: Lane, attempts: Coroutine[None, None, None]) -> None:
        lane.under_way += 1
        task = asyncio.create_task(attempts)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _attempt_one_by_one(self, lane: Lane) -> None:
        try:
            while lane.waiting and lane.pace is None:
                await self._attempt(lane, lane.waiting.popleft())
                self._settling.ring()
        finally:
            lane.under_way -= 1
        self._begin_attempts(lane)  # a limit has come meanwhile

    async def _attempt_once(self, lane: Lane, pace: Pace, claim: Claim) -> None:
        pace.begun_at = self._clock.monotonic()  # a moment later than was thought
        try:
            await self._attempt(lane, claim)
            self._settling.ring()
        finally:
            lane.under_way -= 1
        self._begin_attempts(lane)

    async def _attempt(self, lane: Lane, claim: Claim) -> None:
        now = self._clock.now()
        if not _outlasts_an_attempt(claim, now):
            self._unsent.append(claim)
        else:
            answer = await self._answer(lane, claim, now)
            if answer is None:
                self._unsent.append(claim)
                return
            self._outcomes.append(
                Outcome(
                    claim=claim,
                    attempt=Attempt(
                        number=claim.attempt,
                        started_at=answer.started_at,
                        duration_ms=answer.duration_ms,
                        status=answer.status,
                        error=answer.error,
                        response_headers=answer.headers,
                        response_body=answer.body,
                    ),
                )
            )

    async def _answer(self, lane: Lane, claim: Claim, now: datetime) -> Answer | None:
        """What came of the POST; None, after a rest, when none could be made. A mistake of ours is an outcome too: the
        claim must not hang until its lease ends.
        """
        try:
            if lane.maker is None or not lane.maker.is_current(claim.webhook, now):
                lane.maker = RequestMaker(claim.webhook, now)
            return await self._sender.send(lane.maker.request(claim, now))
        except NoDescriptors as refusal:
            self._log_not_sent(refusal)
            await self._clock.sleep_until(self._clock.now() + _SENDER_REST)
            return None
        except Exception:  # noqa: BLE001  whatever it is, it is told
            _log.exception("attempt.failed_here delivery=%s", claim.delivery_id)
            return Answer(status=None, error=OUR_MISTAKE, headers=(), body=b"", started_at=now, duration_ms=0)

    def _log_not_sent(self, refusal: NoDescriptors) -> None:
        now = self._clock.monotonic()
        self._not_sent += 1
        if now - self._not_sent_logged_at >= _NOT_SENT_LOGGED_EVERY_SECONDS:
            _log.error("attempts.not_made count=%d error=%r", self._not_sent, refusal.message)
            self._not_sent_logged_at, self._not_sent = now, 0

    async def _settle_all(self) -> None:
        """Settle until nothing is left. A store that cannot answer is asked again: outcomes are not thrown away."""
        while self._outcomes or self._unsent:
            outcomes, unsent = self._outcomes[:BATCH], self._unsent[:BATCH]
            try:
                verdicts = await self._database.write(_settle_and_release, outcomes, unsent)
            except Unavailable as refusal:
                _log.warning("attempts.not_settled count=%d error=%r", len(outcomes), refusal.message)
                await self._clock.pause(_STORE_REST.total_seconds())
                continue
            del self._outcomes[: len(outcomes)], self._unsent[: len(unsent)]
            for claim in (*unsent, *(outcome.claim for outcome in outcomes)):
                self._lanes.drop(claim)
            if self._lanes.has_room_again():
                self._due.ring()
            _tell(verdicts)


def _outlasts_an_attempt(claim: Claim, now: datetime) -> bool:
    """Whether the lease is long enough for an attempt that begins now."""
    return claim.lease_until - now >= claim.webhook.time_limit + _LEASE_SLACK


def _settle_and_release(
    tx: Transaction, outcomes: Sequence[Outcome], unsent: Sequence[Claim]
) -> list[tuple[Outcome, Verdict]]:
    if unsent:
        deliveries.release(tx, unsent)
    return deliveries.settle(tx, outcomes)


def _tell(verdicts: Sequence[tuple[Outcome, Verdict]]) -> None:
    """One wide line for each attempt; successes only for those who ask for details."""
    tells_successes = _log.isEnabledFor(logging.DEBUG)
    for outcome, verdict in verdicts:
        if verdict is not ACCEPTED or tells_successes:
            attempt = outcome.attempt
            _log.log(
                logging.DEBUG if verdict is ACCEPTED else logging.WARNING,
                "attempt.settled delivery=%s webhook=%s attempt=%d status=%s outcome=%s ms=%.0f next_at=%s error=%r",
                outcome.claim.delivery_id,
                outcome.claim.webhook.id,
                attempt.number,
                attempt.status,
                verdict.signal.value,
                attempt.duration_ms,
                verdict.due_at and verdict.due_at.isoformat(timespec="seconds"),
                attempt.error,
            )
