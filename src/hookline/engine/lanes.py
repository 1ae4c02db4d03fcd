"""Lanes: the claims that this process holds, one lane a webhook, so that a slow receiver stands in its own way only.

Counting is done on the event loop; `room` is asked by the thread that writes too, which needs no more than a number
that was true a moment ago. How fast attempts may be begun where there is a limit: `pace.py`.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hookline.domain.batches import MAX_HELD
from hookline.domain.deliveries import Claim
from hookline.domain.ids import WebhookId
from hookline.engine.pace import Pace
from hookline.engine.requests import RequestMaker

#: Attempts under way at the same time to one webhook.
CONCURRENCY: Final = 64
#: Claims of one webhook in memory: waiting, under way, or not settled yet.
CAPACITY: Final = 512
#: Claims in memory in all. When there are so many, each lane still takes what it can send at the same time: those that
#: hang with a backlog must not shut out the others.
TOTAL_CAPACITY: Final = 8192


@dataclass(slots=True)
class Lane:
    """The claims on one webhook."""

    waiting: deque[Claim] = field(default_factory=deque)
    under_way: int = 0
    held: int = 0  # waiting, under way, or not settled yet
    capacity: int = CAPACITY  # a batch is large, so a lane with batches in it holds fewer
    maker: RequestMaker | None = None
    pace: Pace | None = None  # of a webhook with a limit


class Lanes:
    """All lanes."""

    def __init__(self) -> None:
        self._lanes: dict[WebhookId, Lane] = {}
        self._held = 0
        self._full: set[WebhookId] = set()
        self._paces: dict[WebhookId, Pace] = {}  # they remember when the latest attempt was, lane or no lane
        self.is_open = True

    def __getitem__(self, webhook_id: WebhookId) -> Lane:
        return self._lanes.setdefault(webhook_id, Lane())

    def room(self, webhook_id: WebhookId) -> int:
        """How many more claims on this webhook may be taken."""
        if not self.is_open:
            return 0
        room = self._room(webhook_id)
        if room <= 0:
            self._full.add(webhook_id)
            room = self._room(webhook_id)  # asked again: of room that was made before the mark nobody would be told
        return max(room, 0)

    def take(self, claim: Claim) -> Lane:
        """Hold one more claim, waiting in its lane."""
        lane = self[claim.webhook.id]
        if claim.webhook.rate_limit_per_second is not None or self._paces:
            lane.pace = self._pace_of(claim)
        lane.waiting.append(claim)
        lane.held += 1
        if claim.batch_size is not None:
            lane.capacity = MAX_HELD
        self._held += 1
        return lane

    def drop(self, claim: Claim) -> None:
        """Hold a claim no more: it is settled, or given back."""
        lane = self._lanes[claim.webhook.id]
        lane.held -= 1
        self._held -= 1
        if not lane.held:
            del self._lanes[claim.webhook.id]

    def empty(self, webhook_id: WebhookId) -> list[Claim]:
        """Take what waits in a lane out of it. It stays held until it is dropped. Returns it."""
        lane = self._lanes.get(webhook_id)
        waiting = list(lane.waiting) if lane else []
        if lane:
            lane.waiting.clear()
        return waiting

    def empty_beyond_pace(self, lane: Lane) -> list[Claim]:
        """Take out of a lane what its limit lets nobody begin soon, the latest. It stays held until it is dropped."""
        soon = lane.pace.soon if lane.pace else CAPACITY
        return [lane.waiting.pop() for _ in range(len(lane.waiting) - soon)]

    def close(self) -> list[Claim]:
        """Take nothing more, and take what waits out of every lane. It stays held until it is dropped. Returns it."""
        self.is_open = False
        for pace in self._paces.values():
            pace.sleep()
        return [claim for webhook_id in self._lanes for claim in self.empty(webhook_id)]

    def has_room_again(self) -> bool:
        """Whether half of a lane is free again of which somebody was told that it is full. True once for each."""
        # As a tuple: the thread that writes may add to it meanwhile.
        freed = {webhook_id for webhook_id in tuple(self._full) if self._is_half_free(webhook_id)}
        self._full -= freed
        return bool(freed)

    def _is_half_free(self, webhook_id: WebhookId) -> bool:
        held, capacity = self._held_of(webhook_id)
        pace = self._paces.get(webhook_id)
        if pace is not None and self._waiting_of(webhook_id) > pace.soon // 2:
            return False
        return held <= CONCURRENCY // 2 or (held <= capacity // 2 and self._held <= TOTAL_CAPACITY // 2)

    def _room(self, webhook_id: WebhookId) -> int:
        held, capacity = self._held_of(webhook_id)
        pace = self._paces.get(webhook_id)
        room = min(capacity - held, max(TOTAL_CAPACITY - self._held, CONCURRENCY - held))
        return room if pace is None else min(room, pace.soon - self._waiting_of(webhook_id))

    def _held_of(self, webhook_id: WebhookId) -> tuple[int, int]:
        """How many claims its lane holds, and how many it may hold."""
        lane = self._lanes.get(webhook_id)
        return (lane.held, lane.capacity) if lane else (0, CAPACITY)

    def _waiting_of(self, webhook_id: WebhookId) -> int:
        lane = self._lanes.get(webhook_id)
        return len(lane.waiting) if lane else 0

    def _pace_of(self, claim: Claim) -> Pace | None:
        """The pace of a claim's webhook with the limit that it has now; None without a limit."""
        webhook_id, per_second = claim.webhook.id, claim.webhook.rate_limit_per_second
        pace = self._paces.get(webhook_id)
        if per_second is None:
            if pace is not None:
                pace.sleep()
                del self._paces[webhook_id]
            return None
        if pace is None:
            pace = self._paces[webhook_id] = Pace(per_second)
        pace.per_second = per_second
        return pace
