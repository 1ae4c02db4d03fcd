-- Who is ours, which numbers are, and which phone systems tell of calls. Lists and settings are JSON.
CREATE TABLE user_account (
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT NOT NULL,
    address TEXT COLLATE "C" NOT NULL UNIQUE, -- the email in lower case
    given_name TEXT NOT NULL,
    family_name TEXT NOT NULL,
    extension TEXT NOT NULL,
    channel_prefixes TEXT NOT NULL,
    outbound_line TEXT NOT NULL,
    provider_ids TEXT NOT NULL,
    is_set_up SMALLINT NOT NULL, -- 0: known only since a meeting or a line names the email
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

CREATE TABLE phone_line (
    id TEXT COLLATE "C" PRIMARY KEY,
    number TEXT COLLATE "C" NOT NULL UNIQUE, -- E.164
    name TEXT NOT NULL,
    owner_email TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

CREATE TABLE connector (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    token TEXT NOT NULL,        -- '' when we call the system
    token_digest TEXT COLLATE "C" UNIQUE,   -- SHA-256: it is looked for by this, so that time tells nothing of the token
    state TEXT NOT NULL,
    last_event_at BIGINT,
    last_error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

-- Numbers of ours on which calls came although no line has them.
CREATE TABLE unknown_line (
    number TEXT COLLATE "C" PRIMARY KEY,
    calls BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
