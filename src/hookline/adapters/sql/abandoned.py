"""What is owed to webhooks that have gone, in SQL: what both databases share.

When a webhook goes, what is pending for it is withdrawn, and what is being sent is when its outcome is settled. A node
that dies settles nothing, and nobody else claims anything for a webhook that has gone.
"""

from collections.abc import Iterator
from typing import Final

from hookline.adapters.sql.lines import in_turn
from hookline.adapters.sql.session import Session
from hookline.adapters.sql.webhooks import SqlWebhooks
from hookline.domain.ids import WebhookId

#: From one to the next, so that an index answers however much is owed.
NEXT_OWED_TO: Final = "SELECT MIN(webhook_id) FROM delivery WHERE webhook_id > :webhook_id AND due_at IS NOT NULL"
EXPIRED: Final = "webhook_id = :webhook_id AND token IS NOT NULL AND due_at <= :now"
GIVE_BACK_EXPIRED: Final = f"UPDATE delivery SET due_at = {in_turn(':now')}, token = NULL WHERE {EXPIRED}"


def owed_to_gone(session: Session, webhooks: SqlWebhooks) -> Iterator[WebhookId]:
    """Webhooks that were removed or disabled, and to which something is owed all the same."""
    latest = 0
    while True:
        [(found,)] = session.rows(NEXT_OWED_TO, {"webhook_id": latest})
        if found is None:
            return
        latest = found
        webhook = webhooks.webhook(latest)
        if webhook is None or not webhook.is_active:
            yield WebhookId(latest)
