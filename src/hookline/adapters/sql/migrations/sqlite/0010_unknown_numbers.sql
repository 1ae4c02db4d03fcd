-- Numbers of contacts that were neither understood nor known to be withheld: by connector, their digits as #.
CREATE TABLE unknown_number (
    connector_id TEXT NOT NULL,
    form TEXT NOT NULL,
    id TEXT NOT NULL, -- of the notice
    calls INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (connector_id, form)
) STRICT, WITHOUT ROWID;
