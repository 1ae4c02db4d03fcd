-- Instants are microseconds since 1970 UTC. JSON is text. Ids sort by time.

CREATE TABLE webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again
    url TEXT NOT NULL,
    events TEXT NOT NULL,                   -- JSON list, in the order given
    description TEXT NOT NULL,
    bearer_token TEXT,
    headers TEXT NOT NULL,                  -- JSON list of [key, value]
    retry_policy TEXT NOT NULL,             -- JSON: a name, or the waits
    timeout_seconds INTEGER NOT NULL,
    secrets TEXT NOT NULL,                  -- JSON list of [secret, expires_at | null], the current one first
    is_active INTEGER NOT NULL,
    disabled_reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    rests_until INTEGER
) STRICT;

CREATE TABLE meeting (
    id TEXT PRIMARY KEY,
    account_email TEXT NOT NULL,            -- lower case, for searching
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    payload TEXT NOT NULL,                  -- as it is now
    booked_body BLOB NOT NULL,              -- as last announced
    version INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    cancelled_at INTEGER,
    cancel_reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX meeting_by_start ON meeting (start_at);

CREATE TABLE meeting_participant (
    email TEXT NOT NULL,                    -- lower case
    meeting_id TEXT NOT NULL,
    PRIMARY KEY (email, meeting_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
    meeting_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,               -- of the meeting; valid for this one only
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_by_due ON timer (due_at);

CREATE TABLE call (
    id TEXT PRIMARY KEY,
    payload TEXT NOT NULL,
    type TEXT NOT NULL,
    phone_line TEXT NOT NULL,
    phone_number TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX call_by_number ON call (phone_number, id);

CREATE TABLE event (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the feed; never used again
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL,                     -- the final bytes
    is_test INTEGER NOT NULL,
    UNIQUE (subject, sequence)
) STRICT;

-- Hot: only what is still owed. Being sent = it has a token, and due_at is the end of the lease.
CREATE TABLE delivery (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    token INTEGER,
    attempt INTEGER NOT NULL,               -- number of the latest attempt
    failures INTEGER NOT NULL,              -- of this round: where on the schedule it stands
    give_up_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_by_due ON delivery (webhook_id, due_at);

-- What is no longer owed.
CREATE TABLE settled_delivery (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    webhook_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    give_up_at INTEGER,
    created_at INTEGER NOT NULL,
    settled_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX settled_delivery_dead ON settled_delivery (id) WHERE status = 'dead';

CREATE TABLE attempt (
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    response_headers TEXT NOT NULL,         -- JSON list of [name, value]
    response_body BLOB NOT NULL,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE answer (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_by_age ON answer (created_at);
