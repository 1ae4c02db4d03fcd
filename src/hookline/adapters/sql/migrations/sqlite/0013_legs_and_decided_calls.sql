-- Legs of a call as JSON, NULL where none are known; and the numbers outside, other than the contact's, that stand in
-- them, so that erasure finds the call.
ALTER TABLE call ADD COLUMN legs TEXT;

CREATE TABLE call_number (
    number TEXT NOT NULL, -- E.164
    call_id TEXT NOT NULL,
    PRIMARY KEY (number, call_id)
) STRICT, WITHOUT ROWID;

-- The last calls of each connector that were decided on. The legs of one that is an event are in `call`.
CREATE TABLE decided_call (
    connector_id TEXT NOT NULL,
    position INTEGER NOT NULL, -- counted by connector.decided
    external_id TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_is_estimated INTEGER,
    call_id TEXT,
    reason TEXT NOT NULL,
    line TEXT NOT NULL,
    legs TEXT,
    PRIMARY KEY (connector_id, position)
) STRICT;

CREATE INDEX decided_call_external ON decided_call (connector_id, external_id);

ALTER TABLE connector ADD COLUMN last_error_at INTEGER;
ALTER TABLE connector ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN no_events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN gaps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connector ADD COLUMN last_gap_at INTEGER;
