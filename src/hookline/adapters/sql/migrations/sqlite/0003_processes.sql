-- Long work that is done in steps. The parameters of a replay or an export are JSON; instants in it too are microseconds.
CREATE TABLE process (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again
    name TEXT NOT NULL,
    parameters TEXT NOT NULL,
    status TEXT NOT NULL,
    cursor TEXT NOT NULL,                   -- the id behind which the next step begins
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    error TEXT NOT NULL,
    due_at INTEGER,                         -- when the next step may be taken; NULL: it has ended
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    token TEXT UNIQUE,                      -- of the file that it makes
    export_url TEXT,
    expires_at INTEGER,
    notification_attempt INTEGER NOT NULL,
    notification_due_at INTEGER,                  -- when somebody is told of the file; NULL: nobody is to be told
    notification_outcome TEXT NOT NULL
) STRICT;
CREATE INDEX process_by_due ON process (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX process_by_notification ON process (notification_due_at) WHERE notification_due_at IS NOT NULL;

-- The files that exports make, in pieces.
CREATE TABLE export_part (
    process_id INTEGER NOT NULL,
    number INTEGER NOT NULL,                -- 0, 1, 2 ...
    body BLOB NOT NULL,
    PRIMARY KEY (process_id, number)
) STRICT;
