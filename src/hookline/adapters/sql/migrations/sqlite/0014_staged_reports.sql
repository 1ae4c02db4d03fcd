-- Meetings and calls of batches that were accepted whole and are applied in slices: a row goes when it is applied.
CREATE TABLE staged_report (
    batch_id TEXT NOT NULL, -- the id of its first report
    number INTEGER NOT NULL,
    report_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    start_at INTEGER, -- of a meeting
    end_at INTEGER, -- of a meeting
    source TEXT, -- of a call
    started_at INTEGER, -- of a call, if known
    answered_at INTEGER, -- of a call, if known
    ended_at INTEGER, -- of a call, if known
    is_silent INTEGER NOT NULL, -- 1: to be kept without an event
    row_count INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (batch_id, number)
) STRICT, WITHOUT ROWID;
