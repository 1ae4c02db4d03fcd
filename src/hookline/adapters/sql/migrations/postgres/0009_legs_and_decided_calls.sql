-- Legs of a call as JSON, NULL where none are known; and the numbers outside, other than the contact's, that stand in
-- them, so that erasure finds the call.
ALTER TABLE call ADD COLUMN legs TEXT;

CREATE TABLE call_number (
    number TEXT COLLATE "C" NOT NULL, -- E.164
    call_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (number, call_id)
);

-- The last calls of each connector that were decided on. The legs of one that is an event are in `call`.
CREATE TABLE decided_call (
    connector_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL, -- counted by connector.decided
    external_id TEXT COLLATE "C" NOT NULL,
    decided_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_is_estimated SMALLINT,
    call_id TEXT COLLATE "C",
    reason TEXT NOT NULL,
    line TEXT NOT NULL,
    legs TEXT,
    PRIMARY KEY (connector_id, position)
);

CREATE INDEX decided_call_external ON decided_call (connector_id, external_id);

ALTER TABLE connector ADD COLUMN last_error_at BIGINT;
ALTER TABLE connector ADD COLUMN decided BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN events BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN no_events BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN gaps BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN last_gap_at BIGINT;
