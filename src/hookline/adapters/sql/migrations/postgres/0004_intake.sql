-- A call as a connector tells it. `due_at` is null once it is settled: then there are no facts left, but that it is.
CREATE TABLE heard_call (
    connector_id TEXT COLLATE "C" NOT NULL,
    call_key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    region TEXT NOT NULL,
    facts TEXT NOT NULL,
    due_at BIGINT,
    call_id TEXT COLLATE "C",
    reason TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (connector_id, call_key)
);

CREATE INDEX heard_call_due ON heard_call (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX heard_call_settled ON heard_call (updated_at) WHERE due_at IS NULL;
