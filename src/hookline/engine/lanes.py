"""Lanes: the claims that this process holds, one lane a webhook, so that a slow receiver stands in its own way only.

Counting is done on the event loop; `room` and `has_room_for` are asked by the thread that writes too, which needs no
more than numbers that were true a moment ago. How fast attempts may be begun where there is a limit: `pace.py`.

Memory is bounded twice. Claims with small bodies are bounded by their number. Claims with large bodies are bounded by
the sum of their bodies' bytes, each claim counted by itself although claims on one event share one copy: an attempt
over TLS holds an encrypted copy of its own. So a process holds at most `LARGE_BYTES` of large bodies, and besides, for
each webhook, `LARGE_SHARE` or a single body. This share is what keeps one receiver that hangs with a backlog of large
bodies from shutting out the others.

    8,192 claims of up to 4 KiB                       32 MiB
    LARGE_BYTES                                       32 MiB
    40 webhooks with LARGE_SHARE each                 40 MiB
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
#: Bytes of large bodies in memory in all.
LARGE_BYTES: Final = 32 * 1024 * 1024
#: Bytes of large bodies of one webhook in memory.
LARGE_LANE: Final = 8 * 1024 * 1024
#: Bytes of large bodies that one webhook may have in memory whatever the others have. A larger body goes by itself.
LARGE_SHARE: Final = 1024 * 1024


@dataclass(slots=True)
class Lane:
    """The claims on one webhook."""

    waiting: deque[Claim] = field(default_factory=deque)
    under_way: int = 0
    held: int = 0  # waiting, under way, or not settled yet
    large_bytes: int = 0  # of the large bodies that are held
    capacity: int = CAPACITY  # a batch is large, so a lane with batches in it holds fewer
    maker: RequestMaker | None = None
    pace: Pace | None = None  # of a webhook with a limit


class Lanes:
    """All lanes."""

    def __init__(self) -> None:
        self._lanes: dict[WebhookId, Lane] = {}
        self._held = 0
        self._full: set[WebhookId] = set()
        self._large_bytes = 0
        self._refused: dict[WebhookId, int] = {}  # webhooks for which a body of so many bytes did not fit
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

    def has_room_for(self, webhook_id: WebhookId, size: int, for_it: int = 0, in_all: int = 0) -> bool:
        """See `ports.storage.Listener.has_room_for`."""
        if self._fits(webhook_id, size, for_it, in_all):
            return True
        self._refused[webhook_id] = size
        self._full.add(webhook_id)
        return self._fits(webhook_id, size, for_it, in_all)  # asked again, as in `room`

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
        lane.large_bytes += claim.large_bytes
        self._large_bytes += claim.large_bytes
        return lane

    def drop(self, claim: Claim) -> None:
        """Hold a claim no more: it is settled, or given back."""
        lane = self._lanes[claim.webhook.id]
        lane.held -= 1
        self._held -= 1
        lane.large_bytes -= claim.large_bytes
        self._large_bytes -= claim.large_bytes
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
        for webhook_id in freed:
            self._refused.pop(webhook_id, None)
        return bool(freed)

    def _is_half_free(self, webhook_id: WebhookId) -> bool:
        if self._waits_for_bytes(webhook_id):
            return False
        held, capacity = self._held_of(webhook_id)
        pace = self._paces.get(webhook_id)
        if pace is not None and self._waiting_of(webhook_id) > pace.soon // 2:
            return False
        return held <= CONCURRENCY // 2 or (held <= capacity // 2 and self._held <= TOTAL_CAPACITY // 2)

    def _fits(self, webhook_id: WebhookId, size: int, for_it: int, in_all: int) -> bool:
        mine = self._large_bytes_of(webhook_id) + for_it
        if not mine or mine + size <= LARGE_SHARE:
            return True
        return mine + size <= LARGE_LANE and self._large_bytes + in_all + size <= LARGE_BYTES

    def _waits_for_bytes(self, webhook_id: WebhookId) -> bool:
        """Whether a body that did not fit would not fit yet, or only just: claims are worth a query when half is free.

        Whoever is told that there is room must have it, or would ask for ever. So this is never False when `_fits` is.
        """
        size = self._refused.get(webhook_id)
        if size is None:
            return False
        mine = self._large_bytes_of(webhook_id)
        is_half_free = mine <= LARGE_LANE // 2 and self._large_bytes <= LARGE_BYTES // 2
        return not is_half_free and mine > 0 and mine + size > LARGE_SHARE

    def _large_bytes_of(self, webhook_id: WebhookId) -> int:
        lane = self._lanes.get(webhook_id)
        return lane.large_bytes if lane else 0

    def _room(self, webhook_id: WebhookId) -> int:
        if self._waits_for_bytes(webhook_id):
            return 0
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
