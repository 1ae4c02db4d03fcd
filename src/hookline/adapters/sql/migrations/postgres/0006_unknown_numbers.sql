-- Numbers of contacts that were neither understood nor known to be withheld: by connector, their digits as #.
CREATE TABLE unknown_number (
    connector_id TEXT COLLATE "C" NOT NULL,
    form TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL, -- of the notice
    calls BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (connector_id, form)
);
