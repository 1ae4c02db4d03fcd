ALTER TABLE webhook ADD COLUMN batched INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN rate_limit_per_second REAL;          -- NULL: none
ALTER TABLE webhook ADD COLUMN filter TEXT NOT NULL DEFAULT '[]';   -- JSON list of [attribute, values]
ALTER TABLE webhook ADD COLUMN failing_since INTEGER;               -- the first failure after the last success
ALTER TABLE webhook ADD COLUMN warned_at INTEGER;                   -- when its owner was told of it

-- Deliveries may wait for one another, so `due_at` may be absent.
CREATE TABLE delivery_2 (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    due_at INTEGER,                         -- NULL: not by itself; it waits for the one before it, or goes in a batch
    token INTEGER,
    attempt INTEGER NOT NULL,               -- number of the latest attempt
    failures INTEGER NOT NULL,              -- of this round: where on the schedule it stands
    give_up_at INTEGER,
    created_at INTEGER NOT NULL,
    line TEXT,                              -- the subject in whose order it stands; NULL: in none
    sequence INTEGER,                       -- its place in that line
    batch_id TEXT                           -- the batch that it goes in
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_2 (id, event_id, webhook_id, due_at, token, attempt, failures, give_up_at, created_at)
    SELECT id, event_id, webhook_id, due_at, token, attempt, failures, give_up_at, created_at FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_2 RENAME TO delivery;
CREATE INDEX delivery_by_due ON delivery (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_in_line ON delivery (webhook_id, line, sequence) WHERE line IS NOT NULL;
CREATE INDEX delivery_in_batch ON delivery (batch_id, id) WHERE batch_id IS NOT NULL;

ALTER TABLE settled_delivery ADD COLUMN reason TEXT NOT NULL DEFAULT '';    -- why it was not delivered
ALTER TABLE settled_delivery ADD COLUMN batch_id TEXT;
CREATE INDEX settled_delivery_undelivered ON settled_delivery (webhook_id, id) WHERE status <> 'delivered';
