-- Meetings and calls of batches that were accepted whole and are applied in slices: a row goes when it is applied.
CREATE TABLE staged_report (
    batch_id TEXT COLLATE "C" NOT NULL, -- the id of its first report
    number BIGINT NOT NULL,
    report_id TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    start_at BIGINT, -- of a meeting
    end_at BIGINT, -- of a meeting
    source TEXT, -- of a call
    started_at BIGINT, -- of a call, if known
    answered_at BIGINT, -- of a call, if known
    ended_at BIGINT, -- of a call, if known
    is_silent BIGINT NOT NULL, -- 1: to be kept without an event
    row_count BIGINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (batch_id, number)
);
