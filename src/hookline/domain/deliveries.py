"""Deliveries: one event owed to one webhook, the moves it can make, and what one outcome leads to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from hookline.domain.backoff import RetryPolicy, asked_wait, wait_before_retry
from hookline.domain.events import Event, EventKind
from hookline.domain.ids import BatchId, DeliveryId, EventId, SubjectId, WebhookId
from hookline.domain.webhooks import Webhook

#: A claim lasts this long: time to wait for a free connection, and the longest time limit of a webhook.
LEASE: Final = timedelta(seconds=120)
#: Bytes of a body up to which the number of claims alone bounds their memory. Larger bodies are bounded in bytes.
SMALL_BODY: Final = 4096
_GONE: Final = 410
#: Why a delivery is given up that nobody could use any more when its turn came.
USELESS: Final = "the meeting had been over for 24 h"


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    WITHDRAWN = "withdrawn"


class Signal(StrEnum):
    """What can happen to a delivery."""

    CLAIMED = "claimed"
    RELEASED = "released"  # given back unattempted: the server is stopping
    LEASE_EXPIRED = "lease_expired"  # the worker died; the outcome is unknown
    ACCEPTED = "accepted"
    FAILED = "failed"
    EXHAUSTED = "exhausted"
    WITHDRAWN = "withdrawn"
    REPLAYED = "replayed"


#: Every legal move. docs/explanation/delivery-states.md shows this table.
MOVES: Final[Mapping[tuple[State, Signal], State]] = {
    (State.PENDING, Signal.CLAIMED): State.SENDING,
    (State.SENDING, Signal.RELEASED): State.PENDING,
    (State.SENDING, Signal.LEASE_EXPIRED): State.PENDING,
    (State.SENDING, Signal.ACCEPTED): State.DELIVERED,
    (State.SENDING, Signal.FAILED): State.PENDING,  # with a later due_at
    (State.SENDING, Signal.EXHAUSTED): State.DEAD,
    (State.SENDING, Signal.WITHDRAWN): State.WITHDRAWN,  # its webhook went while an attempt failed; or it was erased
    (State.PENDING, Signal.WITHDRAWN): State.WITHDRAWN,  # its webhook was deleted or disabled; or it was erased
    (State.PENDING, Signal.EXHAUSTED): State.DEAD,  # of no use to anybody any more
    (State.PENDING, Signal.REPLAYED): State.PENDING,  # due now
    (State.DELIVERED, Signal.REPLAYED): State.PENDING,
    (State.DEAD, Signal.REPLAYED): State.PENDING,
    (State.WITHDRAWN, Signal.REPLAYED): State.PENDING,  # its webhook is active again
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to make one attempt, until `lease_until`.

    A batch is claimed as a delivery is, under its own id. Its event is made of all that are in it, and has no subject.
    """

    delivery_id: DeliveryId
    attempt: int  # 1 is the first POST
    failures: int  # attempts of this round that failed: where on the schedule it stands
    lease_until: datetime
    token: int  # settle() demands it back
    give_up_at: datetime | None  # from then on the event is of no use
    event: Event
    webhook: Webhook
    batch_size: int | None = None  # events in the batch; None: one event by itself

    @property
    def large_bytes(self) -> int:
        """Length of a body larger than `SMALL_BODY` in bytes; 0 for a small one."""
        size = len(self.event.body)
        return size if size > SMALL_BODY else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST and what came of it, as it is kept."""

    number: int
    started_at: datetime
    duration_ms: float
    status: int | None
    error: str
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""

    @property
    def is_success(self) -> bool:
        """2xx, and nothing went wrong below HTTP."""
        return self.status is not None and 200 <= self.status < 300 and not self.error

    @property
    def in_words(self) -> str:
        """What came of it, as part of a sentence: why there was no answer that counts, or its status."""
        return f'"{self.error.rstrip(".")}"' if self.error else f"status {self.status}"

    @property
    def retry_after(self) -> str | None:
        """The value of `Retry-After`, if the receiver sent one."""
        return next((value for name, value in self.response_headers if name.lower() == "retry-after"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a claim: the attempt that was made under it."""

    claim: Claim
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one outcome leads to. `due_at` is set exactly when the delivery goes on (state pending)."""

    signal: Signal
    due_at: datetime | None = None
    disable_because: str = ""
    reason: str = ""  # why it ends without success: what follows "because"

    @property
    def state(self) -> State:
        """The state that the delivery is in afterwards."""
        return MOVES[State.SENDING, self.signal]


#: Of every success.
ACCEPTED: Final = Verdict(signal=Signal.ACCEPTED)


def judge(outcome: Outcome, policy: RetryPolicy, *, now: datetime, jitter: float) -> Verdict:
    """Decide what becomes of a delivery after one attempt. `jitter` is a draw from [0, 1)."""
    attempt, claim = outcome.attempt, outcome.claim
    if attempt.is_success:
        return ACCEPTED
    if attempt.status == _GONE:
        gone = "the receiver answered 410 Gone"
        return Verdict(signal=Signal.EXHAUSTED, disable_because=f"T{gone[1:]}.", reason=gone)
    if not policy.retries(attempt.status):
        return _exhausted(f"its policy does not retry a {attempt.status}")
    wait = wait_before_retry(policy, claim.failures + 1, jitter=jitter)
    if wait is None:
        return _exhausted(f"attempt {attempt.number} was the last")
    due_at = now + timedelta(seconds=max(wait, asked_wait(attempt.status, attempt.retry_after, now)))
    if claim.give_up_at is not None and due_at >= claim.give_up_at:
        return _exhausted("by the next attempt the meeting would have been over for 24 h")
    return Verdict(signal=Signal.FAILED, due_at=due_at)


def _exhausted(reason: str) -> Verdict:
    return Verdict(signal=Signal.EXHAUSTED, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event owed to one webhook, with the record of its attempts, for those who ask."""

    id: DeliveryId
    event_id: EventId
    webhook_id: WebhookId
    event: EventKind
    subject: SubjectId
    status: State
    next_attempt_at: datetime | None
    created_at: datetime
    batch_id: BatchId | None = None  # the batch that it goes in; its attempts are those of the batch
    attempts: tuple[Attempt, ...] = field(default=())
