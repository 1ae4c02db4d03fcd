"""Lanes: the claims that this process holds, one lane a webhook, so that a slow receiver stands in its own way only.

Counting is done on the event loop; `room` is asked by the thread that writes too, which needs no more than a number
that was true a moment ago.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hookline.domain.deliveries import Claim
from hookline.domain.ids import WebhookId
from hookline.engine.requests import RequestMaker

#: Attempts under way at the same time to one webhook.
CONCURRENCY: Final = 64
#: Claims of one webhook in memory: waiting, under way, or not settled yet.
CAPACITY: Final = 512
#: Claims in memory in all.
TOTAL_CAPACITY: Final = 8192


@dataclass(slots=True)
class Lane:
    """The claims on one webhook."""

    waiting: deque[Claim] = field(default_factory=deque)
    under_way: int = 0
    held: int = 0  # waiting, under way, or not settled yet
    maker: RequestMaker | None = None


class Lanes:
    """All lanes."""

    def __init__(self) -> None:
        self._lanes: dict[WebhookId, Lane] = {}
        self._held = 0
        self._full: set[WebhookId] = set()
        self.is_open = True

    def __getitem__(self, webhook_id: WebhookId) -> Lane:
        return self._lanes.setdefault(webhook_id, Lane())

    def room(self, webhook_id: WebhookId) -> int:
        """How many more claims on this webhook may be taken."""
        if not self.is_open:
            return 0
        lane = self._lanes.get(webhook_id)
        room = min(CAPACITY - (lane.held if lane else 0), TOTAL_CAPACITY - self._held)
        if room <= 0:
            self._full.add(webhook_id)
        return max(room, 0)

    def take(self, claim: Claim) -> Lane:
        """Hold one more claim, waiting in its lane."""
        lane = self[claim.webhook.id]
        lane.waiting.append(claim)
        lane.held += 1
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

    def close(self) -> list[Claim]:
        """Take nothing more, and give up what waits. Returns it."""
        self.is_open = False
        waiting = [claim for lane in self._lanes.values() for claim in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        for claim in waiting:
            self.drop(claim)
        return waiting

    def has_room_again(self) -> bool:
        """Whether half of a lane is free again of which somebody was told that it is full. True once for each."""
        freed = {
            webhook_id
            for webhook_id in tuple(self._full)  # the thread that writes may add to it meanwhile
            if self._held <= TOTAL_CAPACITY // 2
            and (webhook_id not in self._lanes or self._lanes[webhook_id].held <= CAPACITY // 2)
        }
        self._full -= freed
        return bool(freed)
