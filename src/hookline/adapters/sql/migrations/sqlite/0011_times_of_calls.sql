-- When a call began, was answered and ended, and what its phone system calls it. NULL where that is not known.
ALTER TABLE call ADD COLUMN started_at INTEGER;
ALTER TABLE call ADD COLUMN answered_at INTEGER;
ALTER TABLE call ADD COLUMN ended_at INTEGER;
ALTER TABLE call ADD COLUMN end_is_estimated INTEGER; -- 1: nobody heard the end, ended_at is the last sign of life
ALTER TABLE call ADD COLUMN connector_id TEXT;
ALTER TABLE call ADD COLUMN external_id TEXT;
