"""What a wrong clock has planned, found and planned anew in SQL: what both databases share."""

from datetime import datetime, timedelta
from typing import Final

from hookline.adapters.sql.session import Session, instant, micros
from hookline.domain.ids import WebhookId

FURTHEST_DUE: Final = """
    SELECT w.id, (SELECT MAX(d.due_at) FROM delivery d WHERE d.webhook_id = w.id AND d.due_at IS NOT NULL)
    FROM webhook w
"""
FAILURES_BEYOND: Final = """
    SELECT DISTINCT failures FROM delivery
    WHERE webhook_id = :webhook_id AND due_at > :beyond AND token IS NULL ORDER BY failures
"""
PLAN_RETRIES: Final = """
    UPDATE delivery SET due_at = :due_at
    WHERE webhook_id = :webhook_id AND due_at > :beyond AND token IS NULL AND failures = :failures
"""
#: Each with an index or a handful of rows.
ANY_BEYOND: Final = (
    "SELECT COUNT(*) FROM lease WHERE until_at > :beyond",
    "SELECT COUNT(*) FROM heard_call WHERE due_at > :beyond",
    "SELECT COUNT(*) FROM process WHERE due_at > :beyond",
    "SELECT COUNT(*) FROM process WHERE notification_due_at > :beyond",
    "SELECT COUNT(*) FROM answer WHERE created_at > :beyond",
)
BRING_BACK: Final = (
    "UPDATE lease SET until_at = :until WHERE until_at > :beyond",
    "UPDATE delivery SET due_at = :until WHERE due_at > :beyond AND token IS NOT NULL",
    "UPDATE heard_call SET due_at = :now WHERE due_at > :beyond",
    "UPDATE process SET due_at = :now WHERE due_at > :beyond",
    "UPDATE process SET notification_due_at = :now WHERE notification_due_at > :beyond",
    "UPDATE answer SET created_at = :now WHERE created_at > :beyond",
)


class SqlClockRepair:
    """`ports.clock_repair.ClockRepair`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def furthest_due(self) -> dict[WebhookId, datetime]:
        rows = self._session.rows(FURTHEST_DUE)
        return {WebhookId(webhook_id): instant(due_at) for webhook_id, due_at in rows if due_at is not None}

    def failures_beyond(self, webhook_id: WebhookId, beyond: datetime) -> list[int]:
        rows = self._session.rows(FAILURES_BEYOND, {"webhook_id": webhook_id, "beyond": micros(beyond)})
        return [failures for (failures,) in rows]

    def plan_retries(self, webhook_id: WebhookId, failures: int, *, beyond: datetime, due_at: datetime) -> int:
        self._session.doings.owed = True
        values = {"webhook_id": webhook_id, "failures": failures, "beyond": micros(beyond), "due_at": micros(due_at)}
        return self._session.run(PLAN_RETRIES, values)

    def is_any_beyond(self, beyond: datetime) -> bool:
        return any(self._session.rows(count, {"beyond": micros(beyond)})[0][0] > 0 for count in ANY_BEYOND)

    def bring_back(self, beyond: datetime, lease: timedelta) -> int:
        doings, now = self._session.doings, self._session.now
        doings.owed = doings.intake = doings.processes = True
        values = {"beyond": micros(beyond), "until": micros(now + lease), "now": micros(now)}
        return sum(self._session.run(statement, values) for statement in BRING_BACK)
