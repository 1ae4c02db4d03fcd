-- What the owners of webhooks have to be told.
CREATE TABLE notice (
    id TEXT PRIMARY KEY,
    webhook_id INTEGER NOT NULL,
    kind TEXT NOT NULL,                     -- webhook_failing, webhook_disabled
    message TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
