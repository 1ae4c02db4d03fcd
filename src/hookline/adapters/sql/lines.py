"""Lines in SQL: what is owed to an ordered webhook stands in one line for each subject, by sequence.

Of a line only the first that is owed may have a `due_at`; each behind it waits, without one, for those before it to
leave the hot table. What is being sent has its lease in `due_at` wherever it stands: one that was begun goes on when an
earlier one comes back or when lines are made, and takes its place once it is given back. Deliveries of webhooks that
are not ordered have no line, and cost nothing here.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from hookline.adapters.sql.session import Row, Session, micros, to_json
from hookline.adapters.sql.webhooks import SqlWebhooks
from hookline.domain.events import Event
from hookline.domain.ids import DeliveryId, WebhookId
from hookline.domain.webhooks import Webhook


def behind(row: str) -> str:
    """SQL for whether another one is owed that stands before `row`, a name of the table `delivery`, in its line."""
    return f"""({row}.line IS NOT NULL AND EXISTS (
        SELECT 1 FROM delivery earlier
        WHERE earlier.webhook_id = {row}.webhook_id AND earlier.line = {row}.line
            AND earlier.sequence < {row}.sequence))"""


def in_turn(due_at: str) -> str:
    """SQL for the `due_at` of a row of `delivery` that is given back: this one, unless it has to wait in its line."""
    return f"CASE WHEN {behind('delivery')} THEN NULL ELSE {due_at} END"


ANY_BEFORE: Final = """
    SELECT 1 FROM delivery WHERE webhook_id = :webhook_id AND line = :line AND sequence < :sequence LIMIT 1
"""
LET_FIRST_GO: Final = """
    UPDATE delivery SET due_at = :due_at
    WHERE due_at IS NULL AND batch_id IS NULL AND id IN (
        SELECT (SELECT d.id FROM delivery d WHERE d.webhook_id = :webhook_id AND d.line = touched.value
            ORDER BY d.sequence LIMIT 1)
        FROM json_each(:lines) touched)
"""
WAIT: Final = "UPDATE delivery SET due_at = NULL, token = NULL WHERE id IN (SELECT value FROM json_each(:ids))"
_WAIT_BEHIND: Final = f"UPDATE delivery SET due_at = NULL WHERE {{where}} AND token IS NULL AND {behind('delivery')}"
WAIT_IN_LINE: Final = _WAIT_BEHIND.format(
    where="webhook_id = :webhook_id AND line = :line AND sequence >= :sequence AND due_at IS NOT NULL"
)
WAIT_IN_LINES: Final = _WAIT_BEHIND.format(where="webhook_id = :webhook_id AND line IS NOT NULL")
ANY_BEING_SENT_BEHIND: Final = """
    SELECT 1 FROM delivery
    WHERE webhook_id = :webhook_id AND line = :line AND sequence > :sequence AND token IS NOT NULL LIMIT 1
"""
#: What is in a batch already goes with it, never by itself; but others may wait for it.
JOIN_LINES: Final = """
    UPDATE delivery SET line = e.subject, sequence = e.sequence
    FROM event e WHERE e.id = delivery.event_id AND delivery.webhook_id = :webhook_id
"""
LEAVE_LINES: Final = """
    UPDATE delivery SET due_at = CASE WHEN batch_id IS NULL THEN COALESCE(due_at, :due_at) END,
        line = NULL, sequence = NULL
    WHERE webhook_id = :webhook_id AND line IS NOT NULL
"""


class SqlLines:
    """The lines of ordered webhooks, in one transaction."""

    def __init__(self, session: Session, webhooks: SqlWebhooks) -> None:
        self._session = session
        self._webhooks = webhooks

    def has_to_wait(self, event: Event, webhook: Webhook) -> bool:
        """Whether something is owed to this ordered webhook that comes before this event. Before a first one nothing
        does, so most calls and bookings cost no query.
        """
        if event.sequence == 1:
            return False
        place = {"webhook_id": webhook.id, "line": event.subject, "sequence": event.sequence}
        return bool(self._session.rows(ANY_BEFORE, place))

    def let_next_go(self, left: Iterable[Row]) -> None:
        """Deliveries left the hot table: make the first of each of their lines due if it waits. Of each, webhook and
        line are told; those that stood in no line have None for it.
        """
        touched: dict[WebhookId, set[str]] = defaultdict(set)
        for webhook_id, line in left:
            if line is not None:
                touched[webhook_id].add(line)
        for webhook_id, lines in touched.items():
            more = {"lines": to_json(sorted(lines)), "due_at": self._soonest(webhook_id)}
            if self._session.run(LET_FIRST_GO, {"webhook_id": webhook_id, **more}):
                self._session.doings.owed = True

    def wait(self, delivery_ids: Sequence[DeliveryId]) -> None:
        """Have these, which nobody sends any more, wait for those before them."""
        if delivery_ids:
            self._session.run(WAIT, {"ids": to_json(delivery_ids)})

    def take_place(self, webhook_id: WebhookId, line: str | None, sequence: int | None) -> None:
        """One came into its line where others may stand already. Whatever stands behind another waits; what somebody
        holds, but may not have begun, is asked back.
        """
        if line is None:
            return
        place = {"webhook_id": webhook_id, "line": line, "sequence": sequence}
        self._session.run(WAIT_IN_LINE, place)
        if self._session.rows(ANY_BEING_SENT_BEHIND, place):
            self._session.doings.webhooks.add(webhook_id)

    def line_up(self, webhook_id: WebhookId) -> None:
        """See `ports.storage.Outbox.line_up`."""
        webhook = self._webhooks.webhook(webhook_id)
        of = {"webhook_id": webhook_id}
        if webhook is not None and webhook.ordered:
            self._session.run(JOIN_LINES, of)
            self._session.run(WAIT_IN_LINES, of)
        else:
            self._session.run(LEAVE_LINES, {**of, "due_at": self._soonest(webhook_id)})
        self._session.doings.owed = True

    def _soonest(self, webhook_id: WebhookId) -> int:
        """Now, or when the host of this webhook has rested."""
        now, webhook = self._session.now, self._webhooks.webhook(webhook_id)
        rests_until = webhook.rests_until if webhook else None
        return micros(max(now, rests_until) if rests_until else now)
