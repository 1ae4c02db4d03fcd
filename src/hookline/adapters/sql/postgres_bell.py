"""The bell between nodes: who commits what others may be waiting for says so in the commit, and every node hears it.

A notification may be lost with the connection that listens, and does not come through a transaction pooler at all. So
each node also looks by itself every few seconds, as if it had been told; and how often webhooks were changed is counted
in the database, so that a node that was deaf then finds out.
"""

import json
import logging
import select
import socket
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from hookline.adapters.sql.postgres_link import CLOCK, Link, agree_on_now, as_unavailable
from hookline.adapters.sql.session import Doings, instant
from hookline.domain.ids import WebhookId
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import News

CHANNEL: Final = "hookline"
LISTEN: Final = f"LISTEN {CHANNEL}"
NOTIFY: Final = f"NOTIFY {CHANNEL}, {{}}"
NOTE_WEBHOOK_CHANGES: Final = "UPDATE writing SET webhook_changes = webhook_changes + 1"
LOOK: Final = f"SELECT {CLOCK}, webhook_changes FROM writing"
WEBHOOKS: Final = "SELECT id FROM webhook"
#: How often a node looks by itself.
POLL_SECONDS: Final = 2.0
#: How long to wait at least before listening again.
_REST_SECONDS: Final = 0.5
#: Ids in one notification, which may have 8,000 bytes.
_IDS: Final = 300

#: What nodes tell one another beside webhooks: fields of `Doings`, and of `News`.
_TOLD: Final = ("owed", "timers", "processes", "intake", "connectors")

_log = logging.getLogger("hookline.store")


def told_with(doings: Doings, node: int) -> str:
    """What goes in front of COMMIT so that other nodes hear of these doings; "" when there is nothing to tell."""
    ids = sorted(doings.webhooks)
    facts = {kind: getattr(doings, kind) for kind in _TOLD} | {"owed": doings.owed or doings.left}
    told = [name for name, is_so in facts.items() if is_so]
    if not ids and not told:
        return ""
    parts = [ids[first : first + _IDS] for first in range(0, len(ids), _IDS)] or [[]]
    notes = [{"node": node, "told": told, "webhooks": part, "counts": part == ids[:_IDS] != []} for part in parts]
    statements = [sql.SQL(NOTIFY).format(json.dumps(note)).as_string() for note in notes]
    return "; ".join(([NOTE_WEBHOOK_CHANGES] if ids else []) + statements) + ";"


class Bell:
    """Listens in a thread of its own for what other nodes commit, and tells `ring` of it."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        node: int,
        *,
        ring: Callable[[News], object],
        agree: Callable[[datetime], None],
    ) -> None:
        """`node` is what the notifications of this one begin with: they are no news here."""
        self._link = link
        self._clock = clock
        self._node = node
        self._ring = ring
        self._agree = agree
        self._changes = -1  # of webhooks, that this node knows of; -1 when it was deaf
        self._known: set[WebhookId] = set()  # webhooks of which it may hold claims
        self._closing = threading.Event()
        self.thread = threading.Thread(target=self._listen_until_closed, name="hookline-listen", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._wake, self._woken = socket.socketpair()
        self.thread.start()

    def close(self) -> None:
        """End soon."""
        self._closing.set()
        self._wake.close()

    def _listen_until_closed(self) -> None:
        while not self._closing.is_set():
            try:
                with as_unavailable():
                    self._listen()
            except Unavailable as refusal:
                _log.warning("store.deaf error=%r", refusal.for_operator)
            except Exception:  # noqa: BLE001  a node must not be deaf for good
                _log.exception("store.deaf")
            self._changes = -1
            self._closing.wait(max(self._link.seconds_to_wait(), _REST_SECONDS))
        self._link.close()
        self._woken.close()

    def _listen(self) -> None:
        connection = self._link.mend()
        connection.execute(LISTEN)
        while not self._closing.is_set():
            self._look(connection)
            self._hear_all(connection)
            while self._is_told(connection):
                self._hear_all(connection)

    def _is_told(self, connection: psycopg.Connection) -> bool:
        """Wait until something is heard. False when it was time to look before that, or to end."""
        waited_for = select.poll()  # not `select`, which knows no files beyond the first 1,024
        waited_for.register(connection.fileno(), select.POLLIN)
        waited_for.register(self._woken.fileno(), select.POLLIN)
        return bool(waited_for.poll(POLL_SECONDS * 1000)) and not self._closing.is_set()

    def _hear_all(self, connection: psycopg.Connection) -> None:
        for notification in connection.notifies(timeout=0):
            try:
                note = json.loads(notification.payload)
            except ValueError:  # of somebody else, who uses the same name
                continue
            self._hear(note)

    def _look(self, connection: psycopg.Connection) -> None:
        """Look what there may be to do, whether or not anybody told."""
        asked_at = self._clock.now()
        [(now, changes)] = connection.execute(LOOK).fetchall()
        agree_on_now(connection, self._clock, self._agree, instant(now), asked_at)
        changed: Iterable[WebhookId] = ()
        if changes != self._changes:
            present = {WebhookId(webhook_id) for (webhook_id,) in connection.execute(WEBHOOKS)}
            changed = present | self._known
            self._known = present
        self._changes = changes
        self._ring(_news(changed, _TOLD))

    def _hear(self, note: Any) -> None:
        """What somebody committed. Of what this node itself did only the count is news here."""
        self._changes += note["counts"]
        if note["node"] != self._node:
            self._ring(_news(map(WebhookId, note["webhooks"]), note["told"]))


def _news(webhooks: Iterable[WebhookId], told: Collection[str]) -> News:
    flags: dict[str, Any] = {kind: kind in told for kind in _TOLD}
    return News(webhooks=frozenset(webhooks), **flags)
