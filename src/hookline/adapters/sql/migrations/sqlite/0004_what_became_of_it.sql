-- What the owners of webhooks have to be told.
CREATE TABLE notice (
    id TEXT PRIMARY KEY,
    webhook_id INTEGER NOT NULL,
    kind TEXT NOT NULL,                     -- webhook_failing, webhook_disabled
    message TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Why an event was sent to whom: each change of what decides it. A change came after the event with the position
-- `after_event` and before the next one, so that instants, which may be alike or go back, decide nothing.
CREATE TABLE webhook_history (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the changes
    webhook_id INTEGER NOT NULL,
    after_event INTEGER NOT NULL,
    since INTEGER NOT NULL,
    events TEXT NOT NULL,                   -- from here on as in webhook
    filter TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    disabled_reason TEXT NOT NULL,
    removed INTEGER NOT NULL                -- 1: it is gone from now on
) STRICT;
CREATE INDEX webhook_history_by_webhook ON webhook_history (webhook_id, position);

-- Of webhooks that exist already only this is known: when they were made, and what they are now.
INSERT INTO webhook_history (webhook_id, after_event, since, events, filter, is_active, disabled_reason, removed)
    SELECT id, (SELECT COALESCE(MAX(position), 0) FROM event WHERE event.created_at < webhook.created_at), created_at,
        events, filter, is_active, disabled_reason, 0
    FROM webhook ORDER BY id;

-- What was erased from batches, whose attempts may still be under way then.
CREATE INDEX settled_delivery_erased ON settled_delivery (batch_id)
    WHERE reason = 'the person in it was erased' AND batch_id IS NOT NULL;
