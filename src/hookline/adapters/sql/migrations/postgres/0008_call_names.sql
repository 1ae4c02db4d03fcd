-- Names of legs and rooms by which a phone system without an id for calls tells of one call. A name of a conference may
-- lead to several. `has_told` is 1 once the leg of this name has told that it is over.
CREATE TABLE heard_name (
    connector_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    call_key TEXT COLLATE "C" NOT NULL,
    has_told BIGINT NOT NULL,
    PRIMARY KEY (connector_id, name, call_key)
);

CREATE INDEX heard_name_of_call ON heard_name (connector_id, call_key);
