-- When a call began, was answered and ended, and what its phone system calls it. NULL where that is not known.
ALTER TABLE call ADD COLUMN started_at BIGINT;
ALTER TABLE call ADD COLUMN answered_at BIGINT;
ALTER TABLE call ADD COLUMN ended_at BIGINT;
ALTER TABLE call ADD COLUMN end_is_estimated SMALLINT; -- 1: nobody heard the end, ended_at is the last sign of life
ALTER TABLE call ADD COLUMN connector_id TEXT COLLATE "C";
ALTER TABLE call ADD COLUMN external_id TEXT COLLATE "C";
